// RUN: quern-opt %s --split-input-file --nn-infer-shapes | FileCheck %s

// Types flow through the graph to the function's results.
// CHECK-LABEL: func @chain
// CHECK-SAME: -> tensor<2x3xf32>
// CHECK: nn.relu {{.*}} -> tensor<2x3xf32>
// CHECK: nn.add {{.*}} -> tensor<2x3xf32>
func.func @chain(%x: tensor<2x3xf32>, %y: tensor<3xf32>) -> tensor<*xf32> {
  %0 = nn.relu %x : (tensor<2x3xf32>) -> tensor<*xf32>
  %1 = nn.add %0, %y : (tensor<*xf32>, tensor<3xf32>) -> tensor<*xf32>
  return %1 : tensor<*xf32>
}

// -----

// A symbol is better than nothing.
// CHECK-LABEL: func @symbol
// CHECK: nn.relu {{.*}} -> tensor<?xf32, #nn.dims<"N">>
func.func @symbol(%x: tensor<?xf32, #nn.dims<"N">>) -> tensor<?xf32> {
  %0 = nn.relu %x : (tensor<?xf32, #nn.dims<"N">>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// -----

// Axes count from the front as soon as the rank is known, and not before.
// CHECK-LABEL: func @axes
// CHECK: nn.concat {{.*}} {axis = 2 : i64}
// CHECK: nn.concat {{.*}} {axis = 1 : i64}
// CHECK: nn.softmax {{.*}} {axis = 0 : i64
// CHECK: nn.flatten {{.*}} {axis = 0 : i64}
// CHECK: nn.gather {{.*}} {axis = 2 : i64}
// CHECK: nn.arg_reduce max {{.*}} {axis = 1 : i64
// CHECK: nn.concat {{.*}} {axis = -1 : i64}
// CHECK: nn.split {{.*}} {axis = -1 : i64}
func.func @axes(%x: tensor<2x?x4xf32>, %u: tensor<*xf32>, %i: tensor<5xi64>) {
  %0 = nn.concat %x, %x {axis = -1 : i64} : (tensor<2x?x4xf32>, tensor<2x?x4xf32>) -> tensor<*xf32>
  %1 = nn.concat %u, %x {axis = -2 : i64} : (tensor<*xf32>, tensor<2x?x4xf32>) -> tensor<*xf32>
  %2 = nn.softmax %0 {axis = -3 : i64, trailing = false} : (tensor<*xf32>) -> tensor<*xf32>
  %3 = nn.flatten %x {axis = -3 : i64} : (tensor<2x?x4xf32>) -> tensor<*xf32>
  %4 = nn.gather %x, %i {axis = -1 : i64} : (tensor<2x?x4xf32>, tensor<5xi64>) -> tensor<*xf32>
  %5 = nn.arg_reduce max %3 {axis = -1 : i64, keepdims = true, select_last_index = false} : (tensor<*xf32>) -> tensor<*xi64>
  %6 = nn.concat %u, %u {axis = -1 : i64} : (tensor<*xf32>, tensor<*xf32>) -> tensor<*xf32>
  %none = nn.none
  %7:2 = nn.split %u, %none {axis = -1 : i64} : (tensor<*xf32>, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

// What is declared and more precise than inferred stays.
// CHECK-LABEL: func @neverWidens
// CHECK: nn.relu {{.*}} -> tensor<4x3xf32>
func.func @neverWidens(%x: tensor<?x3xf32>) -> tensor<4x?xf32> {
  %0 = nn.relu %x : (tensor<?x3xf32>) -> tensor<4x?xf32>
  return %0 : tensor<4x?xf32>
}
