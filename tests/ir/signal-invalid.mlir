// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @dft_parts(%x: tensor<2x3xf32>, %axis: tensor<i64>) {
  // expected-error @+1 {{the last dimension must be 1 or 2, found 3}}
  %0 = nn.dft %x, %axis {inverse = false} : (tensor<2x3xf32>, tensor<i64>) -> tensor<*xf32>
  return
}

// -----

func.func @dft_axis(%x: tensor<2x3x2xf32>) {
  %axis = nn.constant dense<-1> : tensor<i64>
  // expected-error @+1 {{the last dimension, of complex numbers, is no axis}}
  %0 = nn.dft %x, %axis {inverse = false} : (tensor<2x3x2xf32>, tensor<i64>) -> tensor<*xf32>
  return
}

// -----

func.func @dft_integers(%x: tensor<2x3x2xi32>, %axis: tensor<i64>) {
  // expected-error @+1 {{input must hold floats, found 'i32'}}
  %0 = nn.dft %x, %axis {inverse = false} : (tensor<2x3x2xi32>, tensor<i64>) -> tensor<*xi32>
  return
}

// -----

func.func @dft_rank(%x: tensor<2xf32>, %axis: tensor<i64>) {
  // expected-error @+1 {{rank}}
  %0 = nn.dft %x, %axis {inverse = false} : (tensor<2xf32>, tensor<i64>) -> tensor<*xf32>
  return
}
