// RUN: quern-opt %s --nn-form-byte-lookups --nn-decompose-quantization --nn-fold-constants | FileCheck %s

// x * sigmoid(x), with the sigmoid quantized between, is one table: zero stays, 1 is 0.734 in 94
// steps of 1/128 (0.731 in 188 of 1/256).
// CHECK-LABEL: @silu
func.func @silu(%x: tensor<2x3xui8>) -> tensor<2x3xui8> {
  %none = nn.none
  %tenth = nn.constant dense<0.125> : tensor<f32>
  %zero = nn.constant dense<8> : tensor<ui8>
  %share = nn.constant dense<0.00390625> : tensor<f32>
  %half = nn.constant dense<0.0078125> : tensor<f32>
  %ten = nn.constant dense<10> : tensor<ui8>
  // CHECK: %[[TABLE:.*]] = nn.constant dense<{{.*}}> : tensor<256xui8>
  // CHECK: %[[FOUND:.*]] = nn.byte_lookup %arg0, %[[TABLE]] : (tensor<2x3xui8>, tensor<256xui8>) -> tensor<2x3xui8>
  // CHECK-NEXT: return %[[FOUND]]
  %0 = nn.dequantize %x, %tenth, %zero {to = f32} : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xf32>
  %1 = nn.sigmoid %0 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %2 = nn.quantize %1, %share, %none {precision = f32, to = ui8} : (tensor<2x3xf32>, tensor<f32>, none) -> tensor<2x3xui8>
  %3 = nn.dequantize %2, %share, %none {to = f32} : (tensor<2x3xui8>, tensor<f32>, none) -> tensor<2x3xf32>
  %4 = nn.mul %0, %3 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %5 = nn.quantize %4, %half, %ten {precision = f32, to = ui8} : (tensor<2x3xf32>, tensor<f32>, tensor<ui8>) -> tensor<2x3xui8>
  return %5 : tensor<2x3xui8>
}

// The entries: twice the number, from what int8 has as the bits of 0 on.
// CHECK-LABEL: @entries
func.func @entries(%x: tensor<?xi8>) -> tensor<?xi8> {
  %none = nn.none
  %one = nn.constant dense<1.0> : tensor<1x1xf32>
  %scale = nn.constant dense<1.0> : tensor<f32>
  %half = nn.constant dense<0.5> : tensor<f32>
  // CHECK: nn.constant dense<"0x00020406{{.*}}7F7F80{{.*}}80{{.*}}FAFCFE"> : tensor<256xi8>
  // CHECK: nn.byte_lookup %arg0, {{.*}} -> tensor<?xi8>
  %0 = nn.dequantize %x, %scale, %none {to = f32} : (tensor<?xi8>, tensor<f32>, none) -> tensor<?xf32>
  %1 = nn.quantize %0, %half, %none {precision = f32, to = i8} : (tensor<?xf32>, tensor<f32>, none) -> tensor<?xi8>
  return %1 : tensor<?xi8>
}

// What is of two tensors, of scales for each channel or of another shape is no table; nor is what
// costs no more than one.
// CHECK-LABEL: @others
func.func @others(%x: tensor<2x3xui8>, %y: tensor<2x3xui8>) -> (tensor<2x3xui8>, tensor<2x3xui8>, tensor<1x2x3xui8>, tensor<2x3xui8>) {
  // CHECK-NOT: nn.byte_lookup
  %none = nn.none
  %scale = nn.constant dense<0.3> : tensor<f32>
  %scales = nn.constant dense<[0.3, 0.4, 0.5]> : tensor<3xf32>
  %number = nn.constant dense<0.7> : tensor<1x1x1xf32>
  %bound = nn.constant dense<7> : tensor<ui8>
  %0 = nn.dequantize %x, %scale, %none {to = f32} : (tensor<2x3xui8>, tensor<f32>, none) -> tensor<2x3xf32>
  %1 = nn.dequantize %y, %scale, %none {to = f32} : (tensor<2x3xui8>, tensor<f32>, none) -> tensor<2x3xf32>
  %2 = nn.sub %0, %1 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %3 = nn.quantize %2, %scale, %none {precision = f32, to = ui8} : (tensor<2x3xf32>, tensor<f32>, none) -> tensor<2x3xui8>
  %4 = nn.quantize %0, %scales, %none {precision = f32, to = ui8, axis = 1 : i64} : (tensor<2x3xf32>, tensor<3xf32>, none) -> tensor<2x3xui8>
  %5 = nn.div %0, %number : (tensor<2x3xf32>, tensor<1x1x1xf32>) -> tensor<1x2x3xf32>
  %6 = nn.quantize %5, %scale, %none {precision = f32, to = ui8} : (tensor<1x2x3xf32>, tensor<f32>, none) -> tensor<1x2x3xui8>
  %7 = nn.max %x, %bound : (tensor<2x3xui8>, tensor<ui8>) -> tensor<2x3xui8>
  return %3, %4, %6, %7 : tensor<2x3xui8>, tensor<2x3xui8>, tensor<1x2x3xui8>, tensor<2x3xui8>
}

// A scale for each block, though it be one number: it is of no other shape.
// CHECK-LABEL: @block_of_one
func.func @block_of_one(%x: tensor<1x1xi8>) -> tensor<1x1xui8> {
  // CHECK-NOT: nn.byte_lookup
  %none = nn.none
  %block = nn.constant dense<0.3> : tensor<1x1xf32>
  %scale = nn.constant dense<0.7> : tensor<f32>
  %0 = nn.dequantize %x, %block, %none {to = f32, axis = 1 : i64, block_size = 1 : i64} : (tensor<1x1xi8>, tensor<1x1xf32>, none) -> tensor<1x1xf32>
  %1 = nn.quantize %0, %scale, %none {precision = f32, to = ui8} : (tensor<1x1xf32>, tensor<f32>, none) -> tensor<1x1xui8>
  return %1 : tensor<1x1xui8>
}
