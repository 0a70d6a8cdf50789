// RUN: quern-opt %s --split-input-file --nn-widen-float16=excess-precision | FileCheck %s
// RUN: quern-opt %s --split-input-file --nn-widen-float16=excess-precision --nn-widen-float16=excess-precision | FileCheck %s

// From operand to result nothing is rounded but the result, once.
// CHECK-LABEL: func @chain
func.func @chain(%x: tensor<4x4xf16>) -> tensor<4x4xf16> {
  // CHECK: %[[X:.*]] = nn.cast %arg0 {to = f32}
  // CHECK-NEXT: %[[A:.*]] = nn.softmax %[[X]]
  %0 = nn.softmax %x {axis = 1, trailing = false} : (tensor<4x4xf16>) -> tensor<4x4xf16>
  // CHECK-NEXT: %[[B:.*]] = nn.matmul %[[X]], %[[A]]
  %1 = nn.matmul %x, %0 : (tensor<4x4xf16>, tensor<4x4xf16>) -> tensor<4x4xf16>
  // CHECK-NEXT: %[[C:.*]] = nn.exp %[[B]]
  %2 = nn.exp %1 : (tensor<4x4xf16>) -> tensor<4x4xf16>
  // CHECK-NEXT: %[[D:.*]] = nn.transpose %[[C]] {{.*}} -> tensor<4x4xf32>
  %3 = nn.transpose %2 {perm = array<i64: 1, 0>} : (tensor<4x4xf16>) -> tensor<4x4xf16>
  // CHECK-NEXT: %[[E:.*]] = nn.add %[[D]], %[[X]]
  %4 = nn.add %3, %x : (tensor<4x4xf16>, tensor<4x4xf16>) -> tensor<4x4xf16>
  // CHECK-NEXT: %[[R:.*]] = nn.cast %[[E]] {to = f16}
  // CHECK-NEXT: return %[[R]]
  return %4 : tensor<4x4xf16>
}

// -----

// A truth value depends on bits: so what it compares is computed and rounded op by op, up to the
// product. What only reads the product reads it as it is.
// CHECK-LABEL: func @compared
func.func @compared(%x: tensor<4x4xbf16>, %limit: tensor<bf16>) -> (tensor<4x4xi1>, tensor<4x4xbf16>) {
  // CHECK: %[[P:.*]] = nn.matmul
  // CHECK-NEXT: %[[H:.*]] = nn.cast %[[P]] {to = bf16}
  %0 = nn.matmul %x, %x : (tensor<4x4xbf16>, tensor<4x4xbf16>) -> tensor<4x4xbf16>
  // CHECK-NEXT: %[[A:.*]] = nn.add %[[H]], %arg1 {{.*}} -> tensor<4x4xbf16>
  %1 = nn.add %0, %limit : (tensor<4x4xbf16>, tensor<bf16>) -> tensor<4x4xbf16>
  // CHECK-NEXT: %[[T:.*]] = nn.transpose %[[A]] {{.*}} -> tensor<4x4xbf16>
  %2 = nn.transpose %1 {perm = array<i64: 1, 0>} : (tensor<4x4xbf16>) -> tensor<4x4xbf16>
  // CHECK-NEXT: nn.less %[[T]], %arg1
  %3 = nn.less %2, %limit : (tensor<4x4xbf16>, tensor<bf16>) -> tensor<4x4xi1>
  // CHECK-NEXT: %[[R:.*]] = nn.relu %[[P]]
  // CHECK-NEXT: nn.cast %[[R]] {to = bf16}
  %4 = nn.relu %0 : (tensor<4x4xbf16>) -> tensor<4x4xbf16>
  return %3, %4 : tensor<4x4xi1>, tensor<4x4xbf16>
}

// -----

