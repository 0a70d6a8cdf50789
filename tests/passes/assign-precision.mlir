// RUN: quern-opt %s --split-input-file --nn-assign-precision | FileCheck %s
// RUN: quern-opt %s --split-input-file --nn-assign-precision --nn-assign-precision | FileCheck %s

// Factors are rounded, constant ones too; the bias, the sums and the result stay float32.
// CHECK-LABEL: func @conv
// CHECK-DAG: %[[X:.*]] = nn.cast %arg0 {to = bf16} : (tensor<1x3x8x8xf32>) -> tensor<1x3x8x8xbf16>
// CHECK-DAG: %[[W:.*]] = nn.cast %{{.*}} {to = bf16} : (tensor<4x3x3x3xf32>) -> tensor<4x3x3x3xbf16>
// CHECK: nn.conv %[[X]], %[[W]], %{{.*}} : (tensor<1x3x8x8xbf16>, tensor<4x3x3x3xbf16>, tensor<4xf32>) -> tensor<1x4x6x6xf32>
func.func @conv(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x6x6xf32> {
  %w = nn.constant dense<1.0> : tensor<4x3x3x3xf32>
  %b = nn.constant dense<1.0> : tensor<4xf32>
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, tensor<4xf32>) -> tensor<1x4x6x6xf32>
  return %0 : tensor<1x4x6x6xf32>
}

// -----

