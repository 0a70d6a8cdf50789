// RUN: quern-opt %s | quern-opt --nn-infer-shapes | FileCheck %s

// CHECK-LABEL: @quantize
func.func @quantize(%x: tensor<?x3xf32, #nn.dims<"N", "">>, %any: tensor<*xf16>, %i: tensor<4xi32>,
                    %scale: tensor<f32>, %three: tensor<3xf32>, %zeros: tensor<3xui8>, %some: tensor<?xf32>,
                    %blocks: tensor<?x2xbf16>) {
  %none = nn.none
  // CHECK: nn.quantize {{.*}} -> tensor<?x3xui8, #nn.dims<"N", "">>
  %0 = nn.quantize %x, %scale, %none {to = ui8, precision = f32} : (tensor<?x3xf32, #nn.dims<"N", "">>, tensor<f32>, none) -> tensor<*xui8>
  // The axis counts from the front where the rank is known.
  // CHECK: nn.quantize {{.*}}axis = 1 : i64{{.*}} -> tensor<?x3xui8, #nn.dims<"N", "">>
  %1 = nn.quantize %x, %three, %zeros {to = ui8, precision = f32, axis = -1 : i64} : (tensor<?x3xf32, #nn.dims<"N", "">>, tensor<3xf32>, tensor<3xui8>) -> tensor<*xui8>
  // CHECK: nn.quantize {{.*}}axis = -1 : i64{{.*}} -> tensor<*xi4>
  %2 = nn.quantize %any, %some, %none {to = i4, precision = f16, axis = -1 : i64} : (tensor<*xf16>, tensor<?xf32>, none) -> tensor<*xi4>
  // CHECK: nn.quantize {{.*}} -> tensor<?x3xf8E4M3FN, #nn.dims<"N", "">>
  %3 = nn.quantize %x, %blocks, %none {to = f8E4M3FN, precision = bf16, axis = 1 : i64, block_size = 2 : i64, saturate = false} : (tensor<?x3xf32, #nn.dims<"N", "">>, tensor<?x2xbf16>, none) -> tensor<*xf8E4M3FN>
  // CHECK: nn.quantize {{.*}} -> tensor<4xi16>
  %4 = nn.quantize %i, %scale, %none {to = i16, precision = f64} : (tensor<4xi32>, tensor<f32>, none) -> tensor<*xi16>
  return
}

// CHECK-LABEL: @dequantize
func.func @dequantize(%x: tensor<2x5xui4>, %bias: tensor<5xi32>, %scale: tensor<f16>, %one: tensor<1xf32>, %five: tensor<5xf32>,
                      %blocks: tensor<1x5xf32>, %zeros: tensor<1x5xui4>, %zero: tensor<ui4>) {
  %none = nn.none
  // CHECK: nn.dequantize {{.*}} -> tensor<2x5xf16>
  %0 = nn.dequantize %x, %scale, %zero {to = f16} : (tensor<2x5xui4>, tensor<f16>, tensor<ui4>) -> tensor<*xf16>
  // CHECK: nn.dequantize {{.*}} -> tensor<2x5xf32>
  %1 = nn.dequantize %x, %blocks, %zeros {to = f32, block_size = 4 : i64} : (tensor<2x5xui4>, tensor<1x5xf32>, tensor<1x5xui4>) -> tensor<*xf32>
  // CHECK: nn.dequantize {{.*}} -> tensor<5xf32>
  %2 = nn.dequantize %bias, %five, %none {to = f32} : (tensor<5xi32>, tensor<5xf32>, none) -> tensor<*xf32>
  // One number is for all of the tensor, whatever the axis.
  // CHECK: nn.dequantize {{.*}} -> tensor<5xf32>
  %3 = nn.dequantize %bias, %one, %none {to = f32, axis = 1 : i64} : (tensor<5xi32>, tensor<1xf32>, none) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @products
func.func @products(%a: tensor<?x4x6xui8, #nn.dims<"N", "", "">>, %b: tensor<6x3xi8>, %rows: tensor<4xui8>, %columns: tensor<3xi8>,
                    %x: tensor<?x2x5x5xui8, #nn.dims<"N", "", "", "">>, %w: tensor<6x2x3x3xi8>, %zero: tensor<ui8>, %zeros: tensor<6xi8>,
                    %bias: tensor<6xi32>) {
  %none = nn.none
  // CHECK: nn.matmul_integer {{.*}} -> tensor<?x4x3xi32, #nn.dims<"N", "", "">>
  %0 = nn.matmul_integer %a, %b, %rows, %columns : (tensor<?x4x6xui8, #nn.dims<"N", "", "">>, tensor<6x3xi8>, tensor<4xui8>, tensor<3xi8>) -> tensor<*xi32>
  // CHECK: nn.conv_integer {{.*}} -> tensor<?x6x5x5xi32, #nn.dims<"N", "", "", "">>
  %1 = nn.conv_integer %x, %w, %zero, %zeros, %bias {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64}
    : (tensor<?x2x5x5xui8, #nn.dims<"N", "", "", "">>, tensor<6x2x3x3xi8>, tensor<ui8>, tensor<6xi8>, tensor<6xi32>) -> tensor<*xi32>
  return
}
