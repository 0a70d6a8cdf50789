// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @reshape_two_open(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<[-1, -1]> : tensor<2xi64>
  // expected-error @+1 {{shape must hold at most one -1}}
  %0 = nn.reshape %a0, %a1 {allowzero = false} : (tensor<6xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @reshape_negative(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<[-2, 3]> : tensor<2xi64>
  // expected-error @+1 {{shape entries must be -1 or more, found -2}}
  %0 = nn.reshape %a0, %a1 {allowzero = false} : (tensor<6xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @reshape_copy(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<[6, 0]> : tensor<2xi64>
  // expected-error @+1 {{shape entry 1 is 0, but the input has rank 1}}
  %0 = nn.reshape %a0, %a1 {allowzero = false} : (tensor<6xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @reshape_count(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<[4, 2]> : tensor<2xi64>
  // expected-error @+1 {{cannot reshape 6 to 4x2}}
  %0 = nn.reshape %a0, %a1 {allowzero = false} : (tensor<6xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @reshape_open(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<[4, -1]> : tensor<2xi64>
  // expected-error @+1 {{cannot reshape 6 so that -1 stands beside 4 elements}}
  %0 = nn.reshape %a0, %a1 {allowzero = false} : (tensor<6xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @reshape_zero(%a0: tensor<0xf32>) {
  %a1 = nn.constant dense<[0, -1]> : tensor<2xi64>
  // expected-error @+1 {{-1 cannot be inferred beside a dimension of size 0}}
  %0 = nn.reshape %a0, %a1 {allowzero = true} : (tensor<0xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @reshape_overflow(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<[4611686018427387904, 4]> : tensor<2xi64>
  // expected-error @+1 {{overflows}}
  %0 = nn.reshape %a0, %a1 {allowzero = false} : (tensor<6xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @flatten_axis(%a0: tensor<2x3xf32>) {
  // expected-error @+1 {{axis must be in [-2, 2], found 3}}
  %0 = nn.flatten %a0 {axis = 3 : i64} : (tensor<2x3xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @perm_range(%a0: tensor<2x3xf32>) {
  // expected-error @+1 {{perm must be a permutation of 0 to 1, found 2}}
  %0 = nn.transpose %a0 {perm = array<i64: 0, 2>} : (tensor<2x3xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @perm_twice(%a0: tensor<2x3xf32>) {
  // expected-error @+1 {{perm must be a permutation of 0 to 1, found 1 twice}}
  %0 = nn.transpose %a0 {perm = array<i64: 1, 1>} : (tensor<2x3xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @perm_length(%a0: tensor<2x3xf32>) {
  // expected-error @+1 {{perm must have 2 entries, found 3}}
  %0 = nn.transpose %a0 {perm = array<i64: 0, 1, 2>} : (tensor<2x3xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @squeeze_size(%a0: tensor<2x3xf32>) {
  %a1 = nn.constant dense<1> : tensor<1xi64>
  // expected-error @+1 {{squeezed dimension 1 must be 1, found 3}}
  %0 = nn.squeeze %a0, %a1 : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @squeeze_axis(%a0: tensor<2x3xf32>) {
  %a1 = nn.constant dense<2> : tensor<1xi64>
  // expected-error @+1 {{axis must be in [-2, 2), found 2}}
  %0 = nn.squeeze %a0, %a1 : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @unsqueeze_axis(%a0: tensor<2x3xf32>) {
  %a1 = nn.constant dense<3> : tensor<1xi64>
  // expected-error @+1 {{axis must be in [-3, 3), found 3}}
  %0 = nn.unsqueeze %a0, %a1 : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @unsqueeze_twice(%a0: tensor<2xf32>) {
  %a1 = nn.constant dense<[1, -2]> : tensor<2xi64>
  // expected-error @+1 {{axis 1 occurs twice}}
  %0 = nn.unsqueeze %a0, %a1 : (tensor<2xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @expand_shape(%a0: tensor<2x3xf32>) {
  %a1 = nn.constant dense<2> : tensor<1xi64>
  // expected-error @+1 {{shapes 2x3 and 2 do not broadcast}}
  %0 = nn.expand %a0, %a1 : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @expand_negative(%a0: tensor<1xf32>) {
  %a1 = nn.constant dense<-1> : tensor<1xi64>
  // expected-error @+1 {{shape entries must not be negative, found -1}}
  %0 = nn.expand %a0, %a1 : (tensor<1xf32>, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @fill_overflow(%x: tensor<f32>) {
  %a0 = nn.constant dense<[4611686018427387904, 4]> : tensor<2xi64>
  // expected-error @+1 {{the size of a result of shape 4611686018427387904x4 overflows}}
  %0 = nn.expand %x, %a0 : (tensor<f32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @range_delta() {
  %a0 = nn.constant dense<0> : tensor<i64>
  %a1 = nn.constant dense<5> : tensor<i64>
  %a2 = nn.constant dense<0> : tensor<i64>
  // expected-error @+1 {{delta must not be 0}}
  %0 = nn.range %a0, %a1, %a2 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<*xi64>
  return
}

// -----

func.func @range_type(%a0: tensor<i64>, %a1: tensor<i32>, %a2: tensor<i64>) {
  // expected-error @+1 {{limit must have element type 'i64', found 'i32'}}
  %0 = nn.range %a0, %a1, %a2 : (tensor<i64>, tensor<i32>, tensor<i64>) -> tensor<*xi64>
  return
}

// -----

func.func @range_many() {
  %a0 = nn.constant dense<-9223372036854775808> : tensor<i64>
  %a1 = nn.constant dense<9223372036854775807> : tensor<i64>
  %a2 = nn.constant dense<1> : tensor<i64>
  // expected-error @+1 {{has too many elements}}
  %0 = nn.range %a0, %a1, %a2 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<*xi64>
  return
}

// -----

func.func @range_nan() {
  %a0 = nn.constant dense<0.0> : tensor<f32>
  %a1 = nn.constant dense<0x7FC00000> : tensor<f32>
  %a2 = nn.constant dense<1.0> : tensor<f32>
  // expected-error @+1 {{has too many elements: from 0}}
  %0 = nn.range %a0, %a1, %a2 : (tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<*xf32>
  return
}

// -----

func.func @range_vector(%a0: tensor<2xf32>, %a1: tensor<f32>, %a2: tensor<f32>) {
  // expected-error @+1 {{start, limit and delta must be scalars, found 'tensor<2xf32>'}}
  %0 = nn.range %a0, %a1, %a2 : (tensor<2xf32>, tensor<f32>, tensor<f32>) -> tensor<*xf32>
  return
}

// -----

func.func @rank_of_reshape(%x: tensor<6xf32>, %shape: tensor<9223372036854775807xi64>) {
  // expected-error @+1 {{tensors may have rank 64 at most, found 9223372036854775807}}
  %0 = nn.reshape %x, %shape {allowzero = false} : (tensor<6xf32>, tensor<9223372036854775807xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @rank_of_unsqueeze(%x: tensor<6xf32>, %axes: tensor<9223372036854775807xi64>) {
  // expected-error @+1 {{tensors may have rank 64 at most, found 9223372036854775807}}
  %0 = nn.unsqueeze %x, %axes : (tensor<6xf32>, tensor<9223372036854775807xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @rank_of_expand(%x: tensor<6xf32>, %shape: tensor<9223372036854775807xi64>) {
  // expected-error @+1 {{tensors may have rank 64 at most, found 9223372036854775807}}
  %0 = nn.expand %x, %shape : (tensor<6xf32>, tensor<9223372036854775807xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @missing_attribute(%x: tensor<6xf32>) {
  // expected-error @+1 {{requires attribute 'axis'}}
  %0 = nn.flatten %x : (tensor<6xf32>) -> tensor<*xf32>
  return
}