// One rounding serves all; names of sizes stay.
// CHECK-LABEL: func @shared
// CHECK: %[[X:.*]] = nn.cast %arg0 {to = bf16} : (tensor<?x4xf32, #nn.dims<"N", "">>) -> tensor<?x4xbf16, #nn.dims<"N", "">>
// CHECK-NOT: nn.cast %arg0
// CHECK: nn.matmul %[[X]], %{{.*}} -> tensor<?x4xf32, #nn.dims<"N", "">>
// CHECK: nn.gemm %[[X]], %{{.*}} -> tensor<?x4xf32, #nn.dims<"N", "">>
func.func @shared(%x: tensor<?x4xf32, #nn.dims<"N", "">>) -> (tensor<?x4xf32, #nn.dims<"N", "">>, tensor<?x4xf32, #nn.dims<"N", "">>) {
  %w = nn.constant dense<1.0> : tensor<4x4xf32>
  %c = nn.constant dense<1.0> : tensor<4xf32>
  %0 = nn.matmul %x, %w : (tensor<?x4xf32, #nn.dims<"N", "">>, tensor<4x4xf32>) -> tensor<?x4xf32, #nn.dims<"N", "">>
  %1 = nn.gemm %x, %w, %c {alpha = 1.0, beta = 1.0, trans_a = false, trans_b = true} : (tensor<?x4xf32, #nn.dims<"N", "">>, tensor<4x4xf32>, tensor<4xf32>) -> tensor<?x4xf32, #nn.dims<"N", "">>
  return %0, %1 : tensor<?x4xf32, #nn.dims<"N", "">>, tensor<?x4xf32, #nn.dims<"N", "">>
}

// -----

// What a kernel computes is rounded in it when all users do as well with it: the residual is
// widened again where it is added.
// CHECK-LABEL: func @residual
// CHECK: %[[P:.*]] = nn.matmul
// CHECK-NEXT: %[[R:.*]] = nn.relu %[[P]]
// CHECK-NEXT: %[[H:.*]] = nn.cast %[[R]] {to = bf16}
// CHECK: %[[Q:.*]] = nn.matmul %[[H]]
// CHECK-NEXT: %[[F:.*]] = nn.cast %[[H]] {to = f32}
// CHECK-NEXT: %[[S:.*]] = nn.add %[[Q]], %[[F]]
// CHECK-NEXT: return %[[S]]
func.func @residual(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %w = nn.constant dense<1.0> : tensor<4x4xf32>
  %0 = nn.matmul %x, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = nn.relu %0 : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %2 = nn.matmul %1, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %3 = nn.add %2, %1 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %3 : tensor<4x4xf32>
}

// -----

// Results of the graph, softmax and what amplifies errors read the value as it was, and so do
// then all but the products.
// CHECK-LABEL: func @kept
// CHECK: %[[P:.*]] = nn.matmul
// CHECK-NEXT: %[[H:.*]] = nn.cast %[[P]] {to = bf16}
// CHECK: nn.matmul %[[H]]
// CHECK: nn.add %[[P]], %[[P]]
// CHECK: nn.softmax %[[P]]
func.func @kept(%x: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) {
  %w = nn.constant dense<1.0> : tensor<4x4xf32>
  %0 = nn.matmul %x, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = nn.matmul %0, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %2 = nn.add %0, %0 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %3 = nn.softmax %0 {axis = 1, trailing = false} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return %1, %2, %3 : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// CHECK-LABEL: func @amplified
// CHECK: %[[P:.*]] = nn.matmul
// CHECK: nn.floor %[[P]]
// CHECK: nn.less %[[P]]
func.func @amplified(%x: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xi1>) {
  %w = nn.constant dense<1.0> : tensor<4x4xf32>
  %0 = nn.matmul %x, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = nn.matmul %0, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %2 = nn.floor %0 : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %3 = nn.less %0, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xi1>
  return %1, %2, %3 : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xi1>
}

// -----

// A normalization's result is rounded beside what others read.
// CHECK-LABEL: func @norm
// CHECK: %[[N:.*]] = nn.layer_norm
// CHECK: %[[H:.*]] = nn.cast %[[N]] {to = bf16}
// CHECK: %[[P:.*]] = nn.matmul %[[H]]
// CHECK: nn.add %[[P]], %[[N]]
func.func @norm(%x: tensor<4x4xf32>, %g: tensor<4xf32>) -> tensor<4x4xf32> {
  %w = nn.constant dense<1.0> : tensor<4x4xf32>
  %n = nn.layer_norm %x, %g, %g {axis = 1 : i64, center = true, epsilon = 1.0e-05 : f64} : (tensor<4x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  %0 = nn.matmul %n, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = nn.add %0, %n : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %1 : tensor<4x4xf32>
}

// -----

// Elements move when they are rounded, once: between two products the tensor is bfloat16.
// CHECK-LABEL: func @moved
// CHECK: %[[P:.*]] = nn.matmul
// CHECK-NEXT: %[[H:.*]] = nn.cast %[[P]] {to = bf16}
// CHECK-NEXT: %[[T:.*]] = nn.transpose %[[H]] {perm = array<i64: 1, 0>} : (tensor<2x4xbf16>) -> tensor<4x2xbf16>
// CHECK-NOT: nn.transpose
// CHECK: nn.matmul %[[T]], %[[H]]
func.func @moved(%x: tensor<2x4xf32>) -> tensor<4x4xf32> {
  %w = nn.constant dense<1.0> : tensor<4x4xf32>
  %0 = nn.matmul %x, %w : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
  %1 = nn.transpose %0 {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %2 = nn.matmul %1, %0 : (tensor<4x2xf32>, tensor<2x4xf32>) -> tensor<4x4xf32>
  return %2 : tensor<4x4xf32>
}

// -----

// The nearest pixels are copies of what was rounded, by scales that are not; sums of them are not.
// CHECK-LABEL: func @resized
// CHECK: %[[H:.*]] = nn.cast %{{.*}} {to = bf16} : (tensor<1x4x4x4xf32>)
// CHECK: %[[N:.*]] = nn.resize nearest{{.*}} %[[H]], %{{.*}} : (tensor<1x4x4x4xbf16>, none, tensor<4xf32>, none) -> tensor<1x4x8x8xbf16>
// CHECK: nn.conv %[[N]]
// CHECK: %[[L:.*]] = nn.resize linear{{.*}} -> tensor<1x4x8x8xf32>
// CHECK: %[[R:.*]] = nn.cast %[[L]] {to = bf16}
// CHECK: nn.conv %[[R]]
func.func @resized(%x: tensor<1x4x4x4xf32>) -> (tensor<1x4x8x8xf32>, tensor<1x4x8x8xf32>) {
  %none = nn.none
  %w = nn.constant dense<1.0> : tensor<4x4x1x1xf32>
  %s = nn.constant dense<[1.0, 1.0, 2.0, 2.0]> : tensor<4xf32>
  %0 = nn.relu %x : (tensor<1x4x4x4xf32>) -> tensor<1x4x4x4xf32>
  %1 = nn.resize nearest(asymmetric, floor) %0, %none, %s, %none {cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<1x4x4x4xf32>, none, tensor<4xf32>, none) -> tensor<1x4x8x8xf32>
  %2 = nn.conv %1, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1} : (tensor<1x4x8x8xf32>, tensor<4x4x1x1xf32>, none) -> tensor<1x4x8x8xf32>
  %3 = nn.relu %2 : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  %4 = nn.resize linear(half_pixel, floor) %0, %none, %s, %none {cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<1x4x4x4xf32>, none, tensor<4xf32>, none) -> tensor<1x4x8x8xf32>
  %5 = nn.conv %4, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1} : (tensor<1x4x8x8xf32>, tensor<4x4x1x1xf32>, none) -> tensor<1x4x8x8xf32>
  return %3, %5 : tensor<1x4x8x8xf32>, tensor<1x4x8x8xf32>
}

// -----

// What is moved for a result of the graph, too, moves once, as it was.
// CHECK-LABEL: func @moved_for_both
// CHECK: %[[T:.*]] = nn.transpose %{{.*}} -> tensor<4x2xf32>
// CHECK-NEXT: %[[H:.*]] = nn.cast %[[T]] {to = bf16}
// CHECK-NOT: nn.transpose
// CHECK: nn.matmul %[[H]]
// CHECK: return %{{.*}}, %[[T]]
func.func @moved_for_both(%x: tensor<2x4xf32>) -> (tensor<4x2xf32>, tensor<4x2xf32>) {
  %w = nn.constant dense<1.0> : tensor<2x2xf32>
  %0 = nn.relu %x : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %1 = nn.transpose %0 {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %2 = nn.matmul %1, %w : (tensor<4x2xf32>, tensor<2x2xf32>) -> tensor<4x2xf32>
  return %2, %1 : tensor<4x2xf32>, tensor<4x2xf32>
}

// -----

// A reshape that only an addition reads gives it what the product got.
// CHECK-LABEL: func @moved_residual
// CHECK: %[[R:.*]] = nn.relu
// CHECK-NEXT: %[[H:.*]] = nn.cast %[[R]] {to = bf16}
// CHECK-NEXT: %[[T:.*]] = nn.transpose %[[H]] {{.*}} -> tensor<4x4xbf16>
// CHECK: %[[P:.*]] = nn.matmul %[[H]]
// CHECK: %[[F:.*]] = nn.cast %[[T]] {to = f32}
// CHECK: nn.add %[[P]], %[[F]]
func.func @moved_residual(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %w = nn.constant dense<1.0> : tensor<4x4xf32>
  %0 = nn.relu %x : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = nn.transpose %0 {perm = array<i64: 1, 0>} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %2 = nn.matmul %0, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %3 = nn.add %2, %1 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %3 : tensor<4x4xf32>
}

// -----

// A concatenation that a product reads is of rounded parts; one that a norm reads, too, is not, and
// so its parts are as they were.
// CHECK-LABEL: func @concat
// CHECK-DAG: %[[A:.*]] = nn.cast %arg0 {to = bf16}
// CHECK-DAG: %[[B:.*]] = nn.cast %arg1 {to = bf16}
// CHECK: %[[C:.*]] = nn.concat %[[A]], %[[B]] {axis = 0 : i64} : (tensor<2x4xbf16>, tensor<2x4xbf16>) -> tensor<4x4xbf16>
// CHECK: nn.matmul %[[C]]
// CHECK: %[[D:.*]] = nn.concat %arg0, %arg1 {axis = 1 : i64} : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x8xf32>
func.func @concat(%x: tensor<2x4xf32>, %y: tensor<2x4xf32>) -> (tensor<4x4xf32>, tensor<2x8xf32>) {
  %w = nn.constant dense<1.0> : tensor<4x4xf32>
  %0 = nn.concat %x, %y {axis = 0 : i64} : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<4x4xf32>
  %1 = nn.matmul %0, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %2 = nn.concat %x, %y {axis = 1 : i64} : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x8xf32>
  %3 = nn.softmax %2 {axis = 1, trailing = false} : (tensor<2x8xf32>) -> tensor<2x8xf32>
  return %1, %3 : tensor<4x4xf32>, tensor<2x8xf32>
}

// -----

// A split whose parts products read is of what is rounded; one of which a part is read as it is, is
// not.
// CHECK-LABEL: func @split
// CHECK-DAG: %[[A:.*]] = nn.cast %arg0 {to = bf16}
// CHECK: %[[P:.*]]:2 = nn.split %[[A]], {{.*}} -> (tensor<4x4xbf16>, tensor<4x4xbf16>)
// CHECK: nn.matmul %[[P]]#0, %{{.*}}
// CHECK: nn.matmul %[[P]]#1, %{{.*}}
// CHECK: nn.split %arg1, {{.*}} -> (tensor<4x4xf32>, tensor<4x4xf32>)
func.func @split(%x: tensor<8x4xf32>, %y: tensor<8x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) {
  %w = nn.constant dense<1.0> : tensor<4x4xf32>
  %sizes = nn.constant dense<[4, 4]> : tensor<2xi64>
  %0:2 = nn.split %x, %sizes {axis = 0 : i64} : (tensor<8x4xf32>, tensor<2xi64>) -> (tensor<4x4xf32>, tensor<4x4xf32>)
  %1 = nn.matmul %0#0, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %2 = nn.matmul %0#1, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %3:2 = nn.split %y, %sizes {axis = 0 : i64} : (tensor<8x4xf32>, tensor<2xi64>) -> (tensor<4x4xf32>, tensor<4x4xf32>)
  %4 = nn.matmul %3#0, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %5 = nn.softmax %3#1 {axis = 1, trailing = false} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return %1, %2, %4, %5 : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// The largest of rounded numbers is the largest, rounded. An average is not.
// CHECK-LABEL: func @pools
// CHECK: nn.max_pool %{{.*}} -> tensor<1x4x2x2xbf16>
// CHECK: %[[A:.*]] = nn.average_pool %{{.*}} -> tensor<1x4x2x2xf32>
// CHECK: nn.cast %[[A]] {to = bf16}
func.func @pools(%x: tensor<1x4x4x4xf32>) -> (tensor<1x4x2x2xf32>, tensor<1x4x2x2xf32>) {
  %none = nn.none
  %w = nn.constant dense<1.0> : tensor<4x4x1x1xf32>
  %0 = nn.max_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false} : (tensor<1x4x4x4xf32>) -> tensor<1x4x2x2xf32>
  %1 = nn.conv %0, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1} : (tensor<1x4x2x2xf32>, tensor<4x4x1x1xf32>, none) -> tensor<1x4x2x2xf32>
  %2 = nn.average_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false, count_include_pad = false} : (tensor<1x4x4x4xf32>) -> tensor<1x4x2x2xf32>
  %3 = nn.conv %2, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1} : (tensor<1x4x2x2xf32>, tensor<4x4x1x1xf32>, none) -> tensor<1x4x2x2xf32>
  return %1, %3 : tensor<1x4x2x2xf32>, tensor<1x4x2x2xf32>
}

// -----

// What was bfloat16 is taken as it was.
// CHECK-LABEL: func @given
// CHECK-NOT: {to = bf16} : (tensor<4x4xf32>)
// CHECK: nn.matmul %arg0
func.func @given(%x: tensor<4x4xbf16>, %w: tensor<4x4xbf16>) -> tensor<4x4xf32> {
  %0 = nn.cast %x {to = f32} : (tensor<4x4xbf16>) -> tensor<4x4xf32>
  %1 = nn.cast %w {to = f32} : (tensor<4x4xbf16>) -> tensor<4x4xf32>
  %2 = nn.matmul %0, %1 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %2 : tensor<4x4xf32>
}

// -----

// Weights that are no constants, transposed first factors, and other types stay.
// CHECK-LABEL: func @refused
// CHECK-NOT: bf16
// CHECK: return
func.func @refused(%x: tensor<1x4x8x8xf32>, %w: tensor<4x4x1x1xf32>, %m: tensor<4x4xf32>, %d: tensor<4x4xf64>) -> (tensor<1x4x8x8xf32>, tensor<4x4xf32>, tensor<4x4xf64>, tensor<1x4x8x8xf32>) {
  %none = nn.none
  %b = nn.constant dense<1.0> : tensor<4x4xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1} : (tensor<1x4x8x8xf32>, tensor<4x4x1x1xf32>, none) -> tensor<1x4x8x8xf32>
  %1 = nn.gemm %m, %b, %none {alpha = 1.0, beta = 1.0, trans_a = true, trans_b = false} : (tensor<4x4xf32>, tensor<4x4xf32>, none) -> tensor<4x4xf32>
  %2 = nn.matmul %d, %d : (tensor<4x4xf64>, tensor<4x4xf64>) -> tensor<4x4xf64>
  %3 = nn.conv_transpose %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, output_padding = array<i64: 0, 0>, output_shape = array<i64>, group = 1} : (tensor<1x4x8x8xf32>, tensor<4x4x1x1xf32>, none) -> tensor<1x4x8x8xf32>
  return %0, %1, %2, %3 : tensor<1x4x8x8xf32>, tensor<4x4xf32>, tensor<4x4xf64>, tensor<1x4x8x8xf32>
}

