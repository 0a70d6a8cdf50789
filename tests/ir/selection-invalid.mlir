// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @corners(%b: tensor<1x?x3xf32>, %s: tensor<1x2x?xf32>) {
  %none = nn.none
  // expected-error @+1 {{dimension 2 of boxes must be 4, found 3}}
  %0 = nn.non_max_suppression %b, %s, %none, %none, %none {center_point_box = false} : (tensor<1x?x3xf32>, tensor<1x2x?xf32>, none, none, none) -> tensor<*xi64>
  return
}

// -----

func.func @counts(%b: tensor<1x5x4xf32>, %s: tensor<1x2x6xf32>) {
  %none = nn.none
  // expected-error @+1 {{dimension 2 of scores must be 5, found 6}}
  %0 = nn.non_max_suppression %b, %s, %none, %none, %none {center_point_box = false} : (tensor<1x5x4xf32>, tensor<1x2x6xf32>, none, none, none) -> tensor<*xi64>
  return
}

// -----

func.func @threshold(%b: tensor<1x5x4xf32>, %s: tensor<1x2x5xf32>, %t: tensor<2xf32>) {
  %none = nn.none
  // expected-error @+1 {{iou_threshold must have one element, found 2}}
  %0 = nn.non_max_suppression %b, %s, %none, %t, %none {center_point_box = false} : (tensor<1x5x4xf32>, tensor<1x2x5xf32>, none, tensor<2xf32>, none) -> tensor<*xi64>
  return
}

// -----

func.func @places(%b: tensor<5x4xf32>, %s: tensor<5xf32>, %t: tensor<f32>) {
  %m = nn.constant dense<-1> : tensor<i64>
  // expected-error @+1 {{max_output must not be negative, found -1}}
  %0:3 = nn.soft_suppression %b, %s, %m, %t, %t, %t : (tensor<5x4xf32>, tensor<5xf32>, tensor<i64>, tensor<f32>, tensor<f32>, tensor<f32>) -> (tensor<*xi64>, tensor<*xf32>, tensor<*xi64>)
  return
}

// -----

func.func @boxes(%b: tensor<5x4xf32>, %s: tensor<6xf32>, %m: tensor<i64>, %t: tensor<f32>) {
  // expected-error @+1 {{dimension 0 of scores must be 5, found 6}}
  %0:3 = nn.soft_suppression %b, %s, %m, %t, %t, %t : (tensor<5x4xf32>, tensor<6xf32>, tensor<i64>, tensor<f32>, tensor<f32>, tensor<f32>) -> (tensor<*xi64>, tensor<*xf32>, tensor<*xi64>)
  return
}

// -----

func.func @ranks(%b: tensor<1x5x4xf32>, %s: tensor<5xf32>, %m: tensor<i64>, %t: tensor<f32>) {
  // expected-error @+1 {{boxes must have rank 2, found 3}}
  %0:3 = nn.soft_suppression %b, %s, %m, %t, %t, %t : (tensor<1x5x4xf32>, tensor<5xf32>, tensor<i64>, tensor<f32>, tensor<f32>, tensor<f32>) -> (tensor<*xi64>, tensor<*xf32>, tensor<*xi64>)
  return
}

// -----

func.func @axis(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{axis must be in [-2, 2), found 2}}
  %0:4 = nn.unique %x {axis = 2 : i64, sorted = true} : (tensor<2x3xf32>) -> (tensor<*xf32>, tensor<*xi64>, tensor<*xi64>, tensor<*xi64>)
  return
}

// -----

func.func @pixels(%x: tensor<?xui8>) {
  // expected-error @+1 {{pixel_format must be RGB, BGR or Grayscale, found CMYK}}
  %0 = nn.image_decode %x {pixel_format = "CMYK"} : (tensor<?xui8>) -> tensor<*xui8>
  return
}

// -----

func.func @bytes(%x: tensor<?xi8>) {
  // expected-error @+1 {{input must hold bytes, found 'i8'}}
  %0 = nn.image_decode %x {pixel_format = "RGB"} : (tensor<?xi8>) -> tensor<*xui8>
  return
}
