// RUN: quern-opt %s --split-input-file --nn-raise-attention | FileCheck %s

// All heads in the rows of one, which meets two heads of keys: scores of other heads.
// CHECK-LABEL: func @rows_of_all_heads
// CHECK-NOT: nn.attention
func.func @rows_of_all_heads(%q: tensor<1x4x1x8xf32>, %k: tensor<1x2x8x5xf32>, %v: tensor<1x2x5x8xf32>, %m: tensor<1x1x2x5xf32>, %n0: tensor<4xi64>, %n1: tensor<4xi64>, %n2: tensor<4xi64>, %n3: tensor<4xi64>) -> tensor<1x4x2x8xf32> {
  %qg = nn.reshape %q, %n0 {allowzero = true} : (tensor<1x4x1x8xf32>, tensor<4xi64>) -> tensor<1x1x4x8xf32>
  %s = nn.matmul %qg, %k : (tensor<1x1x4x8xf32>, tensor<1x2x8x5xf32>) -> tensor<1x2x4x5xf32>
  %sr = nn.reshape %s, %n1 {allowzero = true} : (tensor<1x2x4x5xf32>, tensor<4xi64>) -> tensor<1x4x2x5xf32>
  %t = nn.add %sr, %m : (tensor<1x4x2x5xf32>, tensor<1x1x2x5xf32>) -> tensor<1x4x2x5xf32>
  %p = nn.softmax %t {axis = 3 : i64, trailing = false} : (tensor<1x4x2x5xf32>) -> tensor<1x4x2x5xf32>
  %pg = nn.reshape %p, %n2 {allowzero = true} : (tensor<1x4x2x5xf32>, tensor<4xi64>) -> tensor<1x2x4x5xf32>
  %yg = nn.matmul %pg, %v : (tensor<1x2x4x5xf32>, tensor<1x2x5x8xf32>) -> tensor<1x2x4x8xf32>
  %y = nn.reshape %yg, %n3 {allowzero = true} : (tensor<1x2x4x8xf32>, tensor<4xi64>) -> tensor<1x4x2x8xf32>
  return %y : tensor<1x4x2x8xf32>
}

// -----

// The same without a mask: there are more scores than queries have.
// CHECK-LABEL: func @more_rows
// CHECK-NOT: nn.attention
func.func @more_rows(%q: tensor<1x4x3x8xf32>, %k: tensor<1x2x8x5xf32>, %v: tensor<1x2x5x8xf32>, %n0: tensor<4xi64>, %n1: tensor<4xi64>, %n2: tensor<4xi64>, %n3: tensor<4xi64>) -> tensor<1x4x6x8xf32> {
  %qg = nn.reshape %q, %n0 {allowzero = true} : (tensor<1x4x3x8xf32>, tensor<4xi64>) -> tensor<1x1x12x8xf32>
  %s = nn.matmul %qg, %k : (tensor<1x1x12x8xf32>, tensor<1x2x8x5xf32>) -> tensor<1x2x12x5xf32>
  %sr = nn.reshape %s, %n1 {allowzero = true} : (tensor<1x2x12x5xf32>, tensor<4xi64>) -> tensor<1x4x6x5xf32>
  %p = nn.softmax %sr {axis = 3 : i64, trailing = false} : (tensor<1x4x6x5xf32>) -> tensor<1x4x6x5xf32>
  %pg = nn.reshape %p, %n2 {allowzero = true} : (tensor<1x4x6x5xf32>, tensor<4xi64>) -> tensor<1x2x12x5xf32>
  %yg = nn.matmul %pg, %v : (tensor<1x2x12x5xf32>, tensor<1x2x5x8xf32>) -> tensor<1x2x12x8xf32>
  %y = nn.reshape %yg, %n3 {allowzero = true} : (tensor<1x2x12x8xf32>, tensor<4xi64>) -> tensor<1x4x6x8xf32>
  return %y : tensor<1x4x6x8xf32>
}

// -----

// Weights of all heads in the rows of one, which meets two heads of values.
// CHECK-LABEL: func @values_of_other_heads
// CHECK-NOT: nn.attention
func.func @values_of_other_heads(%q: tensor<1x4x2x8xf32>, %k: tensor<1x4x8x5xf32>, %v: tensor<1x2x5x8xf32>, %n0: tensor<4xi64>, %n1: tensor<4xi64>, %n2: tensor<4xi64>, %n3: tensor<4xi64>) -> tensor<1x4x4x8xf32> {
  %s = nn.matmul %q, %k : (tensor<1x4x2x8xf32>, tensor<1x4x8x5xf32>) -> tensor<1x4x2x5xf32>
  %p = nn.softmax %s {axis = 3 : i64, trailing = false} : (tensor<1x4x2x5xf32>) -> tensor<1x4x2x5xf32>
  %pg = nn.reshape %p, %n2 {allowzero = true} : (tensor<1x4x2x5xf32>, tensor<4xi64>) -> tensor<1x1x8x5xf32>
  %yg = nn.matmul %pg, %v : (tensor<1x1x8x5xf32>, tensor<1x2x5x8xf32>) -> tensor<1x2x8x8xf32>
  %y = nn.reshape %yg, %n3 {allowzero = true} : (tensor<1x2x8x8xf32>, tensor<4xi64>) -> tensor<1x4x4x8xf32>
  return %y : tensor<1x4x4x8xf32>
}

