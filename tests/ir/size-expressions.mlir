// RUN: quern-opt %s --nn-infer-shapes | FileCheck %s
// RUN: quern-opt %s --nn-infer-shapes | quern-opt | FileCheck %s

// What exporters write for view(batch, seq, 12, -1).
// CHECK-LABEL: @view
func.func @view(%x: tensor<?x?x768xf32, #nn.dims<"N", "seq", "">>) {
  %none = nn.none
  %shape = nn.shape %x {start = 0 : i64} : (tensor<?x?x768xf32, #nn.dims<"N", "seq", "">>) -> tensor<3xi64>
  %zero = nn.constant dense<0> : tensor<i64>
  %one = nn.constant dense<-2> : tensor<i64>
  %axes = nn.constant dense<0> : tensor<1xi64>
  %heads = nn.constant dense<12> : tensor<1xi64>
  %open = nn.constant dense<-1> : tensor<1xi64>
  %n = nn.gather %shape, %zero {axis = 0 : i64} : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %s = nn.gather %shape, %one {axis = 0 : i64} : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %n1 = nn.unsqueeze %n, %axes : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %s1 = nn.unsqueeze %s, %axes : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %four = nn.concat %n1, %s1, %heads, %open {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  // CHECK: nn.reshape {{.*}} -> tensor<?x?x12x64xf32, #nn.dims<"N", "seq", "", "">>
  %0 = nn.reshape %x, %four {allowzero = false} : (tensor<?x?x768xf32, #nn.dims<"N", "seq", "">>, tensor<4xi64>) -> tensor<*xf32>
  %rows = nn.mul %n1, %s1 : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %two = nn.concat %rows, %open {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  // CHECK: nn.reshape {{.*}} -> tensor<?x768xf32, #nn.dims<("N" * "seq"), "">>
  %1 = nn.reshape %x, %two {allowzero = false} : (tensor<?x?x768xf32, #nn.dims<"N", "seq", "">>, tensor<2xi64>) -> tensor<*xf32>
  %number = nn.constant dense<0.0> : tensor<f32>
  // CHECK: nn.expand {{.*}} -> tensor<?xf32, #nn.dims<("N" * "seq")>>
  %2 = nn.expand %number, %rows : (tensor<f32>, tensor<1xi64>) -> tensor<*xf32>
  return
}

// A decoder with a growing past; both orders of the same product are one size.
// CHECK-LABEL: @past
func.func @past(%old: tensor<?x?x64xf32, #nn.dims<"N", "past", "">>, %new: tensor<?x?x64xf32, #nn.dims<"N", "seq", "">>) {
  // CHECK: nn.concat {{.*}} -> tensor<?x?x64xf32, #nn.dims<"N", ("{{past|seq}}" + "{{past|seq}}"), "">>
  %0 = nn.concat %old, %new {axis = 1 : i64} : (tensor<?x?x64xf32, #nn.dims<"N", "past", "">>, tensor<?x?x64xf32, #nn.dims<"N", "seq", "">>) -> tensor<*xf32>
  %flat = nn.constant dense<[-1, 64]> : tensor<2xi64>
  // CHECK: nn.reshape {{.*}} -> tensor<?x64xf32, #nn.dims<("N" * "past"), "">>
  %1 = nn.reshape %old, %flat {allowzero = false} : (tensor<?x?x64xf32, #nn.dims<"N", "past", "">>, tensor<2xi64>) -> tensor<*xf32>
  %turned = nn.transpose %old {perm = array<i64: 1, 0, 2>} : (tensor<?x?x64xf32, #nn.dims<"N", "past", "">>) -> tensor<?x?x64xf32>
  // CHECK: nn.reshape {{.*}} -> tensor<?x64xf32, #nn.dims<("N" * "past"), "">>
  %2 = nn.reshape %turned, %flat {allowzero = false} : (tensor<?x?x64xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// Windows with strides, and their sum with itself.
// CHECK-LABEL: @halved
func.func @halved(%x: tensor<1x8x?x?xf32, #nn.dims<"", "", "H", "W">>, %w: tensor<8x8x3x3xf32>) {
  %none = nn.none
  // CHECK: nn.conv {{.*}} -> tensor<1x8x?x?xf32, #nn.dims<"", "", ((("H" + -1) floordiv 2) + 1), ((("W" + -1) floordiv 2) + 1)>>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64} : (tensor<1x8x?x?xf32, #nn.dims<"", "", "H", "W">>, tensor<8x8x3x3xf32>, none) -> tensor<*xf32>
  // CHECK: nn.add {{.*}} -> tensor<1x8x?x?xf32, #nn.dims<"", "", ((("H" + -1) floordiv 2) + 1), ((("W" + -1) floordiv 2) + 1)>>
  %1 = nn.add %0, %0 : (tensor<*xf32>, tensor<*xf32>) -> tensor<*xf32>
  return
}
