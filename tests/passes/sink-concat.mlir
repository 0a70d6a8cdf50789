// RUN: quern-opt %s --split-input-file --nn-simplify-graph | FileCheck %s

// Normalizations are cut as the channels are; what reads a result twice follows, too.
// CHECK-LABEL: func @normalized
// CHECK: %[[A:.*]] = nn.conv %arg0
// CHECK: %[[B:.*]] = nn.conv %arg1
// CHECK: %[[S:.*]]:2 = nn.split %{{.*}} {axis = 0 : i64} : (tensor<5xf32>, tensor<2xi64>) -> (tensor<2xf32>, tensor<3xf32>)
// CHECK: %[[NA:.*]] = nn.batch_norm %[[A]], %[[S]]#0, {{.*}} -> tensor<1x2x8x8xf32>
// CHECK: %[[NB:.*]] = nn.batch_norm %[[B]], %[[S]]#1, {{.*}} -> tensor<1x3x8x8xf32>
// CHECK: %[[GA:.*]] = nn.sigmoid %[[NA]]
// CHECK: %[[GB:.*]] = nn.sigmoid %[[NB]]
// CHECK: %[[MA:.*]] = nn.mul %[[NA]], %[[GA]]
// CHECK: %[[MB:.*]] = nn.mul %[[NB]], %[[GB]]
// CHECK: %[[C:.*]] = nn.concat %[[MA]], %[[MB]] {axis = 1 : i64}
// CHECK: return %[[C]]
func.func @normalized(%x: tensor<1x2x8x8xf32>, %y: tensor<1x3x8x8xf32>) -> tensor<1x5x8x8xf32> {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<2x2x1x1xf32>
  %v = nn.weight "v", 0 : tensor<3x3x1x1xf32>
  %p = nn.weight "p", 0 : tensor<5xf32>
  %a = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x2x8x8xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x8x8xf32>
  %b = nn.conv %y, %v, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x3x8x8xf32>, tensor<3x3x1x1xf32>, none) -> tensor<1x3x8x8xf32>
  %0 = nn.concat %a, %b {axis = 1 : i64} : (tensor<1x2x8x8xf32>, tensor<1x3x8x8xf32>) -> tensor<1x5x8x8xf32>
  %1 = nn.batch_norm %0, %p, %p, %p, %p {epsilon = 1.0e-05 : f64} : (tensor<1x5x8x8xf32>, tensor<5xf32>, tensor<5xf32>, tensor<5xf32>, tensor<5xf32>) -> tensor<1x5x8x8xf32>
  %2 = nn.sigmoid %1 : (tensor<1x5x8x8xf32>) -> tensor<1x5x8x8xf32>
  %3 = nn.mul %1, %2 : (tensor<1x5x8x8xf32>, tensor<1x5x8x8xf32>) -> tensor<1x5x8x8xf32>
  return %3 : tensor<1x5x8x8xf32>
}

// -----

// Constants by channel and numbers; what is then split as it was joined is its parts.
// CHECK-LABEL: func @constants
// CHECK: %[[S:.*]]:2 = nn.split %{{.*}} {axis = 1 : i64} : (tensor<1x5x1x1xf32>, tensor<2xi64>)
// CHECK-DAG: nn.mul %{{.*}}, %[[S]]#0
// CHECK-DAG: nn.mul %{{.*}}, %[[S]]#1
// CHECK: %[[A:.*]] = nn.max {{.*}} -> tensor<1x2x8x8xf32>
// CHECK: %[[B:.*]] = nn.max {{.*}} -> tensor<1x3x8x8xf32>
// CHECK: return %[[A]], %[[B]]
func.func @constants(%x: tensor<1x2x8x8xf32>, %y: tensor<1x3x8x8xf32>) -> (tensor<1x2x8x8xf32>, tensor<1x3x8x8xf32>) {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<2x2x1x1xf32>
  %v = nn.weight "v", 0 : tensor<3x3x1x1xf32>
  %s = nn.weight "s", 0 : tensor<1x5x1x1xf32>
  %half = nn.constant dense<0.5> : tensor<f32>
  %sizes = nn.constant dense<[2, 3]> : tensor<2xi64>
  %a = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x2x8x8xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x8x8xf32>
  %b = nn.conv %y, %v, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x3x8x8xf32>, tensor<3x3x1x1xf32>, none) -> tensor<1x3x8x8xf32>
  %0 = nn.concat %a, %b {axis = 1 : i64} : (tensor<1x2x8x8xf32>, tensor<1x3x8x8xf32>) -> tensor<1x5x8x8xf32>
  %1 = nn.mul %0, %s : (tensor<1x5x8x8xf32>, tensor<1x5x1x1xf32>) -> tensor<1x5x8x8xf32>
  %2 = nn.max %1, %half : (tensor<1x5x8x8xf32>, tensor<f32>) -> tensor<1x5x8x8xf32>
  %3:2 = nn.split %2, %sizes {axis = 1 : i64} : (tensor<1x5x8x8xf32>, tensor<2xi64>) -> (tensor<1x2x8x8xf32>, tensor<1x3x8x8xf32>)
  return %3#0, %3#1 : tensor<1x2x8x8xf32>, tensor<1x3x8x8xf32>
}

// -----

// Somebody reads all of it; a part is no convolution's; a constant of pixels; an axis of pixels.
// CHECK-LABEL: func @stays
// CHECK-COUNT-2: nn.relu {{.*}} -> tensor<1x4x8x8xf32>
// CHECK: nn.add {{.*}} -> tensor<1x4x8x8xf32>
// CHECK: nn.relu {{.*}} -> tensor<1x2x16x8xf32>
func.func @stays(%x: tensor<1x2x8x8xf32>) -> (tensor<1x4x8x8xf32>, tensor<1x4x1x1xf32>, tensor<1x4x8x8xf32>, tensor<1x4x8x8xf32>, tensor<1x2x16x8xf32>) {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<2x2x1x1xf32>
  %pixels = nn.weight "pixels", 0 : tensor<1x4x8x8xf32>
  %a = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x2x8x8xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x8x8xf32>
  %0 = nn.concat %a, %a {axis = 1 : i64} : (tensor<1x2x8x8xf32>, tensor<1x2x8x8xf32>) -> tensor<1x4x8x8xf32>
  %1 = nn.relu %0 : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  %2 = nn.global_pool mean %0 : (tensor<1x4x8x8xf32>) -> tensor<1x4x1x1xf32>
  %3 = nn.concat %a, %x {axis = 1 : i64} : (tensor<1x2x8x8xf32>, tensor<1x2x8x8xf32>) -> tensor<1x4x8x8xf32>
  %4 = nn.relu %3 : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  %b = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x2x8x8xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x8x8xf32>
  %5 = nn.concat %b, %b {axis = 1 : i64} : (tensor<1x2x8x8xf32>, tensor<1x2x8x8xf32>) -> tensor<1x4x8x8xf32>
  %6 = nn.add %5, %pixels : (tensor<1x4x8x8xf32>, tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  %c = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x2x8x8xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x8x8xf32>
  %7 = nn.concat %c, %c {axis = 2 : i64} : (tensor<1x2x8x8xf32>, tensor<1x2x8x8xf32>) -> tensor<1x2x16x8xf32>
  %8 = nn.relu %7 : (tensor<1x2x16x8xf32>) -> tensor<1x2x16x8xf32>
  return %1, %2, %4, %6, %8 : tensor<1x4x8x8xf32>, tensor<1x4x1x1xf32>, tensor<1x4x8x8xf32>, tensor<1x4x8x8xf32>, tensor<1x2x16x8xf32>
}
