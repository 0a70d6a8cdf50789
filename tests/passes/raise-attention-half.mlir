// RUN: quern-opt %s --split-input-file --nn-widen-float16 --nn-raise-attention | FileCheck %s

// Scores are rounded as in the model, operands are read where they lie; the result is rounded.
// CHECK-LABEL: func @scaled_and_masked
// CHECK-DAG: %[[Q:.*]] = nn.cast %arg0 {to = f32}
// CHECK-DAG: %[[K:.*]] = nn.cast %arg1 {to = f32}
// CHECK-DAG: %[[V:.*]] = nn.cast %arg2 {to = f32}
// CHECK-DAG: %[[M:.*]] = nn.cast %arg3 {to = f32}
// CHECK: %[[Y:.*]] = nn.attention %[[Q]], %[[K]], %[[V]], %[[M]]
// CHECK-SAME: key_perm = array<i64: 0, 2, 1, 3>, query_perm = array<i64: 0, 2, 1, 3>, result_perm = array<i64: 0, 2, 1, 3>, round_sums = true
// CHECK-SAME: scale_factor = 1.250000e-01 : f64, score_type = f16
// CHECK: %[[H:.*]] = nn.cast %[[Y]] {to = f16}
// CHECK-NEXT: return %[[H]]
func.func @scaled_and_masked(%q: tensor<1x3x2x8xf16>, %k: tensor<1x4x2x8xf16>, %v: tensor<1x4x2x8xf16>, %m: tensor<3x4xf16>) -> tensor<1x3x2x8xf16> {
  %c = nn.constant dense<8.0> : tensor<f16>
  %qh = nn.transpose %q {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x3x2x8xf16>) -> tensor<1x2x3x8xf16>
  %kh = nn.transpose %k {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x4x2x8xf16>) -> tensor<1x2x8x4xf16>
  %vh = nn.transpose %v {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x4x2x8xf16>) -> tensor<1x2x4x8xf16>
  %s = nn.matmul %qh, %kh : (tensor<1x2x3x8xf16>, tensor<1x2x8x4xf16>) -> tensor<1x2x3x4xf16>
  %t = nn.div %s, %c : (tensor<1x2x3x4xf16>, tensor<f16>) -> tensor<1x2x3x4xf16>
  %u = nn.add %t, %m : (tensor<1x2x3x4xf16>, tensor<3x4xf16>) -> tensor<1x2x3x4xf16>
  %p = nn.softmax %u {axis = 3 : i64, trailing = false} : (tensor<1x2x3x4xf16>) -> tensor<1x2x3x4xf16>
  %y = nn.matmul %p, %vh : (tensor<1x2x3x4xf16>, tensor<1x2x4x8xf16>) -> tensor<1x2x3x8xf16>
  %z = nn.transpose %y {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x2x3x8xf16>) -> tensor<1x3x2x8xf16>
  return %z : tensor<1x3x2x8xf16>
}

// -----

// The sum with a mask is taken in float32, as some exporters write the softmax.
// CHECK-LABEL: func @wide_mask
// CHECK: nn.attention %{{.*}}, %{{.*}}, %{{.*}}, %arg3
// CHECK-SAME: score_type = f16
func.func @wide_mask(%q: tensor<1x3x2x8xf16>, %k: tensor<1x4x2x8xf16>, %v: tensor<1x4x2x8xf16>, %m: tensor<3x4xf32>) -> tensor<1x2x3x8xf16> {
  %qh = nn.transpose %q {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x3x2x8xf16>) -> tensor<1x2x3x8xf16>
  %kh = nn.transpose %k {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x4x2x8xf16>) -> tensor<1x2x8x4xf16>
  %vh = nn.transpose %v {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x4x2x8xf16>) -> tensor<1x2x4x8xf16>
  %s = nn.matmul %qh, %kh : (tensor<1x2x3x8xf16>, tensor<1x2x8x4xf16>) -> tensor<1x2x3x4xf16>
  %t = nn.cast %s {to = f32} : (tensor<1x2x3x4xf16>) -> tensor<1x2x3x4xf32>
  %u = nn.add %t, %m : (tensor<1x2x3x4xf32>, tensor<3x4xf32>) -> tensor<1x2x3x4xf32>
  %w = nn.softmax %u {axis = 3 : i64, trailing = false} : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
  %p = nn.cast %w {to = f16} : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf16>
  %y = nn.matmul %p, %vh : (tensor<1x2x3x4xf16>, tensor<1x2x4x8xf16>) -> tensor<1x2x3x8xf16>
  return %y : tensor<1x2x3x8xf16>
}

