// RUN: quern-opt %s --split-input-file --nn-fold-constants | FileCheck %s --check-prefix=ALL
// RUN: quern-opt %s --split-input-file --nn-fold-constants=keep-halves | FileCheck %s --check-prefix=KEEP

// Weights that are widened for products are left to the pass that does without, moved or not.
// ALL-LABEL: @weights
// ALL-NOT: nn.cast
// ALL: nn.gemm {{.*}} : (tensor<2x32xf32>, tensor<16x32xf32>, none)
// KEEP-LABEL: @weights
// KEEP: %[[W:.*]] = nn.cast {{.*}} : (tensor<32x16xf16>) -> tensor<32x16xf32>
// KEEP: nn.matmul %arg0, %[[W]]
// KEEP: %[[T:.*]] = nn.transpose %[[W]]
// KEEP: nn.gemm %arg0, %[[T]]
func.func @weights(%x: tensor<2x32xf32>) -> (tensor<2x16xf32>, tensor<2x16xf32>) {
  %none = nn.none
  %w = nn.constant dense<1.0> : tensor<32x16xf16>
  %0 = nn.cast %w {to = f32} : (tensor<32x16xf16>) -> tensor<32x16xf32>
  %1 = nn.matmul %x, %0 : (tensor<2x32xf32>, tensor<32x16xf32>) -> tensor<2x16xf32>
  %2 = nn.transpose %0 {perm = array<i64: 1, 0>} : (tensor<32x16xf32>) -> tensor<16x32xf32>
  %3 = nn.gemm %x, %2, %none {alpha = 1.0, beta = 1.0, trans_a = false, trans_b = true} : (tensor<2x32xf32>, tensor<16x32xf32>, none) -> tensor<2x16xf32>
  return %1, %3 : tensor<2x16xf32>, tensor<2x16xf32>
}

// -----

// Folded: what something else reads, too; first factors; what is as small as shapes are; other
// types.
// KEEP-LABEL: @others
// KEEP-NOT: nn.cast
func.func @others(%x: tensor<32x32xf32>, %y: tensor<2x4xf32>) -> (tensor<32x32xf32>, tensor<32x32xf32>, tensor<2x4xf32>, tensor<32x32xf32>) {
  %w = nn.constant dense<1.0> : tensor<32x32xf16>
  %0 = nn.cast %w {to = f32} : (tensor<32x32xf16>) -> tensor<32x32xf32>
  %1 = nn.matmul %x, %0 : (tensor<32x32xf32>, tensor<32x32xf32>) -> tensor<32x32xf32>
  %2 = nn.add %1, %0 : (tensor<32x32xf32>, tensor<32x32xf32>) -> tensor<32x32xf32>
  %v = nn.constant dense<2.0> : tensor<32x32xbf16>
  %3 = nn.cast %v {to = f32} : (tensor<32x32xbf16>) -> tensor<32x32xf32>
  %4 = nn.matmul %3, %x : (tensor<32x32xf32>, tensor<32x32xf32>) -> tensor<32x32xf32>
  %small = nn.constant dense<1.0> : tensor<4x4xf16>
  %5 = nn.cast %small {to = f32} : (tensor<4x4xf16>) -> tensor<4x4xf32>
  %6 = nn.matmul %y, %5 : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
  %bytes = nn.constant dense<1> : tensor<32x32xi8>
  %7 = nn.cast %bytes {to = f32} : (tensor<32x32xi8>) -> tensor<32x32xf32>
  %8 = nn.matmul %x, %7 : (tensor<32x32xf32>, tensor<32x32xf32>) -> tensor<32x32xf32>
  return %2, %4, %6, %8 : tensor<32x32xf32>, tensor<32x32xf32>, tensor<2x4xf32>, tensor<32x32xf32>
}
