// RUN: quern-opt %s | quern-opt --nn-infer-shapes | FileCheck %s

// CHECK-LABEL: @tree_ensemble
func.func @tree_ensemble(%x: tensor<?x4xf32, #nn.dims<"N", "">>, %any: tensor<*xf32>, %nodes: tensor<5x3xi32>,
                         %tests: tensor<5xui8>, %thresholds: tensor<5xf32>, %roots: tensor<2xi32>,
                         %leaves: tensor<8xi32>, %targets: tensor<7xi32>, %weights: tensor<7xf32>) {
  // CHECK: nn.tree_ensemble sum {{.*}} -> tensor<?x3xf32, #nn.dims<"N", "">>
  %0 = nn.tree_ensemble sum %x, %nodes, %tests, %thresholds, %roots, %leaves, %targets, %weights {target_count = 3 : i64} : (tensor<?x4xf32, #nn.dims<"N", "">>, tensor<5x3xi32>, tensor<5xui8>, tensor<5xf32>, tensor<2xi32>, tensor<8xi32>, tensor<7xi32>, tensor<7xf32>) -> tensor<*xf32>
  // CHECK: nn.tree_ensemble max {{.*}} -> tensor<?x1xf32
  %1 = nn.tree_ensemble max %any, %nodes, %tests, %thresholds, %roots, %leaves, %targets, %weights {target_count = 1 : i64} : (tensor<*xf32>, tensor<5x3xi32>, tensor<5xui8>, tensor<5xf32>, tensor<2xi32>, tensor<8xi32>, tensor<7xi32>, tensor<7xf32>) -> tensor<*xf32>
  return
}
