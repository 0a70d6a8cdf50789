// RUN: quern-opt %s --split-input-file --nn-keep-half-weights | FileCheck %s
// RUN: quern-opt %s --split-input-file --nn-keep-half-weights --nn-keep-half-weights | FileCheck %s

// Constants that are widened for a product are read as they are, and nobody widens them any more.
// CHECK-LABEL: func @products
func.func @products(%x: tensor<?x4xf32>, %c: tensor<3xf32>) -> (tensor<?x3xf32>, tensor<?x3xf32>) {
  %half = nn.constant dense<1.0> : tensor<4x3xf16>
  %brain = nn.constant dense<1.0> : tensor<3x4xbf16>
  // CHECK-NOT: nn.cast
  %0 = nn.cast %half {to = f32} : (tensor<4x3xf16>) -> tensor<4x3xf32>
  %1 = nn.cast %brain {to = f32} : (tensor<3x4xbf16>) -> tensor<3x4xf32>
  // CHECK: nn.matmul %arg0, %{{.*}} : (tensor<?x4xf32>, tensor<4x3xf16>) -> tensor<?x3xf32>
  %2 = nn.matmul %x, %0 : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  // CHECK: nn.gemm %arg0, %{{.*}}, %arg1 {{.*}} : (tensor<?x4xf32>, tensor<3x4xbf16>, tensor<3xf32>) -> tensor<?x3xf32>
  %3 = nn.gemm %x, %1, %c {alpha = 1.0, beta = 1.0, trans_a = false, trans_b = true} : (tensor<?x4xf32>, tensor<3x4xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %2, %3 : tensor<?x3xf32>, tensor<?x3xf32>
}

// -----

// What moves them moves 16 bits.
// CHECK-LABEL: func @moved
func.func @moved(%x: tensor<2x4xf32>) -> tensor<2x3xf32> {
  %w = nn.constant dense<1.0> : tensor<12xf16>
  %shape = nn.constant dense<[3, 4]> : tensor<2xi64>
  // CHECK-NOT: nn.cast
  %0 = nn.cast %w {to = f32} : (tensor<12xf16>) -> tensor<12xf32>
  // CHECK: %[[R:.*]] = nn.reshape {{.*}} -> tensor<3x4xf16>
  %1 = nn.reshape %0, %shape {allowzero = false} : (tensor<12xf32>, tensor<2xi64>) -> tensor<3x4xf32>
  // CHECK: %[[T:.*]] = nn.transpose %[[R]] {{.*}} -> tensor<4x3xf16>
  %2 = nn.transpose %1 {perm = array<i64: 1, 0>} : (tensor<3x4xf32>) -> tensor<4x3xf32>
  // CHECK: nn.matmul %arg0, %[[T]]
  %3 = nn.matmul %x, %2 : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  return %3 : tensor<2x3xf32>
}

// -----

// Others that read what is widened still do.
// CHECK-LABEL: func @shared
// CHECK: %[[W:.*]] = nn.constant
// CHECK: %[[C:.*]] = nn.cast %[[W]]
// CHECK: %[[P:.*]] = nn.matmul %arg0, %[[W]]
// CHECK: nn.add %[[P]], %[[C]]
func.func @shared(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %w = nn.constant dense<1.0> : tensor<4x4xf16>
  %0 = nn.cast %w {to = f32} : (tensor<4x4xf16>) -> tensor<4x4xf32>
  %1 = nn.matmul %x, %0 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %2 = nn.add %1, %0 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %2 : tensor<4x4xf32>
}

// -----

// Not: a first factor, what is computed, other widths, products of float64.
// CHECK-LABEL: func @others
func.func @others(%x: tensor<4x4xf32>, %y: tensor<4x4xf16>, %z: tensor<4x4xf64>) -> (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf64>) {
  %half = nn.constant dense<1.0> : tensor<4x4xf16>
  %bytes = nn.constant dense<1> : tensor<4x4xi8>
  %0 = nn.cast %half {to = f32} : (tensor<4x4xf16>) -> tensor<4x4xf32>
  // CHECK: nn.matmul {{.*}} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = nn.matmul %0, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %2 = nn.cast %y {to = f32} : (tensor<4x4xf16>) -> tensor<4x4xf32>
  // CHECK: nn.matmul {{.*}} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %3 = nn.matmul %x, %2 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %4 = nn.cast %bytes {to = f32} : (tensor<4x4xi8>) -> tensor<4x4xf32>
  // CHECK: nn.matmul {{.*}} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %5 = nn.matmul %x, %4 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %6 = nn.cast %half {to = f64} : (tensor<4x4xf16>) -> tensor<4x4xf64>
  // CHECK: nn.matmul {{.*}} : (tensor<4x4xf64>, tensor<4x4xf64>) -> tensor<4x4xf64>
  %7 = nn.matmul %z, %6 : (tensor<4x4xf64>, tensor<4x4xf64>) -> tensor<4x4xf64>
  return %1, %3, %5, %7 : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf64>
}
