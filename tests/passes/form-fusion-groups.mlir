// RUN: quern-opt %s --split-input-file --nn-form-fusion-groups | FileCheck %s
// RUN: quern-opt %s --split-input-file --nn-form-fusion-groups=max-ops=1 \
// RUN:   | FileCheck %s --check-prefix=SINGLE
// RUN: quern-opt %s --split-input-file --nn-form-fusion-groups --mlir-print-debuginfo \
// RUN:   --mlir-print-local-scope | FileCheck %s --check-prefix=NAMES

// The later anchor takes the addition; numbers and nn.none move inside.
// CHECK-LABEL: func @residual
// CHECK: %[[A:.*]] = nn.group %arg0, %arg1 {
// CHECK: nn.none
// CHECK: nn.conv
// CHECK-NOT: nn.add
// CHECK: %[[B:.*]] = nn.group %arg0, %arg2, %[[A]] {
// CHECK: nn.constant dense<2.000000e+00>
// CHECK: nn.conv
// CHECK-NEXT: nn.add
// CHECK-NEXT: nn.mul
// CHECK-NEXT: nn.yield
// CHECK: return %[[B]]
// SINGLE-LABEL: func @residual
// SINGLE-COUNT-4: nn.group
func.func @residual(%x: tensor<1x8x4x4xf32>, %w: tensor<8x8x1x1xf32>, %v: tensor<8x8x1x1xf32>) -> tensor<1x8x4x4xf32> {
  %none = nn.none
  %two = nn.constant dense<2.0> : tensor<1xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x8x4x4xf32>, tensor<8x8x1x1xf32>, none) -> tensor<1x8x4x4xf32>
  %1 = nn.conv %x, %v, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x8x4x4xf32>, tensor<8x8x1x1xf32>, none) -> tensor<1x8x4x4xf32>
  %2 = nn.add %0, %1 : (tensor<1x8x4x4xf32>, tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32>
  %3 = nn.mul %2, %two : (tensor<1x8x4x4xf32>, tensor<1xf32>) -> tensor<1x8x4x4xf32>
  return %3 : tensor<1x8x4x4xf32>
}

// -----

// Opaque ops stay outside.
// CHECK-LABEL: func @opaque
// CHECK: nn.group
// CHECK: nn.relu
// CHECK: nn.lrn
// CHECK: nn.group
func.func @opaque(%x: tensor<1x3x2x2xf32>) -> tensor<1x3x2x2xf32> {
  %0 = nn.relu %x : (tensor<1x3x2x2xf32>) -> tensor<1x3x2x2xf32>
  %1 = nn.lrn %0 {alpha = 1.0e-4 : f64, beta = 0.75 : f64, bias = 1.0 : f64, size = 3 : i64} : (tensor<1x3x2x2xf32>) -> tensor<1x3x2x2xf32>
  %2 = nn.relu %1 : (tensor<1x3x2x2xf32>) -> tensor<1x3x2x2xf32>
  return %2 : tensor<1x3x2x2xf32>
}

// -----

