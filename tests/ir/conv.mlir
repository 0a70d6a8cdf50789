// RUN: quern-opt %s | quern-opt --nn-infer-shapes | FileCheck %s

// CHECK-LABEL: @conv
func.func @conv(%x: tensor<?x8x15x16xf32, #nn.dims<"N", "", "", "">>, %w: tensor<12x4x3x3xf32>, %b: tensor<12xf32>,
                %h: tensor<1x8x?x?xf32, #nn.dims<"", "", "H", "W">>) {
  %none = nn.none
  // CHECK: nn.conv {{.*}} -> tensor<?x12x8x8xf32, #nn.dims<"N", "", "", "">>
  %0 = nn.conv %x, %w, %b {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 2 : i64}
    : (tensor<?x8x15x16xf32, #nn.dims<"N", "", "", "">>, tensor<12x4x3x3xf32>, tensor<12xf32>) -> tensor<*xf32>
  // Dilation 2 makes a window of 5.
  // CHECK: nn.conv {{.*}} -> tensor<?x12x11x14xf32, #nn.dims<"N", "", "", "">>
  %1 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 2, 1>, pads = array<i64: 0, 0, 0, 0>, group = 2 : i64}
    : (tensor<?x8x15x16xf32, #nn.dims<"N", "", "", "">>, tensor<12x4x3x3xf32>, none) -> tensor<*xf32>
  // CHECK: nn.conv {{.*}} -> tensor<?x12x5x6xf32, #nn.dims<"N", "", "", "">>
  %2 = nn.conv %x, %w, %none auto_pad = SAME_UPPER {strides = array<i64: 3, 3>, dilations = array<i64: 1, 1>, pads = array<i64: 9, 9, 9, 9>, group = 2 : i64}
    : (tensor<?x8x15x16xf32, #nn.dims<"N", "", "", "">>, tensor<12x4x3x3xf32>, none) -> tensor<*xf32>
  // CHECK: nn.conv {{.*}} -> tensor<?x12x5x5xf32, #nn.dims<"N", "", "", "">>
  %3 = nn.conv %x, %w, %none auto_pad = VALID {strides = array<i64: 3, 3>, dilations = array<i64: 1, 1>, pads = array<i64: 9, 9, 9, 9>, group = 2 : i64}
    : (tensor<?x8x15x16xf32, #nn.dims<"N", "", "", "">>, tensor<12x4x3x3xf32>, none) -> tensor<*xf32>
  // Padding that makes up for the window keeps the size, so also its name.
  // CHECK: nn.conv {{.*}} -> tensor<1x12x?x?xf32, #nn.dims<"", "", "H", ("W" + -2)>>
  %4 = nn.conv %h, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 0, 1, 0>, group = 2 : i64}
    : (tensor<1x8x?x?xf32, #nn.dims<"", "", "H", "W">>, tensor<12x4x3x3xf32>, none) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @blocked
func.func @blocked(%x: tensor<1x2x7x7x16xf32, #nn.blocked<16>>, %w: tensor<40x20x3x3xf32>, %plain: tensor<1x20x7x7xf32>,
                   %named: tensor<?x2x7x?x16xf32, #nn.blocked<16, dims = <"N", "", "", "W", "">>>) {
  %none = nn.none
  // CHECK: nn.conv {{.*}} -> tensor<1x3x7x7x16xf32, #nn.blocked<16>>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64}
    : (tensor<1x2x7x7x16xf32, #nn.blocked<16>>, tensor<40x20x3x3xf32>, none) -> tensor<?x3x7x7x16xf32, #nn.blocked<16>>
  // CHECK: nn.conv {{.*}} -> tensor<1x5x7x7x8xf32, #nn.blocked<8>>
  %1 = nn.conv %plain, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64}
    : (tensor<1x20x7x7xf32>, tensor<40x20x3x3xf32>, none) -> tensor<1x5x?x7x8xf32, #nn.blocked<8>>
  // CHECK: nn.conv {{.*}} -> tensor<?x3x7x?x16xf32, #nn.blocked<16, dims = <"N", "", "", "W", "">>>
  %2 = nn.conv %named, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64}
    : (tensor<?x2x7x?x16xf32, #nn.blocked<16, dims = <"N", "", "", "W", "">>>, tensor<40x20x3x3xf32>, none) -> tensor<?x3x7x?x16xf32, #nn.blocked<16>>
  return
}

// CHECK-LABEL: @transposed
func.func @transposed(%x: tensor<?x6x5x5xf32, #nn.dims<"N", "", "", "">>, %w: tensor<6x4x3x3xf32>) {
  %none = nn.none
  // CHECK: nn.conv_transpose {{.*}} -> tensor<?x8x10x9xf32, #nn.dims<"N", "", "", "">>
  %0 = nn.conv_transpose %x, %w, %none {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, output_padding = array<i64: 1, 0>, output_shape = array<i64>, group = 2 : i64}
    : (tensor<?x6x5x5xf32, #nn.dims<"N", "", "", "">>, tensor<6x4x3x3xf32>, none) -> tensor<*xf32>
  // CHECK: nn.conv_transpose {{.*}} -> tensor<?x8x10x12xf32, #nn.dims<"N", "", "", "">>
  %1 = nn.conv_transpose %x, %w, %none {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, output_padding = array<i64: 0, 0>, output_shape = array<i64: 10, 12>, group = 2 : i64}
    : (tensor<?x6x5x5xf32, #nn.dims<"N", "", "", "">>, tensor<6x4x3x3xf32>, none) -> tensor<*xf32>
  // CHECK: nn.conv_transpose {{.*}} -> tensor<?x8x15x10xf32, #nn.dims<"N", "", "", "">>
  %2 = nn.conv_transpose %x, %w, %none auto_pad = SAME_LOWER {strides = array<i64: 3, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, output_padding = array<i64: 0, 0>, output_shape = array<i64>, group = 2 : i64}
    : (tensor<?x6x5x5xf32, #nn.dims<"N", "", "", "">>, tensor<6x4x3x3xf32>, none) -> tensor<*xf32>
  return
}

// Sums of 8-bit integers are of 32 bits, those of half types may be of float32.
// CHECK-LABEL: @narrow
func.func @narrow(%u: tensor<1x8x7x7xui8>, %s: tensor<12x8x3x3xi8>, %b: tensor<12xi32>,
                  %x: tensor<1x8x7x7xbf16>, %w: tensor<12x8x3x3xbf16>, %c: tensor<12xf32>) {
  %none = nn.none
  // CHECK: nn.conv {{.*}} pad_value = 128 : i64{{.*}} -> tensor<1x12x7x7xi32>
  %0 = nn.conv %u, %s, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64, pad_value = 128 : i64}
    : (tensor<1x8x7x7xui8>, tensor<12x8x3x3xi8>, tensor<12xi32>) -> tensor<*xi32>
  // CHECK: nn.conv {{.*}} -> tensor<1x12x5x5xf32>
  %1 = nn.conv %x, %w, %c {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64}
    : (tensor<1x8x7x7xbf16>, tensor<12x8x3x3xbf16>, tensor<12xf32>) -> tensor<*xf32>
  // CHECK: nn.conv {{.*}} -> tensor<1x12x5x5xbf16>
  %2 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64}
    : (tensor<1x8x7x7xbf16>, tensor<12x8x3x3xbf16>, none) -> tensor<*xbf16>
  return
}

// Weights tell the rank of an image.
// CHECK-LABEL: @unknown_image
func.func @unknown_image(%x: tensor<*xf32>, %w: tensor<12x8x3x3xf32>) {
  %none = nn.none
  // CHECK: nn.conv {{.*}} -> tensor<?x12x?x?xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64}
    : (tensor<*xf32>, tensor<12x8x3x3xf32>, none) -> tensor<*xf32>
  return
}