// -----

// Volumes, transposed convolution, and products of two computed matrices.
// CHECK-LABEL: func @volumes
// CHECK: nn.conv_transpose {{.*}} : (tensor<1x4x8x8x8xbf16>, tensor<4x4x1x1x1xbf16>, none) -> tensor<1x4x8x8x8xf32>
// CHECK: nn.conv {{.*}} : (tensor<1x4x8x8x8xbf16>, tensor<4x4x1x1x1xbf16>, none) -> tensor<1x4x8x8x8xf32>
// CHECK: nn.gemm {{.*}} : (tensor<4x4xbf16>, tensor<4x4xbf16>, none) -> tensor<4x4xf32>
func.func @volumes(%v: tensor<1x4x8x8x8xf32>, %m: tensor<4x4xf32>) -> (tensor<1x4x8x8x8xf32>, tensor<4x4xf32>) {
  %none = nn.none
  %volume = nn.constant dense<1.0> : tensor<4x4x1x1x1xf32>
  %t = nn.conv_transpose %v, %volume, %none {strides = array<i64: 1, 1, 1>, dilations = array<i64: 1, 1, 1>, pads = array<i64: 0, 0, 0, 0, 0, 0>, output_padding = array<i64: 0, 0, 0>, output_shape = array<i64>, group = 1} : (tensor<1x4x8x8x8xf32>, tensor<4x4x1x1x1xf32>, none) -> tensor<1x4x8x8x8xf32>
  %0 = nn.conv %t, %volume, %none {strides = array<i64: 1, 1, 1>, dilations = array<i64: 1, 1, 1>, pads = array<i64: 0, 0, 0, 0, 0, 0>, group = 1} : (tensor<1x4x8x8x8xf32>, tensor<4x4x1x1x1xf32>, none) -> tensor<1x4x8x8x8xf32>
  %1 = nn.gemm %m, %m, %none {alpha = 1.0, beta = 1.0, trans_a = false, trans_b = false} : (tensor<4x4xf32>, tensor<4x4xf32>, none) -> tensor<4x4xf32>
  return %0, %1 : tensor<1x4x8x8x8xf32>, tensor<4x4xf32>
}

