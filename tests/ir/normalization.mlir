// RUN: quern-opt %s | quern-opt --nn-infer-shapes | FileCheck %s

// CHECK-LABEL: @normalize
func.func @normalize(%x: tensor<?x3x4x4xf16, #nn.dims<"N", "", "", "">>, %c: tensor<3xf32>, %h: tensor<3xf16>, %w: tensor<4x4xf16>) {
  // Statistics may have a type of their own.
  // CHECK: nn.batch_norm {{.*}} -> tensor<?x3x4x4xf16, #nn.dims<"N", "", "", "">>
  %0 = nn.batch_norm %x, %c, %c, %c, %c {epsilon = 1.0e-05 : f64}
    : (tensor<?x3x4x4xf16, #nn.dims<"N", "", "", "">>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<*xf16>
  // CHECK: nn.instance_norm {{.*}} -> tensor<?x3x4x4xf16, #nn.dims<"N", "", "", "">>
  %1 = nn.instance_norm %x, %h, %h {epsilon = 1.0e-05 : f64}
    : (tensor<?x3x4x4xf16, #nn.dims<"N", "", "", "">>, tensor<3xf16>, tensor<3xf16>) -> tensor<*xf16>
  // CHECK: nn.lrn {{.*}} -> tensor<?x3x4x4xf16, #nn.dims<"N", "", "", "">>
  %2 = nn.lrn %x {alpha = 1.0e-04 : f64, beta = 0.75 : f64, bias = 1.0 : f64, size = 5 : i64}
    : (tensor<?x3x4x4xf16, #nn.dims<"N", "", "", "">>) -> tensor<*xf16>
  // CHECK: nn.layer_norm {{.*}} {axis = 2 : i64, {{.*}} -> tensor<?x3x4x4xf16, #nn.dims<"N", "", "", "">>
  %none = nn.none
  %3 = nn.layer_norm %x, %w, %none {axis = -2 : i64, center = true, epsilon = 1.0e-05 : f64}
    : (tensor<?x3x4x4xf16, #nn.dims<"N", "", "", "">>, tensor<4x4xf16>, none) -> tensor<*xf16>
  return
}
