// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @random_type(%shape: tensor<2xi64>) {
  // expected-error @+1 {{dtype must be f32 or f64, found 'i32'}}
  %0 = nn.random %shape {dtype = i32} : (tensor<2xi64>) -> tensor<*xi32>
  return
}

// -----

func.func @random_negative() {
  %shape = nn.constant dense<[2, -3]> : tensor<2xi64>
  // expected-error @+1 {{shape entries must not be negative, found -3}}
  %0 = nn.random %shape {dtype = f32} : (tensor<2xi64>) -> tensor<*xf32>
  return
}
