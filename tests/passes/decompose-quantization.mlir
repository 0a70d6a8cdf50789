// RUN: quern-opt %s --nn-decompose-quantization | FileCheck %s

// CHECK-LABEL: @quantize
func.func @quantize(%x: tensor<2x3xf16>, %scale: tensor<3xf32>, %zero: tensor<3xui8>) -> tensor<2x3xui8> {
  // CHECK-NOT: nn.quantize
  // CHECK: %[[WIDE:.*]] = nn.cast %arg0 {to = f32}
  // CHECK: %[[QUOTIENT:.*]] = nn.div %[[WIDE]], %arg1
  // CHECK: %[[WHOLE:.*]] = nn.round %[[QUOTIENT]]
  // CHECK: %[[ZERO:.*]] = nn.cast %arg2 {to = f32}
  // CHECK: %[[SHIFTED:.*]] = nn.add %[[WHOLE]], %[[ZERO]]
  // CHECK: nn.cast %[[SHIFTED]] {to = ui8}
  %0 = nn.quantize %x, %scale, %zero {to = ui8, precision = f32, axis = 1 : i64} : (tensor<2x3xf16>, tensor<3xf32>, tensor<3xui8>) -> tensor<2x3xui8>
  return %0 : tensor<2x3xui8>
}

// A division by 1 leaves out what is divided by. Mini floats are rounded once.
// CHECK-LABEL: @by_one
func.func @by_one(%x: tensor<2x3xf32>) -> (tensor<2x3xi8>, tensor<2x3xf8E5M2>) {
  %none = nn.none
  %one = nn.constant dense<1.0> : tensor<f32>
  // CHECK-NOT: nn.div
  // CHECK: nn.round
  %0 = nn.quantize %x, %one, %none {to = i8, precision = f32} : (tensor<2x3xf32>, tensor<f32>, none) -> tensor<2x3xi8>
  // CHECK-NOT: nn.round
  // CHECK: nn.cast %arg0 {{.*}}saturate = false
  %1 = nn.quantize %x, %one, %none {to = f8E5M2, precision = f32, saturate = false} : (tensor<2x3xf32>, tensor<f32>, none) -> tensor<2x3xf8E5M2>
  return %0, %1 : tensor<2x3xi8>, tensor<2x3xf8E5M2>
}

// Along an axis, in blocks of it, and where the rank is unknown, but the axis counts from the end.
// CHECK-LABEL: @dequantize
func.func @dequantize(%x: tensor<2x?xui8>, %any: tensor<*xi8>, %rows: tensor<2xf32>, %blocks: tensor<2x?xf32>) -> (tensor<2x?xf32>, tensor<2x?xf32>, tensor<*xf32>) {
  %none = nn.none
  // CHECK: %[[COLUMN:.*]] = nn.unsqueeze %arg2
  // CHECK: nn.mul {{.*}}, %[[COLUMN]]
  %0 = nn.dequantize %x, %rows, %none {to = f32} : (tensor<2x?xui8>, tensor<2xf32>, none) -> tensor<2x?xf32>
  // CHECK: nn.range
  // CHECK: %[[SPREAD:.*]] = nn.gather %arg3
  // CHECK: nn.mul {{.*}}, %[[SPREAD]]
  %1 = nn.dequantize %x, %blocks, %none {to = f32, axis = 1 : i64, block_size = 16 : i64} : (tensor<2x?xui8>, tensor<2x?xf32>, none) -> tensor<2x?xf32>
  // CHECK: %[[COLUMN:.*]] = nn.unsqueeze %arg2
  // CHECK: nn.mul {{.*}}, %[[COLUMN]]
  %2 = nn.dequantize %any, %rows, %none {to = f32, axis = -2 : i64} : (tensor<*xi8>, tensor<2xf32>, none) -> tensor<*xf32>
  return %0, %1, %2 : tensor<2x?xf32>, tensor<2x?xf32>, tensor<*xf32>
}

// CHECK-LABEL: @products
func.func @products(%a: tensor<4x6xui8>, %b: tensor<6x3xi8>, %rows: tensor<4xui8>, %x: tensor<1x2x5x5xui8>, %w: tensor<6x2x3x3xi8>, %zero: tensor<1xui8>, %zeros: tensor<6xi8>) -> (tensor<4x3xi32>, tensor<1x6x5x5xi32>) {
  %none = nn.none
  // CHECK: %[[COLUMN:.*]] = nn.unsqueeze %arg2
  // CHECK: nn.matmul {{.*}} -> tensor<4x3xi32>
  %0 = nn.matmul_integer %a, %b, %rows, %none : (tensor<4x6xui8>, tensor<6x3xi8>, tensor<4xui8>, none) -> tensor<4x3xi32>
  // CHECK: nn.squeeze %arg5
  // CHECK: nn.unsqueeze %arg6
  // CHECK: nn.conv {{.*}} -> tensor<1x6x5x5xi32>
  %1 = nn.conv_integer %x, %w, %zero, %zeros, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64}
    : (tensor<1x2x5x5xui8>, tensor<6x2x3x3xi8>, tensor<1xui8>, tensor<6xi8>, none) -> tensor<1x6x5x5xi32>
  return %0, %1 : tensor<4x3xi32>, tensor<1x6x5x5xi32>
}

// What folding computes in one step, and what only a run tells the rank of.
// CHECK-LABEL: @left
func.func @left(%x: tensor<2x3xi8>, %any: tensor<*xi8>, %scale: tensor<2xf32>, %unranked: tensor<*xf32>) -> (tensor<3xf32>, tensor<*xf32>, tensor<2x3xf32>) {
  %none = nn.none
  %weights = nn.constant dense<3> : tensor<3xi8>
  %one = nn.constant dense<0.5> : tensor<f32>
  // CHECK-COUNT-3: nn.dequantize
  %0 = nn.dequantize %weights, %one, %none {to = f32} : (tensor<3xi8>, tensor<f32>, none) -> tensor<3xf32>
  %1 = nn.dequantize %any, %scale, %none {to = f32} : (tensor<*xi8>, tensor<2xf32>, none) -> tensor<*xf32>
  %2 = nn.dequantize %x, %unranked, %none {to = f32} : (tensor<2x3xi8>, tensor<*xf32>, none) -> tensor<2x3xf32>
  return %0, %1, %2 : tensor<3xf32>, tensor<*xf32>, tensor<2x3xf32>
}