// A row takes what it reads through and what follows it, but not what others read as well, nor what
// reads a second tensor.
// CHECK-LABEL: func @rows
// CHECK: nn.group %arg0 {
// CHECK-NEXT: ^bb0
// CHECK-NEXT: nn.constant
// CHECK-NEXT: nn.constant
// CHECK-NEXT: nn.cast
// CHECK-NEXT: nn.mul
// CHECK-NEXT: nn.reduce
// CHECK-NEXT: nn.sqrt
// CHECK-NEXT: nn.yield
// CHECK: %[[SUM:.*]] = nn.group %arg1, %arg2 {
// CHECK: nn.add
// CHECK: nn.group %[[SUM]] {
// CHECK: nn.reduce
// CHECK: %[[SHARED:.*]] = nn.group %arg1 {
// CHECK: nn.exp
// CHECK: nn.group %[[SHARED]] {
// CHECK: nn.reduce
// CHECK: return {{.*}}, %[[SHARED]]
func.func @rows(%x: tensor<2x3xui8>, %y: tensor<2x3xf32>, %z: tensor<2x3xf32>) -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2x3xf32>) {
  %axes = nn.constant dense<1> : tensor<1xi64>
  %scale = nn.constant dense<0.5> : tensor<f32>
  %0 = nn.cast %x {to = f32} : (tensor<2x3xui8>) -> tensor<2x3xf32>
  %1 = nn.mul %0, %scale : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
  %2 = nn.reduce mean %1, %axes {keepdims = false, noop_with_empty_axes = false} : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<2xf32>
  %3 = nn.sqrt %2 : (tensor<2xf32>) -> tensor<2xf32>
  %4 = nn.add %y, %z : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %5 = nn.reduce sum %4, %axes {keepdims = false, noop_with_empty_axes = false} : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<2xf32>
  %6 = nn.exp %y : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %7 = nn.reduce sum %6, %axes {keepdims = false, noop_with_empty_axes = false} : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<2xf32>
  return %3, %5, %7, %6 : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2x3xf32>
}

// -----

// Axes that a run computes are waited for by the op itself, which is no row then; known ones are
// part of the kernel, however many.
// CHECK-LABEL: func @axes
// CHECK: %[[R:.*]] = nn.relu
// CHECK: nn.reduce sum {{.*}}, %arg1
// CHECK: nn.group %arg0 {
// CHECK: nn.constant dense<[0, 1]>
// CHECK: nn.relu
// CHECK-NEXT: nn.reduce
func.func @axes(%x: tensor<2x3xf32>, %axes: tensor<1xi64>) -> (tensor<*xf32>, tensor<f32>) {
  %both = nn.constant dense<[0, 1]> : tensor<2xi64>
  %0 = nn.relu %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %1 = nn.reduce sum %0, %axes {keepdims = false, noop_with_empty_axes = false} : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*xf32>
  %2 = nn.relu %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %3 = nn.reduce sum %2, %both {keepdims = false, noop_with_empty_axes = false} : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<f32>
  return %1, %3 : tensor<*xf32>, tensor<f32>
}

// -----

// A zero point that sums are multiplied by is an operand: layers differ in nothing else.
// CHECK-LABEL: func @scaled_sums
// CHECK: %[[P:.*]] = nn.constant dense<7> : tensor<i32>
// CHECK: nn.group %arg0, %[[P]] {
// CHECK: nn.cast
// CHECK-NEXT: nn.reduce
// CHECK-NEXT: nn.mul
func.func @scaled_sums(%x: tensor<2x3xui8>) -> tensor<2x1xi32> {
  %axes = nn.constant dense<1> : tensor<1xi64>
  %p = nn.constant dense<7> : tensor<i32>
  %0 = nn.cast %x {to = i32} : (tensor<2x3xui8>) -> tensor<2x3xi32>
  %1 = nn.reduce sum %0, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<2x3xi32>, tensor<1xi64>) -> tensor<2x1xi32>
  %2 = nn.mul %1, %p : (tensor<2x1xi32>, tensor<i32>) -> tensor<2x1xi32>
  return %2 : tensor<2x1xi32>
}

// -----

// Softmax and norms take what follows them: numbers, tensors of their size, and norms of the last
// dimension one number for each of its elements.
// CHECK-LABEL: func @norms
// CHECK: nn.group
// CHECK: nn.softmax
// CHECK-NEXT: nn.mul
// CHECK-NEXT: nn.yield
// CHECK: nn.group
// CHECK: nn.layer_norm
// CHECK-NEXT: nn.mul
// CHECK-NEXT: nn.cast
// CHECK-NEXT: nn.yield
func.func @norms(%x: tensor<2x3xf32>, %v: tensor<3xf32>) -> (tensor<2x3xf32>, tensor<2x3xbf16>) {
  %none = nn.none
  %two = nn.constant dense<2.0> : tensor<f32>
  %0 = nn.softmax %x {axis = 1 : i64, trailing = false} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %1 = nn.mul %0, %two : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
  %2 = nn.layer_norm %x, %none, %none {axis = 1 : i64, center = true, epsilon = 1.0e-5 : f64} : (tensor<2x3xf32>, none, none) -> tensor<2x3xf32>
  %3 = nn.mul %2, %v : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %4 = nn.cast %3 {to = bf16} : (tensor<2x3xf32>) -> tensor<2x3xbf16>
  return %1, %4 : tensor<2x3xf32>, tensor<2x3xbf16>
}