// -----

// A condition replaces scores.
// CHECK-LABEL: func @hidden
// CHECK: nn.attention %{{.*}}, %arg3 {
// CHECK-SAME: hidden_score = -6.550400e+04 : f64
// CHECK-SAME: score_type = f16
func.func @hidden(%q: tensor<1x3x2x8xf16>, %k: tensor<1x4x2x8xf16>, %v: tensor<1x4x2x8xf16>, %c: tensor<3x4xi1>) -> tensor<1x3x2x8xf16> {
  %f = nn.constant dense<-65504.0> : tensor<f16>
  %qh = nn.transpose %q {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x3x2x8xf16>) -> tensor<1x2x3x8xf16>
  %kh = nn.transpose %k {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x4x2x8xf16>) -> tensor<1x2x8x4xf16>
  %vh = nn.transpose %v {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x4x2x8xf16>) -> tensor<1x2x4x8xf16>
  %s = nn.matmul %qh, %kh : (tensor<1x2x3x8xf16>, tensor<1x2x8x4xf16>) -> tensor<1x2x3x4xf16>
  %t = nn.where %c, %s, %f : (tensor<3x4xi1>, tensor<1x2x3x4xf16>, tensor<f16>) -> tensor<1x2x3x4xf16>
  %p = nn.softmax %t {axis = 3 : i64, trailing = false} : (tensor<1x2x3x4xf16>) -> tensor<1x2x3x4xf16>
  %y = nn.matmul %p, %vh : (tensor<1x2x3x4xf16>, tensor<1x2x4x8xf16>) -> tensor<1x2x3x8xf16>
  %z = nn.transpose %y {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x2x3x8xf16>) -> tensor<1x3x2x8xf16>
  return %z : tensor<1x3x2x8xf16>
}

// -----

// Two masks: their sum is no sum that the model rounds.
// CHECK-LABEL: func @two_masks
// CHECK-NOT: nn.attention
func.func @two_masks(%q: tensor<1x3x2x8xf16>, %k: tensor<1x4x2x8xf16>, %v: tensor<1x4x2x8xf16>, %m: tensor<3x4xf16>, %n: tensor<4xf16>) -> tensor<1x3x2x8xf16> {
  %qh = nn.transpose %q {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x3x2x8xf16>) -> tensor<1x2x3x8xf16>
  %kh = nn.transpose %k {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x4x2x8xf16>) -> tensor<1x2x8x4xf16>
  %vh = nn.transpose %v {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x4x2x8xf16>) -> tensor<1x2x4x8xf16>
  %s = nn.matmul %qh, %kh : (tensor<1x2x3x8xf16>, tensor<1x2x8x4xf16>) -> tensor<1x2x3x4xf16>
  %t = nn.add %s, %m : (tensor<1x2x3x4xf16>, tensor<3x4xf16>) -> tensor<1x2x3x4xf16>
  %u = nn.add %t, %n : (tensor<1x2x3x4xf16>, tensor<4xf16>) -> tensor<1x2x3x4xf16>
  %p = nn.softmax %u {axis = 3 : i64, trailing = false} : (tensor<1x2x3x4xf16>) -> tensor<1x2x3x4xf16>
  %y = nn.matmul %p, %vh : (tensor<1x2x3x4xf16>, tensor<1x2x4x8xf16>) -> tensor<1x2x3x8xf16>
  %z = nn.transpose %y {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x2x3x8xf16>) -> tensor<1x3x2x8xf16>
  return %z : tensor<1x3x2x8xf16>
}

// -----

// Two scales round twice.
// CHECK-LABEL: func @two_scales
// CHECK-NOT: nn.attention
func.func @two_scales(%q: tensor<1x3x2x8xf16>, %k: tensor<1x4x2x8xf16>, %v: tensor<1x4x2x8xf16>, %d: tensor<f16>) -> tensor<1x3x2x8xf16> {
  %c = nn.constant dense<8.0> : tensor<f16>
  %qh = nn.transpose %q {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x3x2x8xf16>) -> tensor<1x2x3x8xf16>
  %kh = nn.transpose %k {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x4x2x8xf16>) -> tensor<1x2x8x4xf16>
  %vh = nn.transpose %v {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x4x2x8xf16>) -> tensor<1x2x4x8xf16>
  %s = nn.matmul %qh, %kh : (tensor<1x2x3x8xf16>, tensor<1x2x8x4xf16>) -> tensor<1x2x3x4xf16>
  %t = nn.div %s, %c : (tensor<1x2x3x4xf16>, tensor<f16>) -> tensor<1x2x3x4xf16>
  %u = nn.mul %t, %d : (tensor<1x2x3x4xf16>, tensor<f16>) -> tensor<1x2x3x4xf16>
  %p = nn.softmax %u {axis = 3 : i64, trailing = false} : (tensor<1x2x3x4xf16>) -> tensor<1x2x3x4xf16>
  %y = nn.matmul %p, %vh : (tensor<1x2x3x4xf16>, tensor<1x2x4x8xf16>) -> tensor<1x2x3x8xf16>
  %z = nn.transpose %y {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x2x3x8xf16>) -> tensor<1x3x2x8xf16>
  return %z : tensor<1x3x2x8xf16>
}