// -----

// What is read in a branch is rounded before it, once; what a branch gives is as it was.
// CHECK-LABEL: func @captured
// CHECK: %[[P:.*]] = nn.matmul
// CHECK: %[[H:.*]] = nn.cast %[[P]] {to = bf16}
// CHECK-NOT: nn.cast %[[P]]
// CHECK: nn.if
// CHECK: nn.matmul %[[H]], %[[H]] : (tensor<4x4xbf16>, tensor<4x4xbf16>) -> tensor<4x4xf32>
// CHECK: nn.yield %[[P]]
func.func @captured(%x: tensor<4x4xf32>, %condition: tensor<i1>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %w = nn.constant dense<1.0> : tensor<4x4xf32>
  %0 = nn.matmul %x, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = nn.matmul %0, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %2 = nn.if %condition {
    %3 = nn.matmul %0, %0 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    nn.yield %3 : tensor<4x4xf32>
  } else {
    nn.yield %0 : tensor<4x4xf32>
  } : (tensor<i1>) -> tensor<4x4xf32>
  return %1, %2 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// Of attention query, key and value are factors, which what makes them rounds; the mask is not.
// CHECK-LABEL: func @attention
// CHECK-SAME: %arg0: tensor<1x2x5x16xf32>, %arg1: tensor<5x5xf32>
// CHECK: %[[Q:.*]] = nn.cast %arg0 {to = bf16}
// CHECK: nn.attention %[[Q]], %[[Q]], %[[Q]], %arg1, %{{.*}} : (tensor<1x2x5x16xbf16>, tensor<1x2x5x16xbf16>, tensor<1x2x5x16xbf16>, tensor<5x5xf32>, none, none, none) -> tensor<1x2x5x16xf32>
func.func @attention(%q: tensor<1x2x5x16xf32>, %m: tensor<5x5xf32>) -> tensor<1x2x5x16xf32> {
  %none = nn.none
  %0 = nn.attention %q, %q, %q, %m, %none, %none, %none {query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x2x5x16xf32>, tensor<1x2x5x16xf32>, tensor<1x2x5x16xf32>, tensor<5x5xf32>, none, none, none) -> tensor<1x2x5x16xf32>
  return %0 : tensor<1x2x5x16xf32>
}

// -----

// Queries whose elements are apart fill no groups.
// CHECK-LABEL: func @scattered_queries
// CHECK-NOT: bf16
func.func @scattered_queries(%q: tensor<1x2x16x16xf32>) -> tensor<1x2x16x16xf32> {
  %none = nn.none
  %0 = nn.attention %q, %q, %q, %none, %none, %none, %none {query_perm = array<i64: 0, 1, 3, 2>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0, softcap = 0.0, causal = false, zero_masked_rows = false} : (tensor<1x2x16x16xf32>, tensor<1x2x16x16xf32>, tensor<1x2x16x16xf32>, none, none, none, none) -> tensor<1x2x16x16xf32>
  return %0 : tensor<1x2x16x16xf32>
}

// -----

// Of a recurrence the weights are rounded, and by the op the states; what the inputs give to the
// gates is a sum.
// CHECK-LABEL: func @recurrent
// CHECK: %[[R:.*]] = nn.cast %{{.*}} {to = bf16} : (tensor<1x4x4xf32>) -> tensor<1x4x4xbf16>
// CHECK: nn.recurrent rnn forward [Tanh] %arg0, %[[R]], {{.*}} : (tensor<3x2x4xf32>, tensor<1x4x4xbf16>, none, none, none, none, none) -> (tensor<3x1x2x4xf32>, tensor<1x2x4xf32>)
func.func @recurrent(%x: tensor<3x2x4xf32>) -> tensor<3x1x2x4xf32> {
  %none = nn.none
  %r = nn.constant dense<1.0> : tensor<1x4x4xf32>
  %0:2 = nn.recurrent rnn forward [Tanh] %x, %r, %none, %none, %none, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = false} : (tensor<3x2x4xf32>, tensor<1x4x4xf32>, none, none, none, none, none) -> (tensor<3x1x2x4xf32>, tensor<1x2x4xf32>)
  return %0#0 : tensor<3x1x2x4xf32>
}

