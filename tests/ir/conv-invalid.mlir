// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @input_rank(%x: tensor<1x8x7xf32>, %w: tensor<12x4x3x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{input rank 3 does not fit weights of rank 4}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 2 : i64} : (tensor<1x8x7xf32>, tensor<12x4x3x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @lengths(%x: tensor<1x8x7x7xf32>, %w: tensor<12x4x3x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{strides, dilations and pads must have 2, 2 and 4 entries, found 1, 2 and 4}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 2 : i64} : (tensor<1x8x7x7xf32>, tensor<12x4x3x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @stride(%x: tensor<1x8x7x7xf32>, %w: tensor<12x4x3x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{strides must be positive, found 0}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 0>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 2 : i64} : (tensor<1x8x7x7xf32>, tensor<12x4x3x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @dilation(%x: tensor<1x8x7x7xf32>, %w: tensor<12x4x3x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{dilations must be positive, found -1}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: -1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 2 : i64} : (tensor<1x8x7x7xf32>, tensor<12x4x3x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @pads(%x: tensor<1x8x7x7xf32>, %w: tensor<12x4x3x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{pads must not be negative, found -2}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, -2, 0>, group = 2 : i64} : (tensor<1x8x7x7xf32>, tensor<12x4x3x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @group(%x: tensor<1x8x7x7xf32>, %w: tensor<12x4x3x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{group must be positive, found 0}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 0 : i64} : (tensor<1x8x7x7xf32>, tensor<12x4x3x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @channels(%x: tensor<1x8x7x7xf32>, %w: tensor<12x4x3x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{input channels must be 4, found 8}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64} : (tensor<1x8x7x7xf32>, tensor<12x4x3x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @outputs(%x: tensor<1x8x7x7xf32>, %w: tensor<12x4x3x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{output channels must be a multiple of group 8, found 12}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 8 : i64} : (tensor<1x8x7x7xf32>, tensor<12x4x3x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @bias_size(%x: tensor<1x8x7x7xf32>, %w: tensor<12x4x3x3xf32>, %b: tensor<8xf32>) {
  // expected-error @+1 {{the size of the bias must be 12, found 8}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 2 : i64} : (tensor<1x8x7x7xf32>, tensor<12x4x3x3xf32>, tensor<8xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @bias_rank(%x: tensor<1x8x7x7xf32>, %w: tensor<12x4x3x3xf32>, %b: tensor<1x12xf32>) {
  // expected-error @+1 {{bias must have rank 1, found 2}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 2 : i64} : (tensor<1x8x7x7xf32>, tensor<12x4x3x3xf32>, tensor<1x12xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @bias_type(%x: tensor<1x8x7x7xf32>, %w: tensor<12x4x3x3xf32>, %b: tensor<12xf64>) {
  // expected-error @+1 {{bias must have element type 'f32', found 'f64'}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 2 : i64} : (tensor<1x8x7x7xf32>, tensor<12x4x3x3xf32>, tensor<12xf64>) -> tensor<*xf32>
  return
}

// -----

func.func @weights_type(%x: tensor<1x8x7x7xf32>, %w: tensor<12x4x3x3xbf16>) {
  %b = nn.none
  // expected-error @+1 {{weights must have element type 'f32', found 'bf16'}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 2 : i64} : (tensor<1x8x7x7xf32>, tensor<12x4x3x3xbf16>, none) -> tensor<*xf32>
  return
}

// -----