// So do rounding to integers, indices, quantizing, and casts to integers, as of sizes; also
// behind the model's own cast to float32.
// CHECK-LABEL: func @jumps
func.func @jumps(%x: tensor<4x4xf16>, %scale: tensor<f16>, %zero: tensor<ui8>) -> (tensor<4x4xf16>, tensor<4x1xi64>, tensor<4x4xui8>, tensor<4x4xi64>) {
  // CHECK: %[[A:.*]] = nn.mul %arg0, %arg0 {{.*}} -> tensor<4x4xf16>
  %0 = nn.mul %x, %x : (tensor<4x4xf16>, tensor<4x4xf16>) -> tensor<4x4xf16>
  // CHECK: nn.floor %[[A]] {{.*}} -> tensor<4x4xf16>
  %1 = nn.floor %0 : (tensor<4x4xf16>) -> tensor<4x4xf16>
  // CHECK: %[[S:.*]] = nn.softmax
  // CHECK: %[[H:.*]] = nn.cast %[[S]] {to = f16}
  %2 = nn.softmax %x {axis = 1, trailing = false} : (tensor<4x4xf16>) -> tensor<4x4xf16>
  // CHECK: %[[W:.*]] = nn.cast %[[H]] {to = f32}
  // CHECK: nn.arg_reduce max %[[W]]
  %3 = nn.arg_reduce max %2 {axis = 1, keepdims = true, select_last_index = false} : (tensor<4x4xf16>) -> tensor<4x1xi64>
  // CHECK: nn.quantize %[[H]]
  %4 = nn.quantize %2, %scale, %zero {to = ui8, precision = f32} : (tensor<4x4xf16>, tensor<f16>, tensor<ui8>) -> tensor<4x4xui8>
  // CHECK: %[[D:.*]] = nn.div %[[H]], %arg1 {{.*}} -> tensor<4x4xf16>
  %5 = nn.div %2, %scale : (tensor<4x4xf16>, tensor<f16>) -> tensor<4x4xf16>
  // CHECK: nn.cast %[[D]] {to = f32}
  %6 = nn.cast %5 {to = f32} : (tensor<4x4xf16>) -> tensor<4x4xf32>
  %7 = nn.cast %6 {to = i64} : (tensor<4x4xf32>) -> tensor<4x4xi64>
  return %1, %3, %4, %7 : tensor<4x4xf16>, tensor<4x1xi64>, tensor<4x4xui8>, tensor<4x4xi64>
}

// -----

