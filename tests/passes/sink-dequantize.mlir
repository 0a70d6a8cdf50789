// RUN: quern-opt %s --nn-sink-dequantize | FileCheck %s

// CHECK-LABEL: @moves
func.func @moves(%x: tensor<2x3x4xui8>, %rows: tensor<2xi64>) -> tensor<2x4x3xf32> {
  %none = nn.none
  %scale = nn.constant dense<0.5> : tensor<f32>
  %zero = nn.constant dense<3> : tensor<ui8>
  // CHECK: nn.gather %arg0, %arg1 {{.*}} -> tensor<2x3x4xui8>
  // CHECK: nn.transpose {{.*}} -> tensor<2x4x3xui8>
  // CHECK: %[[FLOATS:.*]] = nn.dequantize
  // CHECK-NEXT: return %[[FLOATS]]
  %0 = nn.dequantize %x, %scale, %zero {to = f32} : (tensor<2x3x4xui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3x4xf32>
  %1 = nn.gather %0, %rows {axis = 0 : i64} : (tensor<2x3x4xf32>, tensor<2xi64>) -> tensor<2x3x4xf32>
  %2 = nn.transpose %1 {perm = array<i64: 0, 2, 1>} : (tensor<2x3x4xf32>) -> tensor<2x4x3xf32>
  return %2 : tensor<2x4x3xf32>
}

// The dimension that scales are for moves along. A gather would have to move the scales.
// CHECK-LABEL: @axes
func.func @axes(%x: tensor<3x4xi8>, %rows: tensor<2xi64>) -> (tensor<4x3xf32>, tensor<2x4xf32>) {
  %none = nn.none
  %scales = nn.constant dense<[0.5, 1.0, 2.0]> : tensor<3xf32>
  %0 = nn.dequantize %x, %scales, %none {to = f32} : (tensor<3x4xi8>, tensor<3xf32>, none) -> tensor<3x4xf32>
  // CHECK: nn.transpose %arg0 {{.*}} -> tensor<4x3xi8>
  // CHECK: nn.dequantize {{.*}}axis = 1 : i64
  %1 = nn.transpose %0 {perm = array<i64: 1, 0>} : (tensor<3x4xf32>) -> tensor<4x3xf32>
  // CHECK: nn.gather {{.*}} -> tensor<2x4xf32>
  %2 = nn.gather %0, %rows {axis = 0 : i64} : (tensor<3x4xf32>, tensor<2xi64>) -> tensor<2x4xf32>
  return %1, %2 : tensor<4x3xf32>, tensor<2x4xf32>
}

// CHECK-LABEL: @concat
func.func @concat(%x: tensor<2x3xui8>, %y: tensor<2x3xui8>) -> (tensor<4x3xf32>, tensor<4x3xf32>) {
  %none = nn.none
  %half = nn.constant dense<0.5> : tensor<f32>
  %same = nn.constant dense<0.5> : tensor<1xf32>
  %other = nn.constant dense<0.25> : tensor<f32>
  %zero = nn.constant dense<0> : tensor<ui8>
  // CHECK: nn.concat %arg0, %arg1 {{.*}} -> tensor<4x3xui8>
  %0 = nn.dequantize %x, %half, %none {to = f32} : (tensor<2x3xui8>, tensor<f32>, none) -> tensor<2x3xf32>
  %1 = nn.dequantize %y, %same, %zero {to = f32} : (tensor<2x3xui8>, tensor<1xf32>, tensor<ui8>) -> tensor<2x3xf32>
  %2 = nn.dequantize %y, %other, %zero {to = f32} : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xf32>
  %3 = nn.concat %0, %1 {axis = 0 : i64} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<4x3xf32>
  // CHECK: nn.concat {{.*}} -> tensor<4x3xf32>
  %4 = nn.concat %0, %2 {axis = 0 : i64} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<4x3xf32>
  return %3, %4 : tensor<4x3xf32>, tensor<4x3xf32>
}

// What lies around must be a number of the integers.
// CHECK-LABEL: @pad
func.func @pad(%x: tensor<2x3xui8>) -> (tensor<4x3xf32>, tensor<4x3xf32>, tensor<4x3xf32>) {
  %none = nn.none
  %half = nn.constant dense<0.5> : tensor<f32>
  %zero = nn.constant dense<3> : tensor<ui8>
  %one = nn.constant dense<1.0> : tensor<f32>
  %less = nn.constant dense<-2.0> : tensor<f32>
  %pads = nn.constant dense<[1, 0, 1, 0]> : tensor<4xi64>
  // CHECK-DAG: %[[ZERO:.*]] = nn.constant dense<3> : tensor<ui8>
  // CHECK-DAG: %[[ONE:.*]] = nn.constant dense<5> : tensor<ui8>
  %0 = nn.dequantize %x, %half, %zero {to = f32} : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xf32>
  // CHECK: nn.pad{{.*}}, %[[ZERO]] {{.*}} -> tensor<4x3xui8>
  // CHECK: nn.pad{{.*}}, %[[ONE]] {{.*}} -> tensor<4x3xui8>
  %1 = nn.pad constant %0, %pads, %none : (tensor<2x3xf32>, tensor<4xi64>, none) -> tensor<4x3xf32>
  %2 = nn.pad constant %0, %pads, %one : (tensor<2x3xf32>, tensor<4xi64>, tensor<f32>) -> tensor<4x3xf32>
  // CHECK: nn.pad{{.*}} -> tensor<4x3xf32>
  %3 = nn.pad constant %0, %pads, %less : (tensor<2x3xf32>, tensor<4xi64>, tensor<f32>) -> tensor<4x3xf32>
  return %1, %2, %3 : tensor<4x3xf32>, tensor<4x3xf32>, tensor<4x3xf32>
}

// The largest integer is the largest float where the scale is positive.
// CHECK-LABEL: @pool
func.func @pool(%x: tensor<1x2x4x4xi8>) -> (tensor<1x2x3x3xf32>, tensor<1x2x3x3xf32>) {
  %none = nn.none
  %half = nn.constant dense<0.5> : tensor<f32>
  %negative = nn.constant dense<-0.5> : tensor<f32>
  %0 = nn.dequantize %x, %half, %none {to = f32} : (tensor<1x2x4x4xi8>, tensor<f32>, none) -> tensor<1x2x4x4xf32>
  %1 = nn.dequantize %x, %negative, %none {to = f32} : (tensor<1x2x4x4xi8>, tensor<f32>, none) -> tensor<1x2x4x4xf32>
  // CHECK: nn.max_pool {{.*}} -> tensor<1x2x3x3xi8>
  %2 = nn.max_pool %0 {kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false}
    : (tensor<1x2x4x4xf32>) -> tensor<1x2x3x3xf32>
  // CHECK: nn.max_pool {{.*}} -> tensor<1x2x3x3xf32>
  %3 = nn.max_pool %1 {kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false}
    : (tensor<1x2x4x4xf32>) -> tensor<1x2x3x3xf32>
  return %2, %3 : tensor<1x2x3x3xf32>, tensor<1x2x3x3xf32>
}

// CHECK-LABEL: @relu
func.func @relu(%x: tensor<2xui8>, %y: tensor<2xi8>) -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) {
  %none = nn.none
  %half = nn.constant dense<0.5> : tensor<f32>
  %least = nn.constant dense<-128> : tensor<i8>
  // CHECK-COUNT-3: nn.dequantize
  // CHECK: nn.relu
  // CHECK-NOT: nn.relu
  %0 = nn.dequantize %x, %half, %none {to = f32} : (tensor<2xui8>, tensor<f32>, none) -> tensor<2xf32>
  %1 = nn.dequantize %y, %half, %least {to = f32} : (tensor<2xi8>, tensor<f32>, tensor<i8>) -> tensor<2xf32>
  %2 = nn.dequantize %y, %half, %none {to = f32} : (tensor<2xi8>, tensor<f32>, none) -> tensor<2xf32>
  %3 = nn.relu %0 : (tensor<2xf32>) -> tensor<2xf32>
  %4 = nn.relu %1 : (tensor<2xf32>) -> tensor<2xf32>
  %5 = nn.relu %2 : (tensor<2xf32>) -> tensor<2xf32>
  return %3, %4, %5 : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
}