func.func @auto_pad(%x: tensor<1x8x7x7xf32>, %w: tensor<12x4x3x3xf32>) {
  %b = nn.none
  // expected-error @+2 {{must be one of NOTSET, VALID, SAME_UPPER, SAME_LOWER, found SAME}}
  // expected-error @+1 {{failed to parse}}
  %0 = nn.conv %x, %w, %b auto_pad = SAME {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 2 : i64} : (tensor<1x8x7x7xf32>, tensor<12x4x3x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @window(%x: tensor<1x8x7x7xf32>, %w: tensor<12x4x3x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{spatial axis 0: a window of 9 elements does not fit into a padded input of 7}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 4, 1>, pads = array<i64: 0, 0, 0, 0>, group = 2 : i64} : (tensor<1x8x7x7xf32>, tensor<12x4x3x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @overflow(%x: tensor<1x8x7x7xf32>, %w: tensor<12x4x3x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{the sizes of the window overflow}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 9223372036854775807, 1>, pads = array<i64: 1, 1, 1, 1>, group = 2 : i64} : (tensor<1x8x7x7xf32>, tensor<12x4x3x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @pad_overflow(%x: tensor<1x8x7x7xf32>, %w: tensor<12x4x3x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{the sizes of the window overflow}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 9223372036854775807, 1, 9223372036854775807, 1>, group = 2 : i64} : (tensor<1x8x7x7xf32>, tensor<12x4x3x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @block_count(%x: tensor<1x2x7x7x8xf32, #nn.blocked<8>>, %w: tensor<12x4x3x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{input channel blocks must be 1, found 2}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 2 : i64} : (tensor<1x2x7x7x8xf32, #nn.blocked<8>>, tensor<12x4x3x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @result_blocks(%x: tensor<1x8x7x7xf32>, %w: tensor<12x4x3x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{result type 'tensor<1x3x7x7x8xf32, #nn.blocked<8>>' contradicts the inferred 'tensor<1x2x7x7x8xf32, #nn.blocked<8>>'}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 2 : i64} : (tensor<1x8x7x7xf32>, tensor<12x4x3x3xf32>, none) -> tensor<1x3x7x7x8xf32, #nn.blocked<8>>
  return
}

// -----

func.func @zero_kernel(%x: tensor<1x8x7x7xf32>, %w: tensor<12x4x0x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{kernel sizes must be positive, found 0}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 2 : i64} : (tensor<1x8x7x7xf32>, tensor<12x4x0x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @transposed_channels(%x: tensor<1x6x5xf32>, %w: tensor<5x4x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{the first dimension of the weights must be 6, found 5}}
  %0 = nn.conv_transpose %x, %w, %b {strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, output_padding = array<i64: 0>, output_shape = array<i64>, group = 1 : i64} : (tensor<1x6x5xf32>, tensor<5x4x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @transposed_group(%x: tensor<1x6x5xf32>, %w: tensor<6x4x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{input channels must be a multiple of group 4, found 6}}
  %0 = nn.conv_transpose %x, %w, %b {strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, output_padding = array<i64: 0>, output_shape = array<i64>, group = 4 : i64} : (tensor<1x6x5xf32>, tensor<6x4x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @transposed_lengths(%x: tensor<1x6x5xf32>, %w: tensor<6x4x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{output_padding and output_shape must have 1 entries, found 2 and 0}}
  %0 = nn.conv_transpose %x, %w, %b {strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, output_padding = array<i64: 0, 0>, output_shape = array<i64>, group = 1 : i64} : (tensor<1x6x5xf32>, tensor<6x4x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @transposed_output_padding(%x: tensor<1x6x5xf32>, %w: tensor<6x4x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{spatial axis 0: output padding must not be negative, found -1}}
  %0 = nn.conv_transpose %x, %w, %b {strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, output_padding = array<i64: -1>, output_shape = array<i64>, group = 1 : i64} : (tensor<1x6x5xf32>, tensor<6x4x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @transposed_output_shape(%x: tensor<1x6x5xf32>, %w: tensor<6x4x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{spatial axis 0: output sizes must not be negative, found -3}}
  %0 = nn.conv_transpose %x, %w, %b {strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, output_padding = array<i64: 0>, output_shape = array<i64: -3>, group = 1 : i64} : (tensor<1x6x5xf32>, tensor<6x4x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @transposed_pads(%x: tensor<1x6x5xf32>, %w: tensor<6x4x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{spatial axis 0: pads of 6 and 6 remove more than the output of 11}}
  %0 = nn.conv_transpose %x, %w, %b {strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 6, 6>, output_padding = array<i64: 0>, output_shape = array<i64>, group = 1 : i64} : (tensor<1x6x5xf32>, tensor<6x4x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @transposed_overflow(%x: tensor<1x6x5xf32>, %w: tensor<6x4x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{spatial axis 0: the output size overflows}}
  %0 = nn.conv_transpose %x, %w, %b {strides = array<i64: 4611686018427387904>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, output_padding = array<i64: 0>, output_shape = array<i64>, group = 1 : i64} : (tensor<1x6x5xf32>, tensor<6x4x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @narrow_bias(%x: tensor<1x8x7x7xui8>, %w: tensor<12x8x3x3xi8>, %b: tensor<12xf32>) {
  // expected-error @+1 {{bias must have element type 'i32', found 'f32'}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64} : (tensor<1x8x7x7xui8>, tensor<12x8x3x3xi8>, tensor<12xf32>) -> tensor<*xi32>
  return
}

// -----

func.func @mixed(%x: tensor<1x8x7x7xbf16>, %w: tensor<12x8x3x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{weights must have element type 'bf16', found 'f32'}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64} : (tensor<1x8x7x7xbf16>, tensor<12x8x3x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @pad_value(%x: tensor<1x8x7x7xf32>, %w: tensor<12x8x3x3xf32>) {
  %b = nn.none
  // expected-error @+1 {{pad_value is for images of 8-bit integers}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64, pad_value = 1 : i64} : (tensor<1x8x7x7xf32>, tensor<12x8x3x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @pad_value_range(%x: tensor<1x8x7x7xi8>, %w: tensor<12x8x3x3xi8>) {
  %b = nn.none
  // expected-error @+1 {{pad_value 128 is no 'i8'}}
  %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64, pad_value = 128 : i64} : (tensor<1x8x7x7xi8>, tensor<12x8x3x3xi8>, none) -> tensor<*xi32>
  return
}
