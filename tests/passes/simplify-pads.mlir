// RUN: quern-opt %s --split-input-file --nn-simplify-graph | FileCheck %s

// Pads before convolutions become theirs, beside those that these have.
// CHECK-LABEL: func @strided
// CHECK-NOT: nn.pad
// CHECK: nn.conv %arg0, {{.*}} pads = array<i64: 0, 1, 1, 2>
func.func @strided(%x: tensor<?x4x9x9xf32>, %w: tensor<8x4x3x3xf32>) -> tensor<?x8x4x5xf32> {
  %none = nn.none
  %pads = nn.constant dense<[0, 0, 0, 0, 0, 0, 1, 1]> : tensor<8xi64>
  %zero = nn.constant dense<0.0> : tensor<f32>
  %0 = nn.pad constant %x, %pads, %zero : (tensor<?x4x9x9xf32>, tensor<8xi64>, tensor<f32>) -> tensor<?x4x10x10xf32>
  %1 = nn.conv %0, %w, %none {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 1, 0, 1>, group = 1 : i64} : (tensor<?x4x10x10xf32>, tensor<8x4x3x3xf32>, none) -> tensor<?x8x4x5xf32>
  return %1 : tensor<?x8x4x5xf32>
}

// -----

// What others read stays for them.
// CHECK-LABEL: func @shared
// CHECK: %[[P:.*]] = nn.pad
// CHECK: nn.conv %arg0, {{.*}} pads = array<i64: 1, 1>
// CHECK: return {{.*}}, %[[P]]
func.func @shared(%x: tensor<1x4x9xf32>, %w: tensor<8x4x3xf32>) -> (tensor<1x8x9xf32>, tensor<1x4x11xf32>) {
  %none = nn.none
  %pads = nn.constant dense<[0, 0, 1, 0, 0, 1]> : tensor<6xi64>
  %0 = nn.pad constant %x, %pads, %none : (tensor<1x4x9xf32>, tensor<6xi64>, none) -> tensor<1x4x11xf32>
  %1 = nn.conv %0, %w, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, group = 1 : i64} : (tensor<1x4x11xf32>, tensor<8x4x3xf32>, none) -> tensor<1x8x9xf32>
  return %1, %0 : tensor<1x8x9xf32>, tensor<1x4x11xf32>
}

// -----

// Around bytes lies their zero point, which becomes the convolution's, unless that has another.
// CHECK-LABEL: func @bytes
// CHECK: %[[P:.*]] = nn.pad
// CHECK: nn.conv %arg0, {{.*}} pad_value = 7 : i64, pads = array<i64: 1, 1>
// CHECK: nn.conv %arg0, {{.*}} pad_value = 7 : i64, pads = array<i64: 2, 1>
// CHECK: nn.conv %[[P]], {{.*}} pad_value = 8 : i64, pads = array<i64: 1, 0>
func.func @bytes(%x: tensor<1x4x9xui8>, %w: tensor<8x4x3xi8>)
    -> (tensor<1x8x9xi32>, tensor<1x8x10xi32>, tensor<1x8x10xi32>) {
  %none = nn.none
  %pads = nn.constant dense<[0, 0, 1, 0, 0, 1]> : tensor<6xi64>
  %zero = nn.constant dense<7> : tensor<ui8>
  %0 = nn.pad constant %x, %pads, %zero : (tensor<1x4x9xui8>, tensor<6xi64>, tensor<ui8>) -> tensor<1x4x11xui8>
  %1 = nn.conv %0, %w, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, group = 1 : i64} : (tensor<1x4x11xui8>, tensor<8x4x3xi8>, none) -> tensor<1x8x9xi32>
  %2 = nn.conv %0, %w, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 1, 0>, group = 1 : i64, pad_value = 7 : i64} : (tensor<1x4x11xui8>, tensor<8x4x3xi8>, none) -> tensor<1x8x10xi32>
  %3 = nn.conv %0, %w, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 1, 0>, group = 1 : i64, pad_value = 8 : i64} : (tensor<1x4x11xui8>, tensor<8x4x3xi8>, none) -> tensor<1x8x10xi32>
  return %1, %2, %3 : tensor<1x8x9xi32>, tensor<1x8x10xi32>, tensor<1x8x10xi32>
}

