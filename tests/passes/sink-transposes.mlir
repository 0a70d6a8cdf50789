// RUN: quern-opt %s --nn-sink-transposes | FileCheck %s

// A residual between convolutions stays with its channels in front; the numbers are there, too.
// CHECK-LABEL: @residual
func.func @residual(%a: tensor<?x8x4x4xf32>, %b: tensor<?x8x4x4xf32>) -> tensor<?x8x4x4xf32> {
  %bias = nn.constant dense<[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]]> : tensor<1x8xf32>
  %alpha = nn.constant dense<0.5> : tensor<8xf32>
  %zero = nn.constant dense<0.0> : tensor<f32>
  %0 = nn.transpose %a {perm = array<i64: 0, 2, 3, 1>} : (tensor<?x8x4x4xf32>) -> tensor<?x4x4x8xf32>
  %1 = nn.transpose %b {perm = array<i64: 0, 2, 3, 1>} : (tensor<?x8x4x4xf32>) -> tensor<?x4x4x8xf32>
  // CHECK: nn.add %arg0, %arg1 {{.*}} -> tensor<?x8x4x4xf32>
  %2 = nn.add %0, %1 : (tensor<?x4x4x8xf32>, tensor<?x4x4x8xf32>) -> tensor<?x4x4x8xf32>
  // CHECK: %[[BIAS:.*]] = nn.transpose {{.*}} -> tensor<1x8x1x1xf32>
  // CHECK: nn.add {{.*}}, %[[BIAS]]
  %3 = nn.add %2, %bias : (tensor<?x4x4x8xf32>, tensor<1x8xf32>) -> tensor<?x4x4x8xf32>
  // CHECK: %[[ALPHA:.*]] = nn.reshape {{.*}} -> tensor<8x1x1xf32>
  // CHECK: nn.mul {{.*}}, %[[ALPHA]]
  %4 = nn.mul %3, %alpha : (tensor<?x4x4x8xf32>, tensor<8xf32>) -> tensor<?x4x4x8xf32>
  // CHECK: %[[MAX:.*]] = nn.max
  %5 = nn.max %4, %zero : (tensor<?x4x4x8xf32>, tensor<f32>) -> tensor<?x4x4x8xf32>
  %6 = nn.transpose %5 {perm = array<i64: 0, 3, 1, 2>} : (tensor<?x4x4x8xf32>) -> tensor<?x8x4x4xf32>
  // CHECK-NEXT: return %[[MAX]]
  return %6 : tensor<?x8x4x4xf32>
}

// Dimensions that attributes and constants name are renamed.
// CHECK-LABEL: @dimensions
func.func @dimensions(%a: tensor<2x8x4x6xf32>, %b: tensor<2x3x4x6xf32>) -> (tensor<2x4x6x5xf32>, tensor<2x4x6x6xf32>) {
  %none = nn.none
  // CHECK-DAG: %[[PADS:.*]] = nn.constant dense<[0, 1, 0, 0, 0, 0, 0, 2]>
  // CHECK-DAG: %[[AXES:.*]] = nn.constant dense<[3, 2, 1]>
  %pads = nn.constant dense<[0, 0, 0, 1, 0, 0, 2, 0]> : tensor<8xi64>
  %starts = nn.constant dense<[0, 0, 0]> : tensor<3xi64>
  %ends = nn.constant dense<[6, 4, 11]> : tensor<3xi64>
  %axes = nn.constant dense<[2, 1, -1]> : tensor<3xi64>
  %0 = nn.transpose %a {perm = array<i64: 0, 2, 3, 1>} : (tensor<2x8x4x6xf32>) -> tensor<2x4x6x8xf32>
  %1 = nn.transpose %b {perm = array<i64: 0, 2, 3, 1>} : (tensor<2x3x4x6xf32>) -> tensor<2x4x6x3xf32>
  // CHECK: nn.concat {{.*}}axis = 1 : i64{{.*}} -> tensor<2x11x4x6xf32>
  %2 = nn.concat %0, %1 {axis = 3 : i64} : (tensor<2x4x6x8xf32>, tensor<2x4x6x3xf32>) -> tensor<2x4x6x11xf32>
  // CHECK: nn.pad{{.*}}%[[PADS]]{{.*}} -> tensor<2x12x4x8xf32>
  %3 = nn.pad constant %2, %pads, %none : (tensor<2x4x6x11xf32>, tensor<8xi64>, none) -> tensor<2x4x8x12xf32>
  // CHECK: nn.slice {{.*}}%[[AXES]]{{.*}} -> tensor<2x11x4x6xf32>
  %4 = nn.slice %3, %starts, %ends, %axes, %none : (tensor<2x4x8x12xf32>, tensor<3xi64>, tensor<3xi64>, tensor<3xi64>, none) -> tensor<2x4x6x11xf32>
  %sizes = nn.constant dense<[5, 6]> : tensor<2xi64>
  // CHECK: nn.split {{.*}}axis = 1 : i64{{.*}} -> (tensor<2x5x4x6xf32>, tensor<2x6x4x6xf32>)
  %5, %6 = nn.split %4, %sizes {axis = -1 : i64} : (tensor<2x4x6x11xf32>, tensor<2xi64>) -> (tensor<2x4x6x5xf32>, tensor<2x4x6x6xf32>)
  // CHECK: nn.transpose {{.*}} -> tensor<2x4x6x5xf32>
  // CHECK: nn.transpose {{.*}} -> tensor<2x4x6x6xf32>
  return %5, %6 : tensor<2x4x6x5xf32>, tensor<2x4x6x6xf32>
}

