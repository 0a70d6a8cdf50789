// RUN: quern-opt %s --nn-infer-shapes | FileCheck %s

// The results of branches agree in what both know.
// CHECK-LABEL: func.func @branches
func.func @branches(%c: tensor<i1>, %x: tensor<2x3xf32>, %y: tensor<2x4xf32>) -> tensor<*xf32> {
  // CHECK: nn.if %{{.*}} {
  // CHECK: } else {
  // CHECK: } : (tensor<i1>) -> tensor<2x?xf32>
  %0 = nn.if %c {
    %r = nn.relu %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
    nn.yield %r : tensor<2x3xf32>
  } else {
    nn.yield %y : tensor<2x4xf32>
  } : (tensor<i1>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// A carried value that grows; what is collected gets a dimension in front.
// CHECK-LABEL: func.func @loop
func.func @loop(%n: tensor<i64>, %x: tensor<1x3xf32>, %y: tensor<2xf32>) -> (tensor<*xf32>, tensor<*xf32>) {
  %none = nn.none
  // CHECK: nn.loop
  // CHECK: -> (tensor<?x3xf32>, tensor<?x2xf32>)
  %0:2 = nn.loop %n, %none, %x {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<?x3xf32>):
    %w = nn.concat %v, %v {axis = 0 : i64} : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
    nn.yield %c, %w, %y : tensor<i1>, tensor<?x3xf32>, tensor<2xf32>
  } : (tensor<i64>, none, tensor<1x3xf32>) -> (tensor<*xf32>, tensor<*xf32>)
  return %0#0, %0#1 : tensor<*xf32>, tensor<*xf32>
}

// CHECK-LABEL: func.func @scan
func.func @scan(%s: tensor<2xf32>, %x: tensor<5x2xf32>) -> (tensor<*xf32>, tensor<*xf32>) {
  // CHECK: nn.scan
  // CHECK: -> (tensor<2xf32>, tensor<2x5xf32>)
  %0:2 = nn.scan %s, %x {
  ^bb0(%a: tensor<2xf32>, %b: tensor<2xf32>):
    %c = nn.add %a, %b : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
    nn.yield %c, %c : tensor<2xf32>, tensor<2xf32>
  } {input_axes = array<i64: 0>, input_directions = array<i64: 0>, output_axes = array<i64: -1>, output_directions = array<i64: 0>} : (tensor<2xf32>, tensor<5x2xf32>) -> (tensor<*xf32>, tensor<*xf32>)
  return %0#0, %0#1 : tensor<*xf32>, tensor<*xf32>
}

// A branch that always fails says nothing of sizes.
// CHECK-LABEL: func.func @failingBranch
func.func @failingBranch(%c: tensor<i1>, %x: tensor<2x3xf32>) -> tensor<?x3xf32> {
  // CHECK: nn.fail "cannot be done" : tensor<?x3xf32>
  // CHECK: } : (tensor<i1>) -> tensor<2x3xf32>
  %0 = nn.if %c {
    %f = nn.fail "cannot be done" : tensor<?x3xf32>
    nn.yield %f : tensor<?x3xf32>
  } else {
    nn.yield %x : tensor<2x3xf32>
  } : (tensor<i1>) -> tensor<?x3xf32>
  return %0 : tensor<?x3xf32>
}

// An op that breaks its rule now that sizes are known is an error of its branch, not of
// the graph; so is a body of a loop in it.
// CHECK-LABEL: func.func @brokenBranches
func.func @brokenBranches(%c: tensor<i1>, %n: tensor<i64>, %x: tensor<2x3xf32>, %y: tensor<4xf32>) -> (tensor<*xf32>, tensor<*xf32>) {
  %none = nn.none
  %u = nn.relu %y : (tensor<4xf32>) -> tensor<*xf32>
  %v = nn.relu %x : (tensor<2x3xf32>) -> tensor<*xf32>
  // CHECK: nn.if
  // CHECK: nn.fail "{{.*}}broadcast{{.*}}" : tensor<*xf32>
  // CHECK: } : (tensor<i1>) -> tensor<2x3xf32>
  %0 = nn.if %c {
    %a = nn.add %u, %v : (tensor<*xf32>, tensor<*xf32>) -> tensor<*xf32>
    %b = nn.relu %a : (tensor<*xf32>) -> tensor<*xf32>
    nn.yield %b : tensor<*xf32>
  } else {
    nn.yield %v : tensor<*xf32>
  } : (tensor<i1>) -> tensor<*xf32>
  // CHECK: nn.if
  // CHECK: nn.loop
  // CHECK: nn.fail
  %1 = nn.if %c {
    %l = nn.loop %n, %none, %y {
    ^bb0(%i: tensor<i64>, %d: tensor<i1>, %w: tensor<4xf32>):
      %a = nn.matmul %w, %v : (tensor<4xf32>, tensor<*xf32>) -> tensor<*xf32>
      nn.yield %d, %a : tensor<i1>, tensor<*xf32>
    } : (tensor<i64>, none, tensor<4xf32>) -> tensor<*xf32>
    nn.yield %l : tensor<*xf32>
  } else {
    nn.yield %u : tensor<*xf32>
  } : (tensor<i1>) -> tensor<*xf32>
  return %0, %1 : tensor<*xf32>, tensor<*xf32>
}
