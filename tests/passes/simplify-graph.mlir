// RUN: quern-opt %s --split-input-file --nn-simplify-graph | FileCheck %s

// CHECK-LABEL: func @reshapes
// CHECK-DAG: %[[S1:.*]] = nn.constant dense<[2, 3]>
// CHECK-DAG: %[[S2:.*]] = nn.constant dense<[2, 1, 3]>
// CHECK-DAG: %[[S3:.*]] = nn.constant dense<[1, 6]>
// CHECK: nn.reshape %arg0, %[[S1]] {allowzero = true}
// CHECK: nn.reshape %arg1, %[[S2]]
// CHECK: nn.reshape %arg1, %[[S3]]
func.func @reshapes(%x: tensor<2x1x3xf32>, %y: tensor<2x3xf32>)
    -> (tensor<2x3xf32>, tensor<2x1x3xf32>, tensor<1x6xf32>) {
  %one = nn.constant dense<[1]> : tensor<1xi64>
  %0 = nn.squeeze %x, %one : (tensor<2x1x3xf32>, tensor<1xi64>) -> tensor<2x3xf32>
  %1 = nn.unsqueeze %y, %one : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<2x1x3xf32>
  %2 = nn.flatten %y {axis = 0 : i64} : (tensor<2x3xf32>) -> tensor<1x6xf32>
  return %0, %1, %2 : tensor<2x3xf32>, tensor<2x1x3xf32>, tensor<1x6xf32>
}

// -----

// CHECK-LABEL: func @dynamicReshape
// CHECK: nn.flatten
func.func @dynamicReshape(%x: tensor<?x3xf32>) -> tensor<1x?xf32> {
  %0 = nn.flatten %x {axis = 0 : i64} : (tensor<?x3xf32>) -> tensor<1x?xf32>
  return %0 : tensor<1x?xf32>
}

// -----

// There and back is nothing.
// CHECK-LABEL: func @mergeReshapes
// CHECK-NEXT: return %arg0
func.func @mergeReshapes(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %flat = nn.constant dense<[-1]> : tensor<1xi64>
  %back = nn.constant dense<[2, -1]> : tensor<2xi64>
  %0 = nn.reshape %x, %flat {allowzero = false} : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<6xf32>
  %1 = nn.reshape %0, %back {allowzero = false} : (tensor<6xf32>, tensor<2xi64>) -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// -----

// CHECK-LABEL: func @mergeTransposes
// CHECK-NEXT: nn.transpose %arg0 {perm = array<i64: 1, 2, 0>}
// CHECK-NEXT: return
func.func @mergeTransposes(%x: tensor<2x3x4xf32>) -> tensor<3x4x2xf32> {
  %0 = nn.transpose %x {perm = array<i64>} : (tensor<2x3x4xf32>) -> tensor<4x3x2xf32>
  %1 = nn.transpose %0 {perm = array<i64: 1, 0, 2>} : (tensor<4x3x2xf32>) -> tensor<3x4x2xf32>
  return %1 : tensor<3x4x2xf32>
}

// -----

// CHECK-LABEL: func @cancelTransposes
// CHECK-NEXT: return %arg0
func.func @cancelTransposes(%x: tensor<?x3x4xf32>) -> tensor<?x3x4xf32> {
  %0 = nn.transpose %x {perm = array<i64: 1, 2, 0>} : (tensor<?x3x4xf32>) -> tensor<3x4x?xf32>
  %1 = nn.transpose %0 {perm = array<i64: 2, 0, 1>} : (tensor<3x4x?xf32>) -> tensor<?x3x4xf32>
  return %1 : tensor<?x3x4xf32>
}

// -----

// Only what moves no element is a reshape.
// CHECK-LABEL: func @transposeOfOnes
// CHECK: nn.reshape %arg0
// CHECK: nn.transpose %arg0 {perm = array<i64: 0, 2, 1>}
func.func @transposeOfOnes(%x: tensor<1x2x3xf32>) -> (tensor<2x1x3xf32>, tensor<1x3x2xf32>) {
  %0 = nn.transpose %x {perm = array<i64: 1, 0, 2>} : (tensor<1x2x3xf32>) -> tensor<2x1x3xf32>
  %1 = nn.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<1x2x3xf32>) -> tensor<1x3x2xf32>
  return %0, %1 : tensor<2x1x3xf32>, tensor<1x3x2xf32>
}

