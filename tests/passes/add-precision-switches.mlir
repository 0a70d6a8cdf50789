// RUN: quern-opt %s --split-input-file --nn-add-precision-switches | FileCheck %s

// A product that would be lowered is there twice; the second one, of rounded factors, counts where
// the new input is true. All that read the first read the choice.
// CHECK-LABEL: func @product
// CHECK-SAME: (%[[X:.*]]: tensor<2x4xf32>, %[[SWITCH:.*]]: tensor<i1>)
// CHECK-DAG: %[[N:.*]] = nn.cast %[[X]] {to = bf16}
// CHECK-DAG: %[[R:.*]] = nn.cast %[[N]] {to = f32}
// CHECK: %[[P:.*]] = nn.matmul %[[X]], %{{.*}} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
// CHECK: %[[Q:.*]] = nn.matmul %[[R]], %{{.*}} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
// CHECK: %[[W:.*]] = nn.where %[[SWITCH]], %[[Q]], %[[P]]
// CHECK: nn.relu %[[W]]
func.func @product(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %w = nn.constant dense<1.0> : tensor<4x4xf32>
  %0 = nn.matmul %x, %w : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
  %1 = nn.relu %0 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  return %1 : tensor<2x4xf32>
}

// -----

// Ops of one node have one input; other nodes have others. Bodies see them.
// CHECK-LABEL: func @names
// CHECK-SAME: (%{{.*}}: tensor<4x4xf32>, %{{.*}}: tensor<i1>, %[[A:[a-z0-9]*]]: tensor<i1>, %[[B:[a-z0-9]*]]: tensor<i1>)
// CHECK: nn.where %[[A]]
// CHECK: nn.where %[[A]]
// CHECK: nn.if
// CHECK: nn.where %[[B]]
func.func @names(%x: tensor<4x4xf32>, %c: tensor<i1>) -> tensor<4x4xf32> {
  %w = nn.constant dense<1.0> : tensor<4x4xf32>
  %0 = nn.matmul %x, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32> loc("one")
  %1 = nn.matmul %0, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32> loc("one")
  %2 = nn.if %c {
    %3 = nn.matmul %1, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32> loc("two")
    nn.yield %3 : tensor<4x4xf32>
  } else {
    nn.yield %1 : tensor<4x4xf32>
  } : (tensor<i1>) -> tensor<4x4xf32>
  return %2 : tensor<4x4xf32>
}

// -----

// What would stay float32 has no switch.
// CHECK-LABEL: func @refused
// CHECK-SAME: (%{{.*}}: tensor<4x4xf32>, %{{.*}}: tensor<4x4xf64>) ->
// CHECK-NOT: nn.where
func.func @refused(%x: tensor<4x4xf32>, %y: tensor<4x4xf64>) -> (tensor<4x4xf32>, tensor<4x4xf64>) {
  %none = nn.none
  %0 = nn.gemm %x, %x, %none {alpha = 1.0, beta = 1.0, trans_a = true, trans_b = false} : (tensor<4x4xf32>, tensor<4x4xf32>, none) -> tensor<4x4xf32>
  %1 = nn.matmul %y, %y : (tensor<4x4xf64>, tensor<4x4xf64>) -> tensor<4x4xf64>
  return %0, %1 : tensor<4x4xf32>, tensor<4x4xf64>
}

// -----

// Attention has three factors; results that nobody reads have no choice.
// CHECK-LABEL: func @attention
// CHECK-COUNT-3: {to = bf16}
// CHECK: nn.where
// CHECK-NOT: nn.where
// CHECK: func @recurrent
// CHECK: nn.where
// CHECK-NOT: nn.where
func.func @attention(%q: tensor<1x2x5x16xf32>, %m: tensor<5x5xf32>) -> tensor<1x2x5x16xf32> {
  %none = nn.none
  %0 = nn.attention %q, %q, %q, %m, %none, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x2x5x16xf32>, tensor<1x2x5x16xf32>, tensor<1x2x5x16xf32>, tensor<5x5xf32>, none, none, none) -> tensor<1x2x5x16xf32>
  return %0 : tensor<1x2x5x16xf32>
}
func.func @recurrent(%x: tensor<3x2x4xf32>) -> tensor<3x1x2x4xf32> {
  %none = nn.none
  %r = nn.constant dense<1.0> : tensor<1x4x4xf32>
  %0:2 = nn.recurrent rnn forward [Tanh] %x, %r, %none, %none, %none, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = false} : (tensor<3x2x4xf32>, tensor<1x4x4xf32>, none, none, none, none, none) -> (tensor<3x1x2x4xf32>, tensor<1x2x4xf32>)
  return %0#0 : tensor<3x1x2x4xf32>
}

// -----

// Weights of 16 bits are rounded, too; the twin has them in float32, which has all of bfloat16.
// CHECK-LABEL: func @half_weights
// CHECK-DAG: %[[W:.*]] = nn.cast %{{.*}} {to = bf16} : (tensor<4x4xf16>) -> tensor<4x4xbf16>
// CHECK-DAG: %[[R:.*]] = nn.cast %[[W]] {to = f32} : (tensor<4x4xbf16>) -> tensor<4x4xf32>
// CHECK-DAG: nn.matmul %arg0, %{{.*}} : (tensor<2x4xf32>, tensor<4x4xf16>) -> tensor<2x4xf32>
// CHECK-DAG: nn.matmul %{{.*}}, %[[R]] : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
func.func @half_weights(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %w = nn.constant dense<1.0> : tensor<4x4xf16>
  %0 = nn.matmul %x, %w : (tensor<2x4xf32>, tensor<4x4xf16>) -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}
