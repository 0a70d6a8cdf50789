// RUN: quern-opt %s --split-input-file --nn-assign-layouts --cse | FileCheck %s

// Plain at the borders only: one nn.pack, one nn.unpack.
// CHECK-LABEL: func @residual
// CHECK-NEXT: nn.none
// CHECK-NEXT: %[[W:.*]] = nn.weight
// CHECK-NEXT: %[[X:.*]] = nn.pack %arg0 : {{.*}} -> tensor<1x2x8x8x16xf32, #nn.blocked<16>>
// CHECK-NEXT: %[[C:.*]] = nn.conv %[[X]], %[[W]], {{.*}} -> tensor<1x2x8x8x16xf32, #nn.blocked<16>>
// CHECK-NEXT: %[[R:.*]] = nn.relu %[[C]] : (tensor<1x2x8x8x16xf32, #nn.blocked<16>>)
// CHECK-NEXT: %[[D:.*]] = nn.conv %[[R]], %[[W]]
// CHECK-NEXT: %[[S:.*]] = nn.add %[[D]], %[[X]]
// CHECK-NEXT: %[[U:.*]] = nn.unpack %[[S]] {channels = 32 : i64}
// CHECK-NEXT: return %[[U]]
func.func @residual(%x: tensor<1x32x8x8xf32>) -> tensor<1x32x8x8xf32> {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<32x32x1x1xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x32x8x8xf32>, tensor<32x32x1x1xf32>, none) -> tensor<1x32x8x8xf32>
  %1 = nn.relu %0 : (tensor<1x32x8x8xf32>) -> tensor<1x32x8x8xf32>
  %2 = nn.conv %1, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x32x8x8xf32>, tensor<32x32x1x1xf32>, none) -> tensor<1x32x8x8xf32>
  %3 = nn.add %2, %x : (tensor<1x32x8x8xf32>, tensor<1x32x8x8xf32>) -> tensor<1x32x8x8xf32>
  return %3 : tensor<1x32x8x8xf32>
}

// -----

// The sum reads what the first convolution made in blocks, although the second,
// for which 24 channels fill no blocks, reads it plain: no image is packed again.
// CHECK-LABEL: func @residualOfPartialBlocks
// CHECK: nn.pack %arg0
// CHECK-NEXT: %[[C:.*]] = nn.conv
// CHECK-NEXT: %[[U:.*]] = nn.unpack %[[C]]
// CHECK-NEXT: %[[D:.*]] = nn.conv %[[U]]
// CHECK-NEXT: nn.add %[[C]], %[[D]]
func.func @residualOfPartialBlocks(%x: tensor<1x16x8x8xf32>) -> tensor<1x24x8x8xf32> {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<24x16x1x1xf32>
  %v = nn.weight "v", 0 : tensor<24x24x1x1xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x16x8x8xf32>, tensor<24x16x1x1xf32>, none) -> tensor<1x24x8x8xf32>
  %1 = nn.conv %0, %v, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x24x8x8xf32>, tensor<24x24x1x1xf32>, none) -> tensor<1x24x8x8xf32>
  %2 = nn.add %0, %1 : (tensor<1x24x8x8xf32>, tensor<1x24x8x8xf32>) -> tensor<1x24x8x8xf32>
  return %2 : tensor<1x24x8x8xf32>
}

// -----

// Local response normalization stays in whole blocks; 24 channels fill none.
// CHECK-LABEL: func @responses
// CHECK: %[[C:.*]] = nn.conv
// CHECK-NEXT: %[[R:.*]] = nn.lrn %[[C]] {{.*}} : (tensor<1x2x8x8x16xf32, #nn.blocked<16>>)
// CHECK-NEXT: %[[D:.*]] = nn.conv %[[R]]
// CHECK: %[[U:.*]] = nn.unpack
// CHECK-NEXT: nn.lrn %[[U]] {{.*}} : (tensor<1x24x8x8xf32>)
func.func @responses(%x: tensor<1x16x8x8xf32>) -> tensor<1x24x8x8xf32> {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<32x16x1x1xf32>
  %v = nn.weight "v", 0 : tensor<24x32x1x1xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x16x8x8xf32>, tensor<32x16x1x1xf32>, none) -> tensor<1x32x8x8xf32>
  %1 = nn.lrn %0 {alpha = 1.0e-04 : f64, beta = 0.75 : f64, bias = 1.0 : f64, size = 5 : i64} : (tensor<1x32x8x8xf32>) -> tensor<1x32x8x8xf32>
  %2 = nn.conv %1, %v, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x32x8x8xf32>, tensor<24x32x1x1xf32>, none) -> tensor<1x24x8x8xf32>
  %3 = nn.lrn %2 {alpha = 1.0e-04 : f64, beta = 0.75 : f64, bias = 1.0 : f64, size = 5 : i64} : (tensor<1x24x8x8xf32>) -> tensor<1x24x8x8xf32>
  return %3 : tensor<1x24x8x8xf32>
}

// -----

// Three input channels are read plain.
// CHECK-LABEL: func @plainInput
// CHECK-NOT: nn.pack
// CHECK: nn.conv %arg0
// CHECK-SAME: -> tensor<?x2x8x8x16xf32, #nn.blocked<16>>
func.func @plainInput(%x: tensor<?x3x8x8xf32>) -> tensor<?x32x8x8xf32> {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<32x3x1x1xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<?x3x8x8xf32>, tensor<32x3x1x1xf32>, none) -> tensor<?x32x8x8xf32>
  return %0 : tensor<?x32x8x8xf32>
}

// -----

// Depthwise convolution pads channels.
// CHECK-LABEL: func @depthwise
// CHECK: nn.pack %arg0 {{.*}} -> tensor<1x2x8x8x16xf32, #nn.blocked<16>>
// CHECK: nn.conv {{.*}} group = 20 : i64, {{.*}} : (tensor<1x2x8x8x16xf32, #nn.blocked<16>>, {{.*}} -> tensor<1x2x8x8x16xf32, #nn.blocked<16>>
// CHECK: nn.relu {{.*}}tensor<1x2x8x8x16xf32, #nn.blocked<16>>
// CHECK: nn.unpack {{.*}}channels = 20 : i64
func.func @depthwise(%x: tensor<1x20x8x8xf32>) -> tensor<1x20x8x8xf32> {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<20x1x3x3xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 20 : i64} : (tensor<1x20x8x8xf32>, tensor<20x1x3x3xf32>, none) -> tensor<1x20x8x8xf32>
  %1 = nn.relu %0 : (tensor<1x20x8x8xf32>) -> tensor<1x20x8x8xf32>
  return %1 : tensor<1x20x8x8xf32>
}

