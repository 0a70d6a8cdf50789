// RUN: quern-opt %s --split-input-file --nn-raise-attention | FileCheck %s

// The number may have more dimensions than the condition.
// CHECK-LABEL: func @fill_of_any_rank
// CHECK-NOT: nn.where
// CHECK: nn.attention %arg0, %arg1, %arg2, %[[NONE:.*]], %[[NONE]], %[[NONE]], %arg3 {
// CHECK-SAME: hidden_score = 0xFFF0000000000000 : f64
func.func @fill_of_any_rank(%q: tensor<1x2x3x8xf32>, %k: tensor<1x2x8x4xf32>, %v: tensor<1x2x4x8xf32>, %c: tensor<4xi1>) -> tensor<1x2x3x8xf32> {
  %f = nn.constant dense<0xFF800000> : tensor<1x1x1x1xf32>
  %s = nn.matmul %q, %k : (tensor<1x2x3x8xf32>, tensor<1x2x8x4xf32>) -> tensor<1x2x3x4xf32>
  %t = nn.where %c, %s, %f : (tensor<4xi1>, tensor<1x2x3x4xf32>, tensor<1x1x1x1xf32>) -> tensor<1x2x3x4xf32>
  %p = nn.softmax %t {axis = 3 : i64, trailing = false} : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
  %y = nn.matmul %p, %v : (tensor<1x2x3x4xf32>, tensor<1x2x4x8xf32>) -> tensor<1x2x3x8xf32>
  return %y : tensor<1x2x3x8xf32>
}

// -----

