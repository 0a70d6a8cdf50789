// RUN: quern-opt %s --split-input-file --nn-widen-float16 | FileCheck %s
// RUN: quern-opt %s --split-input-file --nn-widen-float16 --nn-widen-float16 | FileCheck %s

// A matrix product without code for float16: all float operands, weights included,
// are cast; the result is rounded to the type it had.
// CHECK-LABEL: func @gemm
// CHECK-DAG: %[[X:.*]] = nn.cast %arg0 {to = f32} : (tensor<?x4xf16, #nn.dims<"N", "">>) -> tensor<?x4xf32, #nn.dims<"N", "">>
// CHECK-DAG: %[[W:.*]] = nn.cast %{{.*}} {to = f32} : (tensor<4x4xf16>) -> tensor<4x4xf32>
// CHECK: %[[R:.*]] = nn.gemm %[[X]], %[[W]], %{{.*}} -> tensor<?x4xf32, #nn.dims<"N", "">>
// CHECK-NEXT: %[[H:.*]] = nn.cast %[[R]] {to = f16}
// CHECK-NEXT: return %[[H]]
func.func @gemm(%x: tensor<?x4xf16, #nn.dims<"N", "">>) -> tensor<?x4xf16, #nn.dims<"N", "">> {
  %none = nn.none
  %w = nn.constant dense<1.0> : tensor<4x4xf16>
  %0 = nn.gemm %x, %w, %none {alpha = 1.0, beta = 1.0, trans_a = false, trans_b = false} : (tensor<?x4xf16, #nn.dims<"N", "">>, tensor<4x4xf16>, none) -> tensor<?x4xf16, #nn.dims<"N", "">>
  return %0 : tensor<?x4xf16, #nn.dims<"N", "">>
}

// -----

// Between two widened ops the value is rounded as in the model; one cast serves
// all users of a value.
// CHECK-LABEL: func @chain
// CHECK: %[[X:.*]] = nn.cast %arg0 {to = f32}
// CHECK-NEXT: %[[A:.*]] = nn.softmax %[[X]]
// CHECK-NEXT: %[[H:.*]] = nn.cast %[[A]] {to = bf16}
// CHECK-NEXT: %[[B:.*]] = nn.cast %[[H]] {to = f32}
// CHECK-NEXT: %[[C:.*]] = nn.matmul %[[X]], %[[B]]
// CHECK-NEXT: %[[D:.*]] = nn.cast %[[C]] {to = bf16}
// CHECK-NEXT: return %[[D]]
func.func @chain(%x: tensor<4x4xbf16>) -> tensor<4x4xbf16> {
  %0 = nn.softmax %x {axis = 1, trailing = false} : (tensor<4x4xbf16>) -> tensor<4x4xbf16>
  %1 = nn.matmul %x, %0 : (tensor<4x4xbf16>, tensor<4x4xbf16>) -> tensor<4x4xbf16>
  return %1 : tensor<4x4xbf16>
}

// -----

// Integer operands and results stay; parameters that are float32 already, too.
// CHECK-LABEL: func @mixed
// CHECK: %[[X:.*]] = nn.cast %arg0 {to = f32}
// CHECK: %[[R:.*]], %[[I:.*]] = nn.max_pool_with_indices %[[X]] {{.*}} -> (tensor<1x1x2x2xf32>, tensor<1x1x2x2xi64>)
// CHECK: %[[H:.*]] = nn.cast %[[R]] {to = f16}
// CHECK: %[[N:.*]] = nn.batch_norm %[[X]], %arg1, %arg1, %arg1, %arg1
// CHECK: nn.cast %[[N]] {to = f16}
// CHECK: return %[[H]], %[[I]]
func.func @mixed(%x: tensor<1x1x4x4xf16>, %p: tensor<1xf32>) -> (tensor<1x1x2x2xf16>, tensor<1x1x2x2xi64>, tensor<1x1x4x4xf16>) {
  %0, %1 = nn.max_pool_with_indices %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false, storage_order = 0} : (tensor<1x1x4x4xf16>) -> (tensor<1x1x2x2xf16>, tensor<1x1x2x2xi64>)
  %2 = nn.batch_norm %x, %p, %p, %p, %p {epsilon = 1.0} : (tensor<1x1x4x4xf16>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x1x4x4xf16>
  return %0, %1, %2 : tensor<1x1x2x2xf16>, tensor<1x1x2x2xi64>, tensor<1x1x4x4xf16>
}

// -----

// Elementwise ops and data movement have native code for the half types; float32
// and integers need no help.
// CHECK-LABEL: func @others
// CHECK-NOT: nn.cast
func.func @others(%x: tensor<2x3xf16>, %y: tensor<3x3xf32>, %z: tensor<3x3xi32>) -> (tensor<3x2xf16>, tensor<3x3xf32>, tensor<3x3xi32>) {
  %0 = nn.relu %x : (tensor<2x3xf16>) -> tensor<2x3xf16>
  %1 = nn.transpose %0 {perm = array<i64: 1, 0>} : (tensor<2x3xf16>) -> tensor<3x2xf16>
  %2 = nn.matmul %y, %y : (tensor<3x3xf32>, tensor<3x3xf32>) -> tensor<3x3xf32>
  %3 = nn.matmul %z, %z : (tensor<3x3xi32>, tensor<3x3xi32>) -> tensor<3x3xi32>
  return %1, %2, %3 : tensor<3x2xf16>, tensor<3x3xf32>, tensor<3x3xi32>
}

// -----

// Products of half types that sum up in float32 stay.
// CHECK-LABEL: func @wide_sums
// CHECK-NOT: nn.cast
// CHECK: nn.gemm %arg0, %{{.*}} : (tensor<2x4xbf16>, tensor<4x4xbf16>, none) -> tensor<2x4xf32>
// CHECK-NOT: nn.cast
func.func @wide_sums(%x: tensor<2x4xbf16>) -> tensor<2x4xf32> {
  %none = nn.none
  %w = nn.constant dense<1.0> : tensor<4x4xbf16>
  %0 = nn.gemm %x, %w, %none {alpha = 1.0, beta = 1.0, trans_a = false, trans_b = false} : (tensor<2x4xbf16>, tensor<4x4xbf16>, none) -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}