// -----

// CHECK-LABEL: func @copies
// CHECK-NEXT: return %arg0, %arg0, %arg0, %arg0, %arg0, %arg0
func.func @copies(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>,
                                         tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %none = nn.none
  %zero = nn.constant dense<0> : tensor<1xi64>
  %one = nn.constant dense<1> : tensor<1xi64>
  %four = nn.constant dense<4> : tensor<1xi64>
  %zeros = nn.constant dense<0> : tensor<2xi64>
  %0 = nn.slice %x, %zero, %four, %none, %one : (tensor<4xf32>, tensor<1xi64>, tensor<1xi64>, none, tensor<1xi64>) -> tensor<4xf32>
  %1 = nn.pad constant %x, %zeros, %none : (tensor<4xf32>, tensor<2xi64>, none) -> tensor<4xf32>
  %2 = nn.expand %x, %one : (tensor<4xf32>, tensor<1xi64>) -> tensor<4xf32>
  %3 = nn.concat %x {axis = 0 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  %4 = nn.cast %x {to = f32} : (tensor<4xf32>) -> tensor<4xf32>
  %5 = nn.tile %x, %one : (tensor<4xf32>, tensor<1xi64>) -> tensor<4xf32>
  return %0, %1, %2, %3, %4, %5 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// -----

// The same type, but other elements: reversed, shifted.
// CHECK-LABEL: func @noCopies
// CHECK: nn.slice
// CHECK: nn.pad
func.func @noCopies(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %none = nn.none
  %start = nn.constant dense<3> : tensor<1xi64>
  %end = nn.constant dense<-5> : tensor<1xi64>
  %step = nn.constant dense<-1> : tensor<1xi64>
  %shift = nn.constant dense<[1, -1]> : tensor<2xi64>
  %0 = nn.slice %x, %start, %end, %none, %step : (tensor<4xf32>, tensor<1xi64>, tensor<1xi64>, none, tensor<1xi64>) -> tensor<4xf32>
  %1 = nn.pad constant %x, %shift, %none : (tensor<4xf32>, tensor<2xi64>, none) -> tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// CHECK-LABEL: func @neutral
// CHECK-NEXT: return %arg0, %arg0, %arg0, %arg0, %arg1
func.func @neutral(%x: tensor<2xf32>, %i: tensor<2xi64>)
    -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xi64>) {
  %zero = nn.constant dense<0.0> : tensor<f32>
  %minusZero = nn.constant dense<-0.0> : tensor<f32>
  %one = nn.constant dense<1.0> : tensor<f32>
  %intZero = nn.constant dense<0> : tensor<i64>
  %0 = nn.add %minusZero, %x : (tensor<f32>, tensor<2xf32>) -> tensor<2xf32>
  %1 = nn.sub %x, %zero : (tensor<2xf32>, tensor<f32>) -> tensor<2xf32>
  %2 = nn.mul %x, %one : (tensor<2xf32>, tensor<f32>) -> tensor<2xf32>
  %3 = nn.div %x, %one : (tensor<2xf32>, tensor<f32>) -> tensor<2xf32>
  %4 = nn.add %i, %intZero : (tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
  return %0, %1, %2, %3, %4 : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xi64>
}

// -----

// -0 + 0 and -0 - -0 are +0; 1 / x and 0 - x are not x; a broadcast is no copy.
// CHECK-LABEL: func @notNeutral
// CHECK: nn.add
// CHECK: nn.sub
// CHECK: nn.div
// CHECK: nn.sub
// CHECK: nn.mul
func.func @notNeutral(%x: tensor<2xf32>)
    -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2x2xf32>) {
  %zero = nn.constant dense<0.0> : tensor<f32>
  %minusZero = nn.constant dense<-0.0> : tensor<f32>
  %one = nn.constant dense<1.0> : tensor<f32>
  %ones = nn.constant dense<1.0> : tensor<2x1xf32>
  %0 = nn.add %x, %zero : (tensor<2xf32>, tensor<f32>) -> tensor<2xf32>
  %1 = nn.sub %x, %minusZero : (tensor<2xf32>, tensor<f32>) -> tensor<2xf32>
  %2 = nn.div %one, %x : (tensor<f32>, tensor<2xf32>) -> tensor<2xf32>
  %3 = nn.sub %zero, %x : (tensor<f32>, tensor<2xf32>) -> tensor<2xf32>
  %4 = nn.mul %x, %ones : (tensor<2xf32>, tensor<2x1xf32>) -> tensor<2x2xf32>
  return %0, %1, %2, %3, %4 : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2x2xf32>
}

// -----

// CHECK-LABEL: func @globalPools
// CHECK: nn.global_pool mean %arg0
// CHECK: nn.global_pool max %arg0
// CHECK: nn.average_pool %arg0 {{.*}}kernel = array<i64: 7, 6>
// CHECK: nn.average_pool %arg0 {{.*}}pads = array<i64: 1
func.func @globalPools(%x: tensor<1x8x7x7xf32>)
    -> (tensor<1x8x1x1xf32>, tensor<1x8x1x1xf32>, tensor<1x8x1x2xf32>, tensor<1x8x2x2xf32>) {
  %0 = nn.average_pool %x {kernel = array<i64: 7, 7>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false, count_include_pad = false} : (tensor<1x8x7x7xf32>) -> tensor<1x8x1x1xf32>
  %1 = nn.max_pool %x {kernel = array<i64: 7, 7>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false} : (tensor<1x8x7x7xf32>) -> tensor<1x8x1x1xf32>
  %2 = nn.average_pool %x {kernel = array<i64: 7, 6>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false, count_include_pad = false} : (tensor<1x8x7x7xf32>) -> tensor<1x8x1x2xf32>
  %3 = nn.average_pool %x {kernel = array<i64: 7, 7>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 0, 0>, ceil_mode = false, count_include_pad = false} : (tensor<1x8x7x7xf32>) -> tensor<1x8x2x2xf32>
  return %0, %1, %2, %3 : tensor<1x8x1x1xf32>, tensor<1x8x1x1xf32>, tensor<1x8x1x2xf32>, tensor<1x8x2x2xf32>
}

// -----

// How many images there are need not be known, but their sizes.
// CHECK-LABEL: func @reducePoolsOfAnyBatch
// CHECK: %[[P:.*]] = nn.global_pool mean %arg0 {{.*}} -> tensor<?x8x1x1xf32
// CHECK: nn.reshape %[[P]]
// CHECK: nn.global_pool max %arg0
// CHECK: nn.reduce mean %arg1
func.func @reducePoolsOfAnyBatch(%x: tensor<?x8x7x7xf32>, %y: tensor<1x8x?x7xf32>)
    -> (tensor<?x8xf32>, tensor<?x8x1x1xf32>, tensor<1x8xf32>) {
  %axes = nn.constant dense<[2, 3]> : tensor<2xi64>
  %0 = nn.reduce mean %x, %axes {keepdims = false, noop_with_empty_axes = false} : (tensor<?x8x7x7xf32>, tensor<2xi64>) -> tensor<?x8xf32>
  %1 = nn.reduce max %x, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<?x8x7x7xf32>, tensor<2xi64>) -> tensor<?x8x1x1xf32>
  %2 = nn.reduce mean %y, %axes {keepdims = false, noop_with_empty_axes = false} : (tensor<1x8x?x7xf32>, tensor<2xi64>) -> tensor<1x8xf32>
  return %0, %1, %2 : tensor<?x8xf32>, tensor<?x8x1x1xf32>, tensor<1x8xf32>
}

// CHECK-LABEL: func @reducePools
// CHECK: %[[P:.*]] = nn.global_pool mean %arg0
// CHECK: nn.reshape %[[P]]
// CHECK: nn.global_pool max %arg0
// CHECK: nn.reduce sum
// CHECK: nn.reduce
func.func @reducePools(%x: tensor<1x8x7x7xf32>)
    -> (tensor<1x8xf32>, tensor<1x8x1x1xf32>, tensor<1x8x1x1xf32>, tensor<1x1x7x7xf32>) {
  %axes = nn.constant dense<[-1, 2]> : tensor<2xi64>
  %channel = nn.constant dense<[1]> : tensor<1xi64>
  %0 = nn.reduce mean %x, %axes {keepdims = false, noop_with_empty_axes = false} : (tensor<1x8x7x7xf32>, tensor<2xi64>) -> tensor<1x8xf32>
  %1 = nn.reduce max %x, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<1x8x7x7xf32>, tensor<2xi64>) -> tensor<1x8x1x1xf32>
  %2 = nn.reduce sum %x, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<1x8x7x7xf32>, tensor<2xi64>) -> tensor<1x8x1x1xf32>
  %3 = nn.reduce mean %x, %channel {keepdims = true, noop_with_empty_axes = false} : (tensor<1x8x7x7xf32>, tensor<1xi64>) -> tensor<1x1x7x7xf32>
  return %0, %1, %2, %3 : tensor<1x8xf32>, tensor<1x8x1x1xf32>, tensor<1x8x1x1xf32>, tensor<1x1x7x7xf32>
}