// -----

// Other numbers than zero, edges repeated, channels, crops, and more than a window reaches over.
// CHECK-LABEL: func @others
// CHECK-COUNT-6: nn.pad
func.func @others(%x: tensor<1x4x9xf32>, %w: tensor<8x4x3xf32>, %v: tensor<8x5x3xf32>, %number: tensor<f32>)
    -> (tensor<1x8x9xf32>, tensor<1x8x9xf32>, tensor<1x8x9xf32>, tensor<1x8x9xf32>, tensor<1x8x7xf32>, tensor<1x8x12xf32>) {
  %none = nn.none
  %pads = nn.constant dense<[0, 0, 1, 0, 0, 1]> : tensor<6xi64>
  %one = nn.constant dense<1.0> : tensor<f32>
  %0 = nn.pad constant %x, %pads, %one : (tensor<1x4x9xf32>, tensor<6xi64>, tensor<f32>) -> tensor<1x4x11xf32>
  %1 = nn.conv %0, %w, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, group = 1 : i64} : (tensor<1x4x11xf32>, tensor<8x4x3xf32>, none) -> tensor<1x8x9xf32>
  %2 = nn.pad edge %x, %pads, %none : (tensor<1x4x9xf32>, tensor<6xi64>, none) -> tensor<1x4x11xf32>
  %3 = nn.conv %2, %w, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, group = 1 : i64} : (tensor<1x4x11xf32>, tensor<8x4x3xf32>, none) -> tensor<1x8x9xf32>
  %4 = nn.pad constant %x, %pads, %number : (tensor<1x4x9xf32>, tensor<6xi64>, tensor<f32>) -> tensor<1x4x11xf32>
  %5 = nn.conv %4, %w, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, group = 1 : i64} : (tensor<1x4x11xf32>, tensor<8x4x3xf32>, none) -> tensor<1x8x9xf32>
  %channels = nn.constant dense<[0, 0, 1, 0, 1, 1]> : tensor<6xi64>
  %6 = nn.pad constant %x, %channels, %none : (tensor<1x4x9xf32>, tensor<6xi64>, none) -> tensor<1x5x11xf32>
  %7 = nn.conv %6, %v, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, group = 1 : i64} : (tensor<1x5x11xf32>, tensor<8x5x3xf32>, none) -> tensor<1x8x9xf32>
  %crops = nn.constant dense<[0, 0, -1, 0, 0, 1]> : tensor<6xi64>
  %8 = nn.pad constant %x, %crops, %none : (tensor<1x4x9xf32>, tensor<6xi64>, none) -> tensor<1x4x9xf32>
  %9 = nn.conv %8, %w, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, group = 1 : i64} : (tensor<1x4x9xf32>, tensor<8x4x3xf32>, none) -> tensor<1x8x7xf32>
  %wide = nn.constant dense<[0, 0, 3, 0, 0, 2]> : tensor<6xi64>
  %10 = nn.pad constant %x, %wide, %none : (tensor<1x4x9xf32>, tensor<6xi64>, none) -> tensor<1x4x14xf32>
  %11 = nn.conv %10, %w, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, group = 1 : i64} : (tensor<1x4x14xf32>, tensor<8x4x3xf32>, none) -> tensor<1x8x12xf32>
  return %1, %3, %5, %7, %9, %11 : tensor<1x8x9xf32>, tensor<1x8x9xf32>, tensor<1x8x9xf32>, tensor<1x8x9xf32>, tensor<1x8x7xf32>, tensor<1x8x12xf32>
}
