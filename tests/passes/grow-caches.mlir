// RUN: quern-opt %s --split-input-file --nn-grow-caches | FileCheck %s

// The length is in front; what else reads past and present sees them as they were.
// CHECK-LABEL: func @grows(
// CHECK-SAME: %[[PAST:.*]]: tensor<?x2x3x4xf32, #nn.dims<"past", "", "", "">>
// CHECK-SAME: -> (tensor<?x2x3x4xf32
// CHECK: %[[GIVEN:.*]] = nn.transpose %[[PAST]] {perm = array<i64: 1, 2, 0, 3>}
// CHECK: %[[NEW:.*]] = nn.transpose %arg1 {perm = array<i64: 2, 0, 1, 3>}
// CHECK: %[[PRESENT:.*]] = nn.concat %[[PAST]], %[[NEW]] {axis = 0 : i64}
// CHECK: %[[READ:.*]] = nn.transpose %[[PRESENT]] {perm = array<i64: 1, 2, 0, 3>}
// CHECK: nn.abs %[[READ]]
// CHECK: nn.neg %[[GIVEN]]
// CHECK: return %[[PRESENT]],
func.func @grows(%past: tensor<2x3x?x4xf32, #nn.dims<"", "", "past", "">>,
                 %new: tensor<2x3x1x4xf32>)
    -> (tensor<2x3x?x4xf32, #nn.dims<"", "", ("past" + 1), "">>,
        tensor<2x3x?x4xf32, #nn.dims<"", "", ("past" + 1), "">>,
        tensor<2x3x?x4xf32, #nn.dims<"", "", "past", "">>) {
  %0 = nn.concat %past, %new {axis = -2 : i64}
    : (tensor<2x3x?x4xf32, #nn.dims<"", "", "past", "">>, tensor<2x3x1x4xf32>)
    -> tensor<2x3x?x4xf32, #nn.dims<"", "", ("past" + 1), "">>
  %1 = nn.abs %0 : (tensor<2x3x?x4xf32, #nn.dims<"", "", ("past" + 1), "">>)
    -> tensor<2x3x?x4xf32, #nn.dims<"", "", ("past" + 1), "">>
  %2 = nn.neg %past : (tensor<2x3x?x4xf32, #nn.dims<"", "", "past", "">>)
    -> tensor<2x3x?x4xf32, #nn.dims<"", "", "past", "">>
  return %0, %1, %2 : tensor<2x3x?x4xf32, #nn.dims<"", "", ("past" + 1), "">>,
    tensor<2x3x?x4xf32, #nn.dims<"", "", ("past" + 1), "">>,
    tensor<2x3x?x4xf32, #nn.dims<"", "", "past", "">>
}

// -----

// The past once more behind itself; an output that is there twice.
// CHECK-LABEL: func @twice(
// CHECK: %[[GIVEN:.*]] = nn.transpose %arg0 {perm = array<i64: 1, 0>}
// CHECK: %[[AGAIN:.*]] = nn.transpose %[[GIVEN]] {perm = array<i64: 1, 0>}
// CHECK: %[[PRESENT:.*]] = nn.concat %arg0, %[[AGAIN]] {axis = 0 : i64}
// CHECK: %[[READ:.*]] = nn.transpose %[[PRESENT]] {perm = array<i64: 1, 0>}
// CHECK: return %[[PRESENT]], %[[READ]] : tensor<6x2xf32>, tensor<2x6xf32>
func.func @twice(%past: tensor<2x3xf32>) -> (tensor<2x6xf32>, tensor<2x6xf32>) {
  %0 = nn.concat %past, %past {axis = 1 : i64}
    : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x6xf32>
  return %0, %0 : tensor<2x6xf32>, tensor<2x6xf32>
}

// -----

// It is the beginning of the output already.
// CHECK-LABEL: func @isBeginning(
// CHECK-NOT: nn.transpose
func.func @isBeginning(%past: tensor<1x?x4xf32>, %new: tensor<1x1x4xf32>) -> tensor<1x?x4xf32> {
  %0 = nn.concat %past, %new {axis = 1 : i64}
    : (tensor<1x?x4xf32>, tensor<1x1x4xf32>) -> tensor<1x?x4xf32>
  return %0 : tensor<1x?x4xf32>
}

// -----

// No input, behind another, no output, no rank.
// CHECK-LABEL: func @others(
// CHECK-NOT: nn.transpose
func.func @others(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>, %z: tensor<*xf32>)
    -> (tensor<2x6xf32>, tensor<2x6xf32>, tensor<2x6xf32>, tensor<*xf32>) {
  %neg = nn.neg %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %0 = nn.concat %neg, %y {axis = 1 : i64}
    : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x6xf32>
  %1 = nn.concat %neg, %x {axis = 1 : i64}
    : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x6xf32>
  %2 = nn.concat %x, %y {axis = 1 : i64}
    : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x6xf32>
  %3 = nn.abs %2 : (tensor<2x6xf32>) -> tensor<2x6xf32>
  %4 = nn.concat %z, %z {axis = 1 : i64} : (tensor<*xf32>, tensor<*xf32>) -> tensor<*xf32>
  return %0, %1, %3, %4 : tensor<2x6xf32>, tensor<2x6xf32>, tensor<2x6xf32>, tensor<*xf32>
}
