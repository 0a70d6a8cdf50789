// RUN: quern-opt %s | quern-opt --nn-infer-shapes | FileCheck %s

// CHECK-LABEL: @lstm
func.func @lstm(%x: tensor<?x3x40xf32, #nn.dims<"T", "", "">>, %r: tensor<2x20x5xf32>, %any: tensor<*xf32>) {
  %none = nn.none
  // CHECK: nn.recurrent lstm bidirectional [Sigmoid, Tanh, Tanh, Sigmoid, Affine, Relu]
  // CHECK-SAME: clip = 1.500000e+00
  // CHECK-SAME: -> (tensor<?x2x3x5xf32, #nn.dims<"T", "", "", "">>, tensor<2x3x5xf32>, tensor<2x3x5xf32>)
  %0:3 = nn.recurrent lstm bidirectional [Sigmoid, Tanh, Tanh, Sigmoid, Affine, Relu] %x, %r, %none, %none, %none, %none, %none {alpha = array<f64: 0.0, 0.0, 0.0, 0.0, 1.0, 0.0>, beta = array<f64: 0.0, 0.0, 0.0, 0.0, 0.0, 0.0>, clip = 1.5 : f64, input_forget = true, linear_before_reset = false} : (tensor<?x3x40xf32, #nn.dims<"T", "", "">>, tensor<2x20x5xf32>, none, none, none, none, none) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>)
  // What is unknown stays so, but for the number of directions.
  // CHECK: nn.recurrent lstm reverse
  // CHECK-SAME: -> (tensor<?x1x?x?xf32>, tensor<1x?x?xf32>, tensor<1x?x?xf32>)
  %1:3 = nn.recurrent lstm reverse [Sigmoid, Tanh, Tanh] %any, %any, %none, %none, %none, %none, %any {alpha = array<f64: 0.0, 0.0, 0.0>, beta = array<f64: 0.0, 0.0, 0.0>, input_forget = false, linear_before_reset = false} : (tensor<*xf32>, tensor<*xf32>, none, none, none, none, tensor<*xf32>) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>)
  return
}

// CHECK-LABEL: @gru
func.func @gru(%x: tensor<4x?x15xf32, #nn.dims<"", "B", "">>, %r: tensor<1x15x5xf32>, %b: tensor<1x5xf32>, %l: tensor<?xi32, #nn.dims<"B">>) {
  %none = nn.none
  // CHECK: nn.recurrent gru forward [Sigmoid, Tanh]
  // CHECK-SAME: -> (tensor<4x1x?x5xf32, #nn.dims<"", "", "B", "">>, tensor<1x?x5xf32, #nn.dims<"", "B", "">>)
  %0:2 = nn.recurrent gru forward [Sigmoid, Tanh] %x, %r, %b, %l, %none, %none, %none {alpha = array<f64: 0.0, 0.0>, beta = array<f64: 0.0, 0.0>, input_forget = false, linear_before_reset = true} : (tensor<4x?x15xf32, #nn.dims<"", "B", "">>, tensor<1x15x5xf32>, tensor<1x5xf32>, tensor<?xi32, #nn.dims<"B">>, none, none, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}
