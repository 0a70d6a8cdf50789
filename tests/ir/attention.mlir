// RUN: quern-opt %s | quern-opt --nn-infer-shapes | FileCheck %s

// Heads of keys serve several of queries; the result has its dimensions in the order of its perm.
// CHECK-LABEL: @grouped
func.func @grouped(%q: tensor<?x?x8x16xf32, #nn.dims<"B", "Q", "", "">>, %k: tensor<?x2x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x2x?x24xf32, #nn.dims<"B", "", "K", "">>) {
  %none = nn.none
  // CHECK: nn.attention
  // CHECK-SAME: -> tensor<?x?x8x24xf32, #nn.dims<"B", "Q", "", "">>
  %0 = nn.attention %q, %k, %v, %none, %none, %none, %none {query_perm = array<i64: 0, 2, 1, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 2, 1, 3>, scale_factor = 0.25, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<?x?x8x16xf32, #nn.dims<"B", "Q", "", "">>, tensor<?x2x?x16xf32, #nn.dims<"B", "", "K", "">>, tensor<?x2x?x24xf32, #nn.dims<"B", "", "K", "">>, none, none, none, none) -> tensor<*xf32>
  return
}

// Sums of narrow factors are narrow or float32, and so is the mask.
// CHECK-LABEL: @narrow_factors
func.func @narrow_factors(%q: tensor<1x2x5x16xbf16>, %m: tensor<5xf32>) {
  %none = nn.none
  // CHECK: nn.attention
  // CHECK-SAME: -> tensor<1x2x5x16xf32>
  %0 = nn.attention %q, %q, %q, %m, %none, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x2x5x16xbf16>, tensor<1x2x5x16xbf16>, tensor<1x2x5x16xbf16>, tensor<5xf32>, none, none, none) -> tensor<*xf32>
  // CHECK: nn.attention
  // CHECK-SAME: -> tensor<1x2x5x16xbf16>
  %1 = nn.attention %q, %q, %q, %none, %none, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x2x5x16xbf16>, tensor<1x2x5x16xbf16>, tensor<1x2x5x16xbf16>, none, none, none, none) -> tensor<*xbf16>
  return
}

// The mask may have what query and key lack; of unknown shapes the rank is known all the same.
// CHECK-LABEL: @masked
func.func @masked(%q: tensor<1x1x1x16xf32>, %v: tensor<1x1x9x8xf32>, %m: tensor<3x2x4x9xf32>, %any: tensor<*xf32>) {
  %none = nn.none
  // CHECK: nn.attention
  // CHECK-SAME: -> tensor<3x2x4x8xf32>
  %0 = nn.attention %q, %q, %v, %m, %none, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = true} : (tensor<1x1x1x16xf32>, tensor<1x1x1x16xf32>, tensor<1x1x9x8xf32>, tensor<3x2x4x9xf32>, none, none, none) -> tensor<*xf32>
  // CHECK: nn.attention
  // CHECK-SAME: -> tensor<?x?x?x?xf32>
  %1 = nn.attention %any, %any, %any, %any, %none, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = true, zero_masked_rows = false} : (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, none, none, none) -> tensor<*xf32>
  return
}
