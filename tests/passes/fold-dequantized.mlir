// RUN: quern-opt %s --nn-fold-constants | FileCheck %s --check-prefix=ALL
// RUN: quern-opt %s --nn-fold-constants=keep-dequantized | FileCheck %s --check-prefix=KEEP

// Constants that are quantized are folded, the way back is left to the passes that form products.
// ALL-LABEL: @weights
// ALL-NOT: nn.quantize
// ALL-NOT: nn.dequantize
// ALL: nn.constant dense<[-1.000000e+00, 1.500000e+00]>
// KEEP-LABEL: @weights
// KEEP-NOT: nn.quantize
// KEEP: nn.constant dense<[-2, 3]> : tensor<2xi8>
// KEEP: nn.dequantize
func.func @weights() -> tensor<2xf32> {
  %none = nn.none
  %x = nn.constant dense<[-1.1, 1.4]> : tensor<2xf32>
  %half = nn.constant dense<0.5> : tensor<f32>
  %0 = nn.quantize %x, %half, %none {to = i8, precision = f32} : (tensor<2xf32>, tensor<f32>, none) -> tensor<2xi8>
  %1 = nn.dequantize %0, %half, %none {to = f32} : (tensor<2xi8>, tensor<f32>, none) -> tensor<2xf32>
  return %1 : tensor<2xf32>
}