// -----

// Many equal numbers are one number, in kernels a constant.
// CHECK-LABEL: func @splats
// CHECK: %[[THREE:.*]] = nn.constant dense<3.000000e+00> : tensor<f32>
// CHECK: nn.pow %arg0, %[[THREE]] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
// CHECK: nn.where %arg1, %{{.*}}, %arg0 : (tensor<i1>, tensor<f32>, tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @splats(%x: tensor<2x3xf32>, %c: tensor<i1>) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
  %three = nn.constant dense<3.0> : tensor<2x3xf32>
  %row = nn.constant dense<4.0> : tensor<3xf32>
  %0 = nn.pow %x, %three : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %1 = nn.where %c, %row, %x : (tensor<i1>, tensor<3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return %0, %1 : tensor<2x3xf32>, tensor<2x3xf32>
}

// -----

// Different numbers, zeros of both signs, and splats that give the result its
// shape, or part of it.
// CHECK-LABEL: func @noSplats
// CHECK-NOT: tensor<f32>
// CHECK: return
func.func @noSplats(%x: tensor<2x3xf32>, %row: tensor<3xf32>, %any: tensor<?x3xf32>)
    -> (tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>) {
  %mixed = nn.constant dense<[1.0, 2.0, 1.0]> : tensor<3xf32>
  %zeros = nn.constant dense<[0.0, -0.0, 0.0]> : tensor<3xf32>
  %splat = nn.constant dense<3.0> : tensor<2x3xf32>
  %0 = nn.pow %x, %mixed : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %1 = nn.add %x, %zeros : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %2 = nn.pow %row, %splat : (tensor<3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %3 = nn.pow %any, %splat : (tensor<?x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return %0, %1, %2, %3 : tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>
}

// -----

// Nobody knows whether the constant broadcasts the other operand.
// CHECK-LABEL: func @neutralForUnknownRank
// CHECK: nn.mul
// CHECK: nn.sub
func.func @neutralForUnknownRank(%x: tensor<*xf32>) -> (tensor<*xf32>, tensor<*xf32>) {
  %one = nn.constant dense<1.0> : tensor<2x3xf32>
  %zero = nn.constant dense<0.0> : tensor<1x1xf32>
  %0 = nn.mul %x, %one : (tensor<*xf32>, tensor<2x3xf32>) -> tensor<*xf32>
  %1 = nn.sub %x, %zero : (tensor<*xf32>, tensor<1x1xf32>) -> tensor<*xf32>
  return %0, %1 : tensor<*xf32>, tensor<*xf32>
}

// -----

// The target that exporters compute from shapes: sizes of the input stay where they are.
// CHECK-LABEL: func @targetOfInputSizes
// CHECK: %[[TARGET:.*]] = nn.constant dense<[0, 0, 12, 64]>
// CHECK-NOT: nn.shape
// CHECK: nn.reshape %arg0, %[[TARGET]] {allowzero = false}
func.func @targetOfInputSizes(%x: tensor<?x?x768xf32, #nn.dims<"B", "N", "">>)
    -> tensor<?x?x12x64xf32, #nn.dims<"B", "N", "", "">> {
  %s = nn.shape %x {start = 0 : i64, end = 2 : i64} : (tensor<?x?x768xf32, #nn.dims<"B", "N", "">>) -> tensor<2xi64>
  %heads = nn.constant dense<[12, 64]> : tensor<2xi64>
  %target = nn.concat %s, %heads {axis = 0 : i64} : (tensor<2xi64>, tensor<2xi64>) -> tensor<4xi64>
  %0 = nn.reshape %x, %target {allowzero = true} : (tensor<?x?x768xf32, #nn.dims<"B", "N", "">>, tensor<4xi64>) -> tensor<?x?x12x64xf32, #nn.dims<"B", "N", "", "">>
  return %0 : tensor<?x?x12x64xf32, #nn.dims<"B", "N", "", "">>
}

// -----

// One size that the numbers beside it decide.
// CHECK-LABEL: func @targetOfOneProduct
// CHECK: nn.constant dense<[-1, 768]>
// CHECK-NOT: nn.shape
func.func @targetOfOneProduct(%x: tensor<?x?x768xf32, #nn.dims<"B", "N", "">>)
    -> tensor<?x768xf32, #nn.dims<("B" * "N"), "">> {
  %b = nn.shape %x {start = 0 : i64, end = 1 : i64} : (tensor<?x?x768xf32, #nn.dims<"B", "N", "">>) -> tensor<1xi64>
  %n = nn.shape %x {start = 1 : i64, end = 2 : i64} : (tensor<?x?x768xf32, #nn.dims<"B", "N", "">>) -> tensor<1xi64>
  %bn = nn.mul %b, %n : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %c = nn.constant dense<768> : tensor<1xi64>
  %target = nn.concat %bn, %c {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %0 = nn.reshape %x, %target {allowzero = false} : (tensor<?x?x768xf32, #nn.dims<"B", "N", "">>, tensor<2xi64>) -> tensor<?x768xf32, #nn.dims<("B" * "N"), "">>
  return %0 : tensor<?x768xf32, #nn.dims<("B" * "N"), "">>
}

// -----

// Sizes that nothing says are equal, two that are none of the input's, and one beside a
// size that may be zero.
// CHECK-LABEL: func @targetsThatMustBeComputed
// CHECK-COUNT-3: nn.concat
func.func @targetsThatMustBeComputed(%x: tensor<?x6xf32, #nn.dims<"N", "">>, %y: tensor<?x?xf32, #nn.dims<"A", "B">>,
    %z: tensor<?x?x?xf32, #nn.dims<"A", "B", "C">>)
    -> (tensor<?x3xf32, #nn.dims<"A", "">>, tensor<?x?xf32, #nn.dims<"B", "A">>, tensor<?x?xf32, #nn.dims<"A", ("B" * "C")>>) {
  %a = nn.shape %y {start = 0 : i64, end = 1 : i64} : (tensor<?x?xf32, #nn.dims<"A", "B">>) -> tensor<1xi64>
  %b = nn.shape %y {start = 1 : i64, end = 2 : i64} : (tensor<?x?xf32, #nn.dims<"A", "B">>) -> tensor<1xi64>
  %c = nn.shape %z {start = 2 : i64, end = 3 : i64} : (tensor<?x?x?xf32, #nn.dims<"A", "B", "C">>) -> tensor<1xi64>
  %bc = nn.mul %b, %c : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %three = nn.constant dense<3> : tensor<1xi64>
  %t0 = nn.concat %a, %three {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %t1 = nn.concat %b, %a {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %t2 = nn.concat %a, %bc {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %0 = nn.reshape %x, %t0 {allowzero = false} : (tensor<?x6xf32, #nn.dims<"N", "">>, tensor<2xi64>) -> tensor<?x3xf32, #nn.dims<"A", "">>
  %1 = nn.reshape %y, %t1 {allowzero = false} : (tensor<?x?xf32, #nn.dims<"A", "B">>, tensor<2xi64>) -> tensor<?x?xf32, #nn.dims<"B", "A">>
  %2 = nn.reshape %z, %t2 {allowzero = false} : (tensor<?x?x?xf32, #nn.dims<"A", "B", "C">>, tensor<2xi64>) -> tensor<?x?xf32, #nn.dims<"A", ("B" * "C")>>
  return %0, %1, %2 : tensor<?x3xf32, #nn.dims<"A", "">>, tensor<?x?xf32, #nn.dims<"B", "A">>, tensor<?x?xf32, #nn.dims<"A", ("B" * "C")>>
}

// -----

// The larger of a value and itself is the value.
// CHECK-LABEL: func @ofItself
// CHECK-NEXT: nn.max %arg0, %arg1
// CHECK-NEXT: return %arg0, %{{.*}}
func.func @ofItself(%x: tensor<2xf32>, %y: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %0 = nn.max %x, %x : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  %1 = nn.min %0, %0 : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  %2 = nn.max %x, %y : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %1, %2 : tensor<2xf32>, tensor<2xf32>
}