// -----

// CHECK-LABEL: func @grouped
// CHECK: nn.conv {{.*}} : (tensor<1x2x8x8x16xf32, #nn.blocked<16>>
func.func @grouped(%x: tensor<1x32x8x8xf32>) -> tensor<1x64x8x8xf32> {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<64x16x1x1xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 2 : i64} : (tensor<1x32x8x8xf32>, tensor<64x16x1x1xf32>, none) -> tensor<1x64x8x8xf32>
  return %0 : tensor<1x64x8x8xf32>
}

// -----

// What works lane by lane may read padding; another convolution may not.
// CHECK-LABEL: func @padding
// CHECK: %[[C:.*]] = nn.conv {{.*}} -> tensor<1x2x8x8x16xf32, #nn.blocked<16>>
// CHECK: %[[R:.*]] = nn.relu %[[C]]
// CHECK: %[[S:.*]] = nn.add %[[R]], %[[C]]
// CHECK: %[[P:.*]] = nn.max_pool %[[S]]
// CHECK: %[[U:.*]] = nn.unpack %[[P]] {channels = 24 : i64}
// CHECK: nn.conv %[[U]]
// CHECK-SAME: (tensor<1x24x4x4xf32>, {{.*}} -> tensor<1x1x4x4x16xf32, #nn.blocked<16>>
func.func @padding(%x: tensor<1x32x8x8xf32>) -> tensor<1x16x4x4xf32> {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<24x32x1x1xf32>
  %v = nn.weight "v", 0 : tensor<16x24x1x1xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x32x8x8xf32>, tensor<24x32x1x1xf32>, none) -> tensor<1x24x8x8xf32>
  %1 = nn.relu %0 : (tensor<1x24x8x8xf32>) -> tensor<1x24x8x8xf32>
  %2 = nn.add %1, %0 : (tensor<1x24x8x8xf32>, tensor<1x24x8x8xf32>) -> tensor<1x24x8x8xf32>
  %3 = nn.max_pool %2 {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false} : (tensor<1x24x8x8xf32>) -> tensor<1x24x4x4xf32>
  %4 = nn.conv %3, %v, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x24x4x4xf32>, tensor<16x24x1x1xf32>, none) -> tensor<1x16x4x4xf32>
  return %4 : tensor<1x16x4x4xf32>
}

// -----

// Sums of quantized images.
// CHECK-LABEL: func @integers
// CHECK: nn.conv {{.*}} -> tensor<1x2x8x8x16xi32, #nn.blocked<16>>
// CHECK-NEXT: nn.cast {{.*}} -> tensor<1x2x8x8x16xui8, #nn.blocked<16>>
func.func @integers(%x: tensor<1x32x8x8xi32>) -> tensor<1x32x8x8xui8> {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<32x32x1x1xi32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x32x8x8xi32>, tensor<32x32x1x1xi32>, none) -> tensor<1x32x8x8xi32>
  %1 = nn.cast %0 {to = ui8} : (tensor<1x32x8x8xi32>) -> tensor<1x32x8x8xui8>
  return %1 : tensor<1x32x8x8xui8>
}

// -----

// Groups within a block.
// CHECK-LABEL: func @small_groups
// CHECK: nn.conv {{.*}} group = 10 : i64, {{.*}} : (tensor<1x3x8x8x16xf32, #nn.blocked<16>>, {{.*}} -> tensor<1x3x8x8x16xf32, #nn.blocked<16>>
func.func @small_groups(%x: tensor<1x40x8x8xf32>) -> tensor<1x40x8x8xf32> {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<40x4x3x3xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 10 : i64} : (tensor<1x40x8x8xf32>, tensor<40x4x3x3xf32>, none) -> tensor<1x40x8x8xf32>
  return %0 : tensor<1x40x8x8xf32>
}

// -----

// Channels that would be mostly padding, or part of a block per group; another
// element type.
// CHECK-LABEL: func @plain
// CHECK-NOT: nn.blocked
// CHECK: return
func.func @plain(%x: tensor<1x32x8x8xf32>,
                 %y: tensor<1x32x8x8xf64>, %u: tensor<32x32x1x1xf64>)
    -> (tensor<1x64x8x8xf32>, tensor<1x20x8x8xf32>, tensor<1x32x8x8xf64>) {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<64x8x1x1xf32>
  %v = nn.weight "v", 0 : tensor<20x32x1x1xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 4 : i64} : (tensor<1x32x8x8xf32>, tensor<64x8x1x1xf32>, none) -> tensor<1x64x8x8xf32>
  %1 = nn.conv %x, %v, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x32x8x8xf32>, tensor<20x32x1x1xf32>, none) -> tensor<1x20x8x8xf32>
  %2 = nn.conv %y, %u, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x32x8x8xf64>, tensor<32x32x1x1xf64>, none) -> tensor<1x32x8x8xf64>
  return %0, %1, %2 : tensor<1x64x8x8xf32>, tensor<1x20x8x8xf32>, tensor<1x32x8x8xf64>
}

// -----

// Operands of a blocked elementwise op: numbers as they are, channels and images
// packed, images of one channel with a last dimension of 1.
// CHECK-LABEL: func @operands
// CHECK-DAG: %[[TWO:.*]] = nn.constant dense<2.000000e+00> : tensor<f32>
// CHECK: nn.mul {{.*}}, %[[TWO]]
// CHECK: nn.add {{.*}}, tensor<1x2x1x1x16xf32, #nn.blocked<16>>) -> tensor<1x2x8x8x16xf32, #nn.blocked<16>>
// CHECK: %[[M:.*]] = nn.reshape %arg1, {{.*}} -> tensor<1x1x8x8x1xf32>
// CHECK: nn.mul {{.*}}, %[[M]]
// CHECK: %[[B:.*]] = nn.pack %arg2
// CHECK: nn.add %[[B]]
// CHECK: nn.unpack
func.func @operands(%x: tensor<1x32x8x8xf32>, %mask: tensor<8x8xf32>,
                    %other: tensor<1x32x8x8xf32>, %c: tensor<32x1x1xf32>) -> tensor<1x32x8x8xf32> {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<32x32x1x1xf32>
  %two = nn.constant dense<2.0> : tensor<f32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x32x8x8xf32>, tensor<32x32x1x1xf32>, none) -> tensor<1x32x8x8xf32>
  %1 = nn.mul %0, %two : (tensor<1x32x8x8xf32>, tensor<f32>) -> tensor<1x32x8x8xf32>
  %2 = nn.add %1, %c : (tensor<1x32x8x8xf32>, tensor<32x1x1xf32>) -> tensor<1x32x8x8xf32>
  %3 = nn.mul %2, %mask : (tensor<1x32x8x8xf32>, tensor<8x8xf32>) -> tensor<1x32x8x8xf32>
  %4 = nn.add %other, %3 : (tensor<1x32x8x8xf32>, tensor<1x32x8x8xf32>) -> tensor<1x32x8x8xf32>
  return %4 : tensor<1x32x8x8xf32>
}

