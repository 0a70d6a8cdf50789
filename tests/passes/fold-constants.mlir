// RUN: quern-opt %s --split-input-file --nn-fold-constants | FileCheck %s
// RUN: quern-opt %s --split-input-file --nn-fold-constants=max-folded-bytes=4 \
// RUN:   | FileCheck %s --check-prefix=BOUNDED
// RUN: quern-opt %s --split-input-file --nn-fold-constants=max-folded-work=1200 \
// RUN:   | FileCheck %s --check-prefix=SHORT

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
  %none = nn.none
  %0 = nn.shape %x {start = 0 : i64} : (tensor<3x4xf32>) -> tensor<2xi64>
  %1 = nn.reduce prod %0, %none {keepdims = false, noop_with_empty_axes = false} : (tensor<2xi64>, none) -> tensor<i64>
  return %1 : tensor<i64>
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

// -----

// Much work, a few bytes of result: left to the run. What is cheap is folded
// all the same, after it too.
// CHECK-LABEL: func @expensive
// CHECK: %[[A:.*]] = nn.weight {{.*}} : tensor<2000x2000xf32>
// CHECK: %[[P:.*]] = nn.matmul %[[A]], %[[A]]
// CHECK: nn.reduce sum %[[P]]
// CHECK: %[[C:.*]] = nn.constant dense<3> : tensor<i64>
// CHECK: return %{{.*}}, %[[C]]
func.func @expensive() -> (tensor<1x1xf32>, tensor<i64>) {
  %none = nn.none
  %shape = nn.constant dense<2000> : tensor<2xi64>
  %number = nn.constant dense<1.0> : tensor<f32>
  %0 = nn.expand %number, %shape : (tensor<f32>, tensor<2xi64>) -> tensor<2000x2000xf32>
  %1 = nn.matmul %0, %0 : (tensor<2000x2000xf32>, tensor<2000x2000xf32>) -> tensor<2000x2000xf32>
  %2 = nn.reduce sum %1, %none {keepdims = true, noop_with_empty_axes = false} : (tensor<2000x2000xf32>, none) -> tensor<1x1xf32>
  %one = nn.constant dense<1> : tensor<i64>
  %two = nn.constant dense<2> : tensor<i64>
  %3 = nn.add %one, %two : (tensor<i64>, tensor<i64>) -> tensor<i64>
  return %2, %3 : tensor<1x1xf32>, tensor<i64>
}

// -----

// A window of a pool, too, is work.
// CHECK-LABEL: func @expensivePool
// CHECK: nn.max_pool
func.func @expensivePool() -> tensor<1x1x513x513xf32> {
  %shape = nn.constant dense<[1, 1, 1024, 1024]> : tensor<4xi64>
  %number = nn.constant dense<1.0> : tensor<f32>
  %0 = nn.expand %number, %shape : (tensor<f32>, tensor<4xi64>) -> tensor<1x1x1024x1024xf32>
  %1 = nn.max_pool %0 {kernel = array<i64: 512, 512>, strides = array<i64: 1, 1>,
    dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false}
    : (tensor<1x1x1024x1024xf32>) -> tensor<1x1x513x513xf32>
  return %1 : tensor<1x1x513x513xf32>
}

// -----

// Each op of a chain costs something, however small: of these additions four fit
// into the bound of the last RUN line.
// CHECK-LABEL: func @chain
// CHECK-NOT: nn.add
// SHORT-LABEL: func @chain
// SHORT: nn.constant dense<5.0
// SHORT-COUNT-2: nn.add
// SHORT-NOT: nn.add
func.func @chain() -> tensor<f32> {
  %c = nn.constant dense<1.0> : tensor<f32>
  %0 = nn.add %c, %c : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %1 = nn.add %0, %c : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %2 = nn.add %1, %c : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %3 = nn.add %2, %c : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %4 = nn.add %3, %c : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %5 = nn.add %4, %c : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %5 : tensor<f32>
}

// -----

// What folding finds out about a branch is an error when the branch is taken.
// CHECK-LABEL: func @brokenBranch
// CHECK: nn.if
// CHECK-NOT: nn.reshape
// CHECK: nn.fail "'nn.reshape' op {{.*}}" : tensor<?x?xf32>
// CHECK: } else {
func.func @brokenBranch(%c: tensor<i1>, %x: tensor<6xf32>, %y: tensor<2x3xf32>) -> tensor<*xf32> {
  %0 = nn.if %c {
    %a = nn.constant dense<[-4, 2]> : tensor<2xi64>
    %s = nn.abs %a : (tensor<2xi64>) -> tensor<2xi64>
    %r = nn.reshape %x, %s {allowzero = false} : (tensor<6xf32>, tensor<2xi64>) -> tensor<?x?xf32>
    nn.yield %r : tensor<?x?xf32>
  } else {
    nn.yield %y : tensor<2x3xf32>
  } : (tensor<i1>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}
