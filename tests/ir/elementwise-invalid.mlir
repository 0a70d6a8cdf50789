// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @mixed_types(%a: tensor<4xf32>, %b: tensor<4xf16>) {
  // expected-error @+1 {{operands must have the same element type, found 'f32' and 'f16'}}
  %0 = nn.add %a, %b : (tensor<4xf32>, tensor<4xf16>) -> tensor<4xf32>
  return
}

// -----

func.func @outside_domain(%a: tensor<4xi32>) {
  // expected-error @+1 {{is not defined on elements of type 'i32'}}
  %0 = nn.exp %a : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @signed_shift(%a: tensor<4xi32>) {
  // expected-error @+1 {{is not defined on elements of type 'i32'}}
  %0 = nn.shift_left %a, %a : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @bitwise_float(%a: tensor<4xf32>) {
  // expected-error @+1 {{is not defined on elements of type 'f32'}}
  %0 = nn.and %a, %a : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @bool_arithmetic(%a: tensor<4xi1>) {
  // expected-error @+1 {{is not defined on elements of type 'i1'}}
  %0 = nn.add %a, %a : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
  return
}

// -----

func.func @no_broadcast(%a: tensor<4xf32>, %b: tensor<3xf32>) {
  // expected-error @+1 {{shapes 4 and 3 do not broadcast}}
  %0 = nn.mul %a, %b : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @wrong_result_shape(%a: tensor<4xf32>) {
  // expected-error @+1 {{result type 'tensor<5xf32>' contradicts the inferred 'tensor<4xf32>'}}
  %0 = nn.relu %a : (tensor<4xf32>) -> tensor<5xf32>
  return
}

// -----

func.func @wrong_result_element(%a: tensor<4xf32>) {
  // expected-error @+1 {{result type 'tensor<4xf32>' contradicts the inferred 'tensor<4xi1>'}}
  %0 = nn.less %a, %a : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @condition(%p: tensor<4xi8>, %a: tensor<4xf32>) {
  // expected-error @+1 {{condition must hold i1, found 'i8'}}
  %0 = nn.where %p, %a, %a : (tensor<4xi8>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @overflow(%a: tensor<4611686018427387904x1xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{the size of a result of shape 4611686018427387904x4 overflows}}
  %0 = nn.add %a, %b : (tensor<4611686018427387904x1xf32>, tensor<4xf32>) -> tensor<*xf32>
  return
}
