// RUN: quern-opt %s --split-input-file --nn-quantize-weights | FileCheck %s --check-prefixes=CHECK,INT8
// RUN: quern-opt %s --split-input-file --nn-quantize-weights=bits=4 | FileCheck %s --check-prefixes=CHECK,INT4

// A scale for each column, or for each 32 along it; the sums that follow are as they were.
// CHECK-LABEL: func @matmul
// INT8: nn.reduce max %{{.*}} : (tensor<64x8xf32>, tensor<1xi64>) -> tensor<8xf32>
// INT8: %[[Q:.*]] = nn.quantize {{.*}}axis = 1 : i64{{.*}}to = i8{{.*}} -> tensor<64x8xi8>
// INT8: %[[D:.*]] = nn.dequantize %[[Q]]{{.*}} -> tensor<64x8xf32>
// INT4: nn.reduce max %{{.*}} : (tensor<2x32x8xf32>, tensor<1xi64>) -> tensor<2x8xf32>
// INT4: %[[Q:.*]] = nn.quantize {{.*}}block_size = 32 : i64{{.*}}to = i4{{.*}} -> tensor<64x8xi4>
// INT4: %[[D:.*]] = nn.dequantize %[[Q]]{{.*}} -> tensor<64x8xf32>
// CHECK: nn.matmul %arg0, %[[D]]
func.func @matmul(%x: tensor<?x64xf32>) -> tensor<?x8xf32> {
  %w = nn.constant dense<1.0> : tensor<64x8xf32>
  %0 = nn.matmul %x, %w : (tensor<?x64xf32>, tensor<64x8xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// Of a transposed factor the rows are the columns.
// CHECK-LABEL: func @gemm
// INT8: nn.reduce max %{{.*}} : (tensor<8x64xf32>, tensor<1xi64>) -> tensor<8xf32>
// INT4: nn.reduce max %{{.*}} : (tensor<8x2x32xf32>, tensor<1xi64>) -> tensor<8x2xf32>
// CHECK: %[[D:.*]] = nn.dequantize {{.*}} -> tensor<8x64xf32>
// CHECK: nn.gemm %arg0, %[[D]]
func.func @gemm(%x: tensor<?x64xf32>) -> tensor<?x8xf32> {
  %w = nn.constant dense<1.0> : tensor<8x64xf32>
  %c = nn.constant dense<1.0> : tensor<8xf32>
  %0 = nn.gemm %x, %w, %c {alpha = 1.0, beta = 1.0, trans_a = false, trans_b = true} : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// Columns that are no whole vectors, factors that are no constants or scaled, and other types stay.
// CHECK-LABEL: func @refused
// CHECK-NOT: nn.quantize
func.func @refused(%x: tensor<4x12xf32>, %y: tensor<64x64xf32>, %z: tensor<64x64xf64>) -> (tensor<4x8xf32>, tensor<64x64xf32>, tensor<64x8xf32>, tensor<64x8xf64>) {
  %none = nn.none
  %a = nn.constant dense<1.0> : tensor<12x8xf32>
  %b = nn.constant dense<1.0> : tensor<64x8xf32>
  %c = nn.constant dense<1.0> : tensor<64x8xf64>
  %0 = nn.matmul %x, %a : (tensor<4x12xf32>, tensor<12x8xf32>) -> tensor<4x8xf32>
  %1 = nn.matmul %y, %y : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  %2 = nn.gemm %y, %b, %none {alpha = 2.0, beta = 1.0, trans_a = false, trans_b = false} : (tensor<64x64xf32>, tensor<64x8xf32>, none) -> tensor<64x8xf32>
  %3 = nn.matmul %z, %c : (tensor<64x64xf64>, tensor<64x8xf64>) -> tensor<64x8xf64>
  return %0, %1, %2, %3 : tensor<4x8xf32>, tensor<64x64xf32>, tensor<64x8xf32>, tensor<64x8xf64>
}
