// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @rank(%q: tensor<4x5x16xf32>, %k: tensor<1x2x7x16xf32>, %v: tensor<1x2x7x8xf32>) {
  %none = nn.none
  // expected-error @+1 {{query must have rank 4, found 3}}
  %0 = nn.attention %q, %k, %v, %none, %none, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<4x5x16xf32>, tensor<1x2x7x16xf32>, tensor<1x2x7x8xf32>, none, none, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @mask_rank(%q: tensor<1x4x5x16xf32>, %k: tensor<1x2x7x16xf32>, %v: tensor<1x2x7x8xf32>, %m: tensor<1x1x1x1x7xf32>) {
  %none = nn.none
  // expected-error @+1 {{mask must have rank 4 or less, found 5}}
  %0 = nn.attention %q, %k, %v, %m, %none, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x4x5x16xf32>, tensor<1x2x7x16xf32>, tensor<1x2x7x8xf32>, tensor<1x1x1x1x7xf32>, none, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @size(%q: tensor<1x4x5x16xf32>, %k: tensor<1x2x7x15xf32>, %v: tensor<1x2x7x8xf32>) {
  %none = nn.none
  // expected-error @+1 {{the size of a head of key must be 16, found 15}}
  %0 = nn.attention %q, %k, %v, %none, %none, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x4x5x16xf32>, tensor<1x2x7x15xf32>, tensor<1x2x7x8xf32>, none, none, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @length(%q: tensor<1x4x5x16xf32>, %k: tensor<1x2x7x16xf32>, %v: tensor<1x2x6x8xf32>) {
  %none = nn.none
  // expected-error @+1 {{the length of value must be 7, found 6}}
  %0 = nn.attention %q, %k, %v, %none, %none, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x4x5x16xf32>, tensor<1x2x7x16xf32>, tensor<1x2x6x8xf32>, none, none, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @mask_keys(%q: tensor<1x4x5x16xf32>, %k: tensor<1x2x7x16xf32>, %v: tensor<1x2x7x8xf32>, %m: tensor<6xf32>) {
  %none = nn.none
  // expected-error @+1 {{keys of the mask: }}
  %0 = nn.attention %q, %k, %v, %m, %none, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x4x5x16xf32>, tensor<1x2x7x16xf32>, tensor<1x2x7x8xf32>, tensor<6xf32>, none, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @mask_queries(%q: tensor<1x4x5x16xf32>, %k: tensor<1x2x7x16xf32>, %v: tensor<1x2x7x8xf32>, %m: tensor<4x7xf32>) {
  %none = nn.none
  // expected-error @+1 {{queries of the mask: }}
  %0 = nn.attention %q, %k, %v, %m, %none, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x4x5x16xf32>, tensor<1x2x7x16xf32>, tensor<1x2x7x8xf32>, tensor<4x7xf32>, none, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @batch(%q: tensor<2x4x5x16xf32>, %k: tensor<3x2x7x16xf32>, %v: tensor<1x2x7x8xf32>) {
  %none = nn.none
  // expected-error @+1 {{batch: }}
  %0 = nn.attention %q, %k, %v, %none, %none, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<2x4x5x16xf32>, tensor<3x2x7x16xf32>, tensor<1x2x7x8xf32>, none, none, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @heads(%q: tensor<1x4x5x16xf32>, %k: tensor<1x3x7x16xf32>, %v: tensor<1x2x7x8xf32>) {
  %none = nn.none
  // expected-error @+1 {{4 heads are no multiple of 3 heads of key}}
  %0 = nn.attention %q, %k, %v, %none, %none, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x4x5x16xf32>, tensor<1x3x7x16xf32>, tensor<1x2x7x8xf32>, none, none, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @value_heads(%q: tensor<1x4x5x16xf32>, %k: tensor<1x2x7x16xf32>, %v: tensor<1x3x7x8xf32>) {
  %none = nn.none
  // expected-error @+1 {{4 heads are no multiple of 3 heads of value}}
  %0 = nn.attention %q, %k, %v, %none, %none, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x4x5x16xf32>, tensor<1x2x7x16xf32>, tensor<1x3x7x8xf32>, none, none, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @narrow_mask(%q: tensor<1x2x5x16xbf16>, %m: tensor<5xbf16>) {
  %none = nn.none
  // expected-error @+1 {{mask must have element type 'f32', found 'bf16'}}
  %0 = nn.attention %q, %q, %q, %m, %none, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x2x5x16xbf16>, tensor<1x2x5x16xbf16>, tensor<1x2x5x16xbf16>, tensor<5xbf16>, none, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @elements(%q: tensor<1x4x5x16xf32>, %k: tensor<1x2x7x16xf32>, %v: tensor<1x2x7x8xf32>, %m: tensor<7xf64>) {
  %none = nn.none
  // expected-error @+1 {{mask must have element type 'f32', found 'f64'}}
  %0 = nn.attention %q, %k, %v, %m, %none, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x4x5x16xf32>, tensor<1x2x7x16xf32>, tensor<1x2x7x8xf32>, tensor<7xf64>, none, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @scale(%q: tensor<1x4x5x16xf32>, %k: tensor<1x2x7x16xf32>, %v: tensor<1x2x7x8xf32>, %s: tensor<2xf32>) {
  %none = nn.none
  // expected-error @+1 {{scale must be one number, found 2}}
  %0 = nn.attention %q, %k, %v, %none, %s, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x4x5x16xf32>, tensor<1x2x7x16xf32>, tensor<1x2x7x8xf32>, none, tensor<2xf32>, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @offset(%q: tensor<1x4x5x16xf32>, %k: tensor<1x2x7x16xf32>, %v: tensor<1x2x7x8xf32>, %o: tensor<i64>) {
  %none = nn.none
  // expected-error @+1 {{has an offset, but is not causal}}
  %0 = nn.attention %q, %k, %v, %none, %none, %o, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x4x5x16xf32>, tensor<1x2x7x16xf32>, tensor<1x2x7x8xf32>, none, none, tensor<i64>, none) -> tensor<*xf32>
  return
}

// -----

func.func @offset_type(%q: tensor<1x4x5x16xf32>, %k: tensor<1x2x7x16xf32>, %v: tensor<1x2x7x8xf32>, %o: tensor<i32>) {
  %none = nn.none
  // expected-error @+1 {{offset must hold int64, found 'i32'}}
  %0 = nn.attention %q, %k, %v, %none, %none, %o, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = true, zero_masked_rows = false} : (tensor<1x4x5x16xf32>, tensor<1x2x7x16xf32>, tensor<1x2x7x8xf32>, none, none, tensor<i32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @perm(%q: tensor<1x4x5x16xf32>, %k: tensor<1x2x7x16xf32>, %v: tensor<1x2x7x8xf32>) {
  %none = nn.none
  // expected-error @+1 {{query_perm must be a permutation of 4 dimensions}}
  %0 = nn.attention %q, %k, %v, %none, %none, %none, %none {query_perm = array<i64: 0, 1, 1, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x4x5x16xf32>, tensor<1x2x7x16xf32>, tensor<1x2x7x8xf32>, none, none, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @short_perm(%q: tensor<1x4x5x16xf32>, %k: tensor<1x2x7x16xf32>, %v: tensor<1x2x7x8xf32>) {
  %none = nn.none
  // expected-error @+1 {{query_perm must be a permutation of 4 dimensions}}
  %0 = nn.attention %q, %k, %v, %none, %none, %none, %none {query_perm = array<i64: 0, 1, 2>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x4x5x16xf32>, tensor<1x2x7x16xf32>, tensor<1x2x7x8xf32>, none, none, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @condition_type(%q: tensor<1x4x5x16xf32>, %k: tensor<1x2x7x16xf32>, %v: tensor<1x2x7x8xf32>, %c: tensor<5x7xf32>) {
  %none = nn.none
  // expected-error @+1 {{condition must hold bool, found 'f32'}}
  %0 = nn.attention %q, %k, %v, %none, %none, %none, %c {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x4x5x16xf32>, tensor<1x2x7x16xf32>, tensor<1x2x7x8xf32>, none, none, none, tensor<5x7xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @condition_keys(%q: tensor<1x4x5x16xf32>, %k: tensor<1x2x7x16xf32>, %v: tensor<1x2x7x8xf32>, %c: tensor<5x6xi1>) {
  %none = nn.none
  // expected-error @+1 {{keys of the condition: }}
  %0 = nn.attention %q, %k, %v, %none, %none, %none, %c {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x4x5x16xf32>, tensor<1x2x7x16xf32>, tensor<1x2x7x8xf32>, none, none, none, tensor<5x6xi1>) -> tensor<*xf32>
  return
}

// -----

func.func @score_type(%q: tensor<1x4x5x16xf32>, %k: tensor<1x2x7x16xf32>, %v: tensor<1x2x7x8xf32>) {
  %none = nn.none
  // expected-error @+1 {{score_type must be f16 or bf16, found 'i32'}}
  %0 = nn.attention %q, %k, %v, %none, %none, %none, %none {score_type = i32, query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x4x5x16xf32>, tensor<1x2x7x16xf32>, tensor<1x2x7x8xf32>, none, none, none, none) -> tensor<*xf32>
  return
}
