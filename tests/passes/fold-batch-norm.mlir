// RUN: quern-opt %s --split-input-file --nn-fold-batch-norm | FileCheck %s
// RUN: quern-opt %s --split-input-file --nn-fold-batch-norm=max-folded-work=100 \
// RUN:   | FileCheck %s --check-prefix=SHORT

// scale / sqrt(variance + epsilon) is 2 / sqrt(4) = 1 and 6 / 2 = 3; the shift is
// bias - mean * that = 1 - 1 * 1 and 0 - 2 * 3. The name of both nodes stays.
// CHECK-LABEL: func @conv
// CHECK-DAG: %[[W:.*]] = nn.constant dense<{{\[\[\[\[}}1.000000e+00]]], {{\[\[\[}}6.000000e+00]]]]> : tensor<2x1x1x1xf32>
// CHECK-DAG: %[[B:.*]] = nn.constant dense<[0.000000e+00, -6.000000e+00]> : tensor<2xf32>
// CHECK: %[[R:.*]] = nn.conv %arg0, %[[W]], %[[B]]
// CHECK-NEXT: return %[[R]]
func.func @conv(%x: tensor<1x1x4x4xf32>) -> tensor<1x2x4x4xf32> {
  %none = nn.none
  %w = nn.constant dense<[[[[1.0]]], [[[2.0]]]]> : tensor<2x1x1x1xf32>
  %scale = nn.constant dense<[2.0, 6.0]> : tensor<2xf32>
  %bias = nn.constant dense<[1.0, 0.0]> : tensor<2xf32>
  %mean = nn.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %variance = nn.constant dense<3.0> : tensor<2xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  %1 = nn.batch_norm %0, %scale, %bias, %mean, %variance {epsilon = 1.0} : (tensor<1x2x4x4xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32>
  return %1 : tensor<1x2x4x4xf32>
}

// -----

// Channels are the second dimension of a transposed convolution's weights, per group.
// CHECK-LABEL: func @convTranspose
// CHECK-DAG: nn.constant dense<{{\[\[\[\[}}1.000000e+00]], {{\[\[}}2.000000e+00]]], {{\[\[\[}}3.000000e+00]], {{\[\[}}4.000000e+00]]]]> : tensor<2x2x1x1xf32>
// CHECK: nn.conv_transpose
// CHECK-NOT: nn.mul
func.func @convTranspose(%x: tensor<1x2x4x4xf32>) -> tensor<1x4x4x4xf32> {
  %none = nn.none
  %w = nn.constant dense<1.0> : tensor<2x2x1x1xf32>
  %c = nn.constant dense<[[[1.0]], [[2.0]], [[3.0]], [[4.0]]]> : tensor<4x1x1xf32>
  %0 = nn.conv_transpose %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, output_padding = array<i64: 0, 0>, output_shape = array<i64>, group = 2 : i64} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x4x4x4xf32>
  %1 = nn.mul %0, %c : (tensor<1x4x4x4xf32>, tensor<4x1x1xf32>) -> tensor<1x4x4x4xf32>
  return %1 : tensor<1x4x4x4xf32>
}

// -----