// -----

// CHECK-LABEL: func @concat
// CHECK: nn.concat {{.*}} {axis = 1 : i64} : (tensor<1x2x8x8x16xf32, #nn.blocked<16>>, tensor<1x1x8x8x16xf32, #nn.blocked<16>>) -> tensor<1x3x8x8x16xf32, #nn.blocked<16>>
// CHECK-NEXT: nn.unpack
func.func @concat(%x: tensor<1x32x8x8xf32>, %y: tensor<1x16x8x8xf32>) -> tensor<1x48x8x8xf32> {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<32x32x1x1xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x32x8x8xf32>, tensor<32x32x1x1xf32>, none) -> tensor<1x32x8x8xf32>
  %1 = nn.concat %0, %y {axis = 1 : i64} : (tensor<1x32x8x8xf32>, tensor<1x16x8x8xf32>) -> tensor<1x48x8x8xf32>
  return %1 : tensor<1x48x8x8xf32>
}

// -----

// Along another axis, with channels that are no whole blocks, or with nothing blocked.
// CHECK-LABEL: func @plainConcat
// CHECK: nn.concat {{.*}} -> tensor<2x32x8x8xf32>
// CHECK: nn.concat {{.*}} -> tensor<1x40x8x8xf32>
// CHECK: nn.concat {{.*}} -> tensor<1x64x8x8xf32>
func.func @plainConcat(%x: tensor<1x32x8x8xf32>, %y: tensor<1x8x8x8xf32>)
    -> (tensor<2x32x8x8xf32>, tensor<1x40x8x8xf32>, tensor<1x64x8x8xf32>) {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<32x32x1x1xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x32x8x8xf32>, tensor<32x32x1x1xf32>, none) -> tensor<1x32x8x8xf32>
  %1 = nn.concat %0, %0 {axis = 0 : i64} : (tensor<1x32x8x8xf32>, tensor<1x32x8x8xf32>) -> tensor<2x32x8x8xf32>
  %2 = nn.concat %0, %y {axis = 1 : i64} : (tensor<1x32x8x8xf32>, tensor<1x8x8x8xf32>) -> tensor<1x40x8x8xf32>
  %3 = nn.concat %x, %x {axis = 1 : i64} : (tensor<1x32x8x8xf32>, tensor<1x32x8x8xf32>) -> tensor<1x64x8x8xf32>
  return %1, %2, %3 : tensor<2x32x8x8xf32>, tensor<1x40x8x8xf32>, tensor<1x64x8x8xf32>
}

// -----

// The nn.unpack of a 1x1 image moves nothing.
// CHECK-LABEL: func @pools
// CHECK: %[[X:.*]] = nn.pack %arg0
// CHECK: %[[M:.*]] = nn.max_pool %[[X]] {{.*}} -> tensor<1x2x4x4x16xf32, #nn.blocked<16>>
// CHECK: %[[G:.*]] = nn.global_pool mean %[[M]] : {{.*}} -> tensor<1x2x1x1x16xf32, #nn.blocked<16>>
// CHECK: %[[R:.*]] = nn.reshape %[[G]]
// CHECK-SAME: -> tensor<1x32x1x1xf32>
// CHECK: return %[[R]]
func.func @pools(%x: tensor<1x32x8x8xf32>) -> tensor<1x32x1x1xf32> {
  %0 = nn.max_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false} : (tensor<1x32x8x8xf32>) -> tensor<1x32x4x4xf32>
  %1 = nn.global_pool mean %0 : (tensor<1x32x4x4xf32>) -> tensor<1x32x1x1xf32>
  return %1 : tensor<1x32x1x1xf32>
}

// -----

// CHECK-LABEL: func @plainPool
// CHECK-NOT: nn.blocked
// CHECK: return
func.func @plainPool(%x: tensor<1x24x8x8xf32>, %y: tensor<1x32x8xf32>) -> (tensor<1x24x1x1xf32>, tensor<1x32x1xf32>) {
  %0 = nn.global_pool mean %x : (tensor<1x24x8x8xf32>) -> tensor<1x24x1x1xf32>
  %1 = nn.global_pool max %y : (tensor<1x32x8xf32>) -> tensor<1x32x1xf32>
  return %0, %1 : tensor<1x24x1x1xf32>, tensor<1x32x1xf32>
}

// -----

// Weights that only the run brings cannot be packed ahead of it.
// CHECK-LABEL: func @runTimeWeights
// CHECK-NOT: nn.blocked
// CHECK: return
func.func @runTimeWeights(%x: tensor<1x32x8x8xf32>, %w: tensor<32x32x1x1xf32>, %b: tensor<32xf32>)
    -> (tensor<1x32x8x8xf32>, tensor<1x32x8x8xf32>) {
  %none = nn.none
  %v = nn.weight "v", 0 : tensor<32x32x1x1xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x32x8x8xf32>, tensor<32x32x1x1xf32>, none) -> tensor<1x32x8x8xf32>
  %1 = nn.conv %x, %v, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x32x8x8xf32>, tensor<32x32x1x1xf32>, tensor<32xf32>) -> tensor<1x32x8x8xf32>
  return %0, %1 : tensor<1x32x8x8xf32>, tensor<1x32x8x8xf32>
}

// -----

