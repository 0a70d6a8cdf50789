// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @inner(%a: tensor<4x8xf32>, %b: tensor<7x16xf32>) {
  // expected-error @+1 {{the inner dimension of b must be 8, found 7}}
  %0 = nn.matmul %a, %b : (tensor<4x8xf32>, tensor<7x16xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @batch(%a: tensor<2x4x8xf32>, %b: tensor<3x8x16xf32>) {
  // expected-error @+1 {{batch dimensions: shapes 2 and 3 do not broadcast}}
  %0 = nn.matmul %a, %b : (tensor<2x4x8xf32>, tensor<3x8x16xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @scalar(%a: tensor<f32>, %b: tensor<8x16xf32>) {
  // expected-error @+1 {{operands must have rank 1 or more, found a scalar}}
  %0 = nn.matmul %a, %b : (tensor<f32>, tensor<8x16xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @types(%a: tensor<4x8xf32>, %b: tensor<8x16xf64>) {
  // expected-error @+1 {{b must have element type 'f32', found 'f64'}}
  %0 = nn.matmul %a, %b : (tensor<4x8xf32>, tensor<8x16xf64>) -> tensor<*xf32>
  return
}

// -----

func.func @bool(%a: tensor<4x8xi1>, %b: tensor<8x16xi1>) {
  // expected-error @+1 {{a must hold numbers, found 'i1'}}
  %0 = nn.matmul %a, %b : (tensor<4x8xi1>, tensor<8x16xi1>) -> tensor<*xi1>
  return
}

// -----

func.func @gemm_rank(%a: tensor<2x4x8xf32>, %b: tensor<8x16xf32>) {
  %none = nn.none
  // expected-error @+1 {{a and b must be matrices, found rank 3}}
  %0 = nn.gemm %a, %b, %none {alpha = 1.0 : f64, beta = 1.0 : f64, trans_a = false, trans_b = false} : (tensor<2x4x8xf32>, tensor<8x16xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @gemm_addend(%a: tensor<1x8xf32>, %b: tensor<8x16xf32>, %c: tensor<4x16xf32>) {
  // The addend must not widen the result.
  // expected-error @+1 {{c must broadcast to 1x16, found 4x16}}
  %0 = nn.gemm %a, %b, %c {alpha = 1.0 : f64, beta = 1.0 : f64, trans_a = false, trans_b = false} : (tensor<1x8xf32>, tensor<8x16xf32>, tensor<4x16xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @narrow_addend(%a: tensor<1x8xbf16>, %b: tensor<8x16xbf16>, %c: tensor<16xbf16>) {
  // expected-error @+1 {{c must have element type 'f32', found 'bf16'}}
  %0 = nn.gemm %a, %b, %c {alpha = 1.0 : f64, beta = 1.0 : f64, trans_a = false, trans_b = false} : (tensor<1x8xbf16>, tensor<8x16xbf16>, tensor<16xbf16>) -> tensor<*xf32>
  return
}

// -----

// Only the second factor may be of fewer bits, and only of a float.
func.func @half_first_factor(%a: tensor<1x8xf16>, %b: tensor<8x16xf32>) {
  // expected-error @+1 {{b must have element type 'f16', found 'f32'}}
  %0 = nn.matmul %a, %b : (tensor<1x8xf16>, tensor<8x16xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @half_of_double(%a: tensor<1x8xf64>, %b: tensor<8x16xf16>) {
  // expected-error @+1 {{b must have element type 'f64', found 'f16'}}
  %0 = nn.matmul %a, %b : (tensor<1x8xf64>, tensor<8x16xf16>) -> tensor<*xf64>
  return
}