// CHECK-LABEL: @requantization
func.func @requantization(%x: tensor<2x3xui8>, %unknown: tensor<f32>) -> (tensor<2x3xui8>, tensor<2x3xui8>, tensor<2x3xi8>, tensor<2x3xui8>) {
  %none = nn.none
  %scales = nn.constant dense<[0.5, 1.0, 2.0]> : tensor<3xf32>
  %half = nn.constant dense<0.5> : tensor<f32>
  %zero = nn.constant dense<3> : tensor<ui8>
  // CHECK-COUNT-3: nn.quantize
  // CHECK-NOT: nn.quantize
  // CHECK: return %arg0,
  %0 = nn.dequantize %x, %scales, %none {to = f32, axis = 1 : i64} : (tensor<2x3xui8>, tensor<3xf32>, none) -> tensor<2x3xf32>
  %1 = nn.quantize %0, %scales, %none {to = ui8, precision = f32, axis = 1 : i64} : (tensor<2x3xf32>, tensor<3xf32>, none) -> tensor<2x3xui8>
  %2 = nn.dequantize %x, %half, %zero {to = f32} : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xf32>
  %3 = nn.quantize %2, %half, %none {to = ui8, precision = f32} : (tensor<2x3xf32>, tensor<f32>, none) -> tensor<2x3xui8>
  %4 = nn.quantize %2, %half, %none {to = i8, precision = f32} : (tensor<2x3xf32>, tensor<f32>, none) -> tensor<2x3xi8>
  // A scale that only a run tells may be 0.
  %5 = nn.dequantize %x, %unknown, %none {to = f32} : (tensor<2x3xui8>, tensor<f32>, none) -> tensor<2x3xf32>
  %6 = nn.quantize %5, %unknown, %none {to = ui8, precision = f32} : (tensor<2x3xf32>, tensor<f32>, none) -> tensor<2x3xui8>
  return %1, %3, %4, %6 : tensor<2x3xui8>, tensor<2x3xui8>, tensor<2x3xi8>, tensor<2x3xui8>
}

