// RUN: quern-opt %s | quern-opt --nn-infer-shapes | FileCheck %s

// CHECK-LABEL: @dft
func.func @dft(%x: tensor<2x?x1xf32, #nn.dims<"", "N", "">>, %any: tensor<*xf64>, %axis: tensor<i64>) {
  // CHECK: nn.dft {{.*}} -> tensor<2x?x2xf32, #nn.dims<"", "N", "">>
  %0 = nn.dft %x, %axis {inverse = false} : (tensor<2x?x1xf32, #nn.dims<"", "N", "">>, tensor<i64>) -> tensor<*xf32>
  // CHECK: nn.dft {{.*}} -> tensor<*xf64>
  %1 = nn.dft %any, %axis {inverse = true} : (tensor<*xf64>, tensor<i64>) -> tensor<*xf64>
  return
}