// Means over the image. Without its dimensions there is nothing left to transpose.
// CHECK-LABEL: @means
func.func @means(%x: tensor<2x8x4x6xf32>) -> (tensor<2x8xf32>, tensor<2x6x8xf32>, tensor<2x1x1x8xf32>) {
  %image = nn.constant dense<[1, 2]> : tensor<2xi64>
  %height = nn.constant dense<[1]> : tensor<1xi64>
  %0 = nn.transpose %x {perm = array<i64: 0, 2, 3, 1>} : (tensor<2x8x4x6xf32>) -> tensor<2x4x6x8xf32>
  // CHECK: %[[MEAN:.*]] = nn.reduce mean %arg0, {{.*}} -> tensor<2x8xf32>
  %1 = nn.reduce mean %0, %image {keepdims = false, noop_with_empty_axes = false} : (tensor<2x4x6x8xf32>, tensor<2xi64>) -> tensor<2x8xf32>
  // CHECK: %[[ROWS:.*]] = nn.reduce sum %arg0, {{.*}} -> tensor<2x8x6xf32>
  // CHECK: %[[BACK:.*]] = nn.transpose %[[ROWS]] {perm = array<i64: 0, 2, 1>}
  %2 = nn.reduce sum %0, %height {keepdims = false, noop_with_empty_axes = false} : (tensor<2x4x6x8xf32>, tensor<1xi64>) -> tensor<2x6x8xf32>
  // CHECK: nn.reduce max %arg0, {{.*}} -> tensor<2x8x1x1xf32>
  %3 = nn.reduce max %0, %image {keepdims = true, noop_with_empty_axes = false} : (tensor<2x4x6x8xf32>, tensor<2xi64>) -> tensor<2x1x1x8xf32>
  return %1, %2, %3 : tensor<2x8xf32>, tensor<2x6x8xf32>, tensor<2x1x1x8xf32>
}

// Integers are quantized where the convolution makes them; scales of channels move along.
// CHECK-LABEL: @quantized
func.func @quantized(%x: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  %none = nn.none
  %scales = nn.constant dense<[0.5, 1.0]> : tensor<2xf32>
  %0 = nn.transpose %x {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x2x4x4xf32>) -> tensor<1x4x4x2xf32>
  // CHECK: nn.quantize %arg0, {{.*}}axis = 1 : i64
  %1 = nn.quantize %0, %scales, %none {axis = 3 : i64, precision = f32, to = i8} : (tensor<1x4x4x2xf32>, tensor<2xf32>, none) -> tensor<1x4x4x2xi8>
  // CHECK: %[[FLOATS:.*]] = nn.dequantize {{.*}}axis = 1 : i64
  %2 = nn.dequantize %1, %scales, %none {axis = -1 : i64, to = f32} : (tensor<1x4x4x2xi8>, tensor<2xf32>, none) -> tensor<1x4x4x2xf32>
  %3 = nn.transpose %2 {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x4x2xf32>) -> tensor<1x2x4x4xf32>
  // CHECK-NEXT: return %[[FLOATS]]
  return %3 : tensor<1x2x4x4xf32>
}