// Bounds at which the integers end anyway are left out; others stay.
// CHECK-LABEL: @bounds
func.func @bounds(%x: tensor<2x3xf32>) -> (tensor<2x3xui8>, tensor<2x3xui8>, tensor<2x3xui8>, tensor<2x3xi8>) {
  %none = nn.none
  %scale = nn.constant dense<0.025> : tensor<f32>
  %three = nn.constant dense<3> : tensor<ui8>
  %least = nn.constant dense<-128> : tensor<i8>
  %six = nn.constant dense<6.375> : tensor<f32>
  %less = nn.constant dense<6.3> : tensor<f32>
  // CHECK: %[[BOUNDED:.*]] = nn.min
  // CHECK: nn.quantize %arg0
  // CHECK: nn.quantize %[[BOUNDED]]
  // CHECK: %[[FLOOR:.*]] = nn.relu
  // CHECK: nn.quantize %[[FLOOR]]
  // CHECK: nn.quantize %arg0
  %0 = nn.relu %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %1 = nn.min %0, %six : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
  %2 = nn.min %x, %less : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
  %3 = nn.quantize %1, %scale, %none {precision = f32, to = ui8} : (tensor<2x3xf32>, tensor<f32>, none) -> tensor<2x3xui8>
  %4 = nn.quantize %2, %scale, %none {precision = f32, to = ui8} : (tensor<2x3xf32>, tensor<f32>, none) -> tensor<2x3xui8>
  %5 = nn.relu %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %6 = nn.quantize %5, %scale, %three {precision = f32, to = ui8} : (tensor<2x3xf32>, tensor<f32>, tensor<ui8>) -> tensor<2x3xui8>
  %7 = nn.quantize %5, %scale, %least {precision = f32, to = i8} : (tensor<2x3xf32>, tensor<f32>, tensor<i8>) -> tensor<2x3xi8>
  return %3, %4, %6, %7 : tensor<2x3xui8>, tensor<2x3xui8>, tensor<2x3xui8>, tensor<2x3xi8>
}

// What is joined or moved is quantized before; not where floats are used as well, nor by scales for
// each position.
// CHECK-LABEL: @raised
func.func @raised(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>, %axes: tensor<1xi64>) -> (tensor<3x4xui8>, tensor<2x3xui8>, tensor<2x6xf32>, tensor<3x2xui8>) {
  %none = nn.none
  %scale = nn.constant dense<0.3> : tensor<f32>
  %scales = nn.constant dense<[0.3, 0.4, 0.5]> : tensor<3xf32>
  // CHECK-DAG: %[[X:.*]] = nn.quantize %arg0, {{.*}} -> tensor<2x3xui8>
  // CHECK-DAG: %[[Y:.*]] = nn.quantize %arg1, {{.*}} -> tensor<2x3xui8>
  // CHECK: %[[JOINED:.*]] = nn.concat %[[X]], %[[Y]] {{.*}} -> tensor<4x3xui8>
  // CHECK: %[[MOVED:.*]] = nn.transpose %[[JOINED]] {{.*}} -> tensor<3x4xui8>
  %0 = nn.concat %x, %y {axis = 0 : i64} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<4x3xf32>
  %1 = nn.transpose %0 {perm = array<i64: 1, 0>} : (tensor<4x3xf32>) -> tensor<3x4xf32>
  %2 = nn.quantize %1, %scale, %none {precision = f32, to = ui8} : (tensor<3x4xf32>, tensor<f32>, none) -> tensor<3x4xui8>
  // CHECK: nn.concat %arg0, %arg1 {{.*}} -> tensor<2x6xf32>
  %3 = nn.concat %x, %y {axis = 1 : i64} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x6xf32>
  %4 = nn.quantize %3, %scale, %none {precision = f32, to = ui8} : (tensor<2x6xf32>, tensor<f32>, none) -> tensor<2x6xui8>
  %5 = nn.dequantize %4, %scale, %none {to = f32} : (tensor<2x6xui8>, tensor<f32>, none) -> tensor<2x6xf32>
  %6 = nn.add %3, %5 : (tensor<2x6xf32>, tensor<2x6xf32>) -> tensor<2x6xf32>
  // CHECK: nn.transpose %arg0 {{.*}} -> tensor<3x2xf32>
  %7 = nn.transpose %x {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %8 = nn.quantize %7, %scales, %none {precision = f32, to = ui8, axis = 0 : i64} : (tensor<3x2xf32>, tensor<3xf32>, none) -> tensor<3x2xui8>
  %9 = nn.quantize %x, %scale, %none {precision = f32, to = ui8} : (tensor<2x3xf32>, tensor<f32>, none) -> tensor<2x3xui8>
  return %2, %9, %6, %8 : tensor<3x4xui8>, tensor<2x3xui8>, tensor<2x6xf32>, tensor<3x2xui8>
}
