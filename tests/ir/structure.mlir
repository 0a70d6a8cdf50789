// RUN: quern-opt %s --nn-infer-shapes | quern-opt | FileCheck %s

// CHECK-LABEL: @constants
func.func @constants() -> (tensor<2xi64>, tensor<1000x64xf32>) {
  // CHECK: nn.constant dense<[1, 2]> : tensor<2xi64>
  %0 = nn.constant dense<[1, 2]> : tensor<2xi64>
  // CHECK: nn.weight "model.onnx", 128 : tensor<1000x64xf32>
  %1 = nn.weight "model.onnx", 128 : tensor<1000x64xf32>
  // CHECK: nn.none
  %2 = nn.none
  return %0, %1 : tensor<2xi64>, tensor<1000x64xf32>
}

// CHECK-LABEL: @symbolic_dims
// CHECK-SAME: tensor<?x3x?xf32, #nn.dims<"N", "", "">>
func.func @symbolic_dims(%x: tensor<?x3x?xf32, #nn.dims<"N", "", "">>) {
  return
}

// CHECK-LABEL: @strings
// CHECK-SAME: tensor<2x!nn.string>
func.func @strings(%x: tensor<2x!nn.string>) {
  return
}

// CHECK-LABEL: @group
func.func @group(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: nn.group
  // CHECK: ^bb0(%[[X:.*]]: tensor<4xf32>):
  // CHECK: %[[Y:.*]] = nn.relu %[[X]]
  // CHECK: nn.yield %[[Y]] : tensor<4xf32>
  %0 = nn.group %x {
  ^bb0(%inner: tensor<4xf32>):
    %1 = nn.relu %inner : (tensor<4xf32>) -> tensor<4xf32>
    nn.yield %1 : tensor<4xf32>
  } : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// Operands without channels stay row-major; a reshape says how its result is read.
// CHECK-LABEL: @layouts
func.func @layouts(%x: tensor<1x2x5x5x16xf32, #nn.blocked<16>>, %mask: tensor<5x5x1xf32>, %flat: tensor<1x32x1x1xf32>) {
  %shape = nn.constant dense<[1, 2, 1, 1, 16]> : tensor<5xi64>
  %two = nn.constant dense<2.0> : tensor<f32>
  // CHECK: nn.mul {{.*}} -> tensor<1x2x5x5x16xf32, #nn.blocked<16>>
  %0 = nn.mul %x, %two : (tensor<1x2x5x5x16xf32, #nn.blocked<16>>, tensor<f32>) -> tensor<*xf32>
  // CHECK: nn.mul {{.*}} -> tensor<1x2x5x5x16xf32, #nn.blocked<16>>
  %1 = nn.mul %mask, %x : (tensor<5x5x1xf32>, tensor<1x2x5x5x16xf32, #nn.blocked<16>>) -> tensor<*xf32>
  // CHECK: nn.cast {{.*}} -> tensor<1x2x5x5x16xf64, #nn.blocked<16>>
  %2 = nn.cast %x {to = f64} : (tensor<1x2x5x5x16xf32, #nn.blocked<16>>) -> tensor<*xf64>
  // CHECK: nn.concat {{.*}} -> tensor<1x4x5x5x16xf32, #nn.blocked<16>>
  %3 = nn.concat %x, %x {axis = 1 : i64} : (tensor<1x2x5x5x16xf32, #nn.blocked<16>>, tensor<1x2x5x5x16xf32, #nn.blocked<16>>) -> tensor<*xf32>
  // CHECK: nn.reshape {{.*}} -> tensor<1x2x1x1x16xf32, #nn.blocked<16>>
  %4 = nn.reshape %flat, %shape {allowzero = true} : (tensor<1x32x1x1xf32>, tensor<5xi64>) -> tensor<?x2x1x1x16xf32, #nn.blocked<16>>
  // CHECK: nn.constant dense<1.000000e+00> : tensor<1x1x1x1x4xf32, #nn.blocked<4>>
  %5 = nn.constant dense<1.0> : tensor<1x1x1x1x4xf32, #nn.blocked<4>>
  return
}

// CHECK-LABEL: @layout
func.func @layout(%x: tensor<1x20x5x5xf32>) -> tensor<1x20x5x5xf32> {
  // CHECK: nn.pack %{{.*}} : (tensor<1x20x5x5xf32>) -> tensor<1x2x5x5x16xf32, #nn.blocked<16>>
  %0 = nn.pack %x : (tensor<1x20x5x5xf32>) -> tensor<1x2x5x5x16xf32, #nn.blocked<16>>
  // CHECK: nn.unpack %{{.*}} {channels = 20 : i64}
  %1 = nn.unpack %0 {channels = 20 : i64} : (tensor<1x2x5x5x16xf32, #nn.blocked<16>>) -> tensor<1x20x5x5xf32>
  return %1 : tensor<1x20x5x5xf32>
}
