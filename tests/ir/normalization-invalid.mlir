// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @channels(%x: tensor<1x3x4x4xf32>, %a: tensor<3xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{the size of mean must be 3, found 4}}
  %0 = nn.batch_norm %x, %a, %a, %b, %a {epsilon = 1.0e-05 : f64} : (tensor<1x3x4x4xf32>, tensor<3xf32>, tensor<3xf32>, tensor<4xf32>, tensor<3xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @parameter_rank(%x: tensor<1x3x4x4xf32>, %a: tensor<3xf32>, %b: tensor<3x1xf32>) {
  // expected-error @+1 {{scale must have rank 1, found 2}}
  %0 = nn.batch_norm %x, %b, %a, %a, %a {epsilon = 1.0e-05 : f64} : (tensor<1x3x4x4xf32>, tensor<3x1xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @instance_blocks(%x: tensor<1x2x4x4x16xf32, #nn.blocked<16>>, %a: tensor<40xf32>) {
  // expected-error @below {{input channel blocks}}
  %0 = nn.instance_norm %x, %a, %a {epsilon = 1.0e-05 : f64} : (tensor<1x2x4x4x16xf32, #nn.blocked<16>>, tensor<40xf32>, tensor<40xf32>) -> tensor<1x2x4x4x16xf32, #nn.blocked<16>>
  return
}

// -----

func.func @instance_rank(%x: tensor<1x3xf32>, %a: tensor<3xf32>) {
  // expected-error @+1 {{input needs rank 3 or more, found 2}}
  %0 = nn.instance_norm %x, %a, %a {epsilon = 1.0e-05 : f64} : (tensor<1x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @lrn_size(%x: tensor<1x3x4x4xf32>) {
  // expected-error @+1 {{size must be positive, found -1}}
  %0 = nn.lrn %x {alpha = 1.0e-04 : f64, beta = 0.75 : f64, bias = 1.0 : f64, size = -1 : i64} : (tensor<1x3x4x4xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @layer_norm_axis(%x: tensor<2x3xf32>) {
  %none = nn.none
  // expected-error @+1 {{axis must be in [-2, 2), found 2}}
  %0 = nn.layer_norm %x, %none, %none {axis = 2 : i64, center = true, epsilon = 1.0e-05 : f64} : (tensor<2x3xf32>, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @layer_norm_scale(%x: tensor<2x3xf32>, %s: tensor<4xf32>) {
  %none = nn.none
  // expected-error @+1 {{a size of scale must be 3, found 4}}
  %0 = nn.layer_norm %x, %s, %none {axis = 1 : i64, center = true, epsilon = 1.0e-05 : f64} : (tensor<2x3xf32>, tensor<4xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @layer_norm_bias(%x: tensor<2x3xf32>, %s: tensor<3xf32>, %b: tensor<1x3xf32>) {
  // expected-error @+1 {{bias must have rank 1, found 2}}
  %0 = nn.layer_norm %x, %s, %b {axis = 1 : i64, center = true, epsilon = 1.0e-05 : f64} : (tensor<2x3xf32>, tensor<3xf32>, tensor<1x3xf32>) -> tensor<*xf32>
  return
}