// -----

// CHECK-LABEL: func @computed_recurrence
// CHECK-NOT: bf16
func.func @computed_recurrence(%x: tensor<3x2x4xf32>, %r: tensor<1x4x4xf32>) -> tensor<3x1x2x4xf32> {
  %none = nn.none
  %0:2 = nn.recurrent rnn forward [Tanh] %x, %r, %none, %none, %none, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = false} : (tensor<3x2x4xf32>, tensor<1x4x4xf32>, none, none, none, none, none) -> (tensor<3x1x2x4xf32>, tensor<1x2x4xf32>)
  return %0#0 : tensor<3x1x2x4xf32>
}

// -----

// Depthwise convolution, in one dimension, too.
// CHECK-LABEL: func @depthwise
// CHECK: nn.conv {{.*}} : (tensor<1x4x8xbf16>, tensor<4x1x3xbf16>, none) -> tensor<1x4x6xf32>
func.func @depthwise(%x: tensor<1x4x8xf32>) -> tensor<1x4x6xf32> {
  %none = nn.none
  %w = nn.constant dense<1.0> : tensor<4x1x3xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, group = 4} : (tensor<1x4x8xf32>, tensor<4x1x3xf32>, none) -> tensor<1x4x6xf32>
  return %0 : tensor<1x4x6xf32>
}