// Images in one dimension are blocked as those in two.
// CHECK-LABEL: func @lines
// CHECK: %[[X:.*]] = nn.pack %arg0 : (tensor<1x32x9xf32>) -> tensor<1x2x9x16xf32, #nn.blocked<16>>
// CHECK: %[[C:.*]] = nn.conv %[[X]]
// CHECK-SAME: -> tensor<1x2x7x16xf32, #nn.blocked<16>>
// CHECK: nn.add %[[C]], %{{.*}} -> tensor<1x2x7x16xf32, #nn.blocked<16>>
// CHECK: nn.unpack
func.func @lines(%x: tensor<1x32x9xf32>, %b: tensor<32x1xf32>) -> tensor<1x32x7xf32> {
  %w = nn.constant dense<1.0> : tensor<32x32x3xf32>
  %none = nn.none
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, group = 1 : i64} : (tensor<1x32x9xf32>, tensor<32x32x3xf32>, none) -> tensor<1x32x7xf32>
  %1 = nn.add %0, %b : (tensor<1x32x7xf32>, tensor<32x1xf32>) -> tensor<1x32x7xf32>
  return %1 : tensor<1x32x7xf32>
}

// -----

// Norms of channels, pads and resizing along lines and columns keep blocks, padding beside channels
// or not.
// CHECK-LABEL: func @aroundPixels
// CHECK: %[[C:.*]] = nn.conv
// CHECK: %[[N:.*]] = nn.instance_norm %[[C]], %{{.*}} : (tensor<1x2x8x8x16xf32, #nn.blocked<16>>, tensor<24xf32>, tensor<24xf32>) -> tensor<1x2x8x8x16xf32, #nn.blocked<16>>
// CHECK: %[[V:.*]] = nn.reshape %[[N]], {{.*}} -> tensor<1x2x8x8x16xf32>
// CHECK: %[[P:.*]] = nn.pad reflect %[[V]], {{.*}} -> tensor<1x2x10x11x16xf32>
// CHECK: %[[R:.*]] = nn.resize nearest{{.*}} -> tensor<1x2x20x22x16xf32>
// CHECK: %[[L:.*]] = nn.resize linear{{.*}} -> tensor<1x2x40x22x16xf32>
// CHECK: %[[B:.*]] = nn.reshape %[[L]], {{.*}} -> tensor<1x2x40x22x16xf32, #nn.blocked<16>>
// CHECK: nn.unpack %[[B]] {channels = 24 : i64}
func.func @aroundPixels(%x: tensor<1x32x8x8xf32>) -> tensor<1x24x40x22xf32> {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<24x32x1x1xf32>
  %scale = nn.weight "s", 0 : tensor<24xf32>
  %pads = nn.constant dense<[0, 0, 1, 2, 0, 0, 1, 1]> : tensor<8xi64>
  %scales = nn.constant dense<[1.0, 1.0, 2.0, 2.0]> : tensor<4xf32>
  %sizes = nn.constant dense<[1, 24, 40, 22]> : tensor<4xi64>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x32x8x8xf32>, tensor<24x32x1x1xf32>, none) -> tensor<1x24x8x8xf32>
  %1 = nn.instance_norm %0, %scale, %scale {epsilon = 1.0e-05 : f64} : (tensor<1x24x8x8xf32>, tensor<24xf32>, tensor<24xf32>) -> tensor<1x24x8x8xf32>
  %2 = nn.pad reflect %1, %pads, %none : (tensor<1x24x8x8xf32>, tensor<8xi64>, none) -> tensor<1x24x10x11xf32>
  %3 = nn.resize nearest(asymmetric, floor) %2, %none, %scales, %none {cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<1x24x10x11xf32>, none, tensor<4xf32>, none) -> tensor<1x24x20x22xf32>
  %4 = nn.resize linear(half_pixel, floor) %3, %none, %none, %sizes {cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<1x24x20x22xf32>, none, none, tensor<4xi64>) -> tensor<1x24x40x22xf32>
  return %4 : tensor<1x24x40x22xf32>
}

// -----

// Pads and sizes of the channels are of plain images, and so are parts that only a run tells.
// CHECK-LABEL: func @alongChannels
// CHECK-COUNT-1: nn.unpack
// CHECK: nn.pad constant {{.*}} -> tensor<1x40x8x8xf32>
// CHECK: nn.resize {{.*}} -> tensor<1x64x8x8xf32>
// CHECK: nn.resize linear{{.*}} -> tensor<1x32x8x8xf32>
// CHECK: nn.pad reflect {{.*}} -> tensor<1x32x?x?xf32>
func.func @alongChannels(%x: tensor<1x32x8x8xf32>, %p: tensor<8xi64>) -> (tensor<1x40x8x8xf32>, tensor<1x64x8x8xf32>, tensor<1x32x8x8xf32>, tensor<1x32x?x?xf32>) {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<32x32x1x1xf32>
  %pads = nn.constant dense<[0, 0, 0, 0, 0, 8, 0, 0]> : tensor<8xi64>
  %scales = nn.constant dense<[1.0, 2.0, 1.0, 1.0]> : tensor<4xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x32x8x8xf32>, tensor<32x32x1x1xf32>, none) -> tensor<1x32x8x8xf32>
  %1 = nn.pad constant %0, %pads, %none : (tensor<1x32x8x8xf32>, tensor<8xi64>, none) -> tensor<1x40x8x8xf32>
  %2 = nn.resize nearest(asymmetric, floor) %0, %none, %scales, %none {cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<1x32x8x8xf32>, none, tensor<4xf32>, none) -> tensor<1x64x8x8xf32>
  %mixing = nn.constant dense<[1.0, 1.01, 1.0, 1.0]> : tensor<4xf32>
  %4 = nn.resize linear(half_pixel, floor) %0, %none, %mixing, %none {cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<1x32x8x8xf32>, none, tensor<4xf32>, none) -> tensor<1x32x8x8xf32>
  %3 = nn.pad reflect %0, %p, %none : (tensor<1x32x8x8xf32>, tensor<8xi64>, none) -> tensor<1x32x?x?xf32>
  return %1, %2, %4, %3 : tensor<1x40x8x8xf32>, tensor<1x64x8x8xf32>, tensor<1x32x8x8xf32>, tensor<1x32x?x?xf32>
}

// -----