// -----

// One head of keys and values for all; the result is transposed.
// CHECK-LABEL: func @one_head_of_keys
// CHECK: nn.attention %arg0, %arg1, %arg2
// CHECK-SAME: result_perm = array<i64: 0, 2, 1, 3>
// CHECK-SAME: -> tensor<1x2x4x8xf32>
func.func @one_head_of_keys(%q: tensor<1x4x2x8xf32>, %k: tensor<1x1x8x5xf32>, %v: tensor<1x1x5x8xf32>, %n0: tensor<4xi64>, %n1: tensor<4xi64>, %n2: tensor<4xi64>, %n3: tensor<4xi64>) -> tensor<1x2x4x8xf32> {
  %qg = nn.reshape %q, %n0 {allowzero = true} : (tensor<1x4x2x8xf32>, tensor<4xi64>) -> tensor<1x1x8x8xf32>
  %s = nn.matmul %qg, %k : (tensor<1x1x8x8xf32>, tensor<1x1x8x5xf32>) -> tensor<1x1x8x5xf32>
  %sr = nn.reshape %s, %n1 {allowzero = true} : (tensor<1x1x8x5xf32>, tensor<4xi64>) -> tensor<1x4x2x5xf32>
  %p = nn.softmax %sr {axis = 3 : i64, trailing = false} : (tensor<1x4x2x5xf32>) -> tensor<1x4x2x5xf32>
  %pg = nn.reshape %p, %n2 {allowzero = true} : (tensor<1x4x2x5xf32>, tensor<4xi64>) -> tensor<1x1x8x5xf32>
  %yg = nn.matmul %pg, %v : (tensor<1x1x8x5xf32>, tensor<1x1x5x8xf32>) -> tensor<1x1x8x8xf32>
  %yh = nn.reshape %yg, %n3 {allowzero = true} : (tensor<1x1x8x8xf32>, tensor<4xi64>) -> tensor<1x4x2x8xf32>
  %y = nn.transpose %yh {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x4x2x8xf32>) -> tensor<1x2x4x8xf32>
  return %y : tensor<1x2x4x8xf32>
}

// -----

// Two heads of keys for four of queries are an error of the product, not a group.
// CHECK-LABEL: func @heads_that_may_differ
// CHECK-NOT: nn.attention
func.func @heads_that_may_differ(%q: tensor<1x4x2x8xf32>, %k: tensor<1x?x8x5xf32, #nn.dims<"", "G", "", "">>, %v: tensor<1x4x5x8xf32>) -> tensor<1x4x2x8xf32> {
  %s = nn.matmul %q, %k : (tensor<1x4x2x8xf32>, tensor<1x?x8x5xf32, #nn.dims<"", "G", "", "">>) -> tensor<1x4x2x5xf32>
  %p = nn.softmax %s {axis = 3 : i64, trailing = false} : (tensor<1x4x2x5xf32>) -> tensor<1x4x2x5xf32>
  %y = nn.matmul %p, %v : (tensor<1x4x2x5xf32>, tensor<1x4x5x8xf32>) -> tensor<1x4x2x8xf32>
  return %y : tensor<1x4x2x8xf32>
}

// -----

// So are two heads of values.
// CHECK-LABEL: func @values_that_may_differ
// CHECK-NOT: nn.attention
func.func @values_that_may_differ(%q: tensor<1x4x2x8xf32>, %k: tensor<1x4x8x5xf32>, %v: tensor<1x?x5x8xf32, #nn.dims<"", "G", "", "">>) -> tensor<1x4x2x8xf32> {
  %s = nn.matmul %q, %k : (tensor<1x4x2x8xf32>, tensor<1x4x8x5xf32>) -> tensor<1x4x2x5xf32>
  %p = nn.softmax %s {axis = 3 : i64, trailing = false} : (tensor<1x4x2x5xf32>) -> tensor<1x4x2x5xf32>
  %y = nn.matmul %p, %v : (tensor<1x4x2x5xf32>, tensor<1x?x5x8xf32, #nn.dims<"", "G", "", "">>) -> tensor<1x4x2x8xf32>
  return %y : tensor<1x4x2x8xf32>
}