// A cast to float16 and back, both of the model, is meant, also with a move between them.
// CHECK-LABEL: func @given
func.func @given(%x: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  // CHECK: %[[H:.*]] = nn.cast %arg0 {to = f16}
  %0 = nn.cast %x {to = f16} : (tensor<4x4xf32>) -> tensor<4x4xf16>
  // CHECK-NEXT: %[[W:.*]] = nn.cast %[[H]] {to = f32}
  %1 = nn.cast %0 {to = f32} : (tensor<4x4xf16>) -> tensor<4x4xf32>
  // CHECK-NEXT: %[[T:.*]] = nn.transpose
  %2 = nn.transpose %0 {perm = array<i64: 1, 0>} : (tensor<4x4xf16>) -> tensor<4x4xf16>
  // CHECK-NEXT: %[[R:.*]] = nn.cast %[[T]] {to = f16}
  // CHECK-NEXT: %[[V:.*]] = nn.cast %[[R]] {to = f32}
  %3 = nn.cast %2 {to = f32} : (tensor<4x4xf16>) -> tensor<4x4xf32>
  // CHECK-NEXT: return %[[W]], %[[V]]
  return %1, %3 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// One that only begins or ends what is computed in float16 anyway is not.
// CHECK-LABEL: func @borders
func.func @borders(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %0 = nn.cast %x {to = f16} : (tensor<4x4xf32>) -> tensor<4x4xf16>
  %1 = nn.cast %0 {to = f16} : (tensor<4x4xf16>) -> tensor<4x4xf16>
  // CHECK: %[[P:.*]] = nn.matmul %arg0, %arg0 {{.*}} -> tensor<4x4xf32>
  %2 = nn.matmul %1, %0 : (tensor<4x4xf16>, tensor<4x4xf16>) -> tensor<4x4xf16>
  // CHECK-NEXT: nn.cast %[[P]] {to = f32} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %3 = nn.cast %2 {to = f32} : (tensor<4x4xf16>) -> tensor<4x4xf32>
  return %3 : tensor<4x4xf32>
}

// -----

// A result of the graph keeps its type, and what is moved for it is moved in that: the present of
// a cache, which begins with the past.
// CHECK-LABEL: func @cache
func.func @cache(%past: tensor<1x8x4xf16>, %x: tensor<1x1x4xf16>, %q: tensor<1x4x1xf16>) -> (tensor<1x9x4xf16>, tensor<1x9x1xf16>) {
  // CHECK: %[[A:.*]] = nn.tanh %{{.*}} -> tensor<1x1x4xf32>
  // CHECK-NEXT: %[[H:.*]] = nn.cast %[[A]] {to = f16}
  %0 = nn.tanh %x : (tensor<1x1x4xf16>) -> tensor<1x1x4xf16>
  // CHECK-NEXT: %[[C:.*]] = nn.concat %arg0, %[[H]] {{.*}} -> tensor<1x9x4xf16>
  %1 = nn.concat %past, %0 {axis = 1} : (tensor<1x8x4xf16>, tensor<1x1x4xf16>) -> tensor<1x9x4xf16>
  // CHECK: nn.cast %[[C]] {to = f32}
  %2 = nn.matmul %1, %q : (tensor<1x9x4xf16>, tensor<1x4x1xf16>) -> tensor<1x9x1xf16>
  // CHECK: return %[[C]]
  return %1, %2 : tensor<1x9x4xf16>, tensor<1x9x1xf16>
}

// -----

// What moves nothing that was computed stays in 16 bits, as an embedding. A shape is no reader, and
// parts and samples are like elementwise ops.
// CHECK-LABEL: func @moves
func.func @moves(%table: tensor<9x4xf16>, %at: tensor<1x2x2xi64>, %y: tensor<1x2x2x4xf16>, %sizes: tensor<4xi64>) -> (tensor<?x?x?x?xf16>, tensor<4xi64>) {
  %none = nn.none
  // CHECK: nn.gather %arg0, %arg1 {{.*}} -> tensor<1x2x2x4xf16>
  %0 = nn.gather %table, %at {axis = 0} : (tensor<9x4xf16>, tensor<1x2x2xi64>) -> tensor<1x2x2x4xf16>
  // CHECK: %[[A:.*]] = nn.add {{.*}} -> tensor<1x2x2x4xf32>
  %1 = nn.add %0, %y : (tensor<1x2x2x4xf16>, tensor<1x2x2x4xf16>) -> tensor<1x2x2x4xf16>
  // CHECK: nn.shape %[[A]]
  %2 = nn.shape %1 {start = 0} : (tensor<1x2x2x4xf16>) -> tensor<4xi64>
  // CHECK: nn.split {{.*}} -> (tensor<1x2x2x2xf32>, tensor<1x2x2x2xf32>)
  %3:2 = nn.split %1, %none {axis = 3} : (tensor<1x2x2x4xf16>, none) -> (tensor<1x2x2x2xf16>, tensor<1x2x2x2xf16>)
  %4 = nn.mul %3#0, %3#1 : (tensor<1x2x2x2xf16>, tensor<1x2x2x2xf16>) -> tensor<1x2x2x2xf16>
  // CHECK: nn.resize {{.*}} -> tensor<?x?x?x?xf32>
  %5 = nn.resize linear(half_pixel, round_prefer_floor) %4, %none, %none, %sizes {cubic_coeff_a = -0.75, exclude_outside = false, extrapolation_value = 0.0} : (tensor<1x2x2x2xf16>, none, none, tensor<4xi64>) -> tensor<?x?x?x?xf16>
  return %5, %2 : tensor<?x?x?x?xf16>, tensor<4xi64>
}

// -----

// What a body reads is rounded, as what leaves it.
// CHECK-LABEL: func @body
func.func @body(%c: tensor<i1>, %x: tensor<4xf16>) -> tensor<4xf16> {
  // CHECK: %[[A:.*]] = nn.tanh %arg1 : (tensor<4xf16>) -> tensor<4xf16>
  %0 = nn.tanh %x : (tensor<4xf16>) -> tensor<4xf16>
  %1 = nn.if %c {
    // CHECK: %[[B:.*]] = nn.exp %{{.*}} -> tensor<4xf32>
    // CHECK: %[[R:.*]] = nn.cast %[[B]] {to = f16}
    // CHECK-NEXT: nn.yield %[[R]]
    %2 = nn.exp %0 : (tensor<4xf16>) -> tensor<4xf16>
    nn.yield %2 : tensor<4xf16>
  } else {
    nn.yield %0 : tensor<4xf16>
  } : (tensor<i1>) -> tensor<4xf16>
  return %1 : tensor<4xf16>
}

// -----

// float32, float64 and integers are computed as they are.
// CHECK-LABEL: func @others
// CHECK-NOT: nn.cast
func.func @others(%x: tensor<4xf32>, %y: tensor<4xf64>, %z: tensor<4xi32>) -> (tensor<4xf32>, tensor<4xf64>, tensor<4xi32>) {
  %0 = nn.add %x, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %1 = nn.add %y, %y : (tensor<4xf64>, tensor<4xf64>) -> tensor<4xf64>
  %2 = nn.add %z, %z : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  return %0, %1, %2 : tensor<4xf32>, tensor<4xf64>, tensor<4xi32>
}