// Rows of channels become blocks and back by one move each, of blocks; what stands behind the
// convolution is computed in blocks, though it reads the pixels in a line.
// CHECK-LABEL: func @rows
// CHECK: %[[V:.*]] = nn.reshape %arg0, %{{.*}} -> tensor<1x64x2x16xf32>
// CHECK: %[[T:.*]] = nn.transpose %[[V]] {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x64x2x16xf32>) -> tensor<1x2x64x16xf32>
// CHECK: %[[X:.*]] = nn.reshape %[[T]], %{{.*}} -> tensor<1x2x8x8x16xf32, #nn.blocked<16>>
// CHECK: %[[C:.*]] = nn.conv %[[X]]
// CHECK: %[[A:.*]] = nn.add %[[C]], %{{.*}} : (tensor<1x2x8x8x16xf32, #nn.blocked<16>>, tensor<f32>)
// CHECK: %[[M:.*]] = nn.mul %[[C]], %[[A]]
// CHECK: %[[W:.*]] = nn.reshape %[[M]], %{{.*}} -> tensor<1x2x64x16xf32>
// CHECK: %[[B:.*]] = nn.transpose %[[W]] {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x2x64x16xf32>) -> tensor<1x64x2x16xf32>
// CHECK: %[[R:.*]] = nn.reshape %[[B]], %{{.*}} -> tensor<1x64x32xf32>
// CHECK: return %[[R]]
func.func @rows(%x: tensor<1x64x32xf32>) -> tensor<1x64x32xf32> {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<32x1x3x3xf32>
  %one = nn.constant dense<1.0> : tensor<f32>
  %image = nn.constant dense<[1, 32, 8, 8]> : tensor<4xi64>
  %line = nn.constant dense<[1, 32, 64]> : tensor<3xi64>
  %0 = nn.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<1x64x32xf32>) -> tensor<1x32x64xf32>
  %1 = nn.reshape %0, %image {allowzero = true} : (tensor<1x32x64xf32>, tensor<4xi64>) -> tensor<1x32x8x8xf32>
  %2 = nn.conv %1, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 32 : i64} : (tensor<1x32x8x8xf32>, tensor<32x1x3x3xf32>, none) -> tensor<1x32x8x8xf32>
  %3 = nn.reshape %2, %line {allowzero = true} : (tensor<1x32x8x8xf32>, tensor<3xi64>) -> tensor<1x32x64xf32>
  %4 = nn.add %3, %one : (tensor<1x32x64xf32>, tensor<f32>) -> tensor<1x32x64xf32>
  %5 = nn.mul %3, %4 : (tensor<1x32x64xf32>, tensor<1x32x64xf32>) -> tensor<1x32x64xf32>
  %6 = nn.transpose %5 {perm = array<i64: 0, 2, 1>} : (tensor<1x32x64xf32>) -> tensor<1x64x32xf32>
  return %6 : tensor<1x64x32xf32>
}

// -----

// A number of more dimensions than the image has gives a result of as many: it stays behind.
// CHECK-LABEL: func @numberOfManyDimensions
// CHECK: nn.add {{.*}} : (tensor<1x32x2x4x8xf32>, tensor<1x1x1x1x1xf32>) -> tensor<1x32x2x4x8xf32>
func.func @numberOfManyDimensions(%x: tensor<1x32x8x8xf32>, %n: tensor<1x1x1x1x1xf32>) -> tensor<1x32x2x4x8xf32> {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<32x32x1x1xf32>
  %shape = nn.constant dense<[1, 32, 2, 4, 8]> : tensor<5xi64>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x32x8x8xf32>, tensor<32x32x1x1xf32>, none) -> tensor<1x32x8x8xf32>
  %1 = nn.reshape %0, %shape {allowzero = true} : (tensor<1x32x8x8xf32>, tensor<5xi64>) -> tensor<1x32x2x4x8xf32>
  %2 = nn.add %1, %n : (tensor<1x32x2x4x8xf32>, tensor<1x1x1x1x1xf32>) -> tensor<1x32x2x4x8xf32>
  return %2 : tensor<1x32x2x4x8xf32>
}

// -----

// Channels that do not fill blocks move one by one, and so do those that a transpose puts elsewhere.
// What reads a line of pixels beside another tensor stays behind the reshape.
// CHECK-LABEL: func @notRows
// CHECK: nn.transpose %arg0 {perm = array<i64: 0, 2, 1>}
// CHECK: nn.pack
// CHECK: %[[C:.*]] = nn.conv
// CHECK: nn.unpack %[[C]]
// CHECK: nn.add %{{.*}}, %arg1 : (tensor<1x24x64xf32>, tensor<1x24x64xf32>)
// CHECK: nn.transpose %{{.*}} {perm = array<i64: 0, 2, 1>}
// CHECK: nn.transpose %{{.*}} {perm = array<i64: 1, 2, 0>}
func.func @notRows(%x: tensor<1x64x24xf32>, %y: tensor<1x24x64xf32>) -> (tensor<1x64x24xf32>, tensor<24x64x1xf32>) {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<24x1x3xf32>
  %0 = nn.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<1x64x24xf32>) -> tensor<1x24x64xf32>
  %1 = nn.conv %0, %w, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 1, 1>, group = 24 : i64} : (tensor<1x24x64xf32>, tensor<24x1x3xf32>, none) -> tensor<1x24x64xf32>
  %image = nn.constant dense<[1, 24, 8, 8]> : tensor<4xi64>
  %line = nn.constant dense<[1, 24, 64]> : tensor<3xi64>
  %2 = nn.reshape %1, %image {allowzero = true} : (tensor<1x24x64xf32>, tensor<4xi64>) -> tensor<1x24x8x8xf32>
  %3 = nn.relu %2 : (tensor<1x24x8x8xf32>) -> tensor<1x24x8x8xf32>
  %4 = nn.reshape %3, %line {allowzero = true} : (tensor<1x24x8x8xf32>, tensor<3xi64>) -> tensor<1x24x64xf32>
  %5 = nn.add %4, %y : (tensor<1x24x64xf32>, tensor<1x24x64xf32>) -> tensor<1x24x64xf32>
  %6 = nn.transpose %5 {perm = array<i64: 0, 2, 1>} : (tensor<1x24x64xf32>) -> tensor<1x64x24xf32>
  %7 = nn.transpose %1 {perm = array<i64: 1, 2, 0>} : (tensor<1x24x64xf32>) -> tensor<24x64x1xf32>
  return %6, %7 : tensor<1x64x24xf32>, tensor<24x64x1xf32>
}

// -----

