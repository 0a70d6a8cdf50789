// RUN: quern-opt %s --quern-graph="integer-products to=simplified" | FileCheck %s

// x * sigmoid(x), as TensorFlow Lite's converter writes it: the product of two quantized tensors is
// scaled by a quotient of scales, and is one table with the sigmoid all the same.
// CHECK-LABEL: @silu
// CHECK-NOT: nn.mul
// CHECK: %[[FOUND:.*]] = nn.byte_lookup %arg0, %{{.*}} : (tensor<2x3xi8>, tensor<256xi8>) -> tensor<2x3xi8>
// CHECK-NEXT: return %[[FOUND]]
func.func @silu(%x: tensor<2x3xi8>) -> tensor<2x3xi8> {
  %tenth = nn.constant dense<0.1> : tensor<f32>
  %eight = nn.constant dense<8> : tensor<i8>
  %share = nn.constant dense<0.00390625> : tensor<f32>
  %least = nn.constant dense<-128> : tensor<i8>
  %step = nn.constant dense<0.07> : tensor<f32>
  %minus = nn.constant dense<-100> : tensor<i8>
  %0 = nn.dequantize %x, %tenth, %eight {to = f32} : (tensor<2x3xi8>, tensor<f32>, tensor<i8>) -> tensor<2x3xf32>
  %1 = nn.sigmoid %0 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %2 = nn.quantize %1, %share, %least {precision = f32, to = i8} : (tensor<2x3xf32>, tensor<f32>, tensor<i8>) -> tensor<2x3xi8>
  %3 = nn.dequantize %2, %share, %least {to = f32} : (tensor<2x3xi8>, tensor<f32>, tensor<i8>) -> tensor<2x3xf32>
  %4 = nn.mul %0, %3 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %5 = nn.quantize %4, %step, %minus {precision = f32, to = i8} : (tensor<2x3xf32>, tensor<f32>, tensor<i8>) -> tensor<2x3xi8>
  return %5 : tensor<2x3xi8>
}
