// RUN: quern-opt %s | quern-opt | FileCheck %s

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

// CHECK-LABEL: @layout
func.func @layout(%x: tensor<1x20x5x5xf32>) -> tensor<1x20x5x5xf32> {
  // CHECK: nn.pack %{{.*}} {block = 16 : i64} : (tensor<1x20x5x5xf32>) -> tensor<1x2x5x5x16xf32>
  %0 = nn.pack %x {block = 16 : i64} : (tensor<1x20x5x5xf32>) -> tensor<1x2x5x5x16xf32>
  // CHECK: nn.unpack %{{.*}} {channels = 20 : i64}
  %1 = nn.unpack %0 {channels = 20 : i64} : (tensor<1x2x5x5x16xf32>) -> tensor<1x20x5x5xf32>
  return %1 : tensor<1x20x5x5xf32>
}
