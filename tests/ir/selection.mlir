// RUN: quern-opt %s --nn-infer-shapes --split-input-file | FileCheck %s

// CHECK-LABEL: @boxes
func.func @boxes(%b: tensor<1x?x4xf32>, %s: tensor<1x2x?xf32>) {
  %none = nn.none
  // CHECK: nn.non_max_suppression {{.*}} -> tensor<?x3xi64>
  %0 = nn.non_max_suppression %b, %s, %none, %none, %none {center_point_box = false} : (tensor<1x?x4xf32>, tensor<1x2x?xf32>, none, none, none) -> tensor<*xi64>
  return
}

// -----

// CHECK-LABEL: @places
func.func @places(%b: tensor<?x4xf32>, %s: tensor<?xf32>, %m: tensor<i64>, %t: tensor<f32>) {
  %c = nn.constant dense<7> : tensor<i64>
  // CHECK: nn.soft_suppression {{.*}} -> (tensor<7xi64>, tensor<7xf32>, tensor<i64>)
  %0:3 = nn.soft_suppression %b, %s, %c, %t, %t, %t : (tensor<?x4xf32>, tensor<?xf32>, tensor<i64>, tensor<f32>, tensor<f32>, tensor<f32>) -> (tensor<*xi64>, tensor<*xf32>, tensor<*xi64>)
  // CHECK: nn.soft_suppression {{.*}} -> (tensor<?xi64>, tensor<?xf32>, tensor<i64>)
  %1:3 = nn.soft_suppression %b, %s, %m, %t, %t, %t : (tensor<?x4xf32>, tensor<?xf32>, tensor<i64>, tensor<f32>, tensor<f32>, tensor<f32>) -> (tensor<*xi64>, tensor<*xf32>, tensor<*xi64>)
  return
}

// -----

// CHECK-LABEL: @different
func.func @different(%x: tensor<2x3xf32>) {
  // CHECK: nn.unique {{.*}} -> (tensor<?xf32>, tensor<?xi64>, tensor<?xi64>, tensor<?xi64>)
  %0:4 = nn.unique %x {sorted = true} : (tensor<2x3xf32>) -> (tensor<*xf32>, tensor<*xi64>, tensor<*xi64>, tensor<*xi64>)
  // CHECK: nn.unique {{.*}} -> (tensor<2x?xf32>, tensor<?xi64>, tensor<?xi64>, tensor<?xi64>)
  %1:4 = nn.unique %x {axis = -1 : i64, sorted = true} : (tensor<2x3xf32>) -> (tensor<*xf32>, tensor<*xi64>, tensor<*xi64>, tensor<*xi64>)
  return
}

// -----

// CHECK-LABEL: @image
func.func @image(%x: tensor<?xui8>) {
  // CHECK: nn.image_decode {{.*}} -> tensor<?x?x1xui8>
  %0 = nn.image_decode %x {pixel_format = "Grayscale"} : (tensor<?xui8>) -> tensor<*xui8>
  return
}