// -----

// The scale of queries rounds before the product: it stays.
// CHECK-LABEL: func @scaled_queries
// CHECK: %[[S:.*]] = nn.mul %
// CHECK: %[[Q:.*]] = nn.cast %[[S]] {to = f32}
// CHECK: nn.attention %[[Q]],
// CHECK-SAME: scale_factor = 1.000000e+00
func.func @scaled_queries(%q: tensor<1x3x2x8xf16>, %k: tensor<1x4x2x8xf16>, %v: tensor<1x4x2x8xf16>) -> tensor<1x3x2x8xf16> {
  %c = nn.constant dense<0.3> : tensor<f16>
  %qh = nn.transpose %q {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x3x2x8xf16>) -> tensor<1x2x3x8xf16>
  %kh = nn.transpose %k {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x4x2x8xf16>) -> tensor<1x2x8x4xf16>
  %vh = nn.transpose %v {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x4x2x8xf16>) -> tensor<1x2x4x8xf16>
  %qs = nn.mul %qh, %c : (tensor<1x2x3x8xf16>, tensor<f16>) -> tensor<1x2x3x8xf16>
  %s = nn.matmul %qs, %kh : (tensor<1x2x3x8xf16>, tensor<1x2x8x4xf16>) -> tensor<1x2x3x4xf16>
  %p = nn.softmax %s {axis = 3 : i64, trailing = false} : (tensor<1x2x3x4xf16>) -> tensor<1x2x3x4xf16>
  %y = nn.matmul %p, %vh : (tensor<1x2x3x4xf16>, tensor<1x2x4x8xf16>) -> tensor<1x2x3x8xf16>
  %z = nn.transpose %y {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x2x3x8xf16>) -> tensor<1x3x2x8xf16>
  return %z : tensor<1x3x2x8xf16>
}

// -----

// bfloat16, with heads that share keys.
// CHECK-LABEL: func @grouped
// CHECK: nn.attention
// CHECK-SAME: score_type = bf16
// CHECK-NOT: nn.reshape
func.func @grouped(%q: tensor<1x4x2x8xbf16>, %k: tensor<1x2x8x5xbf16>, %v: tensor<1x2x5x8xbf16>, %n0: tensor<4xi64>, %n1: tensor<4xi64>, %n2: tensor<4xi64>, %n3: tensor<4xi64>) -> tensor<1x4x2x8xbf16> {
  %qg = nn.reshape %q, %n0 {allowzero = true} : (tensor<1x4x2x8xbf16>, tensor<4xi64>) -> tensor<1x2x4x8xbf16>
  %s = nn.matmul %qg, %k : (tensor<1x2x4x8xbf16>, tensor<1x2x8x5xbf16>) -> tensor<1x2x4x5xbf16>
  %sr = nn.reshape %s, %n1 {allowzero = true} : (tensor<1x2x4x5xbf16>, tensor<4xi64>) -> tensor<1x4x2x5xbf16>
  %p = nn.softmax %sr {axis = 3 : i64, trailing = false} : (tensor<1x4x2x5xbf16>) -> tensor<1x4x2x5xbf16>
  %pg = nn.reshape %p, %n2 {allowzero = true} : (tensor<1x4x2x5xbf16>, tensor<4xi64>) -> tensor<1x2x4x5xbf16>
  %yg = nn.matmul %pg, %v : (tensor<1x2x4x5xbf16>, tensor<1x2x5x8xbf16>) -> tensor<1x2x4x8xbf16>
  %y = nn.reshape %yg, %n3 {allowzero = true} : (tensor<1x2x4x8xbf16>, tensor<4xi64>) -> tensor<1x4x2x8xbf16>
  return %y : tensor<1x4x2x8xbf16>
}