// -----

// A bias per column of a matrix product; constants of more than one element stay
// outside. The group has the names of its nodes.
// NAMES-LABEL: func @matmul
// NAMES: -> tensor<2x3xf32> loc(fused["product", "sum"])
// CHECK-LABEL: func @matmul
// CHECK: %[[B:.*]] = nn.constant dense<[1.000000e+00, 2.000000e+00, 3.000000e+00]>
// CHECK: nn.group %arg0, %arg1, %[[B]] {
// CHECK: nn.matmul
// CHECK-NEXT: nn.add
// CHECK-NEXT: nn.yield
func.func @matmul(%x: tensor<2x4xf32>, %w: tensor<4x3xf32>) -> tensor<2x3xf32> {
  %b = nn.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32>
  %0 = nn.matmul %x, %w : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32> loc("product")
  %1 = nn.add %0, %b : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32> loc("sum")
  return %1 : tensor<2x3xf32>
}

// -----

// An operand that is used outside is a result of its own group.
// CHECK-LABEL: func @twoUses
// CHECK: %[[A:.*]] = nn.group %arg0 {
// CHECK: nn.relu
// CHECK: %[[B:.*]] = nn.group %[[A]] {
// CHECK: return %[[A]], %[[B]]
func.func @twoUses(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %0 = nn.relu %x : (tensor<2xf32>) -> tensor<2xf32>
  %1 = nn.relu %0 : (tensor<2xf32>) -> tensor<2xf32>
  return %0, %1 : tensor<2xf32>, tensor<2xf32>
}

// -----

// Numbers that one group has by itself, as scales and zero points, are operands: the
// groups differ in nothing else, and share a kernel.
// CHECK-LABEL: func @ownNumbers
// CHECK-DAG: %[[S:.*]] = nn.constant dense<3.000000e-01>
// CHECK-DAG: %[[Z:.*]] = nn.constant dense<21>
// CHECK-DAG: %[[T:.*]] = nn.constant dense<0.699999988>
// CHECK: nn.group %arg0, %[[S]], %[[Z]] {
// CHECK-NOT: nn.constant
// CHECK: nn.yield
// CHECK: nn.group %arg1, %[[T]] {
// CHECK-NOT: nn.constant
// CHECK: nn.yield
func.func @ownNumbers(%x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %s = nn.constant dense<0.3> : tensor<f32>
  %z = nn.constant dense<21> : tensor<1xi32>
  %t = nn.constant dense<0.7> : tensor<f32>
  %0 = nn.div %x, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = nn.cast %0 {to = i32} : (tensor<4xf32>) -> tensor<4xi32>
  %2 = nn.sub %1, %z : (tensor<4xi32>, tensor<1xi32>) -> tensor<4xi32>
  %3 = nn.cast %2 {to = f32} : (tensor<4xi32>) -> tensor<4xf32>
  %4 = nn.mul %3, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %5 = nn.div %y, %t : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %4, %5 : tensor<4xf32>, tensor<4xf32>
}

// -----

