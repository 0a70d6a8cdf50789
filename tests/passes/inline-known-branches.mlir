// RUN: quern-opt %s --split-input-file --nn-inline-known-branches | FileCheck %s

// The body that runs takes the branch's place, and its type is known from then on.
// CHECK-LABEL: func.func @taken
// CHECK-SAME: -> tensor<2x3xf32>
// CHECK-NOT: nn.if
// CHECK: %[[R:.*]] = nn.relu %arg0
// CHECK-NOT: nn.neg
// CHECK: %[[A:.*]] = nn.abs %[[R]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK: return %[[A]]
func.func @taken(%x: tensor<2x3xf32>, %y: tensor<2x4xf32>) -> tensor<2x?xf32> {
  %c = nn.constant dense<true> : tensor<i1>
  %0 = nn.if %c {
    %r = nn.relu %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
    nn.yield %r : tensor<2x3xf32>
  } else {
    %n = nn.neg %y : (tensor<2x4xf32>) -> tensor<2x4xf32>
    nn.yield %n : tensor<2x4xf32>
  } : (tensor<i1>) -> tensor<2x?xf32>
  %1 = nn.abs %0 : (tensor<2x?xf32>) -> tensor<2x?xf32>
  return %1 : tensor<2x?xf32>
}

// -----

// A branch in a branch, a body that yields what it sees, a condition of rank 1.
// CHECK-LABEL: func.func @nested
// CHECK-NOT: nn.if
// CHECK: return %arg1, %arg0
func.func @nested(%x: tensor<3xf32>, %y: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>) {
  %true = nn.constant dense<true> : tensor<1xi1>
  %false = nn.constant dense<false> : tensor<i1>
  %0:2 = nn.if %true {
    %1 = nn.if %false {
      nn.yield %x : tensor<3xf32>
    } else {
      nn.yield %y : tensor<3xf32>
    } : (tensor<i1>) -> tensor<3xf32>
    nn.yield %1, %x : tensor<3xf32>, tensor<3xf32>
  } else {
    %1 = nn.if %true {
      nn.yield %y : tensor<3xf32>
    } else {
      nn.yield %x : tensor<3xf32>
    } : (tensor<1xi1>) -> tensor<3xf32>
    nn.yield %1, %1 : tensor<3xf32>, tensor<3xf32>
  } : (tensor<1xi1>) -> (tensor<3xf32>, tensor<3xf32>)
  return %0#0, %0#1 : tensor<3xf32>, tensor<3xf32>
}

// -----

// Nobody knows the condition; the branch inside is known all the same.
// CHECK-LABEL: func.func @unknown
// CHECK-COUNT-1: nn.if
// CHECK-NOT: nn.if
// CHECK: nn.relu
func.func @unknown(%c: tensor<i1>, %x: tensor<3xf32>) -> tensor<3xf32> {
  %true = nn.constant dense<true> : tensor<i1>
  %0 = nn.if %c {
    %1 = nn.if %true {
      %r = nn.relu %x : (tensor<3xf32>) -> tensor<3xf32>
      nn.yield %r : tensor<3xf32>
    } else {
      nn.yield %x : tensor<3xf32>
    } : (tensor<i1>) -> tensor<3xf32>
    nn.yield %1 : tensor<3xf32>
  } else {
    nn.yield %x : tensor<3xf32>
  } : (tensor<i1>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}
