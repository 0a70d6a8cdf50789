// RUN: quern-opt %s --split-input-file --nn-raise-attention | FileCheck %s

// Scale and mask go in, the transpose of the keys is read by strides.
// CHECK-LABEL: func @masked
// CHECK: nn.attention %arg0, %arg1, %arg2, %arg3, %{{.*}}, %{{.*}} {
// CHECK-SAME: causal = false, key_perm = array<i64: 0, 1, 2, 3>
// CHECK-SAME: scale_factor = 1.250000e-01 : f64, softcap = 0.000000e+00
// CHECK-SAME: zero_masked_rows = false
// CHECK-NOT: nn.softmax
func.func @masked(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %m: tensor<?x1x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) {
  %c = nn.constant dense<8.0> : tensor<f32>
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %t = nn.div %s, %c : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<f32>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %u = nn.add %m, %t : (tensor<?x1x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %u {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %p, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
}

// -----

// Operands and result stay as they are: [batch, length, heads, size].
// CHECK-LABEL: func @heads_beside_each_other
// CHECK-NOT: nn.transpose
// CHECK: nn.attention %arg0, %arg1, %arg2
// CHECK-SAME: key_perm = array<i64: 0, 2, 1, 3>, query_perm = array<i64: 0, 2, 1, 3>, result_perm = array<i64: 0, 2, 1, 3>
// CHECK-SAME: value_perm = array<i64: 0, 2, 1, 3>
// CHECK-SAME: -> tensor<?x?x4x16xf32, #nn.dims<"B", "Q", "", "">>
func.func @heads_beside_each_other(%q: tensor<?x?x4x16xf32, #nn.dims<"B", "Q", "", "">>, %k: tensor<?x?x4x16xf32, #nn.dims<"B", "K", "", "">>, %v: tensor<?x?x4x16xf32, #nn.dims<"B", "K", "", "">>) -> (tensor<?x?x4x16xf32, #nn.dims<"B", "Q", "", "">>) {
  %qh = nn.transpose %q {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x4x16xf32, #nn.dims<"B", "Q", "", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  %kh = nn.transpose %k {perm = array<i64: 0, 2, 3, 1>} : (tensor<?x?x4x16xf32, #nn.dims<"B", "K", "", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %vh = nn.transpose %v {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x4x16xf32, #nn.dims<"B", "K", "", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>
  %s = nn.matmul %qh, %kh : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %s {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %p, %vh : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  %z = nn.transpose %y {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) -> tensor<?x?x4x16xf32, #nn.dims<"B", "Q", "", "">>
  return %z : tensor<?x?x4x16xf32, #nn.dims<"B", "Q", "", "">>
}

// -----

// Queries and keys are scaled each, by a number that only the run knows.
// CHECK-LABEL: func @scales_of_both
// CHECK: %[[S:.*]] = nn.mul %arg3, %arg3
// CHECK: nn.attention %arg0, %arg1, %arg2, %{{.*}}, %[[S]], %
func.func @scales_of_both(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %c: tensor<1xf32>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) {
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %qs = nn.mul %q, %c : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<1xf32>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  %ks = nn.mul %kt, %c : (tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>, tensor<1xf32>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %qs, %ks : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %s {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %p, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
}

// -----


// CHECK-LABEL: func @soft_cap
// CHECK: nn.attention
// CHECK-SAME: scale_factor = 5.000000e-01 : f64, softcap = 3.000000e+01
func.func @soft_cap(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) {
  %c = nn.constant dense<30.0> : tensor<f32>
  %h = nn.constant dense<0.5> : tensor<f32>
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %t = nn.mul %s, %h : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<f32>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %d = nn.div %t, %c : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<f32>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %e = nn.tanh %d : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %f = nn.mul %e, %c : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<f32>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %f {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %p, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
}

// -----

// Scores that become very small numbers where a condition says so.
// CHECK-LABEL: func @hidden_scores
// CHECK: %[[NONE:.*]] = nn.none
// CHECK-NEXT: nn.attention %arg0, %arg1, %arg2, %[[NONE]], %[[NONE]], %[[NONE]], %arg3
// CHECK-SAME: hidden_score = -3.3999999521443642E+38 : f64
func.func @hidden_scores(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %c: tensor<?x1x?x?xi1, #nn.dims<"B", "", "Q", "K">>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) {
  %f = nn.constant dense<-3.4e38> : tensor<f32>
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %t = nn.where %c, %s, %f : (tensor<?x1x?x?xi1, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<f32>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %t {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %p, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
}

// -----

// What our importer writes for rows without a key.
// CHECK-LABEL: func @rows_that_the_mask_hides
// CHECK: nn.attention
// CHECK-SAME: zero_masked_rows = true
// CHECK-NOT: nn.where
func.func @rows_that_the_mask_hides(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %m: tensor<?x1x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) {
  %axes = nn.constant dense<-1> : tensor<1xi64>
  %z = nn.constant dense<0.0> : tensor<f32>
  %inf = nn.constant dense<0xFF800000> : tensor<f32>
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %t = nn.add %s, %m : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x1x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %t {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %r = nn.reduce max %m, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<?x1x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<1xi64>) -> tensor<?x1x?x1xf32, #nn.dims<"B", "", "Q", "">>
  %h = nn.equal %r, %inf : (tensor<?x1x?x1xf32, #nn.dims<"B", "", "Q", "">>, tensor<f32>) -> tensor<?x1x?x1xi1, #nn.dims<"B", "", "Q", "">>
  %w = nn.where %h, %z, %p : (tensor<?x1x?x1xi1, #nn.dims<"B", "", "Q", "">>, tensor<f32>, tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %w, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
}

// -----

// Rows that something else hides are replaced afterwards.
// CHECK-LABEL: func @other_rows
// CHECK: %[[Y:.*]] = nn.attention
// CHECK-SAME: zero_masked_rows = false
// CHECK: nn.where %arg3, %{{.*}}, %[[Y]]
func.func @other_rows(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %h: tensor<?x1x?x1xi1, #nn.dims<"B", "", "Q", "">>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) {
  %z = nn.constant dense<0.0> : tensor<f32>
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %s {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %w = nn.where %h, %z, %p : (tensor<?x1x?x1xi1, #nn.dims<"B", "", "Q", "">>, tensor<f32>, tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %w, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
}

// -----

// Heads that share keys are rows of one product; the op knows them apart.
// CHECK-LABEL: func @grouped
// CHECK: nn.attention %arg0, %arg1, %arg2
// CHECK-NOT: nn.reshape
func.func @grouped(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x2x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x2x?x16xf32, #nn.dims<"B", "", "K", "">>, %n0: tensor<4xi64>, %n1: tensor<4xi64>, %n2: tensor<4xi64>, %n3: tensor<4xi64>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) {
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x2x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x2x16x?xf32, #nn.dims<"B", "", "", "K">>
  %qg = nn.reshape %q, %n0 {allowzero = true} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<4xi64>) -> tensor<?x2x?x16xf32, #nn.dims<"B", "", "G", "">>
  %sg = nn.matmul %qg, %kt : (tensor<?x2x?x16xf32, #nn.dims<"B", "", "G", "">>, tensor<?x2x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x2x?x?xf32, #nn.dims<"B", "", "G", "K">>
  %s = nn.reshape %sg, %n1 {allowzero = true} : (tensor<?x2x?x?xf32, #nn.dims<"B", "", "G", "K">>, tensor<4xi64>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %s {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %pg = nn.reshape %p, %n2 {allowzero = true} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<4xi64>) -> tensor<?x2x?x?xf32, #nn.dims<"B", "", "G", "K">>
  %yg = nn.matmul %pg, %v : (tensor<?x2x?x?xf32, #nn.dims<"B", "", "G", "K">>, tensor<?x2x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x2x?x16xf32, #nn.dims<"B", "", "G", "">>
  %y = nn.reshape %yg, %n3 {allowzero = true} : (tensor<?x2x?x16xf32, #nn.dims<"B", "", "G", "">>, tensor<4xi64>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
}

// -----

// A mask that compares places: no mask is left.
// CHECK-LABEL: func @causal
// CHECK-NOT: nn.where
// CHECK: nn.attention %arg0, %arg1, %arg2, %[[NONE:[0-9]+]], %[[NONE]], %arg5, %[[NONE]] {causal = true
func.func @causal(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %nq: tensor<i64>, %nk: tensor<i64>, %off: tensor<1xi64>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) {
  %i0 = nn.constant dense<0> : tensor<i64>
  %i1 = nn.constant dense<1> : tensor<i64>
  %a1 = nn.constant dense<1> : tensor<1xi64>
  %z = nn.constant dense<0.0> : tensor<f32>
  %inf = nn.constant dense<0xFF800000> : tensor<f32>
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %kn = nn.range %i0, %nk, %i1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64, #nn.dims<"K">>
  %qn = nn.range %i0, %nq, %i1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64, #nn.dims<"Q">>
  %qc = nn.unsqueeze %qn, %a1 : (tensor<?xi64, #nn.dims<"Q">>, tensor<1xi64>) -> tensor<?x1xi64, #nn.dims<"Q", "">>
  %qo = nn.add %qc, %off : (tensor<?x1xi64, #nn.dims<"Q", "">>, tensor<1xi64>) -> tensor<?x1xi64, #nn.dims<"Q", "">>
  %al = nn.less_or_equal %kn, %qo : (tensor<?xi64, #nn.dims<"K">>, tensor<?x1xi64, #nn.dims<"Q", "">>) -> tensor<?x?xi1, #nn.dims<"Q", "K">>
  %m = nn.where %al, %z, %inf : (tensor<?x?xi1, #nn.dims<"Q", "K">>, tensor<f32>, tensor<f32>) -> tensor<?x?xf32, #nn.dims<"Q", "K">>
  %t = nn.add %s, %m : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x?xf32, #nn.dims<"Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %t {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %p, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
}

// -----

// The same when it is known; queries stand at the end.
// CHECK-LABEL: func @causal_constant
// CHECK: %[[ONE:.*]] = nn.constant dense<1> : tensor<i64>
// CHECK: nn.attention %arg0, %arg1, %arg2, %{{.*}}, %{{.*}}, %[[ONE]], %{{.*}} {causal = true
func.func @causal_constant(%q: tensor<1x2x3x16xf32>, %k: tensor<1x2x4x16xf32>, %v: tensor<1x2x4x16xf32>) -> (tensor<1x2x3x16xf32>) {
  %m = nn.constant dense<[[0.0, 0.0, 0xFF800000, 0xFF800000], [0.0, 0.0, 0.0, 0xFF800000], [0.0, 0.0, 0.0, 0.0]]> : tensor<3x4xf32>
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x2x4x16xf32>) -> tensor<1x2x16x4xf32>
  %s = nn.matmul %q, %kt : (tensor<1x2x3x16xf32>, tensor<1x2x16x4xf32>) -> tensor<1x2x3x4xf32>
  %t = nn.add %s, %m : (tensor<1x2x3x4xf32>, tensor<3x4xf32>) -> tensor<1x2x3x4xf32>
  %p = nn.softmax %t {axis = 3 : i64, trailing = false} : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
  %y = nn.matmul %p, %v : (tensor<1x2x3x4xf32>, tensor<1x2x4x16xf32>) -> tensor<1x2x3x16xf32>
  return %y : tensor<1x2x3x16xf32>
}

// -----

// One key too many.
// CHECK-LABEL: func @almost_causal
// CHECK: nn.attention %arg0, %arg1, %arg2, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {causal = false
func.func @almost_causal(%q: tensor<1x2x3x16xf32>, %k: tensor<1x2x4x16xf32>, %v: tensor<1x2x4x16xf32>) -> (tensor<1x2x3x16xf32>) {
  %m = nn.constant dense<[[0.0, 0.0, 0xFF800000, 0xFF800000], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]> : tensor<3x4xf32>
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x2x4x16xf32>) -> tensor<1x2x16x4xf32>
  %s = nn.matmul %q, %kt : (tensor<1x2x3x16xf32>, tensor<1x2x16x4xf32>) -> tensor<1x2x3x4xf32>
  %t = nn.add %s, %m : (tensor<1x2x3x4xf32>, tensor<3x4xf32>) -> tensor<1x2x3x4xf32>
  %p = nn.softmax %t {axis = 3 : i64, trailing = false} : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
  %y = nn.matmul %p, %v : (tensor<1x2x3x4xf32>, tensor<1x2x4x16xf32>) -> tensor<1x2x3x16xf32>
  return %y : tensor<1x2x3x16xf32>
}

// -----

// The rows that the mask counts need not be the queries.
// CHECK-LABEL: func @numbers_of_others
// CHECK: nn.attention
// CHECK-SAME: causal = false
func.func @numbers_of_others(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %nq: tensor<i64>, %nk: tensor<i64>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) {
  %i0 = nn.constant dense<0> : tensor<i64>
  %i1 = nn.constant dense<1> : tensor<i64>
  %a1 = nn.constant dense<1> : tensor<1xi64>
  %z = nn.constant dense<0.0> : tensor<f32>
  %inf = nn.constant dense<0xFF800000> : tensor<f32>
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %kn = nn.range %i0, %nk, %i1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64, #nn.dims<"K">>
  %qn = nn.range %i0, %nq, %i1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64, #nn.dims<"X">>
  %qc = nn.unsqueeze %qn, %a1 : (tensor<?xi64, #nn.dims<"X">>, tensor<1xi64>) -> tensor<?x1xi64, #nn.dims<"X", "">>
  %al = nn.less_or_equal %kn, %qc : (tensor<?xi64, #nn.dims<"K">>, tensor<?x1xi64, #nn.dims<"X", "">>) -> tensor<?x?xi1, #nn.dims<"X", "K">>
  %m = nn.where %al, %z, %inf : (tensor<?x?xi1, #nn.dims<"X", "K">>, tensor<f32>, tensor<f32>) -> tensor<?x?xf32, #nn.dims<"X", "K">>
  %t = nn.add %s, %m : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x?xf32, #nn.dims<"X", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %t {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %p, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
}

// -----

// A choice that constants have decided.
// CHECK-LABEL: func @rows_of_none
// CHECK: nn.attention
// CHECK-NOT: nn.where
func.func @rows_of_none(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) {
  %no = nn.constant dense<false> : tensor<i1>
  %z = nn.constant dense<0.0> : tensor<f32>
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %s {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %w = nn.where %no, %z, %p : (tensor<i1>, tensor<f32>, tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %w, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
}

// -----

// Scores that anything else reads have to exist.
// CHECK-LABEL: func @scores_used_twice
// CHECK-NOT: nn.attention
func.func @scores_used_twice(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) {
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %s {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %p, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y, %s : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
}

// -----

// So have weights.
// CHECK-LABEL: func @weights_used_twice
// CHECK-NOT: nn.attention
func.func @weights_used_twice(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) {
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %s {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %p, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y, %p : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
}

// -----

// The logarithm of a softmax.
// CHECK-LABEL: func @logarithms
// CHECK-NOT: nn.attention
func.func @logarithms(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) {
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %s {axis = 3 : i64, trailing = false, logarithm = true} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %p, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
}

// -----

// A softmax over queries.
// CHECK-LABEL: func @other_axis
// CHECK-NOT: nn.attention
func.func @other_axis(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) {
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %s {axis = 2 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %p, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
}

// -----

// -10000 is a score as any other where all are hidden; it replaces what was there.
// CHECK-LABEL: func @fill_that_does_not_hide
// CHECK: nn.attention %{{.*}}, %arg3
// CHECK-SAME: hidden_score = -1.000000e+04 : f64
func.func @fill_that_does_not_hide(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %c: tensor<?x1x?x?xi1, #nn.dims<"B", "", "Q", "K">>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) {
  %f = nn.constant dense<-10000.0> : tensor<f32>
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %t = nn.where %c, %s, %f : (tensor<?x1x?x?xi1, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<f32>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %t {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %p, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
}

// -----

// A finite number replaces -infinity, but added to it does not: the mask is 0 there.
// CHECK-LABEL: func @fill_after_mask
// CHECK: %[[Z:.*]] = nn.constant dense<0.000000e+00> : tensor<f32>
// CHECK: %[[M:.*]] = nn.where %arg3, %arg4, %[[Z]]
// CHECK: nn.attention %arg0, %arg1, %arg2, %[[M]], %{{.*}}, %{{.*}}, %arg3
func.func @fill_after_mask(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %c: tensor<?x1x?x?xi1, #nn.dims<"B", "", "Q", "K">>, %m: tensor<?x1x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) {
  %f = nn.constant dense<-3.4e38> : tensor<f32>
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %t = nn.add %s, %m : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x1x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %u = nn.where %c, %t, %f : (tensor<?x1x?x?xi1, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<f32>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %u {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %p, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
}

// -----

// Queries without batch: the number that scales them has one; it stays.
// CHECK-LABEL: func @scale_that_gives_the_rank
// CHECK: %[[Q:.*]] = nn.mul %arg0, %arg3
// CHECK: nn.attention %[[Q]], %arg1, %arg2
func.func @scale_that_gives_the_rank(%q: tensor<4x5x16xf32>, %k: tensor<1x4x5x16xf32>, %v: tensor<1x4x5x16xf32>, %c: tensor<1x1x1x1xf32>) -> (tensor<1x4x5x16xf32>) {
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x4x5x16xf32>) -> tensor<1x4x16x5xf32>
  %qs = nn.mul %q, %c : (tensor<4x5x16xf32>, tensor<1x1x1x1xf32>) -> tensor<1x4x5x16xf32>
  %s = nn.matmul %qs, %kt : (tensor<1x4x5x16xf32>, tensor<1x4x16x5xf32>) -> tensor<1x4x5x5xf32>
  %p = nn.softmax %s {axis = 3 : i64, trailing = false} : (tensor<1x4x5x5xf32>) -> tensor<1x4x5x5xf32>
  %y = nn.matmul %p, %v : (tensor<1x4x5x5xf32>, tensor<1x4x5x16xf32>) -> tensor<1x4x5x16xf32>
  return %y : tensor<1x4x5x16xf32>
}

// -----

// The mask would be scaled, too.
// CHECK-LABEL: func @scale_after_mask
// CHECK-NOT: nn.attention
func.func @scale_after_mask(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %m: tensor<?x1x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) {
  %c = nn.constant dense<0.5> : tensor<f32>
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %t = nn.add %s, %m : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x1x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %u = nn.mul %t, %c : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<f32>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %u {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %p, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
}

// -----

// Not the number that scores were divided by.
// CHECK-LABEL: func @other_cap
// CHECK-NOT: nn.attention
func.func @other_cap(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) {
  %c = nn.constant dense<30.0> : tensor<f32>
  %d = nn.constant dense<29.0> : tensor<f32>
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %t = nn.div %s, %c : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<f32>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %e = nn.tanh %t : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %f = nn.mul %e, %d : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<f32>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %f {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %p, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
}

// -----

// A dropout that is left, say.
// CHECK-LABEL: func @weights_changed
// CHECK-NOT: nn.attention
func.func @weights_changed(%q: tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>) {
  %c = nn.constant dense<0.5> : tensor<f32>
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf32, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %s {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %w = nn.mul %p, %c : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<f32>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %w, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf32, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf32, #nn.dims<"B", "", "Q", "">>
}

// -----

// Other types keep their primitives.
// CHECK-LABEL: func @doubles
// CHECK-NOT: nn.attention
func.func @doubles(%q: tensor<?x4x?x16xf64, #nn.dims<"B", "", "Q", "">>, %k: tensor<?x4x?x16xf64, #nn.dims<"B", "", "K", "">>, %v: tensor<?x4x?x16xf64, #nn.dims<"B", "", "K", "">>) -> (tensor<?x4x?x16xf64, #nn.dims<"B", "", "Q", "">>) {
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x16xf64, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x16x?xf64, #nn.dims<"B", "", "", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x16xf64, #nn.dims<"B", "", "Q", "">>, tensor<?x4x16x?xf64, #nn.dims<"B", "", "", "K">>) -> tensor<?x4x?x?xf64, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %s {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf64, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf64, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %p, %v : (tensor<?x4x?x?xf64, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x16xf64, #nn.dims<"B", "", "K", "">>) -> tensor<?x4x?x16xf64, #nn.dims<"B", "", "Q", "">>
  return %y : tensor<?x4x?x16xf64, #nn.dims<"B", "", "Q", "">>
}

// -----

// Of heads whose size is unknown a block may be of any size.
// CHECK-LABEL: func @open_size_of_heads
// CHECK-NOT: nn.attention
func.func @open_size_of_heads(%q: tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "D">>, %k: tensor<?x4x?x?xf32, #nn.dims<"B", "", "K", "D">>, %v: tensor<?x4x?x?xf32, #nn.dims<"B", "", "K", "D">>) -> (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "D">>) {
  %kt = nn.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "K", "D">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "D", "K">>
  %s = nn.matmul %q, %kt : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "D">>, tensor<?x4x?x?xf32, #nn.dims<"B", "", "D", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %p = nn.softmax %s {axis = 3 : i64, trailing = false} : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>
  %y = nn.matmul %p, %v : (tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "K">>, tensor<?x4x?x?xf32, #nn.dims<"B", "", "K", "D">>) -> tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "D">>
  return %y : tensor<?x4x?x?xf32, #nn.dims<"B", "", "Q", "D">>
}
