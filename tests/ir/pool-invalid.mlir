// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @rank(%x: tensor<1x8x7xf32>) {
  // expected-error @+1 {{input must have rank 4, found 3}}
  %0 = nn.max_pool %x {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false} : (tensor<1x8x7xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @lengths(%x: tensor<1x8x7x7xf32>) {
  // expected-error @+1 {{strides, dilations and pads must have 2, 2 and 4 entries, found 2, 2 and 2}}
  %0 = nn.max_pool %x {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0>, ceil_mode = false} : (tensor<1x8x7x7xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @kernel(%x: tensor<1x8x7x7xf32>) {
  // expected-error @+1 {{kernel sizes must be positive, found 0}}
  %0 = nn.max_pool %x {kernel = array<i64: 0, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false} : (tensor<1x8x7x7xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @stride(%x: tensor<1x8x7x7xf32>) {
  // expected-error @+1 {{strides must be positive, found -1}}
  %0 = nn.max_pool %x {kernel = array<i64: 3, 3>, strides = array<i64: -1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false} : (tensor<1x8x7x7xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @padding(%x: tensor<1x8x7x7xf32>) {
  // expected-error @+1 {{pads must be smaller than the window of 3 elements, found 3}}
  %0 = nn.max_pool %x {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 3, 0, 0, 0>, ceil_mode = false} : (tensor<1x8x7x7xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @window(%x: tensor<1x8x7x7xf32>) {
  // expected-error @+1 {{spatial axis 1: a window of 8 elements does not fit into a padded input of 7}}
  %0 = nn.max_pool %x {kernel = array<i64: 3, 8>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false} : (tensor<1x8x7x7xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @auto_pad(%x: tensor<1x8x7x7xf32>) {
  // expected-error @+2 {{must be one of NOTSET, VALID, SAME_UPPER, SAME_LOWER, found same}}
  // expected-error @+1 {{failed to parse}}
  %0 = nn.max_pool %x auto_pad = same {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false} : (tensor<1x8x7x7xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @type(%x: tensor<1x8x7x7xi1>) {
  // expected-error @+1 {{input must hold numbers, found 'i1'}}
  %0 = nn.max_pool %x {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false} : (tensor<1x8x7x7xi1>) -> tensor<*xi1>
  return
}

// -----

func.func @layout_of_result(%x: tensor<1x1x7x7x8xf32, #nn.blocked<8>>) {
  // expected-error @+1 {{result type 'tensor<1x1x5x5x8xf32>' contradicts the inferred 'tensor<1x1x5x5x8xf32, #nn.blocked<8>>'}}
  %0 = nn.max_pool %x {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false} : (tensor<1x1x7x7x8xf32, #nn.blocked<8>>) -> tensor<1x1x5x5x8xf32>
  return
}

// -----

func.func @storage_order(%x: tensor<1x8x7x7xf32>) {
  // expected-error @+1 {{storage_order must be 0 or 1, found 2}}
  %0:2 = nn.max_pool_with_indices %x {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false, storage_order = 2 : i64} : (tensor<1x8x7x7xf32>) -> (tensor<*xf32>, tensor<*xi64>)
  return
}

// -----

func.func @indices_type(%x: tensor<1x8x7x7xf32>) {
  // expected-error @+1 {{result type 'tensor<1x8x5x5xi32>' contradicts the inferred 'tensor<1x8x5x5xi64>'}}
  %0:2 = nn.max_pool_with_indices %x {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false, storage_order = 0 : i64} : (tensor<1x8x7x7xf32>) -> (tensor<*xf32>, tensor<1x8x5x5xi32>)
  return
}

// -----

func.func @global_rank(%x: tensor<8xf32>) {
  // expected-error @+1 {{input needs rank 2 or more, found 1}}
  %0 = nn.global_pool max %x : (tensor<8xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @blocked_rank(%x: tensor<1x8x7x8xf32, #nn.blocked<8>>) {
  // expected-error @+1 {{input must have rank 5, found 4}}
  %0 = nn.max_pool %x {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false} : (tensor<1x8x7x8xf32, #nn.blocked<8>>) -> tensor<*xf32>
  return
}

// -----

func.func @indices_of_blocks(%x: tensor<1x1x7x7x8xf32, #nn.blocked<8>>) {
  // expected-error @+1 {{works on row-major tensors only}}
  %0:2 = nn.max_pool_with_indices %x {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false, storage_order = 0 : i64} : (tensor<1x1x7x7x8xf32, #nn.blocked<8>>) -> (tensor<*xf32>, tensor<*xi64>)
  return
}