// Zero points are operands also where several groups have the same; other numbers are not.
// CHECK-LABEL: func @zeroPoints
// CHECK-DAG: %[[Z:.*]] = nn.constant dense<1.280000e+02>
// CHECK-DAG: %[[R:.*]] = nn.constant dense<0.699999988>
// CHECK: nn.group %arg0, %[[Z]] {
// CHECK: nn.constant dense<3.000000e-01>
// CHECK: nn.yield
// CHECK: nn.group %arg1, %[[R]], %[[Z]] {
// CHECK: nn.constant dense<3.000000e-01>
// CHECK: nn.yield
func.func @zeroPoints(%x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<4xui8>, tensor<4xui8>) {
  %s = nn.constant dense<0.3> : tensor<f32>
  %z = nn.constant dense<128.0> : tensor<f32>
  %r = nn.constant dense<0.7> : tensor<f32>
  %0 = nn.mul %x, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = nn.round %0 : (tensor<4xf32>) -> tensor<4xf32>
  %2 = nn.add %1, %z : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %3 = nn.cast %2 {to = ui8} : (tensor<4xf32>) -> tensor<4xui8>
  %4 = nn.multiply_add %y, %r, %s : (tensor<4xf32>, tensor<f32>, tensor<f32>) -> tensor<4xf32>
  %5 = nn.round %4 : (tensor<4xf32>) -> tensor<4xf32>
  %6 = nn.add %5, %z : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %7 = nn.cast %6 {to = ui8} : (tensor<4xf32>) -> tensor<4xui8>
  return %3, %7 : tensor<4xui8>, tensor<4xui8>
}

// -----

