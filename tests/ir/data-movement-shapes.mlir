// RUN: quern-opt %s | quern-opt --nn-infer-shapes | FileCheck %s

// CHECK-LABEL: @reshape
func.func @reshape(%x: tensor<2x3x4xf32>, %n: tensor<?x512x1x1xf32, #nn.dims<"N", "", "", "">>,
                   %two: tensor<?x?x6xf32, #nn.dims<"N", "M", "">>, %dynamic: tensor<3xi64>, %unknown: tensor<*xf32>) {
  %open = nn.constant dense<[-1, 6]> : tensor<2xi64>
  // CHECK: nn.reshape {{.*}} -> tensor<4x6xf32>
  %0 = nn.reshape %x, %open {allowzero = false} : (tensor<2x3x4xf32>, tensor<2xi64>) -> tensor<*xf32>
  // What is left beside 512 is the batch.
  %rows = nn.constant dense<[-1, 512]> : tensor<2xi64>
  // CHECK: nn.reshape {{.*}} -> tensor<?x512xf32, #nn.dims<"N", "">>
  %1 = nn.reshape %n, %rows {allowzero = false} : (tensor<?x512x1x1xf32, #nn.dims<"N", "", "", "">>, tensor<2xi64>) -> tensor<*xf32>
  // A copied batch cancels.
  %copied = nn.constant dense<[0, 2, -1]> : tensor<3xi64>
  // CHECK: nn.reshape {{.*}} -> tensor<?x2x256xf32, #nn.dims<"N", "", "">>
  %2 = nn.reshape %n, %copied {allowzero = false} : (tensor<?x512x1x1xf32, #nn.dims<"N", "", "", "">>, tensor<3xi64>) -> tensor<*xf32>
  // CHECK: nn.reshape {{.*}} -> tensor<?x2x?xf32, #nn.dims<"N", "", ("M" * 3)>>
  %3 = nn.reshape %two, %copied {allowzero = false} : (tensor<?x?x6xf32, #nn.dims<"N", "M", "">>, tensor<3xi64>) -> tensor<*xf32>
  // 512 N elements beside 256.
  %half = nn.constant dense<[-1, 256]> : tensor<2xi64>
  // CHECK: nn.reshape {{.*}} -> tensor<?x256xf32, #nn.dims<("N" * 2), "">>
  %4 = nn.reshape %n, %half {allowzero = false} : (tensor<?x512x1x1xf32, #nn.dims<"N", "", "", "">>, tensor<2xi64>) -> tensor<*xf32>
  // CHECK: nn.reshape {{.*}} -> tensor<?x?x?xf32>
  %5 = nn.reshape %x, %dynamic {allowzero = false} : (tensor<2x3x4xf32>, tensor<3xi64>) -> tensor<*xf32>
  // CHECK: nn.reshape {{.*}} -> tensor<?x6xf32>
  %6 = nn.reshape %unknown, %open {allowzero = false} : (tensor<*xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @allowzero
func.func @allowzero(%x: tensor<0x3xf32>) {
  %shape = nn.constant dense<[7, 0]> : tensor<2xi64>
  // CHECK: nn.reshape {{.*}} -> tensor<7x0xf32>
  %0 = nn.reshape %x, %shape {allowzero = true} : (tensor<0x3xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @flatten
func.func @flatten(%x: tensor<?x3x4xf32, #nn.dims<"N", "", "">>) {
  // CHECK: nn.flatten {{.*}} -> tensor<?x12xf32, #nn.dims<"N", "">>
  %0 = nn.flatten %x {axis = 1 : i64} : (tensor<?x3x4xf32, #nn.dims<"N", "", "">>) -> tensor<*xf32>
  // CHECK: nn.flatten {{.*}} -> tensor<?x4xf32, #nn.dims<("N" * 3), "">>
  %1 = nn.flatten %x {axis = -1 : i64} : (tensor<?x3x4xf32, #nn.dims<"N", "", "">>) -> tensor<*xf32>
  // CHECK: nn.flatten {{.*}} -> tensor<1x?xf32, #nn.dims<"", ("N" * 12)>>
  %2 = nn.flatten %x {axis = 0 : i64} : (tensor<?x3x4xf32, #nn.dims<"N", "", "">>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @transpose
func.func @transpose(%x: tensor<?x3x4xf32, #nn.dims<"N", "", "">>, %unknown: tensor<*xf32>) {
  // CHECK: nn.transpose {{.*}} -> tensor<4x?x3xf32, #nn.dims<"", "N", "">>
  %0 = nn.transpose %x {perm = array<i64: 2, 0, 1>} : (tensor<?x3x4xf32, #nn.dims<"N", "", "">>) -> tensor<*xf32>
  // CHECK: nn.transpose {{.*}} -> tensor<4x3x?xf32, #nn.dims<"", "", "N">>
  %1 = nn.transpose %x {perm = array<i64>} : (tensor<?x3x4xf32, #nn.dims<"N", "", "">>) -> tensor<*xf32>
  // CHECK: nn.transpose {{.*}} -> tensor<?x?xf32>
  %2 = nn.transpose %unknown {perm = array<i64: 1, 0>} : (tensor<*xf32>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @squeeze
func.func @squeeze(%x: tensor<?x1x4xf32, #nn.dims<"N", "", "">>, %y: tensor<1x3x1xf32>, %axes: tensor<1xi64>) {
  %none = nn.none
  %one = nn.constant dense<-2> : tensor<1xi64>
  // CHECK: nn.squeeze {{.*}} -> tensor<?x4xf32, #nn.dims<"N", "">>
  %0 = nn.squeeze %x, %one : (tensor<?x1x4xf32, #nn.dims<"N", "", "">>, tensor<1xi64>) -> tensor<*xf32>
  // CHECK: nn.squeeze {{.*}} -> tensor<3xf32>
  %1 = nn.squeeze %y, %none : (tensor<1x3x1xf32>, none) -> tensor<*xf32>
  // N might be 1.
  // CHECK: nn.squeeze {{.*}} -> tensor<*xf32>
  %2 = nn.squeeze %x, %none : (tensor<?x1x4xf32, #nn.dims<"N", "", "">>, none) -> tensor<*xf32>
  // CHECK: nn.squeeze {{.*}} -> tensor<?x?xf32>
  %3 = nn.squeeze %x, %axes : (tensor<?x1x4xf32, #nn.dims<"N", "", "">>, tensor<1xi64>) -> tensor<*xf32>
  // CHECK: nn.unsqueeze {{.*}} -> tensor<?x1x1x4x1xf32, #nn.dims<"N", "", "", "", "">>
  %ends = nn.constant dense<[-1, 1]> : tensor<2xi64>
  %4 = nn.unsqueeze %x, %ends : (tensor<?x1x4xf32, #nn.dims<"N", "", "">>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @expand
func.func @expand(%x: tensor<3x1xf32>, %dynamic: tensor<3xi64>) {
  %shape = nn.constant dense<[2, 1, 6]> : tensor<3xi64>
  // CHECK: nn.expand {{.*}} -> tensor<2x3x6xf32>
  %0 = nn.expand %x, %shape : (tensor<3x1xf32>, tensor<3xi64>) -> tensor<*xf32>
  // CHECK: nn.expand {{.*}} -> tensor<?x3x?xf32>
  %1 = nn.expand %x, %dynamic : (tensor<3x1xf32>, tensor<3xi64>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @shapes
func.func @shapes(%x: tensor<?x3x4xf32>, %shape: tensor<2xi64>, %limit: tensor<i64>) {
  // CHECK: nn.shape {{.*}} -> tensor<3xi64>
  %0 = nn.shape %x {start = 0 : i64} : (tensor<?x3x4xf32>) -> tensor<*xi64>
  // CHECK: nn.shape {{.*}} -> tensor<1xi64>
  %1 = nn.shape %x {start = -2 : i64, end = -1 : i64} : (tensor<?x3x4xf32>) -> tensor<*xi64>
  %number = nn.constant dense<1.5> : tensor<f16>
  // CHECK: nn.expand {{.*}} -> tensor<?x?xf16>
  %2 = nn.expand %number, %shape : (tensor<f16>, tensor<2xi64>) -> tensor<*xf16>
  %known = nn.constant dense<[3, 0]> : tensor<2xi64>
  // CHECK: nn.expand {{.*}} -> tensor<3x0xf16>
  %3 = nn.expand %number, %known : (tensor<f16>, tensor<2xi64>) -> tensor<*xf16>
  %start = nn.constant dense<10> : tensor<i64>
  %stop = nn.constant dense<-1> : tensor<i64>
  %step = nn.constant dense<-3> : tensor<i64>
  // CHECK: nn.nonzero {{.*}} -> tensor<1x?xi64>
  %indices = nn.nonzero %known : (tensor<2xi64>) -> tensor<*xi64>
  // CHECK: nn.range {{.*}} -> tensor<4xi64>
  %4 = nn.range %start, %stop, %step : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<*xi64>
  // CHECK: nn.range {{.*}} -> tensor<0xi64>
  %5 = nn.range %stop, %start, %step : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<*xi64>
  // CHECK: nn.range {{.*}} -> tensor<?xi64>
  %6 = nn.range %start, %limit, %step : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<*xi64>
  %f0 = nn.constant dense<0.0> : tensor<f32>
  %f1 = nn.constant dense<1.0> : tensor<f32>
  %f2 = nn.constant dense<0.375> : tensor<f32>
  // CHECK: nn.range {{.*}} -> tensor<3xf32>
  %7 = nn.range %f0, %f1, %f2 : (tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<*xf32>
  return
}

// A size that only a run tells may be what a size of 0 leaves open.
// CHECK-LABEL: @reshape_open
func.func @reshape_open(%x: tensor<?x0xf32>, %y: tensor<?xf32>) {
  %size = nn.shape %y {start = 0 : i64, end = 1 : i64} : (tensor<?xf32>) -> tensor<1xi64>
  %zero = nn.constant dense<0> : tensor<1xi64>
  %shape = nn.concat %size, %zero {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  // CHECK: nn.reshape {{.*}} -> tensor<?x0xf32>
  %0 = nn.reshape %x, %shape {allowzero = true} : (tensor<?x0xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}
