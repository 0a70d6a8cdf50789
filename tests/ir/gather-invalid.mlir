// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @gather_elements_rank(%x: tensor<2x3xf32>, %i: tensor<2xi64>) {
  // expected-error @+1 {{indices must have the rank of the input, 2, found 1}}
  %0 = nn.gather_elements %x, %i {axis = 0 : i64} : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @gather_elements_size(%x: tensor<2x3xf32>, %i: tensor<3x1xi64>) {
  // expected-error @+1 {{dimension 0 of indices must be at most 2, found 3}}
  %0 = nn.gather_elements %x, %i {axis = 1 : i64} : (tensor<2x3xf32>, tensor<3x1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @gather_elements_axis(%x: tensor<2x3xf32>, %i: tensor<3x1xi64>) {
  // expected-error @+1 {{axis must be in [-2, 2), found 2}}
  %0 = nn.gather_elements %x, %i {axis = 2 : i64} : (tensor<2x3xf32>, tensor<3x1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @gather_nd_length(%x: tensor<2x3xf32>, %i: tensor<2x2xi64>) {
  // expected-error @+1 {{an index of 2 entries is too long for a rank of 2 with 1 batch dimensions}}
  %0 = nn.gather_nd %x, %i {batch_dims = 1 : i64} : (tensor<2x3xf32>, tensor<2x2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @gather_nd_batch(%x: tensor<2x3xf32>, %i: tensor<3x1xi64>) {
  // expected-error @+1 {{batch dimension 0 of indices must be 2, found 3}}
  %0 = nn.gather_nd %x, %i {batch_dims = 1 : i64} : (tensor<2x3xf32>, tensor<3x1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @gather_nd_batches(%x: tensor<2x3xf32>, %i: tensor<2x1xi64>) {
  // expected-error @+1 {{batch_dims must be in [0, 1], found 2}}
  %0 = nn.gather_nd %x, %i {batch_dims = 2 : i64} : (tensor<2x3xf32>, tensor<2x1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @scatter_elements_updates(%x: tensor<2x3xf32>, %i: tensor<1x2xi64>, %u: tensor<1x3xf32>) {
  // expected-error @+1 {{dimension 1 of updates must be 2, found 3}}
  %0 = nn.scatter_elements none %x, %i, %u {axis = 0 : i64} : (tensor<2x3xf32>, tensor<1x2xi64>, tensor<1x3xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @scatter_elements_type(%x: tensor<2x3xf32>, %i: tensor<1x2xi64>, %u: tensor<1x2xf64>) {
  // expected-error @+1 {{updates}}
  %0 = nn.scatter_elements none %x, %i, %u {axis = 0 : i64} : (tensor<2x3xf32>, tensor<1x2xi64>, tensor<1x2xf64>) -> tensor<*xf32>
  return
}

// -----

func.func @scatter_nd_rank(%x: tensor<2x3xf32>, %i: tensor<1x2xi64>, %u: tensor<1x3xf32>) {
  // expected-error @+1 {{updates must have rank 1, found 2}}
  %0 = nn.scatter_nd add %x, %i, %u : (tensor<2x3xf32>, tensor<1x2xi64>, tensor<1x3xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @scatter_nd_size(%x: tensor<2x3xf32>, %i: tensor<4x1xi64>, %u: tensor<4x2xf32>) {
  // expected-error @+1 {{dimension 1 of updates must be 3, found 2}}
  %0 = nn.scatter_nd add %x, %i, %u : (tensor<2x3xf32>, tensor<4x1xi64>, tensor<4x2xf32>) -> tensor<*xf32>
  return
}
