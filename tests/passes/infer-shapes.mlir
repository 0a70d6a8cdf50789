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

// What is declared and more precise than inferred stays.
// CHECK-LABEL: func @neverWidens
// CHECK: nn.relu {{.*}} -> tensor<4x3xf32>
func.func @neverWidens(%x: tensor<?x3xf32>) -> tensor<4x?xf32> {
  %0 = nn.relu %x : (tensor<?x3xf32>) -> tensor<4x?xf32>
  return %0 : tensor<4x?xf32>
}
