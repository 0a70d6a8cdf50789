// RUN: quern-opt %s --nn-form-block-products | FileCheck %s

// Weights of a model for few bits: [n, k] in blocks of k, with the zero point of half the range.
// CHECK-LABEL: @blocks
func.func @blocks(%a: tensor<?x32xf32>) -> tensor<?x4xf32> {
  %q = nn.constant dense<3> : tensor<4x32xui8>
  %scale = nn.constant dense<0.5> : tensor<4x2xf32>
  %zero = nn.constant dense<128> : tensor<ui8>
  %w = nn.dequantize %q, %scale, %zero {to = f32, axis = 1 : i64, block_size = 16 : i64} : (tensor<4x32xui8>, tensor<4x2xf32>, tensor<ui8>) -> tensor<4x32xf32>
  %b = nn.transpose %w {perm = array<i64: 1, 0>} : (tensor<4x32xf32>) -> tensor<32x4xf32>
  // CHECK: nn.block_matmul %arg0, {{.*}} {block_size = 16 : i64} : (tensor<?x32xf32>, tensor<4x32xui8>, tensor<4x2xf32>, tensor<ui8>) -> tensor<?x4xf32>
  // CHECK-NOT: nn.matmul
  %0 = nn.matmul %a, %b : (tensor<?x32xf32>, tensor<32x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// One scale for each column of [k, n], and a zero point of its own for each: a block is all of k.
// CHECK-LABEL: @columns
func.func @columns(%a: tensor<2x16xf32>, %c: tensor<3xf32>) -> tensor<2x3xf32> {
  %q = nn.constant dense<3> : tensor<16x3xi8>
  %scale = nn.constant dense<0.5> : tensor<3xf32>
  %zero = nn.constant dense<[1, 2, 3]> : tensor<3xi8>
  %w = nn.dequantize %q, %scale, %zero {to = f32, axis = 1 : i64} : (tensor<16x3xi8>, tensor<3xf32>, tensor<3xi8>) -> tensor<16x3xf32>
  // CHECK-DAG: nn.transpose {{.*}} -> tensor<3x16xi8>
  // CHECK: %[[PRODUCT:.*]] = nn.block_matmul {{.*}} {block_size = 16 : i64} : (tensor<2x16xf32>, tensor<3x16xi8>, tensor<3x1xf32>, tensor<3x1xi8>) -> tensor<2x3xf32>
  // CHECK: nn.add %[[PRODUCT]], %arg1
  %0 = nn.gemm %a, %w, %c {alpha = 1.0, beta = 1.0, trans_a = false, trans_b = false} : (tensor<2x16xf32>, tensor<16x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// Nothing is taken off where the zero point is 0.
// CHECK-LABEL: @no_zero
func.func @no_zero(%a: tensor<2x16xf32>) -> tensor<2x3xf32> {
  %q = nn.constant dense<3> : tensor<16x3xi8>
  %scale = nn.constant dense<0.5> : tensor<f32>
  %zero = nn.constant dense<0> : tensor<i8>
  %w = nn.dequantize %q, %scale, %zero {to = f32} : (tensor<16x3xi8>, tensor<f32>, tensor<i8>) -> tensor<16x3xf32>
  // CHECK: nn.block_matmul {{.*}} : (tensor<2x16xf32>, tensor<3x16xi8>, tensor<3x1xf32>, none) -> tensor<2x3xf32>
  %0 = nn.matmul %a, %w : (tensor<2x16xf32>, tensor<16x3xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// A product whose result alone says that its factor is a matrix keeps that result's type.
// CHECK-LABEL: @gemm_of_unknown_rank
func.func @gemm_of_unknown_rank(%a: tensor<*xf32>) -> tensor<?x3xf32> {
  %q = nn.constant dense<3> : tensor<16x3xi8>
  %scale = nn.constant dense<0.5> : tensor<f32>
  %none = nn.none
  %w = nn.dequantize %q, %scale, %none {to = f32} : (tensor<16x3xi8>, tensor<f32>, none) -> tensor<16x3xf32>
  // CHECK: nn.gemm
  %0 = nn.gemm %a, %w, %none {alpha = 1.0, beta = 1.0, trans_a = false, trans_b = false} : (tensor<*xf32>, tensor<16x3xf32>, none) -> tensor<?x3xf32>
  return %0 : tensor<?x3xf32>
}

// Scales of rows of k, blocks of no whole vectors, weights that a run computes.
// CHECK-LABEL: @refused
// CHECK-NOT: nn.block_matmul
func.func @refused(%a: tensor<2x16xf32>, %computed: tensor<16x3xi8>) -> (tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>) {
  %none = nn.none
  %q = nn.constant dense<3> : tensor<16x3xi8>
  %rows = nn.constant dense<0.5> : tensor<16xf32>
  %0 = nn.dequantize %q, %rows, %none {to = f32, axis = 0 : i64} : (tensor<16x3xi8>, tensor<16xf32>, none) -> tensor<16x3xf32>
  %1 = nn.matmul %a, %0 : (tensor<2x16xf32>, tensor<16x3xf32>) -> tensor<2x3xf32>
  %blocks = nn.constant dense<0.5> : tensor<2x3xf32>
  %2 = nn.dequantize %q, %blocks, %none {to = f32, axis = 0 : i64, block_size = 8 : i64} : (tensor<16x3xi8>, tensor<2x3xf32>, none) -> tensor<16x3xf32>
  %3 = nn.matmul %a, %2 : (tensor<2x16xf32>, tensor<16x3xf32>) -> tensor<2x3xf32>
  %one = nn.constant dense<0.5> : tensor<f32>
  %4 = nn.dequantize %computed, %one, %none {to = f32} : (tensor<16x3xi8>, tensor<f32>, none) -> tensor<16x3xf32>
  %5 = nn.matmul %a, %4 : (tensor<2x16xf32>, tensor<16x3xf32>) -> tensor<2x3xf32>
  return %1, %3, %5 : tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>
}
