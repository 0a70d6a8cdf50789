// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @kind(%x: tensor<2x3xf32>) {
  %axes = nn.none
  // expected-error @+2 {{must be one of sum, mean, max, min, prod, l1, l2, log_sum, log_sum_exp, sum_square, found median}}
  // expected-error @+1 {{failed to parse}}
  %0 = nn.reduce median %x, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<2x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @axis_range(%x: tensor<2x3xf32>) {
  %axes = nn.constant dense<2> : tensor<1xi64>
  // expected-error @+1 {{axis must be in [-2, 2), found 2}}
  %0 = nn.reduce sum %x, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @axis_twice(%x: tensor<2x3xf32>) {
  %axes = nn.constant dense<[1, -1]> : tensor<2xi64>
  // expected-error @+1 {{axis 1 occurs twice}}
  %0 = nn.reduce sum %x, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @too_many_axes(%x: tensor<2x3xf32>, %axes: tensor<3xi64>) {
  // expected-error @+1 {{axes must have at most 2 entries, found 3}}
  %0 = nn.reduce sum %x, %axes {keepdims = false, noop_with_empty_axes = false} : (tensor<2x3xf32>, tensor<3xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @axes_type(%x: tensor<2x3xf32>, %axes: tensor<1xf32>) {
  // expected-error @+1 {{axes must hold int32 or int64, found 'f32'}}
  %0 = nn.reduce sum %x, %axes {keepdims = false, noop_with_empty_axes = false} : (tensor<2x3xf32>, tensor<1xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @axes_rank(%x: tensor<2x3xf32>, %axes: tensor<1x1xi64>) {
  // expected-error @+1 {{axes must have rank 1 or less, found 2}}
  %0 = nn.reduce sum %x, %axes {keepdims = false, noop_with_empty_axes = false} : (tensor<2x3xf32>, tensor<1x1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @softmax_scalar(%x: tensor<f32>) {
  // expected-error @+1 {{axis must be in [0, 0), found -1}}
  %0 = nn.softmax %x {axis = -1 : i64, trailing = false} : (tensor<f32>) -> tensor<f32>
  return
}

// -----

func.func @softmax_integers(%x: tensor<4xi32>) {
  // expected-error @+1 {{input must hold floats, found 'i32'}}
  %0 = nn.softmax %x {axis = 0 : i64, trailing = false} : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @arg_of_nothing(%x: tensor<2x0xf32>) {
  // expected-error @+1 {{has no element to choose along axis 1}}
  %0 = nn.arg_reduce max %x {axis = 1 : i64, keepdims = true, select_last_index = false} : (tensor<2x0xf32>) -> tensor<*xi64>
  return
}

// -----

func.func @topk_of_too_few(%x: tensor<2x3xf32>) {
  %k = nn.constant dense<4> : tensor<1xi64>
  // expected-error @+1 {{k is 4, but there are only 3 elements along the axis}}
  %0:2 = nn.topk %x, %k {axis = 1 : i64, largest = true} : (tensor<2x3xf32>, tensor<1xi64>) -> (tensor<*xf32>, tensor<*xi64>)
  return
}

// -----

func.func @topk_negative(%x: tensor<2x3xf32>) {
  %k = nn.constant dense<-1> : tensor<1xi64>
  // expected-error @+1 {{k must not be negative, found -1}}
  %0:2 = nn.topk %x, %k {axis = 1 : i64, largest = true} : (tensor<2x3xf32>, tensor<1xi64>) -> (tensor<*xf32>, tensor<*xi64>)
  return
}

// -----

func.func @topk_counts(%x: tensor<2x3xf32>, %k: tensor<2xi64>) {
  // expected-error @+1 {{k must have one element, found 'tensor<2xi64>'}}
  %0:2 = nn.topk %x, %k {axis = 1 : i64, largest = true} : (tensor<2x3xf32>, tensor<2xi64>) -> (tensor<*xf32>, tensor<*xi64>)
  return
}

// -----

func.func @cumulate_axis(%x: tensor<2x3xf32>) {
  %axis = nn.constant dense<2> : tensor<i64>
  // expected-error @+1 {{axis must be in [-2, 2), found 2}}
  %0 = nn.cumulate sum %x, %axis {exclusive = false, reverse = false} : (tensor<2x3xf32>, tensor<i64>) -> tensor<*xf32>
  return
}

// -----

func.func @cumulate_kind(%x: tensor<2x3xf32>, %axis: tensor<i64>) {
  // expected-error @+1 {{kind must be sum or prod, found mean}}
  %0 = nn.cumulate mean %x, %axis {exclusive = false, reverse = false} : (tensor<2x3xf32>, tensor<i64>) -> tensor<*xf32>
  return
}

// -----

func.func @cumulate_bool(%x: tensor<2x3xi1>, %axis: tensor<i64>) {
  // expected-error @+1 {{input must hold numbers, found 'i1'}}
  %0 = nn.cumulate sum %x, %axis {exclusive = false, reverse = false} : (tensor<2x3xi1>, tensor<i64>) -> tensor<*xi1>
  return
}