// The condition says which scores are hidden.
// CHECK-LABEL: func @hidden_where_true
// CHECK: %[[SHOWN:.*]] = nn.not %arg3
// CHECK: nn.attention %{{.*}}, %[[SHOWN]] {
func.func @hidden_where_true(%q: tensor<1x2x3x8xf32>, %k: tensor<1x2x8x4xf32>, %v: tensor<1x2x4x8xf32>, %c: tensor<3x4xi1>) -> tensor<1x2x3x8xf32> {
  %f = nn.constant dense<-1.0e30> : tensor<f32>
  %s = nn.matmul %q, %k : (tensor<1x2x3x8xf32>, tensor<1x2x8x4xf32>) -> tensor<1x2x3x4xf32>
  %t = nn.where %c, %f, %s : (tensor<3x4xi1>, tensor<f32>, tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
  %p = nn.softmax %t {axis = 3 : i64, trailing = false} : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
  %y = nn.matmul %p, %v : (tensor<1x2x3x4xf32>, tensor<1x2x4x8xf32>) -> tensor<1x2x3x8xf32>
  return %y : tensor<1x2x3x8xf32>
}

// -----

// A score is seen where both conditions hold.
// CHECK-LABEL: func @two_conditions
// CHECK: %[[BOTH:.*]] = nn.and %arg4, %arg3
// CHECK: nn.attention %arg0, %arg1, %arg2, %[[NONE:.*]], %[[NONE]], %[[NONE]], %[[BOTH]]
func.func @two_conditions(%q: tensor<1x2x3x8xf32>, %k: tensor<1x2x8x4xf32>, %v: tensor<1x2x4x8xf32>, %c: tensor<3x4xi1>, %d: tensor<4xi1>) -> tensor<1x2x3x8xf32> {
  %f = nn.constant dense<0xFF800000> : tensor<f32>
  %s = nn.matmul %q, %k : (tensor<1x2x3x8xf32>, tensor<1x2x8x4xf32>) -> tensor<1x2x3x4xf32>
  %t = nn.where %d, %s, %f : (tensor<4xi1>, tensor<1x2x3x4xf32>, tensor<f32>) -> tensor<1x2x3x4xf32>
  %u = nn.where %c, %t, %f : (tensor<3x4xi1>, tensor<1x2x3x4xf32>, tensor<f32>) -> tensor<1x2x3x4xf32>
  %p = nn.softmax %u {axis = 3 : i64, trailing = false} : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
  %y = nn.matmul %p, %v : (tensor<1x2x3x4xf32>, tensor<1x2x4x8xf32>) -> tensor<1x2x3x8xf32>
  return %y : tensor<1x2x3x8xf32>
}

// -----

// -infinity becomes what is finite, too: as a mask.
// CHECK-LABEL: func @infinity_after_a_number
// CHECK: %[[M:.*]] = nn.where %arg3, %{{.*}}, %{{.*}} : (tensor<3x4xi1>, tensor<f32>, tensor<f32>) -> tensor<3x4xf32>
// CHECK: nn.attention %arg0, %arg1, %arg2, %[[M]], %{{.*}}, %{{.*}}, %arg4 {
// CHECK-SAME: hidden_score = -1.000000e+04
func.func @infinity_after_a_number(%q: tensor<1x2x3x8xf32>, %k: tensor<1x2x8x4xf32>, %v: tensor<1x2x4x8xf32>, %c: tensor<3x4xi1>, %d: tensor<4xi1>) -> tensor<1x2x3x8xf32> {
  %f = nn.constant dense<0xFF800000> : tensor<f32>
  %g = nn.constant dense<-10000.0> : tensor<f32>
  %s = nn.matmul %q, %k : (tensor<1x2x3x8xf32>, tensor<1x2x8x4xf32>) -> tensor<1x2x3x4xf32>
  %t = nn.where %d, %s, %g : (tensor<4xi1>, tensor<1x2x3x4xf32>, tensor<f32>) -> tensor<1x2x3x4xf32>
  %u = nn.where %c, %t, %f : (tensor<3x4xi1>, tensor<1x2x3x4xf32>, tensor<f32>) -> tensor<1x2x3x4xf32>
  %p = nn.softmax %u {axis = 3 : i64, trailing = false} : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
  %y = nn.matmul %p, %v : (tensor<1x2x3x4xf32>, tensor<1x2x4x8xf32>) -> tensor<1x2x3x8xf32>
  return %y : tensor<1x2x3x8xf32>
}

// -----

// A number after -infinity is no sum with it.
// CHECK-LABEL: func @number_after_infinity
// CHECK-NOT: nn.attention
func.func @number_after_infinity(%q: tensor<1x2x3x8xf32>, %k: tensor<1x2x8x4xf32>, %v: tensor<1x2x4x8xf32>, %c: tensor<3x4xi1>, %d: tensor<4xi1>) -> tensor<1x2x3x8xf32> {
  %f = nn.constant dense<0xFF800000> : tensor<f32>
  %g = nn.constant dense<-10000.0> : tensor<f32>
  %s = nn.matmul %q, %k : (tensor<1x2x3x8xf32>, tensor<1x2x8x4xf32>) -> tensor<1x2x3x4xf32>
  %t = nn.where %d, %s, %f : (tensor<4xi1>, tensor<1x2x3x4xf32>, tensor<f32>) -> tensor<1x2x3x4xf32>
  %u = nn.where %c, %t, %g : (tensor<3x4xi1>, tensor<1x2x3x4xf32>, tensor<f32>) -> tensor<1x2x3x4xf32>
  %p = nn.softmax %u {axis = 3 : i64, trailing = false} : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
  %y = nn.matmul %p, %v : (tensor<1x2x3x4xf32>, tensor<1x2x4x8xf32>) -> tensor<1x2x3x8xf32>
  return %y : tensor<1x2x3x8xf32>
}

// -----

// A mask that is added afterwards changes what is hidden.
// CHECK-LABEL: func @mask_after_condition
// CHECK-NOT: nn.where
// CHECK: nn.attention %arg0, %arg1, %arg2, %arg4, %{{.*}}, %{{.*}}, %arg3 {
func.func @mask_after_condition(%q: tensor<1x2x3x8xf32>, %k: tensor<1x2x8x4xf32>, %v: tensor<1x2x4x8xf32>, %c: tensor<3x4xi1>, %m: tensor<3x4xf32>) -> tensor<1x2x3x8xf32> {
  %f = nn.constant dense<-1.0> : tensor<f32>
  %s = nn.matmul %q, %k : (tensor<1x2x3x8xf32>, tensor<1x2x8x4xf32>) -> tensor<1x2x3x4xf32>
  %t = nn.where %c, %s, %f : (tensor<3x4xi1>, tensor<1x2x3x4xf32>, tensor<f32>) -> tensor<1x2x3x4xf32>
  %u = nn.add %m, %t : (tensor<3x4xf32>, tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
  %p = nn.softmax %u {axis = 3 : i64, trailing = false} : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
  %y = nn.matmul %p, %v : (tensor<1x2x3x4xf32>, tensor<1x2x4x8xf32>) -> tensor<1x2x3x8xf32>
  return %y : tensor<1x2x3x8xf32>
}

// -----

// NaN and infinity do not hide: they stay in the row.
// CHECK-LABEL: func @fill_that_stays
// CHECK-NOT: nn.attention
func.func @fill_that_stays(%q: tensor<1x2x3x8xf32>, %k: tensor<1x2x8x4xf32>, %v: tensor<1x2x4x8xf32>, %c: tensor<3x4xi1>) -> tensor<1x2x3x8xf32> {
  %f = nn.constant dense<0x7F800000> : tensor<f32>
  %s = nn.matmul %q, %k : (tensor<1x2x3x8xf32>, tensor<1x2x8x4xf32>) -> tensor<1x2x3x4xf32>
  %t = nn.where %c, %s, %f : (tensor<3x4xi1>, tensor<1x2x3x4xf32>, tensor<f32>) -> tensor<1x2x3x4xf32>
  %p = nn.softmax %t {axis = 3 : i64, trailing = false} : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
  %y = nn.matmul %p, %v : (tensor<1x2x3x4xf32>, tensor<1x2x4x8xf32>) -> tensor<1x2x3x8xf32>
  return %y : tensor<1x2x3x8xf32>
}

// -----

// Two scores: the first is the product, the other is a mask.
// CHECK-LABEL: func @bias_that_is_a_product
// CHECK: %[[M:.*]] = nn.matmul %arg3
// CHECK: nn.attention %arg0, %arg1, %arg2, %[[M]]
func.func @bias_that_is_a_product(%q: tensor<1x2x3x8xf32>, %k: tensor<1x2x8x4xf32>, %v: tensor<1x2x4x8xf32>, %a: tensor<1x2x3x8xf32>, %b: tensor<1x2x8x4xf32>) -> tensor<1x2x3x8xf32> {
  %s = nn.matmul %q, %k : (tensor<1x2x3x8xf32>, tensor<1x2x8x4xf32>) -> tensor<1x2x3x4xf32>
  %m = nn.matmul %a, %b : (tensor<1x2x3x8xf32>, tensor<1x2x8x4xf32>) -> tensor<1x2x3x4xf32>
  %t = nn.add %s, %m : (tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
  %p = nn.softmax %t {axis = 3 : i64, trailing = false} : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
  %y = nn.matmul %p, %v : (tensor<1x2x3x4xf32>, tensor<1x2x4x8xf32>) -> tensor<1x2x3x8xf32>
  return %y : tensor<1x2x3x8xf32>
}

// -----

// Numbers that are chosen may have a batch, which the scores then have.
// CHECK-LABEL: func @causal_with_batch
// CHECK: %[[M:.*]] = nn.where
// CHECK: nn.attention %arg0, %arg1, %arg2, %[[M]]
// CHECK-SAME: causal = false
func.func @causal_with_batch(%q: tensor<1x2x4x8xf32>, %k: tensor<1x2x8x4xf32>, %v: tensor<1x2x4x8xf32>) -> tensor<2x2x4x8xf32> {
  %i = nn.constant dense<[0, 1, 2, 3]> : tensor<4xi64>
  %j = nn.constant dense<[[0], [1], [2], [3]]> : tensor<4x1xi64>
  %z = nn.constant dense<0.0> : tensor<2x1x1x1xf32>
  %f = nn.constant dense<0xFF800000> : tensor<f32>
  %al = nn.less_or_equal %i, %j : (tensor<4xi64>, tensor<4x1xi64>) -> tensor<4x4xi1>
  %m = nn.where %al, %z, %f : (tensor<4x4xi1>, tensor<2x1x1x1xf32>, tensor<f32>) -> tensor<2x1x4x4xf32>
  %s = nn.matmul %q, %k : (tensor<1x2x4x8xf32>, tensor<1x2x8x4xf32>) -> tensor<1x2x4x4xf32>
  %t = nn.add %s, %m : (tensor<1x2x4x4xf32>, tensor<2x1x4x4xf32>) -> tensor<2x2x4x4xf32>
  %p = nn.softmax %t {axis = 3 : i64, trailing = false} : (tensor<2x2x4x4xf32>) -> tensor<2x2x4x4xf32>
  %y = nn.matmul %p, %v : (tensor<2x2x4x4xf32>, tensor<1x2x4x8xf32>) -> tensor<2x2x4x8xf32>
  return %y : tensor<2x2x4x8xf32>
}
