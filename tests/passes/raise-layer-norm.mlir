// RUN: quern-opt %s --split-input-file --nn-raise-layer-norm | FileCheck %s

// As PyTorch writes it before opset 17: sizes of the row only at the end.
// CHECK-LABEL: func @layer_norm
// CHECK-SAME: (%[[X:.*]]: tensor<?x8x4xf32{{.*}}>, %[[S:.*]]: tensor<4xf32>, %[[B:.*]]: tensor<4xf32>)
// CHECK: %[[Y:.*]] = nn.layer_norm %[[X]], %[[S]], %[[B]] {axis = 2 : i64, center = true, epsilon = 2.500000e-01 : f64}
// CHECK-NEXT: return %[[Y]]
func.func @layer_norm(%x: tensor<?x8x4xf32, #nn.dims<"N", "", "">>, %s: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<?x8x4xf32, #nn.dims<"N", "", "">> {
  %axes = nn.constant dense<-1> : tensor<1xi64>
  %two = nn.constant dense<2.0> : tensor<f32>
  %eps = nn.constant dense<0.25> : tensor<f32>
  %mean = nn.reduce mean %x, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<?x8x4xf32, #nn.dims<"N", "", "">>, tensor<1xi64>) -> tensor<?x8x1xf32, #nn.dims<"N", "", "">>
  %d = nn.sub %x, %mean : (tensor<?x8x4xf32, #nn.dims<"N", "", "">>, tensor<?x8x1xf32, #nn.dims<"N", "", "">>) -> tensor<?x8x4xf32, #nn.dims<"N", "", "">>
  %sq = nn.pow %d, %two : (tensor<?x8x4xf32, #nn.dims<"N", "", "">>, tensor<f32>) -> tensor<?x8x4xf32, #nn.dims<"N", "", "">>
  %var = nn.reduce mean %sq, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<?x8x4xf32, #nn.dims<"N", "", "">>, tensor<1xi64>) -> tensor<?x8x1xf32, #nn.dims<"N", "", "">>
  %shifted = nn.add %var, %eps : (tensor<?x8x1xf32, #nn.dims<"N", "", "">>, tensor<f32>) -> tensor<?x8x1xf32, #nn.dims<"N", "", "">>
  %std = nn.sqrt %shifted : (tensor<?x8x1xf32, #nn.dims<"N", "", "">>) -> tensor<?x8x1xf32, #nn.dims<"N", "", "">>
  %n = nn.div %d, %std : (tensor<?x8x4xf32, #nn.dims<"N", "", "">>, tensor<?x8x1xf32, #nn.dims<"N", "", "">>) -> tensor<?x8x4xf32, #nn.dims<"N", "", "">>
  %scaled = nn.mul %n, %s : (tensor<?x8x4xf32, #nn.dims<"N", "", "">>, tensor<4xf32>) -> tensor<?x8x4xf32, #nn.dims<"N", "", "">>
  %y = nn.add %b, %scaled : (tensor<4xf32>, tensor<?x8x4xf32, #nn.dims<"N", "", "">>) -> tensor<?x8x4xf32, #nn.dims<"N", "", "">>
  return %y : tensor<?x8x4xf32, #nn.dims<"N", "", "">>
}

// -----

// RMS normalization over two dimensions; its operand has other uses.
// CHECK-LABEL: func @rms_norm
// CHECK: %[[Y:.*]] = nn.layer_norm %arg0, %arg1, %{{.*}} {axis = 1 : i64, center = false,
// CHECK: nn.add %arg0, %[[Y]]
func.func @rms_norm(%x: tensor<2x8x4xf32>, %s: tensor<8x4xf32>) -> tensor<2x8x4xf32> {
  %axes = nn.constant dense<[2, 1]> : tensor<2xi64>
  %one = nn.constant dense<1.0> : tensor<f32>
  %eps = nn.constant dense<0.25> : tensor<1xf32>
  %sq = nn.mul %x, %x : (tensor<2x8x4xf32>, tensor<2x8x4xf32>) -> tensor<2x8x4xf32>
  %mean = nn.reduce mean %sq, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<2x8x4xf32>, tensor<2xi64>) -> tensor<2x1x1xf32>
  %shifted = nn.add %eps, %mean : (tensor<1xf32>, tensor<2x1x1xf32>) -> tensor<2x1x1xf32>
  %root = nn.sqrt %shifted : (tensor<2x1x1xf32>) -> tensor<2x1x1xf32>
  %inverse = nn.div %one, %root : (tensor<f32>, tensor<2x1x1xf32>) -> tensor<2x1x1xf32>
  %n = nn.mul %inverse, %x : (tensor<2x1x1xf32>, tensor<2x8x4xf32>) -> tensor<2x8x4xf32>
  %y = nn.mul %s, %n : (tensor<8x4xf32>, tensor<2x8x4xf32>) -> tensor<2x8x4xf32>
  %sum = nn.add %x, %y : (tensor<2x8x4xf32>, tensor<2x8x4xf32>) -> tensor<2x8x4xf32>
  return %sum : tensor<2x8x4xf32>
}

// -----

// A mean over the last of three dimensions is a pool of an image by now. A maximum is no mean.
// CHECK-LABEL: func @means_as_pools
// CHECK: nn.layer_norm %arg0, %{{.*}}, %{{.*}} {axis = 2 : i64, center = false,
// CHECK: nn.layer_norm %arg0, %{{.*}}, %{{.*}} {axis = 2 : i64, center = true,
// CHECK-NOT: nn.layer_norm
func.func @means_as_pools(%x: tensor<1x1x8xf32>) -> (tensor<1x1x8xf32>, tensor<1x1x8xf32>, tensor<1x1x8xf32>) {
  %two = nn.constant dense<2.0> : tensor<f32>
  %eps = nn.constant dense<0.25> : tensor<f32>
  %sq = nn.pow %x, %two : (tensor<1x1x8xf32>, tensor<f32>) -> tensor<1x1x8xf32>
  %ms = nn.global_pool mean %sq : (tensor<1x1x8xf32>) -> tensor<1x1x1xf32>
  %shifted = nn.add %ms, %eps : (tensor<1x1x1xf32>, tensor<f32>) -> tensor<1x1x1xf32>
  %root = nn.sqrt %shifted : (tensor<1x1x1xf32>) -> tensor<1x1x1xf32>
  %rms = nn.div %x, %root : (tensor<1x1x8xf32>, tensor<1x1x1xf32>) -> tensor<1x1x8xf32>

  %mean = nn.global_pool mean %x : (tensor<1x1x8xf32>) -> tensor<1x1x1xf32>
  %d = nn.sub %x, %mean : (tensor<1x1x8xf32>, tensor<1x1x1xf32>) -> tensor<1x1x8xf32>
  %dsq = nn.mul %d, %d : (tensor<1x1x8xf32>, tensor<1x1x8xf32>) -> tensor<1x1x8xf32>
  %var = nn.global_pool mean %dsq : (tensor<1x1x8xf32>) -> tensor<1x1x1xf32>
  %dshifted = nn.add %var, %eps : (tensor<1x1x1xf32>, tensor<f32>) -> tensor<1x1x1xf32>
  %dev = nn.sqrt %dshifted : (tensor<1x1x1xf32>) -> tensor<1x1x1xf32>
  %norm = nn.div %d, %dev : (tensor<1x1x8xf32>, tensor<1x1x1xf32>) -> tensor<1x1x8xf32>

  %msq = nn.mul %x, %x : (tensor<1x1x8xf32>, tensor<1x1x8xf32>) -> tensor<1x1x8xf32>
  %most = nn.global_pool max %msq : (tensor<1x1x8xf32>) -> tensor<1x1x1xf32>
  %mshifted = nn.add %most, %eps : (tensor<1x1x1xf32>, tensor<f32>) -> tensor<1x1x1xf32>
  %mroot = nn.sqrt %mshifted : (tensor<1x1x1xf32>) -> tensor<1x1x1xf32>
  %other = nn.div %x, %mroot : (tensor<1x1x8xf32>, tensor<1x1x1xf32>) -> tensor<1x1x8xf32>
  return %rms, %norm, %other : tensor<1x1x8xf32>, tensor<1x1x8xf32>, tensor<1x1x8xf32>
}

// -----

// A mean over dimensions that are not the last, and one of half the precision: each
// step of it rounds in the model.
// CHECK-LABEL: func @other_means
// CHECK-NOT: nn.layer_norm
func.func @other_means(%x: tensor<2x8x4xf32>, %h: tensor<2x4xf16>) -> (tensor<2x8x4xf32>, tensor<2x4xf16>) {
  %axes = nn.constant dense<1> : tensor<1xi64>
  %eps = nn.constant dense<0.25> : tensor<f32>
  %heps = nn.constant dense<0.25> : tensor<f16>
  %sq = nn.mul %x, %x : (tensor<2x8x4xf32>, tensor<2x8x4xf32>) -> tensor<2x8x4xf32>
  %mean = nn.reduce mean %sq, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<2x8x4xf32>, tensor<1xi64>) -> tensor<2x1x4xf32>
  %shifted = nn.add %mean, %eps : (tensor<2x1x4xf32>, tensor<f32>) -> tensor<2x1x4xf32>
  %root = nn.sqrt %shifted : (tensor<2x1x4xf32>) -> tensor<2x1x4xf32>
  %n = nn.div %x, %root : (tensor<2x8x4xf32>, tensor<2x1x4xf32>) -> tensor<2x8x4xf32>
  %hsq = nn.mul %h, %h : (tensor<2x4xf16>, tensor<2x4xf16>) -> tensor<2x4xf16>
  %hmean = nn.reduce mean %hsq, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<2x4xf16>, tensor<1xi64>) -> tensor<2x1xf16>
  %hshifted = nn.add %hmean, %heps : (tensor<2x1xf16>, tensor<f16>) -> tensor<2x1xf16>
  %hroot = nn.sqrt %hshifted : (tensor<2x1xf16>) -> tensor<2x1xf16>
  %hn = nn.div %h, %hroot : (tensor<2x4xf16>, tensor<2x1xf16>) -> tensor<2x4xf16>
  return %n, %hn : tensor<2x8x4xf32>, tensor<2x4xf16>
}

// -----

// The squares of one tensor scale another; the root has another use.
// CHECK-LABEL: func @other_uses
// CHECK-NOT: nn.layer_norm
func.func @other_uses(%x: tensor<2x4xf32>, %z: tensor<2x4xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x1xf32>) {
  %axes = nn.constant dense<1> : tensor<1xi64>
  %eps = nn.constant dense<0.25> : tensor<f32>
  %sq = nn.mul %x, %x : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %mean = nn.reduce mean %sq, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %shifted = nn.add %mean, %eps : (tensor<2x1xf32>, tensor<f32>) -> tensor<2x1xf32>
  %root = nn.sqrt %shifted : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %a = nn.div %z, %root : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  %zsq = nn.mul %z, %z : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %zmean = nn.reduce mean %zsq, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %zshifted = nn.add %zmean, %eps : (tensor<2x1xf32>, tensor<f32>) -> tensor<2x1xf32>
  %zroot = nn.sqrt %zshifted : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %b = nn.div %z, %zroot : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  return %a, %b, %zroot : tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x1xf32>
}

// -----

// A scale that broadcasts is none of the sizes of a row; after a bias comes no scale.
// CHECK-LABEL: func @parameters
// CHECK: %[[A:.*]] = nn.layer_norm %arg0, %[[NONE:.*]], %[[NONE]] {
// CHECK: nn.mul %[[A]], %arg1
// CHECK: %[[B:.*]] = nn.layer_norm %arg0, %[[NONE]], %arg2 {
// CHECK: nn.mul %[[B]], %arg2
func.func @parameters(%x: tensor<2x4xf32>, %one: tensor<1xf32>, %row: tensor<4xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>) {
  %none = nn.none
  %a = nn.layer_norm %x, %none, %none {axis = 1 : i64, center = true, epsilon = 0.5 : f64} : (tensor<2x4xf32>, none, none) -> tensor<2x4xf32>
  %scaled = nn.mul %a, %one : (tensor<2x4xf32>, tensor<1xf32>) -> tensor<2x4xf32>
  %b = nn.layer_norm %x, %none, %none {axis = 1 : i64, center = true, epsilon = 0.5 : f64} : (tensor<2x4xf32>, none, none) -> tensor<2x4xf32>
  %shifted = nn.add %b, %row : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  %product = nn.mul %shifted, %row : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  return %scaled, %product : tensor<2x4xf32>, tensor<2x4xf32>
}

// -----

// Numbers of more dimensions than the tensor give these to the result.
// CHECK-LABEL: func @numbers_of_higher_rank
// CHECK-NOT: nn.layer_norm
// CHECK-LABEL: func @exponent_of_higher_rank
// CHECK-NOT: nn.layer_norm
// CHECK-LABEL: func @one_of_higher_rank
// CHECK-NOT: nn.layer_norm
func.func @numbers_of_higher_rank(%x: tensor<2x4xf32>) -> tensor<3x2x4xf32> {
  %axes = nn.constant dense<-1> : tensor<1xi64>
  %eps = nn.constant dense<0.25> : tensor<3x1x1xf32>
  %sq = nn.mul %x, %x : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %mean = nn.reduce mean %sq, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %shifted = nn.add %mean, %eps : (tensor<2x1xf32>, tensor<3x1x1xf32>) -> tensor<3x2x1xf32>
  %root = nn.sqrt %shifted : (tensor<3x2x1xf32>) -> tensor<3x2x1xf32>
  %y = nn.div %x, %root : (tensor<2x4xf32>, tensor<3x2x1xf32>) -> tensor<3x2x4xf32>
  return %y : tensor<3x2x4xf32>
}
func.func @exponent_of_higher_rank(%x: tensor<2x4xf32>) -> tensor<1x2x4xf32> {
  %axes = nn.constant dense<-1> : tensor<1xi64>
  %two = nn.constant dense<2.0> : tensor<1x1x1xf32>
  %eps = nn.constant dense<0.25> : tensor<f32>
  %sq = nn.pow %x, %two : (tensor<2x4xf32>, tensor<1x1x1xf32>) -> tensor<1x2x4xf32>
  %mean = nn.reduce mean %sq, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<1x2x4xf32>, tensor<1xi64>) -> tensor<1x2x1xf32>
  %shifted = nn.add %mean, %eps : (tensor<1x2x1xf32>, tensor<f32>) -> tensor<1x2x1xf32>
  %root = nn.sqrt %shifted : (tensor<1x2x1xf32>) -> tensor<1x2x1xf32>
  %y = nn.div %x, %root : (tensor<2x4xf32>, tensor<1x2x1xf32>) -> tensor<1x2x4xf32>
  return %y : tensor<1x2x4xf32>
}
func.func @one_of_higher_rank(%x: tensor<2x4xf32>) -> tensor<1x2x4xf32> {
  %axes = nn.constant dense<-1> : tensor<1xi64>
  %one = nn.constant dense<1.0> : tensor<1x1x1xf32>
  %eps = nn.constant dense<0.25> : tensor<f32>
  %sq = nn.mul %x, %x : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %mean = nn.reduce mean %sq, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %shifted = nn.add %mean, %eps : (tensor<2x1xf32>, tensor<f32>) -> tensor<2x1xf32>
  %root = nn.sqrt %shifted : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %inverse = nn.div %one, %root : (tensor<1x1x1xf32>, tensor<2x1xf32>) -> tensor<1x2x1xf32>
  %y = nn.mul %inverse, %x : (tensor<1x2x1xf32>, tensor<2x4xf32>) -> tensor<1x2x4xf32>
  return %y : tensor<1x2x4xf32>
}
