// RUN: quern-opt %s | quern-opt --nn-infer-shapes | FileCheck %s

// CHECK-LABEL: @windowed
func.func @windowed(%x: tensor<?x8x6x6xf32, #nn.dims<"N", "", "", "">>, %h: tensor<1x8x?xf32, #nn.dims<"", "", "H">>) {
  // CHECK: nn.max_pool {{.*}} -> tensor<?x8x2x2xf32, #nn.dims<"N", "", "", "">>
  %0 = nn.max_pool %x {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false}
    : (tensor<?x8x6x6xf32, #nn.dims<"N", "", "", "">>) -> tensor<*xf32>
  // CHECK: nn.max_pool {{.*}} -> tensor<?x8x3x3xf32, #nn.dims<"N", "", "", "">>
  %1 = nn.max_pool %x {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = true}
    : (tensor<?x8x6x6xf32, #nn.dims<"N", "", "", "">>) -> tensor<*xf32>
  // A window that would start in the end padding is ignored.
  // CHECK: nn.average_pool {{.*}} -> tensor<?x8x2x2xf32, #nn.dims<"N", "", "", "">>
  %2 = nn.average_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 3, 3>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 1, 1>, ceil_mode = true, count_include_pad = false}
    : (tensor<?x8x6x6xf32, #nn.dims<"N", "", "", "">>) -> tensor<*xf32>
  // CHECK: nn.max_pool {{.*}} -> tensor<1x8x?xf32, #nn.dims<"", "", "H">>
  %3 = nn.max_pool %h auto_pad = SAME_LOWER {kernel = array<i64: 5>, strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, ceil_mode = false}
    : (tensor<1x8x?xf32, #nn.dims<"", "", "H">>) -> tensor<*xf32>
  // CHECK: nn.max_pool {{.*}} -> tensor<1x2x3x3x16xf32, #nn.blocked<16>>
  %4 = builtin.unrealized_conversion_cast to tensor<1x2x6x6x16xf32, #nn.blocked<16>>
  %5 = nn.max_pool %4 {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false}
    : (tensor<1x2x6x6x16xf32, #nn.blocked<16>>) -> tensor<*xf32>
  // CHECK: nn.max_pool_with_indices {{.*}} -> (tensor<?x8x3x3xf32, #nn.dims<"N", "", "", "">>, tensor<?x8x3x3xi64, #nn.dims<"N", "", "", "">>)
  %6:2 = nn.max_pool_with_indices %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false, storage_order = 0 : i64}
    : (tensor<?x8x6x6xf32, #nn.dims<"N", "", "", "">>) -> (tensor<*xf32>, tensor<*xi64>)
  return
}

// CHECK-LABEL: @global
func.func @global(%x: tensor<?x8x6x?xf32, #nn.dims<"N", "", "", "">>, %blocked: tensor<1x2x7x7x16xf32, #nn.blocked<16>>) {
  // CHECK: nn.global_pool mean {{.*}} -> tensor<?x8x1x1xf32, #nn.dims<"N", "", "", "">>
  %0 = nn.global_pool mean %x : (tensor<?x8x6x?xf32, #nn.dims<"N", "", "", "">>) -> tensor<*xf32>
  // CHECK: nn.global_pool max {{.*}} -> tensor<1x2x1x1x16xf32, #nn.blocked<16>>
  %1 = nn.global_pool max %blocked : (tensor<1x2x7x7x16xf32, #nn.blocked<16>>) -> tensor<*xf32>
  return
}
