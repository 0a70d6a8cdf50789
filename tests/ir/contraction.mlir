// RUN: quern-opt %s | quern-opt --nn-infer-shapes | FileCheck %s

// CHECK-LABEL: @matmul
func.func @matmul(%a: tensor<?x1x4x8xf32, #nn.dims<"N", "", "", "">>, %b: tensor<5x8x16xf32>, %v: tensor<8xf32>,
                  %unknown: tensor<*xf32>) {
  // CHECK: nn.matmul {{.*}} -> tensor<?x5x4x16xf32, #nn.dims<"N", "", "", "">>
  %0 = nn.matmul %a, %b : (tensor<?x1x4x8xf32, #nn.dims<"N", "", "", "">>, tensor<5x8x16xf32>) -> tensor<*xf32>
  // CHECK: nn.matmul {{.*}} -> tensor<5x16xf32>
  %1 = nn.matmul %v, %b : (tensor<8xf32>, tensor<5x8x16xf32>) -> tensor<*xf32>
  // CHECK: nn.matmul {{.*}} -> tensor<?x1x4xf32, #nn.dims<"N", "", "">>
  %2 = nn.matmul %a, %v : (tensor<?x1x4x8xf32, #nn.dims<"N", "", "", "">>, tensor<8xf32>) -> tensor<*xf32>
  // CHECK: nn.matmul {{.*}} -> tensor<f32>
  %3 = nn.matmul %v, %v : (tensor<8xf32>, tensor<8xf32>) -> tensor<*xf32>
  // CHECK: nn.matmul {{.*}} -> tensor<*xf32>
  %4 = nn.matmul %a, %unknown : (tensor<?x1x4x8xf32, #nn.dims<"N", "", "", "">>, tensor<*xf32>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @gemm
func.func @gemm(%a: tensor<8x?xf32, #nn.dims<"", "N">>, %b: tensor<16x8xf32>, %c: tensor<16xf32>,
                %unknown: tensor<*xf32>) {
  %none = nn.none
  // CHECK: nn.gemm {{.*}}trans_a = true, trans_b = true{{.*}} -> tensor<?x16xf32, #nn.dims<"N", "">>
  %0 = nn.gemm %a, %b, %c {alpha = 1.0 : f64, beta = 0.5 : f64, trans_a = true, trans_b = true}
    : (tensor<8x?xf32, #nn.dims<"", "N">>, tensor<16x8xf32>, tensor<16xf32>) -> tensor<*xf32>
  // A product of matrices has rank 2, whatever is known of an operand.
  // CHECK: nn.gemm {{.*}} -> tensor<16x?xf32>
  %1 = nn.gemm %b, %unknown, %none {alpha = 1.0 : f64, beta = 1.0 : f64, trans_a = false, trans_b = false}
    : (tensor<16x8xf32>, tensor<*xf32>, none) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @narrow
func.func @narrow(%u: tensor<4x8xui8>, %s: tensor<8x16xi8>, %x: tensor<4x8xbf16>, %w: tensor<8x16xbf16>, %c: tensor<16xf32>) {
  // CHECK: nn.matmul {{.*}} -> tensor<4x16xi32>
  %0 = nn.matmul %u, %s : (tensor<4x8xui8>, tensor<8x16xi8>) -> tensor<*xi32>
  // CHECK: nn.gemm {{.*}} -> tensor<4x16xf32>
  %2 = nn.gemm %x, %w, %c {alpha = 1.0 : f64, beta = 1.0 : f64, trans_a = false, trans_b = false}
    : (tensor<4x8xbf16>, tensor<8x16xbf16>, tensor<16xf32>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @half_weights
func.func @half_weights(%x: tensor<4x8xf32>, %w: tensor<8x16xf16>, %v: tensor<16x8xbf16>, %c: tensor<16xf32>) {
  // CHECK: nn.matmul {{.*}} -> tensor<4x16xf32>
  %0 = nn.matmul %x, %w : (tensor<4x8xf32>, tensor<8x16xf16>) -> tensor<*xf32>
  // CHECK: nn.gemm {{.*}} -> tensor<4x16xf32>
  %1 = nn.gemm %x, %v, %c {alpha = 1.0 : f64, beta = 1.0 : f64, trans_a = false, trans_b = true}
    : (tensor<4x8xf32>, tensor<16x8xbf16>, tensor<16xf32>) -> tensor<*xf32>
  return
}
