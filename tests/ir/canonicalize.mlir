// RUN: quern-opt %s --canonicalize | FileCheck %s

// Equal constants become one.
// CHECK-LABEL: @constants
func.func @constants() -> (tensor<2xi64>, tensor<2xi64>) {
  // CHECK: %[[C:.*]] = nn.constant dense<[1, 2]>
  // CHECK-NOT: nn.constant
  %0 = nn.constant dense<[1, 2]> : tensor<2xi64>
  %1 = nn.constant dense<[1, 2]> : tensor<2xi64>
  // CHECK: return %[[C]], %[[C]]
  return %0, %1 : tensor<2xi64>, tensor<2xi64>
}

// CHECK-LABEL: @unpack_of_pack
// CHECK-SAME: %[[X:.*]]: tensor<1x20x5xf32>
func.func @unpack_of_pack(%x: tensor<1x20x5xf32>) -> tensor<1x20x5xf32> {
  %0 = nn.pack %x : (tensor<1x20x5xf32>) -> tensor<1x2x5x16xf32, #nn.blocked<16>>
  %1 = nn.unpack %0 {channels = 20 : i64} : (tensor<1x2x5x16xf32, #nn.blocked<16>>) -> tensor<1x20x5xf32>
  // CHECK: return %[[X]]
  return %1 : tensor<1x20x5xf32>
}

// CHECK-LABEL: @pack_of_unpack
// CHECK-SAME: %[[X:.*]]: tensor<1x2x5x16xf32, #nn.blocked<16>>
func.func @pack_of_unpack(%x: tensor<1x2x5x16xf32, #nn.blocked<16>>) -> tensor<1x2x5x16xf32, #nn.blocked<16>> {
  %0 = nn.unpack %x {channels = 32 : i64} : (tensor<1x2x5x16xf32, #nn.blocked<16>>) -> tensor<1x32x5xf32>
  %1 = nn.pack %0 : (tensor<1x32x5xf32>) -> tensor<1x2x5x16xf32, #nn.blocked<16>>
  // CHECK: return %[[X]]
  return %1 : tensor<1x2x5x16xf32, #nn.blocked<16>>
}

// Padding channels of the input may hold anything, those of a pack are zero.
// CHECK-LABEL: @pack_of_unpack_with_padding
func.func @pack_of_unpack_with_padding(%x: tensor<1x2x5x16xf32, #nn.blocked<16>>) -> tensor<1x2x5x16xf32, #nn.blocked<16>> {
  // CHECK: nn.unpack
  %0 = nn.unpack %x {channels = 20 : i64} : (tensor<1x2x5x16xf32, #nn.blocked<16>>) -> tensor<1x20x5xf32>
  // CHECK: nn.pack
  %1 = nn.pack %0 : (tensor<1x20x5xf32>) -> tensor<1x2x5x16xf32, #nn.blocked<16>>
  return %1 : tensor<1x2x5x16xf32, #nn.blocked<16>>
}

// Blocks of another size.
// CHECK-LABEL: @repack
func.func @repack(%x: tensor<1x2x5x16xf32, #nn.blocked<16>>) -> tensor<1x4x5x8xf32, #nn.blocked<8>> {
  // CHECK: nn.unpack
  %0 = nn.unpack %x {channels = 32 : i64} : (tensor<1x2x5x16xf32, #nn.blocked<16>>) -> tensor<1x32x5xf32>
  // CHECK: nn.pack
  %1 = nn.pack %0 : (tensor<1x32x5xf32>) -> tensor<1x4x5x8xf32, #nn.blocked<8>>
  return %1 : tensor<1x4x5x8xf32, #nn.blocked<8>>
}
