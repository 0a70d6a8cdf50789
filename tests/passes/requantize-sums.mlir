// RUN: quern-opt %s --nn-form-integer-products=all --nn-fold-constants=keep-dequantized | FileCheck %s

// a / 2 + (b / 4 + (7 - (5 / 2 + 0 / 4))), as ONNX Runtime's QLinearAdd.
// CHECK-LABEL: @sum
func.func @sum(%x: tensor<2x3xui8>, %y: tensor<3xui8>) -> tensor<2x3xui8> {
  %none = nn.none
  %one = nn.constant dense<1.0> : tensor<f32>
  %half = nn.constant dense<0.5> : tensor<1xf32>
  %two = nn.constant dense<2.0> : tensor<f32>
  %five = nn.constant dense<5> : tensor<ui8>
  %seven = nn.constant dense<7> : tensor<ui8>
  // CHECK-DAG: %[[HALF:.*]] = nn.constant dense<5.000000e-01> : tensor<f32>
  // CHECK-DAG: %[[QUARTER:.*]] = nn.constant dense<2.500000e-01> : tensor<f32>
  // CHECK-DAG: %[[FIXED:.*]] = nn.constant dense<4.500000e+00> : tensor<f32>
  // CHECK-DAG: %[[X:.*]] = nn.dequantize %arg0, %{{.*}}
  // CHECK-DAG: %[[Y:.*]] = nn.dequantize %arg1, %{{.*}}
  // CHECK: %[[SECOND:.*]] = nn.multiply_add %[[Y]], %[[QUARTER]], %[[FIXED]]
  // CHECK: %[[SUM:.*]] = nn.multiply_add %[[X]], %[[HALF]], %[[SECOND]]
  // CHECK: nn.quantize %[[SUM]]
  %0 = nn.dequantize %x, %one, %five {to = f32} : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xf32>
  %1 = nn.dequantize %y, %half, %none {to = f32} : (tensor<3xui8>, tensor<1xf32>, none) -> tensor<3xf32>
  %2 = nn.add %0, %1 : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %3 = nn.quantize %2, %two, %seven {precision = f32, to = ui8} : (tensor<2x3xf32>, tensor<f32>, tensor<ui8>) -> tensor<2x3xui8>
  return %3 : tensor<2x3xui8>
}

// The zero point is added before rounding, as in QLinearMul.
// CHECK-LABEL: @product
func.func @product(%x: tensor<2x3xi8>, %y: tensor<2x3xi8>) -> tensor<2x3xi8> {
  %none = nn.none
  %one = nn.constant dense<1.0> : tensor<f32>
  %half = nn.constant dense<0.5> : tensor<f32>
  %two = nn.constant dense<2.0> : tensor<f32>
  %five = nn.constant dense<5> : tensor<i8>
  // CHECK-DAG: %[[SCALE:.*]] = nn.constant dense<2.500000e-01> : tensor<f32>
  // CHECK-DAG: %[[FIVE:.*]] = nn.constant dense<5.000000e+00> : tensor<f32>
  // CHECK: nn.sub {{.*}}, %[[FIVE]]
  // CHECK: %[[EXACT:.*]] = nn.mul
  // CHECK: %[[SCALED:.*]] = nn.mul %[[EXACT]], %[[SCALE]]
  // CHECK: %[[SHIFTED:.*]] = nn.add %[[SCALED]], %[[FIVE]]
  // CHECK: nn.quantize %[[SHIFTED]]
  %0 = nn.dequantize %x, %one, %five {to = f32} : (tensor<2x3xi8>, tensor<f32>, tensor<i8>) -> tensor<2x3xf32>
  %1 = nn.dequantize %y, %half, %none {to = f32} : (tensor<2x3xi8>, tensor<f32>, none) -> tensor<2x3xf32>
  %2 = nn.mul %0, %1 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %3 = nn.quantize %2, %two, %five {precision = f32, to = i8} : (tensor<2x3xf32>, tensor<f32>, tensor<i8>) -> tensor<2x3xi8>
  return %3 : tensor<2x3xi8>
}

// Sums that are used as floats as well, of two types, or of a scale that a run tells stay.
// CHECK-LABEL: @others
func.func @others(%x: tensor<2x3xui8>, %y: tensor<2x3xi8>, %s: tensor<f32>) -> (tensor<2x3xui8>, tensor<2x3xf32>, tensor<2x3xui8>, tensor<2x3xui8>) {
  // CHECK-NOT: nn.multiply_add
  %none = nn.none
  %one = nn.constant dense<1.0> : tensor<f32>
  %0 = nn.dequantize %x, %one, %none {to = f32} : (tensor<2x3xui8>, tensor<f32>, none) -> tensor<2x3xf32>
  %1 = nn.dequantize %y, %one, %none {to = f32} : (tensor<2x3xi8>, tensor<f32>, none) -> tensor<2x3xf32>
  %2 = nn.dequantize %x, %s, %none {to = f32} : (tensor<2x3xui8>, tensor<f32>, none) -> tensor<2x3xf32>
  %3 = nn.add %0, %0 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %4 = nn.add %0, %1 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %5 = nn.add %0, %2 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %6 = nn.quantize %3, %one, %none {precision = f32, to = ui8} : (tensor<2x3xf32>, tensor<f32>, none) -> tensor<2x3xui8>
  %7 = nn.quantize %4, %one, %none {precision = f32, to = ui8} : (tensor<2x3xf32>, tensor<f32>, none) -> tensor<2x3xui8>
  %8 = nn.quantize %5, %one, %none {precision = f32, to = ui8} : (tensor<2x3xf32>, tensor<f32>, none) -> tensor<2x3xui8>
  return %6, %3, %7, %8 : tensor<2x3xui8>, tensor<2x3xf32>, tensor<2x3xui8>, tensor<2x3xui8>
}
