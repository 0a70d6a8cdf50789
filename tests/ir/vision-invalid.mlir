// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @grid_sample_axes(%x: tensor<1x1x2x2xf32>, %p: tensor<1x4x3xf32>) {
  // expected-error @+1 {{the last dimension of points}}
  %0 = nn.grid_sample linear(constant) %x, %p {align_corners = false} : (tensor<1x1x2x2xf32>, tensor<1x4x3xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @grid_sample_batch(%x: tensor<1x1x2x2xf32>, %p: tensor<3x4x2xf32>) {
  // expected-error @+1 {{the batch of points}}
  %0 = nn.grid_sample linear(constant) %x, %p {align_corners = false} : (tensor<1x1x2x2xf32>, tensor<3x4x2xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @grid_sample_points(%x: tensor<1x1x2x2xf32>, %p: tensor<1x4x2xi64>) {
  // expected-error @+1 {{points must hold floats}}
  %0 = nn.grid_sample linear(constant) %x, %p {align_corners = false} : (tensor<1x1x2x2xf32>, tensor<1x4x2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @roi_pool_kind(%x: tensor<2x3x8x8xf32>, %r: tensor<5x4xf32>, %i: tensor<5xi64>) {
  // expected-error @+1 {{kind must be max or mean, found sum}}
  %0 = nn.roi_pool sum %x, %r, %i {height = 7, width = 5, spatial_scale = 0.5, sampling_ratio = 0, half_pixel = true, whole_pixels = false} : (tensor<2x3x8x8xf32>, tensor<5x4xf32>, tensor<5xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @roi_pool_size(%x: tensor<2x3x8x8xf32>, %r: tensor<5x4xf32>, %i: tensor<5xi64>) {
  // expected-error @+1 {{the size of the result must be positive, found 7x0}}
  %0 = nn.roi_pool max %x, %r, %i {height = 7, width = 0, spatial_scale = 0.5, sampling_ratio = 0, half_pixel = true, whole_pixels = false} : (tensor<2x3x8x8xf32>, tensor<5x4xf32>, tensor<5xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @roi_pool_images(%x: tensor<2x3x8x8xf32>, %r: tensor<5x4xf32>, %i: tensor<4xi64>) {
  // expected-error @+1 {{the size of images}}
  %0 = nn.roi_pool max %x, %r, %i {height = 7, width = 1, spatial_scale = 0.5, sampling_ratio = 0, half_pixel = true, whole_pixels = false} : (tensor<2x3x8x8xf32>, tensor<5x4xf32>, tensor<4xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @col2im_channels(%x: tensor<1x6x4xf32>) {
  %image = nn.constant dense<[3, 3]> : tensor<2xi64>
  %block = nn.constant dense<[2, 2]> : tensor<2xi64>
  // expected-error @+1 {{dimension 1 of the input, 6, is no multiple of a block of 4 elements}}
  %0 = nn.col2im %x, %image, %block {strides = array<i64>, dilations = array<i64>, pads = array<i64>} : (tensor<1x6x4xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @col2im_positions(%x: tensor<1x4x5xf32>) {
  %image = nn.constant dense<[3, 3]> : tensor<2xi64>
  %block = nn.constant dense<[2, 2]> : tensor<2xi64>
  // expected-error @+1 {{the number of windows}}
  %0 = nn.col2im %x, %image, %block {strides = array<i64>, dilations = array<i64>, pads = array<i64>} : (tensor<1x4x5xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @col2im_pads(%x: tensor<1x4x4xf32>) {
  %image = nn.constant dense<[3, 3]> : tensor<2xi64>
  %block = nn.constant dense<[2, 2]> : tensor<2xi64>
  // expected-error @+1 {{pads must have 4 entries, found 2}}
  %0 = nn.col2im %x, %image, %block {strides = array<i64>, dilations = array<i64>, pads = array<i64: 1, 1>} : (tensor<1x4x4xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @det_square(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{the width of a matrix}}
  %0 = nn.det %x : (tensor<2x3xf32>) -> tensor<*xf32>
  return
}