// What an epilogue adds is dequantized in its kernel.
// CHECK-LABEL: func @residual
// CHECK: nn.group
// CHECK-NOT: nn.group
// CHECK: nn.cast {{.*}} {to = f32}
// CHECK: nn.matmul
// CHECK: nn.add
// CHECK: nn.yield
// CHECK-NOT: nn.group
func.func @residual(%a: tensor<4x8xf32>, %b: tensor<8x6xf32>, %r: tensor<4x6xui8>, %s: tensor<6xf32>) -> tensor<4x6xf32> {
  %0 = nn.cast %r {to = f32} : (tensor<4x6xui8>) -> tensor<4x6xf32>
  %1 = nn.mul %0, %s : (tensor<4x6xf32>, tensor<6xf32>) -> tensor<4x6xf32>
  %2 = nn.matmul %a, %b : (tensor<4x8xf32>, tensor<8x6xf32>) -> tensor<4x6xf32>
  %3 = nn.add %2, %1 : (tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<4x6xf32>
  return %3 : tensor<4x6xf32>
}

// -----

// Those of several groups are part of the code, and so are those that it can make use of:
// exponents, powers of two, zero, divisors of integers.
// CHECK-LABEL: func @numbersInside
// CHECK: nn.group %arg0 {
// CHECK: nn.yield
// CHECK: nn.group %arg1 {
// CHECK: nn.yield
// CHECK: nn.group %arg2 {
// CHECK: nn.yield
func.func @numbersInside(%x: tensor<4xf32>, %y: tensor<4xf32>, %i: tensor<4xi32>)
    -> (tensor<4xf32>, tensor<4xf32>, tensor<4xi32>) {
  %shared = nn.constant dense<0.7> : tensor<f32>
  %power = nn.constant dense<3.0> : tensor<f32>
  %half = nn.constant dense<0.5> : tensor<f32>
  %zero = nn.constant dense<0.0> : tensor<f32>
  %seven = nn.constant dense<7> : tensor<i32>
  %0 = nn.mul %x, %shared : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = nn.pow %0, %power : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %2 = nn.mul %1, %half : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %3 = nn.mul %y, %shared : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %4 = nn.add %3, %zero : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %5 = nn.div %i, %seven : (tensor<4xi32>, tensor<i32>) -> tensor<4xi32>
  return %2, %4, %5 : tensor<4xf32>, tensor<4xf32>, tensor<4xi32>
}

// -----

// Each elementwise op widens for itself what several read: the residual in the kernel of the
// product, the other in its own.
// CHECK-LABEL: func @widened
// CHECK: nn.group %arg2, %arg0, %arg1 {
// CHECK: nn.cast %{{.*}} {to = f32}
// CHECK: nn.matmul
// CHECK-NEXT: nn.add
// CHECK: nn.yield
// CHECK: nn.group %arg2 {
// CHECK: nn.cast %{{.*}} {to = f32}
// CHECK: nn.tanh
// CHECK: nn.yield
// CHECK-NOT: nn.cast
func.func @widened(%a: tensor<4x4xf32>, %b: tensor<4x4xf32>, %h: tensor<4x4xbf16>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %0 = nn.cast %h {to = f32} : (tensor<4x4xbf16>) -> tensor<4x4xf32>
  %1 = nn.matmul %a, %b : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %2 = nn.add %1, %0 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %3 = nn.tanh %0 : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return %2, %3 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// So do they with bytes that several dequantize: the first group leaves bytes.
// CHECK-LABEL: func @widenedBytes
// CHECK: nn.group
// CHECK: nn.yield {{.*}} : tensor<4x4xi8>
// CHECK: nn.group
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<4x4xi8>
// CHECK-NEXT: nn.cast {{.*}} {to = i32}
// CHECK: nn.group
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<4x4xi8>
// CHECK-NEXT: nn.cast {{.*}} {to = i32}
func.func @widenedBytes(%a: tensor<4x4xf32>, %b: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %none = nn.none
  %one = nn.constant dense<1> : tensor<i32>
  %two = nn.constant dense<2> : tensor<i32>
  %q = nn.cast %a {to = i8} : (tensor<4x4xf32>) -> tensor<4x4xi8>
  %i = nn.cast %q {to = i32} : (tensor<4x4xi8>) -> tensor<4x4xi32>
  %0 = nn.sub %i, %one : (tensor<4x4xi32>, tensor<i32>) -> tensor<4x4xi32>
  %1 = nn.cast %0 {to = f32} : (tensor<4x4xi32>) -> tensor<4x4xf32>
  %2 = nn.sub %i, %two : (tensor<4x4xi32>, tensor<i32>) -> tensor<4x4xi32>
  %3 = nn.cast %2 {to = f32} : (tensor<4x4xi32>) -> tensor<4x4xf32>
  %4 = nn.matmul %1, %b : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %5 = nn.matmul %3, %b : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %4, %5 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// Others than elementwise ops share what is widened.
// CHECK-LABEL: func @widenedOnce
// CHECK: nn.cast
// CHECK-NOT: nn.cast
// CHECK: nn.softmax
// CHECK: nn.softmax
func.func @widenedOnce(%h: tensor<4x4xbf16>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %0 = nn.cast %h {to = f32} : (tensor<4x4xbf16>) -> tensor<4x4xf32>
  %1 = nn.softmax %0 {axis = 0, trailing = false} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %2 = nn.softmax %0 {axis = 1, trailing = false} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return %1, %2 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// What an epilogue reads beside its anchor's result is computed in front of the anchor.
// CHECK-LABEL: func @operand_behind_anchor
// CHECK: %[[SUM:.*]] = nn.group
// CHECK-DAG: nn.conv
// CHECK-DAG: nn.cast
// CHECK-DAG: nn.mul
// CHECK: nn.add
// CHECK-NEXT: nn.yield
// CHECK: return %[[SUM]]
// SINGLE-LABEL: func @operand_behind_anchor
func.func @operand_behind_anchor(%x: tensor<1x8x4x4xf32>, %w: tensor<8x8x1x1xf32>, %y: tensor<1x8x4x4xui8>) -> tensor<1x8x4x4xf32> {
  %none = nn.none
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x8x4x4xf32>, tensor<8x8x1x1xf32>, none) -> tensor<1x8x4x4xf32>
  %1 = nn.cast %y {to = f32} : (tensor<1x8x4x4xui8>) -> tensor<1x8x4x4xf32>
  %two = nn.constant dense<3.0> : tensor<f32>
  %2 = nn.mul %1, %two : (tensor<1x8x4x4xf32>, tensor<f32>) -> tensor<1x8x4x4xf32>
  %3 = nn.add %0, %2 : (tensor<1x8x4x4xf32>, tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32>
  return %3 : tensor<1x8x4x4xf32>
}

// -----

// What is computed of the anchor's result in another way stays behind it.
// CHECK-LABEL: func @operand_of_anchor
// CHECK: nn.group
// CHECK: nn.conv
// CHECK: nn.lrn
// CHECK: nn.group
// CHECK: nn.add
// SINGLE-LABEL: func @operand_of_anchor
func.func @operand_of_anchor(%x: tensor<1x8x4x4xf32>, %w: tensor<8x8x1x1xf32>) -> tensor<1x8x4x4xf32> {
  %none = nn.none
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x8x4x4xf32>, tensor<8x8x1x1xf32>, none) -> tensor<1x8x4x4xf32>
  %1 = nn.lrn %0 {alpha = 1.0e-4 : f64, beta = 0.75 : f64, bias = 1.0 : f64, size = 3 : i64} : (tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32>
  %2 = nn.exp %1 : (tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32>
  %3 = nn.add %0, %2 : (tensor<1x8x4x4xf32>, tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32>
  return %3 : tensor<1x8x4x4xf32>
}

// -----

// What others use ends its group, of which it is the one result.
// CHECK-LABEL: func @used_twice
// CHECK: %[[A:.*]] = nn.group %arg0, %arg1 {
// CHECK: nn.conv
// CHECK-NEXT: %[[RELU:.*]] = nn.relu
// CHECK-NEXT: nn.yield %[[RELU]]
// CHECK: %[[B:.*]] = nn.group %[[A]]
// CHECK: nn.exp
// CHECK: nn.lrn %[[A]]
// CHECK: return %[[B]]
// SINGLE-LABEL: func @used_twice
func.func @used_twice(%x: tensor<1x8x4x4xf32>, %w: tensor<8x8x1x1xf32>) -> (tensor<1x8x4x4xf32>, tensor<1x8x4x4xf32>) {
  %none = nn.none
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x8x4x4xf32>, tensor<8x8x1x1xf32>, none) -> tensor<1x8x4x4xf32>
  %1 = nn.relu %0 : (tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32>
  %2 = nn.exp %1 : (tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32>
  %3 = nn.lrn %1 {alpha = 1.0e-4 : f64, beta = 0.75 : f64, bias = 1.0 : f64, size = 3 : i64} : (tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32>
  return %2, %3 : tensor<1x8x4x4xf32>, tensor<1x8x4x4xf32>
}

// -----

// Bytes are dequantized by the group that adds them up, not by the one that makes them.
// CHECK-LABEL: func @narrowest
// CHECK: %[[A:.*]] = nn.group
// CHECK: nn.conv
// CHECK-NEXT: nn.cast {{.*}} {to = ui8}
// CHECK-NEXT: nn.yield
// CHECK: %[[B:.*]] = nn.group {{.*}}%[[A]]
// CHECK-DAG: nn.cast {{.*}} {to = f32}
// CHECK-DAG: nn.conv
// CHECK: nn.add
// CHECK: return %[[B]]
// SINGLE-LABEL: func @narrowest
func.func @narrowest(%x: tensor<1x8x4x4xf32>, %w: tensor<8x8x1x1xf32>) -> tensor<1x8x4x4xf32> {
  %none = nn.none
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x8x4x4xf32>, tensor<8x8x1x1xf32>, none) -> tensor<1x8x4x4xf32>
  %1 = nn.cast %0 {to = ui8} : (tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xui8>
  %2 = nn.cast %1 {to = f32} : (tensor<1x8x4x4xui8>) -> tensor<1x8x4x4xf32>
  %3 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x8x4x4xf32>, tensor<8x8x1x1xf32>, none) -> tensor<1x8x4x4xf32>
  %4 = nn.add %2, %3 : (tensor<1x8x4x4xf32>, tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32>
  return %4 : tensor<1x8x4x4xf32>
}
