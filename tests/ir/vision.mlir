// RUN: quern-opt %s | quern-opt --nn-infer-shapes | FileCheck %s

// CHECK-LABEL: @grid_sample
func.func @grid_sample(%x: tensor<?x3x8x8xf32, #nn.dims<"N", "", "", "">>, %p: tensor<?x?x5x2xf32, #nn.dims<"N", "H", "", "">>,
                       %any: tensor<*xf32>) {
  // CHECK: nn.grid_sample linear({{ *}}constant) {{.*}} -> tensor<?x3x?x5xf32, #nn.dims<"N", "", "H", "">>
  %0 = nn.grid_sample linear(constant) %x, %p {align_corners = false} : (tensor<?x3x8x8xf32, #nn.dims<"N", "", "", "">>, tensor<?x?x5x2xf32, #nn.dims<"N", "H", "", "">>) -> tensor<*xf32>
  // CHECK: nn.grid_sample cubic({{ *}}reflect) {{.*}} -> tensor<?x?x?x5xf32, #nn.dims<"N", "", "H", "">>
  %1 = nn.grid_sample cubic(reflect) %any, %p {align_corners = true} : (tensor<*xf32>, tensor<?x?x5x2xf32, #nn.dims<"N", "H", "", "">>) -> tensor<*xf32>
  // CHECK: nn.grid_sample nearest({{ *}}edge) {{.*}} -> tensor<*xf32>
  %2 = nn.grid_sample nearest(edge) %x, %any {align_corners = true} : (tensor<?x3x8x8xf32, #nn.dims<"N", "", "", "">>, tensor<*xf32>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @roi_pool
func.func @roi_pool(%x: tensor<2x3x8x8xf32>, %r: tensor<?x4xf32, #nn.dims<"R", "">>, %i: tensor<?xi64>, %any: tensor<*xf32>) {
  // CHECK: nn.roi_pool mean {{.*}} -> tensor<?x3x7x5xf32, #nn.dims<"R", "", "", "">>
  %0 = nn.roi_pool mean %x, %r, %i {height = 7, width = 5, spatial_scale = 0.5, sampling_ratio = 0, half_pixel = true, whole_pixels = false} : (tensor<2x3x8x8xf32>, tensor<?x4xf32, #nn.dims<"R", "">>, tensor<?xi64>) -> tensor<*xf32>
  // CHECK: nn.roi_pool max {{.*}} -> tensor<?x?x1x2xf32
  %1 = nn.roi_pool max %any, %any, %i {height = 1, width = 2, spatial_scale = 0.5, sampling_ratio = 0, half_pixel = false, whole_pixels = true} : (tensor<*xf32>, tensor<*xf32>, tensor<?xi64>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @col2im
func.func @col2im(%x: tensor<?x12x4xf32, #nn.dims<"N", "", "">>, %s: tensor<2xi64>) {
  %image = nn.constant dense<[3, 3]> : tensor<2xi64>
  %block = nn.constant dense<[2, 2]> : tensor<2xi64>
  // CHECK: nn.col2im {{.*}} -> tensor<?x3x3x3xf32, #nn.dims<"N", "", "", "">>
  %0 = nn.col2im %x, %image, %block {strides = array<i64>, dilations = array<i64>, pads = array<i64>} : (tensor<?x12x4xf32, #nn.dims<"N", "", "">>, tensor<2xi64>, tensor<2xi64>) -> tensor<*xf32>
  // CHECK: nn.col2im {{.*}} -> tensor<?x3x?x?xf32
  %1 = nn.col2im %x, %s, %block {strides = array<i64: 2, 2>, dilations = array<i64>, pads = array<i64: 1, 1, 1, 1>} : (tensor<?x12x4xf32, #nn.dims<"N", "", "">>, tensor<2xi64>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @det
func.func @det(%x: tensor<?x3x3xf32, #nn.dims<"N", "", "">>, %any: tensor<*xf64>) {
  // CHECK: nn.det {{.*}} -> tensor<?xf32, #nn.dims<"N">>
  %0 = nn.det %x : (tensor<?x3x3xf32, #nn.dims<"N", "", "">>) -> tensor<*xf32>
  // CHECK: nn.det {{.*}} -> tensor<*xf64>
  %1 = nn.det %any : (tensor<*xf64>) -> tensor<*xf64>
  return
}

// CHECK-LABEL: @resize_antialias
func.func @resize_antialias(%x: tensor<8xf32>) {
  %none = nn.none
  %scales = nn.constant dense<0.5> : tensor<1xf32>
  %sizes = nn.constant dense<3> : tensor<1xi64>
  // CHECK: nn.resize linear{{.*}}antialias = true{{.*}} -> tensor<4xf32>
  %0 = nn.resize linear(half_pixel, floor) %x, %none, %scales, %none {cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64, antialias = true} : (tensor<8xf32>, none, tensor<1xf32>, none) -> tensor<*xf32>
  // Sizes come first.
  // CHECK: nn.resize {{.*}} -> tensor<3xf32>
  %1 = nn.resize linear(half_pixel, floor) %x, %none, %scales, %sizes {cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<8xf32>, none, tensor<1xf32>, tensor<1xi64>) -> tensor<*xf32>
  return
}