// An image of one pixel costs nothing to bring to the front.
// CHECK-LABEL: @gate
func.func @gate(%a: tensor<?x8x4x4xf32>, %gate: tensor<?x1x1x8xf32>) -> tensor<?x4x4x8xf32> {
  %0 = nn.transpose %a {perm = array<i64: 0, 2, 3, 1>} : (tensor<?x8x4x4xf32>) -> tensor<?x4x4x8xf32>
  // CHECK: %[[GATE:.*]] = nn.transpose %arg1 {{.*}} -> tensor<?x8x1x1xf32>
  // CHECK: nn.mul %arg0, %[[GATE]]
  %1 = nn.mul %0, %gate : (tensor<?x4x4x8xf32>, tensor<?x1x1x8xf32>) -> tensor<?x4x4x8xf32>
  return %1 : tensor<?x4x4x8xf32>
}

// Another image would, so that it stays, but where the result is wanted with channels in front.
// What else reads the transpose that stays is left as it is, too: there would be one more.
// CHECK-LABEL: @others
func.func @others(%a: tensor<?x8x4x4xf32>, %b: tensor<?x4x4x8xf32>) -> (tensor<?x4x4x8xf32>, tensor<?x4x4x8xf32>, tensor<?x8x4x4xf32>) {
  // CHECK: %[[BACK:.*]] = nn.transpose %arg0
  %0 = nn.transpose %a {perm = array<i64: 0, 2, 3, 1>} : (tensor<?x8x4x4xf32>) -> tensor<?x4x4x8xf32>
  // CHECK: nn.relu %[[BACK]]
  %1 = nn.relu %0 : (tensor<?x4x4x8xf32>) -> tensor<?x4x4x8xf32>
  // CHECK: nn.add %[[BACK]], %arg1
  %2 = nn.add %0, %b : (tensor<?x4x4x8xf32>, tensor<?x4x4x8xf32>) -> tensor<?x4x4x8xf32>
  // CHECK: %[[FRONT:.*]] = nn.transpose %arg1 {perm = array<i64: 0, 3, 1, 2>}
  // CHECK: %[[SUB:.*]] = nn.sub %arg0, %[[FRONT]]
  %3 = nn.sub %0, %b : (tensor<?x4x4x8xf32>, tensor<?x4x4x8xf32>) -> tensor<?x4x4x8xf32>
  %4 = nn.transpose %3 {perm = array<i64: 0, 3, 1, 2>} : (tensor<?x4x4x8xf32>) -> tensor<?x8x4x4xf32>
  // CHECK: return {{.*}}, {{.*}}, %[[SUB]]
  return %1, %2, %4 : tensor<?x4x4x8xf32>, tensor<?x4x4x8xf32>, tensor<?x8x4x4xf32>
}

// A normalization of channels reads them at the back, so that the transpose stays, and what else
// reads it is left as it is.
// CHECK-LABEL: @normalization
func.func @normalization(%x: tensor<1x8x4x4xf32>) -> tensor<1x4x4x8xf32> {
  %axis = nn.constant dense<[3]> : tensor<1xi64>
  // CHECK: %[[BACK:.*]] = nn.transpose %arg0
  %0 = nn.transpose %x {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x8x4x4xf32>) -> tensor<1x4x4x8xf32>
  // CHECK: nn.reduce mean %[[BACK]]
  %1 = nn.reduce mean %0, %axis {keepdims = true, noop_with_empty_axes = false} : (tensor<1x4x4x8xf32>, tensor<1xi64>) -> tensor<1x4x4x1xf32>
  // CHECK: nn.sub %[[BACK]]
  %2 = nn.sub %0, %1 : (tensor<1x4x4x8xf32>, tensor<1x4x4x1xf32>) -> tensor<1x4x4x8xf32>
  return %2 : tensor<1x4x4x8xf32>
}