// Transposed convolution, of images and of lines, and what follows it.
// CHECK-LABEL: func @transposed
// CHECK: %[[X:.*]] = nn.pack %arg0 : {{.*}} -> tensor<1x2x4x5x16xf32, #nn.blocked<16>>
// CHECK: %[[T:.*]] = nn.conv_transpose %[[X]]
// CHECK-SAME: (tensor<1x2x4x5x16xf32, #nn.blocked<16>>, tensor<32x24x2x2xf32>, none) -> tensor<1x2x8x10x16xf32, #nn.blocked<16>>
// CHECK: %[[R:.*]] = nn.relu %[[T]]
// CHECK: nn.unpack %[[R]] {channels = 24 : i64}
// CHECK: nn.conv_transpose {{.*}} -> tensor<1x1x18x16xf32, #nn.blocked<16>>
func.func @transposed(%x: tensor<1x32x4x5xf32>, %l: tensor<1x32x9xf32>) -> (tensor<1x24x8x10xf32>, tensor<1x16x18xf32>) {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<32x24x2x2xf32>
  %v = nn.weight "v", 0 : tensor<32x16x4xf32>
  %0 = nn.conv_transpose %x, %w, %none {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, output_padding = array<i64: 0, 0>, output_shape = array<i64>, group = 1 : i64} : (tensor<1x32x4x5xf32>, tensor<32x24x2x2xf32>, none) -> tensor<1x24x8x10xf32>
  %1 = nn.relu %0 : (tensor<1x24x8x10xf32>) -> tensor<1x24x8x10xf32>
  %2 = nn.conv_transpose %l, %v, %none {strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 1, 1>, output_padding = array<i64: 0>, output_shape = array<i64>, group = 1 : i64} : (tensor<1x32x9xf32>, tensor<32x16x4xf32>, none) -> tensor<1x16x18xf32>
  return %1, %2 : tensor<1x24x8x10xf32>, tensor<1x16x18xf32>
}

// -----

// Groups, dilations, results between the windows, more than 16 phases, few results, and padding that
// depends on the sizes.
// CHECK-LABEL: func @plainTransposed
// CHECK-NOT: nn.blocked
// CHECK: return
func.func @plainTransposed(%x: tensor<1x32x4x4xf32>) -> (tensor<1x32x8x8xf32>, tensor<1x32x6x6xf32>, tensor<1x32x11x11xf32>, tensor<1x32x20x20xf32>, tensor<1x3x8x8xf32>, tensor<1x32x8x8xf32>) {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<32x32x2x2xf32>
  %half = nn.weight "h", 0 : tensor<32x16x2x2xf32>
  %large = nn.weight "l", 0 : tensor<32x32x5x5xf32>
  %few = nn.weight "f", 0 : tensor<32x3x2x2xf32>
  %0 = nn.conv_transpose %x, %half, %none {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, output_padding = array<i64: 0, 0>, output_shape = array<i64>, group = 2 : i64} : (tensor<1x32x4x4xf32>, tensor<32x16x2x2xf32>, none) -> tensor<1x32x8x8xf32>
  %1 = nn.conv_transpose %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, output_padding = array<i64: 0, 0>, output_shape = array<i64>, group = 1 : i64} : (tensor<1x32x4x4xf32>, tensor<32x32x2x2xf32>, none) -> tensor<1x32x6x6xf32>
  %2 = nn.conv_transpose %x, %w, %none {strides = array<i64: 3, 3>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, output_padding = array<i64: 0, 0>, output_shape = array<i64>, group = 1 : i64} : (tensor<1x32x4x4xf32>, tensor<32x32x2x2xf32>, none) -> tensor<1x32x11x11xf32>
  %3 = nn.conv_transpose %x, %large, %none {strides = array<i64: 5, 5>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, output_padding = array<i64: 0, 0>, output_shape = array<i64>, group = 1 : i64} : (tensor<1x32x4x4xf32>, tensor<32x32x5x5xf32>, none) -> tensor<1x32x20x20xf32>
  %4 = nn.conv_transpose %x, %few, %none {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, output_padding = array<i64: 0, 0>, output_shape = array<i64>, group = 1 : i64} : (tensor<1x32x4x4xf32>, tensor<32x3x2x2xf32>, none) -> tensor<1x3x8x8xf32>
  %5 = nn.conv_transpose %x, %w, %none {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, output_padding = array<i64: 0, 0>, output_shape = array<i64>, group = 1 : i64, auto_pad = #nn<auto_pad SAME_UPPER>} : (tensor<1x32x4x4xf32>, tensor<32x32x2x2xf32>, none) -> tensor<1x32x8x8xf32>
  return %0, %1, %2, %3, %4, %5 : tensor<1x32x8x8xf32>, tensor<1x32x6x6xf32>, tensor<1x32x11x11xf32>, tensor<1x32x20x20xf32>, tensor<1x3x8x8xf32>, tensor<1x32x8x8xf32>
}

// -----

// A filter of several taps reads channels that do not fill blocks in blocks all the same; from a
// copy, where they come plain, unless it steps over as many pixels as it reads.
// CHECK-LABEL: func @taps
// CHECK: %[[X:.*]] = nn.pack %arg0 : {{.*}} -> tensor<1x2x8x8x16xf32, #nn.blocked<16>>
// CHECK-NEXT: %[[C:.*]] = nn.conv %[[X]]
// CHECK-NEXT: %[[R:.*]] = nn.relu %[[C]]
// CHECK-NEXT: %[[D:.*]] = nn.conv %[[R]]
// CHECK-NEXT: nn.unpack %[[D]]
// CHECK: nn.conv %arg0
// CHECK-SAME: (tensor<1x24x8x8xf32>, {{.*}} -> tensor<1x2x4x4x16xf32, #nn.blocked<16>>
func.func @taps(%x: tensor<1x24x8x8xf32>) -> (tensor<1x24x8x8xf32>, tensor<1x24x4x4xf32>) {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<24x24x3x3xf32>
  %v = nn.weight "v", 0 : tensor<24x24x2x2xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64} : (tensor<1x24x8x8xf32>, tensor<24x24x3x3xf32>, none) -> tensor<1x24x8x8xf32>
  %1 = nn.relu %0 : (tensor<1x24x8x8xf32>) -> tensor<1x24x8x8xf32>
  %2 = nn.conv %1, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64} : (tensor<1x24x8x8xf32>, tensor<24x24x3x3xf32>, none) -> tensor<1x24x8x8xf32>
  %3 = nn.conv %x, %v, %none {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x24x8x8xf32>, tensor<24x24x2x2xf32>, none) -> tensor<1x24x4x4xf32>
  return %2, %3 : tensor<1x24x8x8xf32>, tensor<1x24x4x4xf32>
}

