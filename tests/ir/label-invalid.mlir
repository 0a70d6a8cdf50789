// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @lookup_keys(%x: tensor<2xf32>, %keys: tensor<3xi64>, %values: tensor<3xi64>, %none: none) {
  // expected-error @+1 {{keys must have element type 'f32', found 'i64'}}
  %0 = nn.lookup %x, %keys, %values, %none : (tensor<2xf32>, tensor<3xi64>, tensor<3xi64>, none) -> tensor<*xi64>
  return
}

// -----

func.func @lookup_length(%x: tensor<2xi64>, %keys: tensor<3xi64>, %values: tensor<2xi64>, %none: none) {
  // expected-error @+1 {{the length of values must be 3, found 2}}
  %0 = nn.lookup %x, %keys, %values, %none : (tensor<2xi64>, tensor<3xi64>, tensor<2xi64>, none) -> tensor<*xi64>
  return
}

// -----

func.func @lookup_otherwise(%x: tensor<2xi64>, %keys: tensor<3xi64>, %values: tensor<3xi64>, %two: tensor<2xi64>) {
  // expected-error @+1 {{otherwise must have one element, found 2}}
  %0 = nn.lookup %x, %keys, %values, %two : (tensor<2xi64>, tensor<3xi64>, tensor<3xi64>, tensor<2xi64>) -> tensor<*xi64>
  return
}

// -----

func.func @couple_pairs_square(%pairs: tensor<2x3x4xf32>) {
  // expected-error @+1 {{dimension 2 of pairs must be 3, found 4}}
  %0 = nn.couple_pairs %pairs : (tensor<2x3x4xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @zip_map_keys(%x: tensor<2x3xf32>, %keys: tensor<2xi64>) {
  // expected-error @+1 {{dimension 1 of input must be 2, found 3}}
  %0 = nn.zip_map %x, %keys : (tensor<2x3xf32>, tensor<2xi64>) -> !nn.sequence<!nn.map<i64, tensor<*xf32>>>
  return
}

// -----

func.func @zip_map_result(%x: tensor<2x2xf32>, %keys: tensor<2xi64>) {
  // expected-error @+1 {{the result must be a sequence of maps from 'i64' to tensors of 'f32'}}
  %0 = nn.zip_map %x, %keys : (tensor<2x2xf32>, tensor<2xi64>) -> !nn.sequence<tensor<f32>>
  return
}

// -----

func.func @map_entries_tensor(%x: tensor<2xf32>) {
  // expected-error @+1 {{operand must be a map, found 'tensor<2xf32>'}}
  %0, %1 = nn.map_entries %x : (tensor<2xf32>) -> (tensor<*xi64>, tensor<*xf32>)
  return
}