// x * sigmoid(x), whose means over the image weigh its channels: the sigmoid goes along though the
// product is read by more than one.
// CHECK-LABEL: @squeezeExcite
func.func @squeezeExcite(%a: tensor<?x8x4x4xf32>) -> (tensor<?x8x4x4xf32>, tensor<?x8xf32>) {
  %axes = nn.constant dense<[1, 2]> : tensor<2xi64>
  %0 = nn.transpose %a {perm = array<i64: 0, 2, 3, 1>} : (tensor<?x8x4x4xf32>) -> tensor<?x4x4x8xf32>
  // CHECK: %[[S:.*]] = nn.sigmoid %arg0
  %1 = nn.sigmoid %0 : (tensor<?x4x4x8xf32>) -> tensor<?x4x4x8xf32>
  // CHECK: %[[X:.*]] = nn.mul %arg0, %[[S]]
  %2 = nn.mul %0, %1 : (tensor<?x4x4x8xf32>, tensor<?x4x4x8xf32>) -> tensor<?x4x4x8xf32>
  // CHECK: nn.reduce mean %[[X]]
  %3 = nn.reduce mean %2, %axes {keepdims = false, noop_with_empty_axes = true} : (tensor<?x4x4x8xf32>, tensor<2xi64>) -> tensor<?x8xf32>
  %4 = nn.transpose %2 {perm = array<i64: 0, 3, 1, 2>} : (tensor<?x4x4x8xf32>) -> tensor<?x8x4x4xf32>
  // CHECK: return %[[X]]
  return %4, %3 : tensor<?x8x4x4xf32>, tensor<?x8xf32>
}

// Not where what is multiplied would have to be moved.
// CHECK-LABEL: @otherFactor
func.func @otherFactor(%a: tensor<?x8x4x4xf32>, %b: tensor<?x4x4x8xf32>) -> (tensor<?x8x4x4xf32>, tensor<?x8xf32>) {
  %axes = nn.constant dense<[1, 2]> : tensor<2xi64>
  // CHECK: %[[BACK:.*]] = nn.transpose %arg0
  %0 = nn.transpose %a {perm = array<i64: 0, 2, 3, 1>} : (tensor<?x8x4x4xf32>) -> tensor<?x4x4x8xf32>
  // CHECK: nn.sigmoid %arg1
  %1 = nn.sigmoid %b : (tensor<?x4x4x8xf32>) -> tensor<?x4x4x8xf32>
  // CHECK: nn.mul %[[BACK]]
  %2 = nn.mul %0, %1 : (tensor<?x4x4x8xf32>, tensor<?x4x4x8xf32>) -> tensor<?x4x4x8xf32>
  %3 = nn.reduce mean %2, %axes {keepdims = false, noop_with_empty_axes = true} : (tensor<?x4x4x8xf32>, tensor<2xi64>) -> tensor<?x8xf32>
  %4 = nn.transpose %2 {perm = array<i64: 0, 3, 1, 2>} : (tensor<?x4x4x8xf32>) -> tensor<?x8x4x4xf32>
  return %4, %3 : tensor<?x8x4x4xf32>, tensor<?x8xf32>
}

// Other permutations, matrices, and pads that only a run knows stay.
// CHECK-LABEL: @left
func.func @left(%x: tensor<2x3x4x5xf32>, %m: tensor<2x3x4xf32>, %pads: tensor<8xi64>) -> (tensor<2x5x4x3xf32>, tensor<2x4x3xf32>, tensor<?x?x?x?xf32>) {
  %none = nn.none
  // CHECK: %[[A:.*]] = nn.transpose %arg0 {perm = array<i64: 0, 3, 2, 1>}
  // CHECK: nn.relu %[[A]]
  %0 = nn.transpose %x {perm = array<i64: 0, 3, 2, 1>} : (tensor<2x3x4x5xf32>) -> tensor<2x5x4x3xf32>
  %1 = nn.relu %0 : (tensor<2x5x4x3xf32>) -> tensor<2x5x4x3xf32>
  // CHECK: %[[B:.*]] = nn.transpose %arg1 {perm = array<i64: 0, 2, 1>}
  // CHECK: nn.relu %[[B]]
  %2 = nn.transpose %m {perm = array<i64: 0, 2, 1>} : (tensor<2x3x4xf32>) -> tensor<2x4x3xf32>
  %3 = nn.relu %2 : (tensor<2x4x3xf32>) -> tensor<2x4x3xf32>
  // CHECK: %[[C:.*]] = nn.transpose %arg0 {perm = array<i64: 0, 2, 3, 1>}
  // CHECK: nn.pad{{.*}}%[[C]], %arg2
  %4 = nn.transpose %x {perm = array<i64: 0, 2, 3, 1>} : (tensor<2x3x4x5xf32>) -> tensor<2x4x5x3xf32>
  %5 = nn.pad constant %4, %pads, %none : (tensor<2x4x5x3xf32>, tensor<8xi64>, none) -> tensor<?x?x?x?xf32>
  return %1, %3, %5 : tensor<2x5x4x3xf32>, tensor<2x4x3xf32>, tensor<?x?x?x?xf32>
}
