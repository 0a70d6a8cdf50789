// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @integers(%x: tensor<2x4xi32>, %nodes: tensor<5x3xi32>, %tests: tensor<5xui8>, %thresholds: tensor<5xf32>, %roots: tensor<2xi32>, %leaves: tensor<8xi32>, %targets: tensor<7xi32>, %weights: tensor<7xf32>) {
  // expected-error @+1 {{input must hold float32 or float64, found 'i32'}}
  %0 = nn.tree_ensemble sum %x, %nodes, %tests, %thresholds, %roots, %leaves, %targets, %weights {target_count = 3 : i64} : (tensor<2x4xi32>, tensor<5x3xi32>, tensor<5xui8>, tensor<5xf32>, tensor<2xi32>, tensor<8xi32>, tensor<7xi32>, tensor<7xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @kind(%x: tensor<2x4xf32>, %nodes: tensor<5x3xi32>, %tests: tensor<5xui8>, %thresholds: tensor<5xf32>, %roots: tensor<2xi32>, %leaves: tensor<8xi32>, %targets: tensor<7xi32>, %weights: tensor<7xf32>) {
  // expected-error @+1 {{kind must be sum, min or max, found mean}}
  %0 = nn.tree_ensemble mean %x, %nodes, %tests, %thresholds, %roots, %leaves, %targets, %weights {target_count = 3 : i64} : (tensor<2x4xf32>, tensor<5x3xi32>, tensor<5xui8>, tensor<5xf32>, tensor<2xi32>, tensor<8xi32>, tensor<7xi32>, tensor<7xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @target_count(%x: tensor<2x4xf32>, %nodes: tensor<5x3xi32>, %tests: tensor<5xui8>, %thresholds: tensor<5xf32>, %roots: tensor<2xi32>, %leaves: tensor<8xi32>, %targets: tensor<7xi32>, %weights: tensor<7xf32>) {
  // expected-error @+1 {{target_count must be positive, found 0}}
  %0 = nn.tree_ensemble sum %x, %nodes, %tests, %thresholds, %roots, %leaves, %targets, %weights {target_count = 0 : i64} : (tensor<2x4xf32>, tensor<5x3xi32>, tensor<5xui8>, tensor<5xf32>, tensor<2xi32>, tensor<8xi32>, tensor<7xi32>, tensor<7xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @rank(%x: tensor<1x2x4xf32>, %nodes: tensor<5x3xi32>, %tests: tensor<5xui8>, %thresholds: tensor<5xf32>, %roots: tensor<2xi32>, %leaves: tensor<8xi32>, %targets: tensor<7xi32>, %weights: tensor<7xf32>) {
  // expected-error @+1 {{input must have rank 2, found 3}}
  %0 = nn.tree_ensemble sum %x, %nodes, %tests, %thresholds, %roots, %leaves, %targets, %weights {target_count = 3 : i64} : (tensor<1x2x4xf32>, tensor<5x3xi32>, tensor<5xui8>, tensor<5xf32>, tensor<2xi32>, tensor<8xi32>, tensor<7xi32>, tensor<7xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @node_width(%x: tensor<2x4xf32>, %nodes: tensor<5x4xi32>, %tests: tensor<5xui8>, %thresholds: tensor<5xf32>, %roots: tensor<2xi32>, %leaves: tensor<8xi32>, %targets: tensor<7xi32>, %weights: tensor<7xf32>) {
  // expected-error @+1 {{dimension 1 of nodes must be 3, found 4}}
  %0 = nn.tree_ensemble sum %x, %nodes, %tests, %thresholds, %roots, %leaves, %targets, %weights {target_count = 3 : i64} : (tensor<2x4xf32>, tensor<5x4xi32>, tensor<5xui8>, tensor<5xf32>, tensor<2xi32>, tensor<8xi32>, tensor<7xi32>, tensor<7xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @node_type(%x: tensor<2x4xf32>, %nodes: tensor<5x3xi64>, %tests: tensor<5xui8>, %thresholds: tensor<5xf32>, %roots: tensor<2xi32>, %leaves: tensor<8xi32>, %targets: tensor<7xi32>, %weights: tensor<7xf32>) {
  // expected-error @+1 {{nodes must hold int32, found 'i64'}}
  %0 = nn.tree_ensemble sum %x, %nodes, %tests, %thresholds, %roots, %leaves, %targets, %weights {target_count = 3 : i64} : (tensor<2x4xf32>, tensor<5x3xi64>, tensor<5xui8>, tensor<5xf32>, tensor<2xi32>, tensor<8xi32>, tensor<7xi32>, tensor<7xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @test_length(%x: tensor<2x4xf32>, %nodes: tensor<5x3xi32>, %tests: tensor<4xui8>, %thresholds: tensor<5xf32>, %roots: tensor<2xi32>, %leaves: tensor<8xi32>, %targets: tensor<7xi32>, %weights: tensor<7xf32>) {
  // expected-error @+1 {{the length of tests must be 5, found 4}}
  %0 = nn.tree_ensemble sum %x, %nodes, %tests, %thresholds, %roots, %leaves, %targets, %weights {target_count = 3 : i64} : (tensor<2x4xf32>, tensor<5x3xi32>, tensor<4xui8>, tensor<5xf32>, tensor<2xi32>, tensor<8xi32>, tensor<7xi32>, tensor<7xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @threshold_type(%x: tensor<2x4xf32>, %nodes: tensor<5x3xi32>, %tests: tensor<5xui8>, %thresholds: tensor<5xf64>, %roots: tensor<2xi32>, %leaves: tensor<8xi32>, %targets: tensor<7xi32>, %weights: tensor<7xf32>) {
  // expected-error @+1 {{thresholds must hold float32, found 'f64'}}
  %0 = nn.tree_ensemble sum %x, %nodes, %tests, %thresholds, %roots, %leaves, %targets, %weights {target_count = 3 : i64} : (tensor<2x4xf32>, tensor<5x3xi32>, tensor<5xui8>, tensor<5xf64>, tensor<2xi32>, tensor<8xi32>, tensor<7xi32>, tensor<7xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @weight_length(%x: tensor<2x4xf32>, %nodes: tensor<5x3xi32>, %tests: tensor<5xui8>, %thresholds: tensor<5xf32>, %roots: tensor<2xi32>, %leaves: tensor<8xi32>, %targets: tensor<7xi32>, %weights: tensor<6xf32>) {
  // expected-error @+1 {{the length of weights must be 7, found 6}}
  %0 = nn.tree_ensemble sum %x, %nodes, %tests, %thresholds, %roots, %leaves, %targets, %weights {target_count = 3 : i64} : (tensor<2x4xf32>, tensor<5x3xi32>, tensor<5xui8>, tensor<5xf32>, tensor<2xi32>, tensor<8xi32>, tensor<7xi32>, tensor<6xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @root_rank(%x: tensor<2x4xf32>, %nodes: tensor<5x3xi32>, %tests: tensor<5xui8>, %thresholds: tensor<5xf32>, %roots: tensor<i32>, %leaves: tensor<8xi32>, %targets: tensor<7xi32>, %weights: tensor<7xf32>) {
  // expected-error @+1 {{roots must have rank 1, found 0}}
  %0 = nn.tree_ensemble sum %x, %nodes, %tests, %thresholds, %roots, %leaves, %targets, %weights {target_count = 3 : i64} : (tensor<2x4xf32>, tensor<5x3xi32>, tensor<5xui8>, tensor<5xf32>, tensor<i32>, tensor<8xi32>, tensor<7xi32>, tensor<7xf32>) -> tensor<*xf32>
  return
}
