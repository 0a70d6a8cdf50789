// RUN: quern-opt %s --nn-raise-layer-norm --nn-raise-attention --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %s

// What stands for several nodes has the names of all of them, in their order.
// CHECK-LABEL: func @attention
// CHECK: nn.attention {{.*}} loc(fused["scores", "scale", "mask", "softmax", "values", "heads"])
func.func @attention(%q: tensor<1x2x3x8xf32>, %k: tensor<1x2x8x4xf32>, %v: tensor<1x2x4x8xf32>, %m: tensor<3x4xf32>) -> tensor<1x3x2x8xf32> {
  %c = nn.constant dense<0.5> : tensor<f32>
  %s = nn.matmul %q, %k : (tensor<1x2x3x8xf32>, tensor<1x2x8x4xf32>) -> tensor<1x2x3x4xf32> loc("scores")
  %t = nn.mul %s, %c : (tensor<1x2x3x4xf32>, tensor<f32>) -> tensor<1x2x3x4xf32> loc("scale")
  %u = nn.add %t, %m : (tensor<1x2x3x4xf32>, tensor<3x4xf32>) -> tensor<1x2x3x4xf32> loc("mask")
  %p = nn.softmax %u {axis = 3 : i64, trailing = false} : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32> loc("softmax")
  %y = nn.matmul %p, %v : (tensor<1x2x3x4xf32>, tensor<1x2x4x8xf32>) -> tensor<1x2x3x8xf32> loc("values")
  %z = nn.transpose %y {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x2x3x8xf32>) -> tensor<1x3x2x8xf32> loc("heads")
  return %z : tensor<1x3x2x8xf32>
}

// CHECK-LABEL: func @layer_norm
// CHECK: nn.layer_norm {{.*}} loc(fused["mean", "distance", "square", "variance", "epsilon", "root", "quotient", "scale", "bias"])
func.func @layer_norm(%x: tensor<8x4xf32>, %s: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<8x4xf32> {
  %axes = nn.constant dense<-1> : tensor<1xi64>
  %eps = nn.constant dense<0.25> : tensor<f32>
  %mean = nn.reduce mean %x, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<8x4xf32>, tensor<1xi64>) -> tensor<8x1xf32> loc("mean")
  %d = nn.sub %x, %mean : (tensor<8x4xf32>, tensor<8x1xf32>) -> tensor<8x4xf32> loc("distance")
  %sq = nn.mul %d, %d : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<8x4xf32> loc("square")
  %var = nn.reduce mean %sq, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<8x4xf32>, tensor<1xi64>) -> tensor<8x1xf32> loc("variance")
  %shifted = nn.add %var, %eps : (tensor<8x1xf32>, tensor<f32>) -> tensor<8x1xf32> loc("epsilon")
  %std = nn.sqrt %shifted : (tensor<8x1xf32>) -> tensor<8x1xf32> loc("root")
  %n = nn.div %d, %std : (tensor<8x4xf32>, tensor<8x1xf32>) -> tensor<8x4xf32> loc("quotient")
  %scaled = nn.mul %n, %s : (tensor<8x4xf32>, tensor<4xf32>) -> tensor<8x4xf32> loc("scale")
  %y = nn.add %b, %scaled : (tensor<4xf32>, tensor<8x4xf32>) -> tensor<8x4xf32> loc("bias")
  return %y : tensor<8x4xf32>
}
