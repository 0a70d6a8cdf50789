// RUN: quern-opt %s | quern-opt --nn-infer-shapes | FileCheck %s

// CHECK-LABEL: @arithmetic
func.func @arithmetic(%a: tensor<?x4xf32, #nn.dims<"N", "">>, %b: tensor<4xf32>, %c: tensor<3x1xf32>,
                      %i: tensor<4xi8>, %u: tensor<4xui16>) {
  // The symbol survives next to a dimension that is not there.
  // CHECK: nn.add {{.*}} -> tensor<?x4xf32, #nn.dims<"N", "">>
  %0 = nn.add %a, %b : (tensor<?x4xf32, #nn.dims<"N", "">>, tensor<4xf32>) -> tensor<*xf32>
  // CHECK: nn.sub {{.*}} -> tensor<3x4xf32>
  %1 = nn.sub %c, %b : (tensor<3x1xf32>, tensor<4xf32>) -> tensor<*xf32>
  // A size above 1 wins over a symbol.
  // CHECK: nn.mul {{.*}} -> tensor<3x4xf32>
  %2 = nn.mul %a, %c : (tensor<?x4xf32, #nn.dims<"N", "">>, tensor<3x1xf32>) -> tensor<*xf32>
  // CHECK: nn.div {{.*}} -> tensor<4xi8>
  %3 = nn.div %i, %i : (tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
  // CHECK: nn.mod
  %4 = nn.mod %i, %i : (tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
  // CHECK: nn.fmod
  %5 = nn.fmod %b, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK: nn.pow
  %6 = nn.pow %b, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK: nn.min
  %7 = nn.min %b, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK: nn.max
  %8 = nn.max %u, %u : (tensor<4xui16>, tensor<4xui16>) -> tensor<4xui16>
  // CHECK: nn.shift_left
  %9 = nn.shift_left %u, %u : (tensor<4xui16>, tensor<4xui16>) -> tensor<4xui16>
  // CHECK: nn.shift_right
  %10 = nn.shift_right %u, %u : (tensor<4xui16>, tensor<4xui16>) -> tensor<4xui16>
  // CHECK: nn.and {{.*}} -> tensor<4xi8>
  %and = nn.and %i, %i : (tensor<4xi8>, tensor<4xi8>) -> tensor<*xi8>
  // CHECK: nn.or {{.*}} -> tensor<4xui16>
  %or = nn.or %u, %u : (tensor<4xui16>, tensor<4xui16>) -> tensor<*xui16>
  // CHECK: nn.xor {{.*}} -> tensor<4xui16>
  %xor = nn.xor %u, %u : (tensor<4xui16>, tensor<4xui16>) -> tensor<*xui16>
  // CHECK: nn.not {{.*}} -> tensor<4xi8>
  %not = nn.not %i : (tensor<4xi8>) -> tensor<*xi8>
  // CHECK: nn.abs
  %11 = nn.abs %i : (tensor<4xi8>) -> tensor<4xi8>
  // CHECK: nn.neg
  %12 = nn.neg %i : (tensor<4xi8>) -> tensor<4xi8>
  // CHECK: nn.sign
  %13 = nn.sign %u : (tensor<4xui16>) -> tensor<4xui16>
  return
}

// CHECK-LABEL: @functions
func.func @functions(%x: tensor<2x3xf16>) {
  // CHECK: nn.ceil {{.*}} -> tensor<2x3xf16>
  %0 = nn.ceil %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.floor {{.*}} -> tensor<2x3xf16>
  %1 = nn.floor %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.round {{.*}} -> tensor<2x3xf16>
  %2 = nn.round %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.sqrt {{.*}} -> tensor<2x3xf16>
  %3 = nn.sqrt %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.exp {{.*}} -> tensor<2x3xf16>
  %4 = nn.exp %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.log {{.*}} -> tensor<2x3xf16>
  %5 = nn.log %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.erf {{.*}} -> tensor<2x3xf16>
  %6 = nn.erf %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.sin {{.*}} -> tensor<2x3xf16>
  %7 = nn.sin %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.cos {{.*}} -> tensor<2x3xf16>
  %8 = nn.cos %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.tan {{.*}} -> tensor<2x3xf16>
  %9 = nn.tan %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.asin {{.*}} -> tensor<2x3xf16>
  %10 = nn.asin %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.acos {{.*}} -> tensor<2x3xf16>
  %11 = nn.acos %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.atan {{.*}} -> tensor<2x3xf16>
  %12 = nn.atan %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.sinh {{.*}} -> tensor<2x3xf16>
  %13 = nn.sinh %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.cosh {{.*}} -> tensor<2x3xf16>
  %14 = nn.cosh %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.tanh {{.*}} -> tensor<2x3xf16>
  %15 = nn.tanh %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.asinh {{.*}} -> tensor<2x3xf16>
  %16 = nn.asinh %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.acosh {{.*}} -> tensor<2x3xf16>
  %17 = nn.acosh %x : (tensor<2x3xf16>) -> tensor<*xf16>
  // CHECK: nn.atanh {{.*}} -> tensor<2x3xf16>
  %18 = nn.atanh %x : (tensor<2x3xf16>) -> tensor<*xf16>
  return
}

// CHECK-LABEL: @activations
func.func @activations(%x: tensor<2x3xf32>) {
  // CHECK: nn.relu {{.*}} -> tensor<2x3xf32>
  %0 = nn.relu %x : (tensor<2x3xf32>) -> tensor<*xf32>
  // CHECK: nn.sigmoid {{.*}} -> tensor<2x3xf32>
  %1 = nn.sigmoid %x : (tensor<2x3xf32>) -> tensor<*xf32>
  // CHECK: nn.softplus {{.*}} -> tensor<2x3xf32>
  %2 = nn.softplus %x : (tensor<2x3xf32>) -> tensor<*xf32>
  // CHECK: nn.softsign {{.*}} -> tensor<2x3xf32>
  %3 = nn.softsign %x : (tensor<2x3xf32>) -> tensor<*xf32>
  // CHECK: nn.leaky_relu {{.*}} {alpha = 2.500000e-01 : f64} : {{.*}} -> tensor<2x3xf32>
  %4 = nn.leaky_relu %x {alpha = 0.25 : f64} : (tensor<2x3xf32>) -> tensor<*xf32>
  // CHECK: nn.thresholded_relu {{.*}} {alpha = 2.500000e-01 : f64} : {{.*}} -> tensor<2x3xf32>
  %5 = nn.thresholded_relu %x {alpha = 0.25 : f64} : (tensor<2x3xf32>) -> tensor<*xf32>
  // CHECK: nn.elu {{.*}} {alpha = 2.500000e-01 : f64} : {{.*}} -> tensor<2x3xf32>
  %6 = nn.elu %x {alpha = 0.25 : f64} : (tensor<2x3xf32>) -> tensor<*xf32>
  // CHECK: nn.hard_sigmoid
  %7 = nn.hard_sigmoid %x {alpha = 0.2 : f64, beta = 0.5 : f64} : (tensor<2x3xf32>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @comparison
func.func @comparison(%x: tensor<?x3xf32>, %y: tensor<1xf32>, %p: tensor<3xi1>, %s: tensor<3x!nn.string>) {
  // CHECK: nn.less {{.*}} -> tensor<?x3xi1>
  %0 = nn.less %x, %y : (tensor<?x3xf32>, tensor<1xf32>) -> tensor<*xi1>
  // CHECK: nn.less_or_equal {{.*}} -> tensor<?x3xi1>
  %1 = nn.less_or_equal %x, %y : (tensor<?x3xf32>, tensor<1xf32>) -> tensor<*xi1>
  // CHECK: nn.equal {{.*}} -> tensor<?x3xi1>
  %2 = nn.equal %x, %y : (tensor<?x3xf32>, tensor<1xf32>) -> tensor<*xi1>
  // CHECK: nn.equal {{.*}} -> tensor<3xi1>
  %3 = nn.equal %s, %s : (tensor<3x!nn.string>, tensor<3x!nn.string>) -> tensor<*xi1>
  // CHECK: nn.and {{.*}} -> tensor<3xi1>
  %4 = nn.and %p, %p : (tensor<3xi1>, tensor<3xi1>) -> tensor<*xi1>
  // CHECK: nn.or {{.*}} -> tensor<3xi1>
  %5 = nn.or %p, %p : (tensor<3xi1>, tensor<3xi1>) -> tensor<*xi1>
  // CHECK: nn.xor {{.*}} -> tensor<3xi1>
  %6 = nn.xor %p, %p : (tensor<3xi1>, tensor<3xi1>) -> tensor<*xi1>
  // CHECK: nn.not {{.*}} -> tensor<3xi1>
  %7 = nn.not %p : (tensor<3xi1>) -> tensor<*xi1>
  // CHECK: nn.where {{.*}} -> tensor<?x3xf32>
  %8 = nn.where %p, %x, %y : (tensor<3xi1>, tensor<?x3xf32>, tensor<1xf32>) -> tensor<*xf32>
  return
}
