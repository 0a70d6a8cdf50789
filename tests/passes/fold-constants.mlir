// RUN: quern-opt %s --split-input-file --nn-fold-constants | FileCheck %s
// RUN: quern-opt %s --split-input-file --nn-fold-constants=max-folded-bytes=4 \
// RUN:   | FileCheck %s --check-prefix=BOUNDED

// CHECK-LABEL: func @elementwise
// CHECK-NEXT: %[[C:.*]] = nn.constant dense<[4.000000e+00, 6.000000e+00]>
// CHECK-NEXT: return %[[C]]
// BOUNDED-LABEL: func @elementwise
// BOUNDED: nn.add
func.func @elementwise() -> tensor<*xf32> {
  %0 = nn.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %1 = nn.constant dense<[3.0, 4.0]> : tensor<2xf32>
  %2 = nn.add %0, %1 : (tensor<2xf32>, tensor<2xf32>) -> tensor<*xf32>
  return %2 : tensor<*xf32>
}

// -----

// A shape that is computed from a shape makes what follows static, in one walk.
// CHECK-LABEL: func @shapeSubgraph
// CHECK-SAME: -> tensor<4x6xf32>
// CHECK: nn.constant dense<[4, 6]>
// CHECK: nn.reshape {{.*}} -> tensor<4x6xf32>
// CHECK: nn.relu {{.*}} -> tensor<4x6xf32>
func.func @shapeSubgraph(%x: tensor<2x12xf32>) -> tensor<*xf32> {
  %two = nn.constant dense<[2, -2]> : tensor<2xi64>
  %half = nn.constant dense<[1, -2]> : tensor<2xi64>
  %0 = nn.shape %x {start = 0 : i64} : (tensor<2x12xf32>) -> tensor<?xi64>
  %1 = nn.mul %0, %two : (tensor<?xi64>, tensor<2xi64>) -> tensor<?xi64>
  %2 = nn.div %1, %half : (tensor<?xi64>, tensor<2xi64>) -> tensor<?xi64>
  %six = nn.constant dense<[0, 6]> : tensor<2xi64>
  %3 = nn.sub %2, %six : (tensor<?xi64>, tensor<2xi64>) -> tensor<?xi64>
  %4 = nn.reshape %x, %3 {allowzero = false} : (tensor<2x12xf32>, tensor<?xi64>) -> tensor<*xf32>
  %5 = nn.relu %4 : (tensor<*xf32>) -> tensor<*xf32>
  return %5 : tensor<*xf32>
}

// -----

// Only the dimensions asked for must be static; elements do not matter.
// CHECK-LABEL: func @partOfShape
// CHECK: nn.constant dense<[3, 4]>
// CHECK: %[[DYNAMIC:.*]] = nn.shape
// CHECK: return %{{.*}}, %[[DYNAMIC]]
func.func @partOfShape(%x: tensor<?x3x4xf32>) -> (tensor<?xi64>, tensor<?xi64>) {
  %0 = nn.shape %x {start = -2 : i64} : (tensor<?x3x4xf32>) -> tensor<?xi64>
  %1 = nn.shape %x {start = 0 : i64} : (tensor<?x3x4xf32>) -> tensor<?xi64>
  return %0, %1 : tensor<?xi64>, tensor<?xi64>
}

// -----

// CHECK-LABEL: func @size
// CHECK: nn.constant dense<12> : tensor<i64>
func.func @size(%x: tensor<3x4xf32>) -> tensor<i64> {
  %0 = nn.size %x : (tensor<3x4xf32>) -> tensor<i64>
  return %0 : tensor<i64>
}

// -----

// Large results go to the weight store, intermediate ones nowhere.
// CHECK-LABEL: func @large
// CHECK-NEXT: %[[W:.*]] = nn.weight "tensor:0", 0 : tensor<32x32xf32>
// CHECK-NEXT: nn.add %{{.*}}, %[[W]]
func.func @large(%x: tensor<32x32xf32>) -> tensor<32x32xf32> {
  %0 = nn.constant dense<1.0> : tensor<32x1xf32>
  %1 = nn.constant dense<2.0> : tensor<1x32xf32>
  %2 = nn.mul %0, %1 : (tensor<32x1xf32>, tensor<1x32xf32>) -> tensor<32x32xf32>
  %3 = nn.add %2, %2 : (tensor<32x32xf32>, tensor<32x32xf32>) -> tensor<32x32xf32>
  %4 = nn.add %x, %3 : (tensor<32x32xf32>, tensor<32x32xf32>) -> tensor<32x32xf32>
  return %4 : tensor<32x32xf32>
}

// -----

// An error is left to the run.
// CHECK-LABEL: func @outOfRange
// CHECK: nn.gather
func.func @outOfRange() -> tensor<1xf32> {
  %0 = nn.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %1 = nn.constant dense<[5]> : tensor<1xi64>
  %2 = nn.gather %0, %1 {axis = 0 : i64} : (tensor<2xf32>, tensor<1xi64>) -> tensor<1xf32>
  return %2 : tensor<1xf32>
}

// -----

// CHECK-LABEL: func @dead
// CHECK-NEXT: return
func.func @dead(%x: tensor<2xf32>) {
  %0 = nn.relu %x : (tensor<2xf32>) -> tensor<2xf32>
  %1 = nn.relu %0 : (tensor<2xf32>) -> tensor<2xf32>
  return
}
