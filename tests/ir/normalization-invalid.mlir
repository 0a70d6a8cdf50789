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