// -----

// Parts that begin with a block are split and cut by blocks; of others channels are gathered.
// CHECK-LABEL: func @parts
// CHECK: %[[C:.*]] = nn.conv
// CHECK: %[[V:.*]] = nn.reshape %[[C]], {{.*}} -> tensor<1x3x8x8x16xf32>
// CHECK: %[[S:.*]]:2 = nn.split %[[V]], {{.*}} {axis = 1 : i64} : (tensor<1x3x8x8x16xf32>, tensor<2xi64>) -> (tensor<1x1x8x8x16xf32>, tensor<1x2x8x8x16xf32>)
// CHECK: nn.reshape %[[S]]#0, {{.*}} -> tensor<1x1x8x8x16xf32, #nn.blocked<16>>
// CHECK: %[[P:.*]] = nn.slice {{.*}} : (tensor<1x3x8x8x16xf32>, {{.*}}) -> tensor<1x2x8x8x16xf32>
// CHECK: nn.reshape %[[P]], {{.*}} -> tensor<1x2x8x8x16xf32, #nn.blocked<16>>
// CHECK: nn.gather_channels %[[C]] {lanes = array<i64: 24, 25, {{.*}}, 46, 47>} : {{.*}} -> tensor<1x2x8x8x16xf32, #nn.blocked<16>>
// CHECK: nn.gather_channels %[[C]] {lanes = array<i64: 0, 1, {{.*}}, 22, 23>}
// CHECK-NOT: nn.gather_channels
func.func @parts(%x: tensor<1x16x8x8xf32>) -> (tensor<1x16x8x8xf32>, tensor<1x32x8x8xf32>, tensor<1x32x8x8xf32>, tensor<1x24x8x8xf32>, tensor<1x24x8x8xf32>, tensor<1x24x8x8xf32>) {
  %none = nn.none
  %w = nn.weight "w", 0 : tensor<48x16x1x1xf32>
  %axis = nn.constant dense<1> : tensor<1xi64>
  %sizes = nn.constant dense<[16, 32]> : tensor<2xi64>
  %halves = nn.constant dense<[24, 24]> : tensor<2xi64>
  %start = nn.constant dense<-32> : tensor<1xi64>
  %half = nn.constant dense<24> : tensor<1xi64>
  %end = nn.constant dense<9223372036854775807> : tensor<1xi64>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x16x8x8xf32>, tensor<48x16x1x1xf32>, none) -> tensor<1x48x8x8xf32>
  %1:2 = nn.split %0, %sizes {axis = 1 : i64} : (tensor<1x48x8x8xf32>, tensor<2xi64>) -> (tensor<1x16x8x8xf32>, tensor<1x32x8x8xf32>)
  %2 = nn.slice %0, %start, %end, %axis, %none : (tensor<1x48x8x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<1x32x8x8xf32>
  %3 = nn.slice %0, %half, %end, %axis, %none : (tensor<1x48x8x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<1x24x8x8xf32>
  %4:2 = nn.split %0, %halves {axis = 1 : i64} : (tensor<1x48x8x8xf32>, tensor<2xi64>) -> (tensor<1x24x8x8xf32>, tensor<1x24x8x8xf32>)
  return %1#0, %1#1, %2, %3, %4#0, %4#1 : tensor<1x16x8x8xf32>, tensor<1x32x8x8xf32>, tensor<1x32x8x8xf32>, tensor<1x24x8x8xf32>, tensor<1x24x8x8xf32>, tensor<1x24x8x8xf32>
}

// -----

// From blocks to others channels move, not by way of a plain image.
// CHECK-LABEL: func @between
// CHECK: nn.gather_channels %arg0 {{.*}} -> tensor<2x4x3x5x16xf32, #nn.blocked<16>>
// CHECK: nn.gather_channels %arg1 {lanes = array<i64: 0, 1, {{.*}}, 46, 47>} : {{.*}} -> tensor<2x3x3x5x16xf32, #nn.blocked<16>>
// CHECK-NOT: nn.pack
func.func @between(%x: tensor<2x2x3x5x32xf32, #nn.blocked<32>>, %y: tensor<2x2x3x5x32xf32, #nn.blocked<32>>) -> (tensor<2x4x3x5x16xf32, #nn.blocked<16>>, tensor<2x3x3x5x16xf32, #nn.blocked<16>>) {
  %0 = nn.unpack %x {channels = 64 : i64} : (tensor<2x2x3x5x32xf32, #nn.blocked<32>>) -> tensor<2x64x3x5xf32>
  %1 = nn.pack %0 : (tensor<2x64x3x5xf32>) -> tensor<2x4x3x5x16xf32, #nn.blocked<16>>
  %2 = nn.unpack %y {channels = 48 : i64} : (tensor<2x2x3x5x32xf32, #nn.blocked<32>>) -> tensor<2x48x3x5xf32>
  %3 = nn.pack %2 : (tensor<2x48x3x5xf32>) -> tensor<2x3x3x5x16xf32, #nn.blocked<16>>
  return %1, %3 : tensor<2x4x3x5x16xf32, #nn.blocked<16>>, tensor<2x3x3x5x16xf32, #nn.blocked<16>>
}

// -----

// CHECK-LABEL: func @toWider
// CHECK: nn.gather_channels %arg0 {{.*}} -> tensor<2x2x3x5x32xf32, #nn.blocked<32>>
func.func @toWider(%x: tensor<2x4x3x5x16xf32, #nn.blocked<16>>) -> tensor<2x2x3x5x32xf32, #nn.blocked<32>> {
  %0 = nn.unpack %x {channels = 64 : i64} : (tensor<2x4x3x5x16xf32, #nn.blocked<16>>) -> tensor<2x64x3x5xf32>
  %1 = nn.pack %0 : (tensor<2x64x3x5xf32>) -> tensor<2x2x3x5x32xf32, #nn.blocked<32>>
  return %1 : tensor<2x2x3x5x32xf32, #nn.blocked<32>>
}

// -----

// The last part may be less than a block.
// CHECK-LABEL: func @lastPart
// CHECK: nn.split {{.*}} -> (tensor<1x1x8x8x16xf32>, tensor<1x2x8x8x16xf32>)
// CHECK: nn.unpack {{.*}} {channels = 24 : i64}
func.func @lastPart(%x: tensor<1x3x8x8x16xf32, #nn.blocked<16>>) -> (tensor<1x16x8x8xf32>, tensor<1x24x8x8xf32>) {
  %sizes = nn.constant dense<[16, 24]> : tensor<2xi64>
  %0 = nn.unpack %x {channels = 40 : i64} : (tensor<1x3x8x8x16xf32, #nn.blocked<16>>) -> tensor<1x40x8x8xf32>
  %1:2 = nn.split %0, %sizes {axis = 1 : i64} : (tensor<1x40x8x8xf32>, tensor<2xi64>) -> (tensor<1x16x8x8xf32>, tensor<1x24x8x8xf32>)
  return %1#0, %1#1 : tensor<1x16x8x8xf32>, tensor<1x24x8x8xf32>
}

// -----

// Of images of 12 and of 8 channels: lanes 12 to 15 are padding.
// CHECK-LABEL: func @concatParts
// CHECK: nn.gather_channels %arg0, %arg1 {lanes = array<i64: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23>} : {{.*}} -> tensor<1x2x8x8x16xf32, #nn.blocked<16>>
// CHECK-NEXT: nn.unpack
func.func @concatParts(%x: tensor<1x1x8x8x16xf32, #nn.blocked<16>>, %y: tensor<1x1x8x8x16xf32, #nn.blocked<16>>) -> tensor<1x20x8x8xf32> {
  %0 = nn.unpack %x {channels = 12 : i64} : (tensor<1x1x8x8x16xf32, #nn.blocked<16>>) -> tensor<1x12x8x8xf32>
  %1 = nn.unpack %y {channels = 8 : i64} : (tensor<1x1x8x8x16xf32, #nn.blocked<16>>) -> tensor<1x8x8x8xf32>
  %2 = nn.concat %0, %1 {axis = 1 : i64} : (tensor<1x12x8x8xf32>, tensor<1x8x8x8xf32>) -> tensor<1x20x8x8xf32>
  return %2 : tensor<1x20x8x8xf32>
}

// -----

// What is joined and split again are the parts; of others channels are gathered once.
// CHECK-LABEL: func @joinedAndSplit
// CHECK-DAG: nn.unpack %arg0 {channels = 12 : i64}
// CHECK-DAG: %[[G:.*]] = nn.gather_channels %arg0, %arg1 {lanes = array<i64: 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21>}
// CHECK-DAG: nn.unpack %[[G]] {channels = 14 : i64}
func.func @joinedAndSplit(%x: tensor<1x1x8x8x16xf32, #nn.blocked<16>>, %y: tensor<1x1x8x8x16xf32, #nn.blocked<16>>) -> (tensor<1x12x8x8xf32>, tensor<1x14x8x8xf32>) {
  %none = nn.none
  %start = nn.constant dense<4> : tensor<1xi64>
  %end = nn.constant dense<18> : tensor<1xi64>
  %axis = nn.constant dense<1> : tensor<1xi64>
  %sizes = nn.constant dense<[12, 8]> : tensor<2xi64>
  %0 = nn.unpack %x {channels = 12 : i64} : (tensor<1x1x8x8x16xf32, #nn.blocked<16>>) -> tensor<1x12x8x8xf32>
  %1 = nn.unpack %y {channels = 8 : i64} : (tensor<1x1x8x8x16xf32, #nn.blocked<16>>) -> tensor<1x8x8x8xf32>
  %2 = nn.concat %0, %1 {axis = 1 : i64} : (tensor<1x12x8x8xf32>, tensor<1x8x8x8xf32>) -> tensor<1x20x8x8xf32>
  %3:2 = nn.split %2, %sizes {axis = 1 : i64} : (tensor<1x20x8x8xf32>, tensor<2xi64>) -> (tensor<1x12x8x8xf32>, tensor<1x8x8x8xf32>)
  %4 = nn.slice %2, %start, %end, %axis, %none : (tensor<1x20x8x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<1x14x8x8xf32>
  return %3#0, %4 : tensor<1x12x8x8xf32>, tensor<1x14x8x8xf32>
}

// -----

// Every third channel, and a shuffle; a reshape that moves pixels as well is none.
// CHECK-LABEL: func @shuffle
// CHECK-DAG: nn.gather_channels %arg0 {lanes = array<i64: 1, 4, 7, 10>}
// CHECK-DAG: nn.gather_channels %arg0 {lanes = array<i64: 0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11>}
// CHECK-DAG: nn.transpose
func.func @shuffle(%x: tensor<1x1x4x3x16xf32, #nn.blocked<16>>) -> (tensor<1x4x4x3xf32>, tensor<1x12x4x3xf32>, tensor<1x12x4x3xf32>) {
  %start = nn.constant dense<1> : tensor<1xi64>
  %end = nn.constant dense<12> : tensor<1xi64>
  %axis = nn.constant dense<1> : tensor<1xi64>
  %step = nn.constant dense<3> : tensor<1xi64>
  %parts = nn.constant dense<[1, 3, 4, 4, 3]> : tensor<5xi64>
  %plain = nn.constant dense<[1, 12, 4, 3]> : tensor<4xi64>
  %0 = nn.unpack %x {channels = 12 : i64} : (tensor<1x1x4x3x16xf32, #nn.blocked<16>>) -> tensor<1x12x4x3xf32>
  %1 = nn.slice %0, %start, %end, %axis, %step : (tensor<1x12x4x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x4x4x3xf32>
  %2 = nn.reshape %0, %parts {allowzero = true} : (tensor<1x12x4x3xf32>, tensor<5xi64>) -> tensor<1x3x4x4x3xf32>
  %3 = nn.transpose %2 {perm = array<i64: 0, 2, 1, 3, 4>} : (tensor<1x3x4x4x3xf32>) -> tensor<1x4x3x4x3xf32>
  %4 = nn.reshape %3, %plain {allowzero = true} : (tensor<1x4x3x4x3xf32>, tensor<4xi64>) -> tensor<1x12x4x3xf32>
  %5 = nn.transpose %2 {perm = array<i64: 0, 1, 3, 2, 4>} : (tensor<1x3x4x4x3xf32>) -> tensor<1x3x4x4x3xf32>
  %6 = nn.reshape %5, %plain {allowzero = true} : (tensor<1x3x4x4x3xf32>, tensor<4xi64>) -> tensor<1x12x4x3xf32>
  return %1, %4, %6 : tensor<1x4x4x3xf32>, tensor<1x12x4x3xf32>, tensor<1x12x4x3xf32>
}
