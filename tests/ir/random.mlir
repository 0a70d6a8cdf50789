// RUN: quern-opt %s | quern-opt --nn-infer-shapes | FileCheck %s
// RUN: quern-opt %s --nn-fold-constants --cse | FileCheck %s --check-prefix=KEPT

// CHECK-LABEL: @random
// KEPT-LABEL: @random
func.func @random(%sizes: tensor<2xi64>) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf64>) {
  %shape = nn.constant dense<[2, 3]> : tensor<2xi64>
  // CHECK: nn.random {{.*}} -> tensor<2x3xf32>
  // CHECK: nn.random {{.*}} -> tensor<2x3xf32>
  // CHECK: nn.random {{.*}}seed = 7 : i64} {{.*}} -> tensor<?x?xf64>
  // Two draws are two, of known shapes as well.
  // KEPT-COUNT-3: nn.random
  %0 = nn.random %shape {dtype = f32} : (tensor<2xi64>) -> tensor<*xf32>
  %1 = nn.random %shape {dtype = f32} : (tensor<2xi64>) -> tensor<*xf32>
  %2 = nn.random %sizes {dtype = f64, seed = 7 : i64} : (tensor<2xi64>) -> tensor<*xf64>
  return %0, %1, %2 : tensor<*xf32>, tensor<*xf32>, tensor<*xf64>
}