// -----

// Weights of 16 bits are rounded from those, or are what they would be rounded to.
// CHECK-LABEL: func @half_weights
// CHECK-DAG: %[[X:.*]] = nn.cast %arg0 {to = bf16}
// CHECK-DAG: %[[W:.*]] = nn.cast %{{.*}} {to = bf16} : (tensor<4x4xf16>) -> tensor<4x4xbf16>
// CHECK-DAG: %[[V:.*]] = nn.constant dense<2.000000e+00> : tensor<4x4xbf16>
// CHECK: nn.matmul %[[X]], %[[W]] : (tensor<2x4xbf16>, tensor<4x4xbf16>) -> tensor<2x4xf32>
// CHECK: nn.matmul %[[X]], %[[V]] : (tensor<2x4xbf16>, tensor<4x4xbf16>) -> tensor<2x4xf32>
func.func @half_weights(%x: tensor<2x4xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>) {
  %w = nn.constant dense<1.0> : tensor<4x4xf16>
  %v = nn.constant dense<2.0> : tensor<4x4xbf16>
  %0 = nn.matmul %x, %w : (tensor<2x4xf32>, tensor<4x4xf16>) -> tensor<2x4xf32>
  %1 = nn.matmul %x, %v : (tensor<2x4xf32>, tensor<4x4xbf16>) -> tensor<2x4xf32>
  return %0, %1 : tensor<2x4xf32>, tensor<2x4xf32>
}