// beta goes into the bias, alpha stays: 2 * [1, 2] * [1, 10] + [5, 6] = [7, 46].
// CHECK-LABEL: func @gemm
// CHECK-DAG: %[[W:.*]] = nn.constant dense<{{\[\[}}1.000000e+00, 1.000000e+01], [3.000000e+00, 4.000000e+01]]> : tensor<2x2xf32>
// CHECK-DAG: %[[B:.*]] = nn.constant dense<[7.000000e+00, 4.600000e+01]> : tensor<2xf32>
// CHECK: %[[R:.*]] = nn.gemm %arg0, %[[W]], %[[B]] {alpha = 3.000000e+00 : f64, beta = 1.000000e+00 : f64
// CHECK-NEXT: return %[[R]]
func.func @gemm(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %w = nn.constant dense<[[1.0, 1.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %b = nn.constant dense<[[1.0, 2.0]]> : tensor<1x2xf32>
  %c = nn.constant dense<[1.0, 10.0]> : tensor<2xf32>
  %d = nn.constant dense<[5.0, 6.0]> : tensor<2xf32>
  %0 = nn.gemm %x, %w, %b {alpha = 3.0, beta = 2.0, trans_a = false, trans_b = false} : (tensor<1x2xf32>, tensor<2x2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
  %1 = nn.mul %c, %0 : (tensor<2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
  %2 = nn.add %1, %d : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  return %2 : tensor<1x2xf32>
}

// -----

// Rows of transposed weights; a number is the same for all channels.
// CHECK-LABEL: func @gemmTransposed
// CHECK-DAG: nn.constant dense<{{\[\[}}2.000000e+00, 4.000000e+00], [6.000000e+00, 8.000000e+00]]> : tensor<2x2xf32>
// CHECK-DAG: nn.constant dense<-1.000000e+00> : tensor<2xf32>
// CHECK: nn.gemm
// CHECK-NEXT: return
func.func @gemmTransposed(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %none = nn.none
  %w = nn.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %two = nn.constant dense<2.0> : tensor<f32>
  %one = nn.constant dense<1.0> : tensor<1xf32>
  %0 = nn.gemm %x, %w, %none {alpha = 1.0, beta = 1.0, trans_a = false, trans_b = true} : (tensor<1x2xf32>, tensor<2x2xf32>, none) -> tensor<1x2xf32>
  %1 = nn.mul %0, %two : (tensor<1x2xf32>, tensor<f32>) -> tensor<1x2xf32>
  %2 = nn.sub %1, %one : (tensor<1x2xf32>, tensor<1xf32>) -> tensor<1x2xf32>
  return %2 : tensor<1x2xf32>
}

// -----

// Weights of 16 bits would be rounded once more: the scale stays beside them.
// CHECK-LABEL: func @halfWeights
// CHECK: %[[R:.*]] = nn.gemm {{.*}} : (tensor<1x2xf32>, tensor<2x2xf16>, none)
// CHECK: nn.mul
func.func @halfWeights(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %none = nn.none
  %w = nn.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf16>
  %c = nn.constant dense<[1.0, 10.0]> : tensor<2xf32>
  %0 = nn.gemm %x, %w, %none {alpha = 1.0, beta = 1.0, trans_a = false, trans_b = false} : (tensor<1x2xf32>, tensor<2x2xf16>, none) -> tensor<1x2xf32>
  %1 = nn.mul %0, %c : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  return %1 : tensor<1x2xf32>
}

// -----

// Refused: another use, weights of the run, c - x, a constant that is not by
// channel, one that broadcasts the result.
// CHECK-LABEL: func @refused
// CHECK: nn.mul
// CHECK: nn.mul
// CHECK: nn.sub
// CHECK: nn.mul
// CHECK: nn.mul
func.func @refused(%x: tensor<1x2xf32>, %v: tensor<2x2xf32>)
    -> (tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<2x2xf32>, tensor<3x1x2xf32>) {
  %none = nn.none
  %w = nn.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %c = nn.constant dense<[1.0, 10.0]> : tensor<2xf32>
  %rows = nn.constant dense<[[1.0], [10.0]]> : tensor<2x1xf32>
  %high = nn.constant dense<2.0> : tensor<3x1x1xf32>
  %0 = nn.gemm %x, %w, %none {alpha = 1.0, beta = 1.0, trans_a = false, trans_b = false} : (tensor<1x2xf32>, tensor<2x2xf32>, none) -> tensor<1x2xf32>
  %1 = nn.mul %0, %c : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  %2 = nn.gemm %x, %v, %none {alpha = 1.0, beta = 1.0, trans_a = false, trans_b = false} : (tensor<1x2xf32>, tensor<2x2xf32>, none) -> tensor<1x2xf32>
  %3 = nn.mul %2, %c : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  %4 = nn.gemm %x, %w, %none {alpha = 2.0, beta = 1.0, trans_a = false, trans_b = false} : (tensor<1x2xf32>, tensor<2x2xf32>, none) -> tensor<1x2xf32>
  %5 = nn.sub %c, %4 : (tensor<2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
  %6 = nn.gemm %v, %w, %none {alpha = 3.0, beta = 1.0, trans_a = false, trans_b = false} : (tensor<2x2xf32>, tensor<2x2xf32>, none) -> tensor<2x2xf32>
  %7 = nn.mul %6, %rows : (tensor<2x2xf32>, tensor<2x1xf32>) -> tensor<2x2xf32>
  %8 = nn.gemm %x, %w, %none {alpha = 4.0, beta = 1.0, trans_a = false, trans_b = false} : (tensor<1x2xf32>, tensor<2x2xf32>, none) -> tensor<1x2xf32>
  %9 = nn.mul %8, %high : (tensor<1x2xf32>, tensor<3x1x1xf32>) -> tensor<3x1x2xf32>
  return %0, %1, %3, %5, %7, %9 : tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<2x2xf32>, tensor<3x1x2xf32>
}

// -----

// Before the convolution there is nothing to fold into.
// CHECK-LABEL: func @decompose
// CHECK-DAG: %[[S:.*]] = nn.constant dense<{{.*}}1.000000e+00]], {{\[\[}}3.000000e+00{{.*}}> : tensor<2x1x1xf32>
// CHECK-DAG: %[[T:.*]] = nn.constant dense<{{.*}}0.000000e+00]], {{\[\[}}-6.000000e+00{{.*}}> : tensor<2x1x1xf32>
// CHECK: %[[P:.*]] = nn.mul %arg0, %[[S]]
// CHECK: nn.add %[[P]], %[[T]]
func.func @decompose(%x: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  %scale = nn.constant dense<[2.0, 6.0]> : tensor<2xf32>
  %bias = nn.constant dense<[1.0, 0.0]> : tensor<2xf32>
  %mean = nn.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %variance = nn.constant dense<3.0> : tensor<2xf32>
  %0 = nn.batch_norm %x, %scale, %bias, %mean, %variance {epsilon = 1.0} : (tensor<1x2x4x4xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32>
  return %0 : tensor<1x2x4x4xf32>
}

// -----

// Parameters of the run stay.
// CHECK-LABEL: func @dynamicParameters
// CHECK: nn.batch_norm
func.func @dynamicParameters(%x: tensor<1x2x4x4xf32>, %p: tensor<2xf32>) -> tensor<1x2x4x4xf32> {
  %0 = nn.batch_norm %x, %p, %p, %p, %p {epsilon = 1.0} : (tensor<1x2x4x4xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32>
  return %0 : tensor<1x2x4x4xf32>
}

// -----

// A vector is a batch of one channel.
// CHECK-LABEL: func @vector
// CHECK-DAG: %[[S:.*]] = nn.constant dense<2.000000e+00> : tensor<1xf32>
// CHECK-DAG: %[[T:.*]] = nn.constant dense<-1.000000e+00> : tensor<1xf32>
// CHECK: %[[P:.*]] = nn.mul %arg0, %[[S]]
// CHECK: nn.add %[[P]], %[[T]]
func.func @vector(%x: tensor<5xf32>) -> tensor<5xf32> {
  %scale = nn.constant dense<4.0> : tensor<1xf32>
  %bias = nn.constant dense<1.0> : tensor<1xf32>
  %mean = nn.constant dense<1.0> : tensor<1xf32>
  %variance = nn.constant dense<3.0> : tensor<1xf32>
  %0 = nn.batch_norm %x, %scale, %bias, %mean, %variance {epsilon = 1.0} : (tensor<5xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<5xf32>
  return %0 : tensor<5xf32>
}

// -----

// New weights are work, however many factors follow each other: with little of it
// only the first of these is folded.
// CHECK-LABEL: func @factors
// CHECK-NOT: nn.mul
// SHORT-LABEL: func @factors
// SHORT: nn.gemm
// SHORT-COUNT-2: nn.mul
// SHORT-NOT: nn.mul
func.func @factors(%x: tensor<2x5xf32>) -> tensor<2x6xf32> {
  %none = nn.none
  %w = nn.constant dense<1.0> : tensor<5x6xf32>
  %c = nn.constant dense<2.0> : tensor<f32>
  %0 = nn.gemm %x, %w, %none {alpha = 1.0, beta = 1.0, trans_a = false, trans_b = false} : (tensor<2x5xf32>, tensor<5x6xf32>, none) -> tensor<2x6xf32>
  %1 = nn.mul %0, %c : (tensor<2x6xf32>, tensor<f32>) -> tensor<2x6xf32>
  %2 = nn.mul %1, %c : (tensor<2x6xf32>, tensor<f32>) -> tensor<2x6xf32>
  %3 = nn.mul %2, %c : (tensor<2x6xf32>, tensor<f32>) -> tensor<2x6xf32>
  return %3 : tensor<2x6xf32>
}
