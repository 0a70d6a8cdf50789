// RUN: quern-opt %s | quern-opt --nn-infer-shapes | FileCheck %s

// CHECK-LABEL: @cast
func.func @cast(%x: tensor<?x3xf32, #nn.dims<"N", "">>) {
  // CHECK: nn.cast {{.*}}to = ui8{{.*}} -> tensor<?x3xui8, #nn.dims<"N", "">>
  %0 = nn.cast %x {to = ui8} : (tensor<?x3xf32, #nn.dims<"N", "">>) -> tensor<*xui8>
  // CHECK: nn.cast {{.*}} -> tensor<?x3x!nn.string, #nn.dims<"N", "">>
  %1 = nn.cast %x {to = !nn.string} : (tensor<?x3xf32, #nn.dims<"N", "">>) -> tensor<*x!nn.string>
  return
}

// CHECK-LABEL: @bitcast
func.func @bitcast(%x: tensor<?x3xf32, #nn.dims<"N", "">>, %p: tensor<?x2xf64, #nn.dims<"N", "">>) {
  // CHECK: nn.bitcast {{.*}}to = i32{{.*}} -> tensor<?x3xi32, #nn.dims<"N", "">>
  %0 = nn.bitcast %x {to = i32} : (tensor<?x3xf32, #nn.dims<"N", "">>) -> tensor<*xi32>
  // CHECK: nn.bitcast {{.*}} -> tensor<?xcomplex<f64>, #nn.dims<"N">>
  %1 = nn.bitcast %p {to = complex<f64>} : (tensor<?x2xf64, #nn.dims<"N", "">>) -> tensor<*xcomplex<f64>>
  // CHECK: nn.bitcast {{.*}} -> tensor<?x2xf64, #nn.dims<"N", "">>
  %2 = nn.bitcast %1 {to = f64} : (tensor<*xcomplex<f64>>) -> tensor<*xf64>
  return
}

// CHECK-LABEL: @cast_small
func.func @cast_small(%x: tensor<3x!nn.float<float4e2m1>>, %y: tensor<3xf32>) {
  // CHECK: nn.cast {{.*}} {to = i4} : (tensor<3x!nn.float<float4e2m1>>) -> tensor<3xi4>
  %0 = nn.cast %x {to = i4} : (tensor<3x!nn.float<float4e2m1>>) -> tensor<*xi4>
  // CHECK: nn.cast {{.*}}saturate = false{{.*}} -> tensor<3xf8E5M2>
  %1 = nn.cast %y {to = f8E5M2, saturate = false} : (tensor<3xf32>) -> tensor<*xf8E5M2>
  // CHECK: nn.cast {{.*}}cast_rounding up{{.*}} -> tensor<3x!nn.float<float8e8m0>>
  %2 = nn.cast %y {to = !nn.float<float8e8m0>, rounding = #nn<cast_rounding up>} : (tensor<3xf32>) -> tensor<*x!nn.float<float8e8m0>>
  return
}

// CHECK-LABEL: @concat
func.func @concat(%a: tensor<?x3x4xf32, #nn.dims<"N", "", "">>, %b: tensor<?x5x?xf32>, %unknown: tensor<*xf32>) {
  // CHECK: nn.concat {{.*}} -> tensor<?x8x4xf32, #nn.dims<"N", "", "">>
  %0 = nn.concat %a, %b {axis = -2 : i64} : (tensor<?x3x4xf32, #nn.dims<"N", "", "">>, tensor<?x5x?xf32>) -> tensor<*xf32>
  // CHECK: nn.concat {{.*}} -> tensor<?x?x4xf32, #nn.dims<"N", "", "">>
  %1 = nn.concat %unknown, %a {axis = 1 : i64} : (tensor<*xf32>, tensor<?x3x4xf32, #nn.dims<"N", "", "">>) -> tensor<*xf32>
  // CHECK: nn.concat {{.*}} -> tensor<?x3x4xf32, #nn.dims<"N", "", "">>
  %2 = nn.concat %a {axis = 0 : i64} : (tensor<?x3x4xf32, #nn.dims<"N", "", "">>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @split
func.func @split(%x: tensor<?x7xf32, #nn.dims<"N", "">>, %dynamic: tensor<2xi64>) {
  %none = nn.none
  %sizes = nn.constant dense<[2, 5]> : tensor<2xi64>
  // CHECK: nn.split {{.*}} -> (tensor<?x2xf32, #nn.dims<"N", "">>, tensor<?x5xf32, #nn.dims<"N", "">>)
  %0:2 = nn.split %x, %sizes {axis = 1 : i64} : (tensor<?x7xf32, #nn.dims<"N", "">>, tensor<2xi64>) -> (tensor<*xf32>, tensor<*xf32>)
  // CHECK: nn.split {{.*}} -> (tensor<?x3xf32, {{.*}}>, tensor<?x3xf32, {{.*}}>, tensor<?x1xf32, {{.*}}>)
  %1:3 = nn.split %x, %none {axis = -1 : i64} : (tensor<?x7xf32, #nn.dims<"N", "">>, none) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>)
  // CHECK: nn.split {{.*}} -> (tensor<?x?xf32, #nn.dims<"N", "">>, tensor<?x?xf32, #nn.dims<"N", "">>)
  %2:2 = nn.split %x, %dynamic {axis = 1 : i64} : (tensor<?x7xf32, #nn.dims<"N", "">>, tensor<2xi64>) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// CHECK-LABEL: @slice
func.func @slice(%x: tensor<?x10x?xf32, #nn.dims<"N", "", "">>, %dynamic: tensor<1xi64>) {
  %none = nn.none
  %zero = nn.constant dense<0> : tensor<1xi64>
  %one = nn.constant dense<1> : tensor<1xi64>
  %seven = nn.constant dense<7> : tensor<1xi64>
  %minus1 = nn.constant dense<-1> : tensor<1xi64>
  %minus3 = nn.constant dense<-3> : tensor<1xi64>
  %max = nn.constant dense<9223372036854775807> : tensor<1xi64>
  %min = nn.constant dense<-9223372036854775808> : tensor<1xi64>
  // CHECK: nn.slice {{.*}} -> tensor<?x6x?xf32, #nn.dims<"N", "", "">>
  %0 = nn.slice %x, %one, %seven, %one, %none
    : (tensor<?x10x?xf32, #nn.dims<"N", "", "">>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<*xf32>
  // From 7 down to 1, exclusive, in steps of 3.
  // CHECK: nn.slice {{.*}} -> tensor<?x2x?xf32, #nn.dims<"N", "", "">>
  %1 = nn.slice %x, %minus3, %one, %one, %minus3
    : (tensor<?x10x?xf32, #nn.dims<"N", "", "">>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<*xf32>
  // Bounds and steps at the ends of int64.
  // CHECK: nn.slice {{.*}} -> tensor<?x10x?xf32, #nn.dims<"N", "", "">>
  %2 = nn.slice %x, %max, %min, %one, %minus1
    : (tensor<?x10x?xf32, #nn.dims<"N", "", "">>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<*xf32>
  // CHECK: nn.slice {{.*}} -> tensor<?x1x?xf32, #nn.dims<"N", "", "">>
  %3 = nn.slice %x, %max, %min, %one, %min
    : (tensor<?x10x?xf32, #nn.dims<"N", "", "">>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<*xf32>
  // The whole of an unknown dimension keeps its name, a part of it does not.
  // CHECK: nn.slice {{.*}} -> tensor<?x10x?xf32, #nn.dims<"N", "", "">>
  %4 = nn.slice %x, %zero, %max, %zero, %none
    : (tensor<?x10x?xf32, #nn.dims<"N", "", "">>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<*xf32>
  // CHECK: nn.slice {{.*}} -> tensor<?x10x?xf32>
  %5 = nn.slice %x, %one, %max, %zero, %none
    : (tensor<?x10x?xf32, #nn.dims<"N", "", "">>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<*xf32>
  // CHECK: nn.slice {{.*}} -> tensor<?x?x?xf32, #nn.dims<"N", "", "">>
  %6 = nn.slice %x, %dynamic, %seven, %one, %none
    : (tensor<?x10x?xf32, #nn.dims<"N", "", "">>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<*xf32>
  // CHECK: nn.slice {{.*}} -> tensor<?x?x?xf32>
  %7 = nn.slice %x, %one, %seven, %dynamic, %none
    : (tensor<?x10x?xf32, #nn.dims<"N", "", "">>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @tile_and_pad
func.func @tile_and_pad(%x: tensor<?x3xf32, #nn.dims<"N", "">>, %value: tensor<f32>) {
  %none = nn.none
  %repeats = nn.constant dense<[1, 4]> : tensor<2xi64>
  %pads = nn.constant dense<[0, 2, 0, -1]> : tensor<4xi64>
  // CHECK: nn.tile {{.*}} -> tensor<?x12xf32, #nn.dims<"N", "">>
  %0 = nn.tile %x, %repeats : (tensor<?x3xf32, #nn.dims<"N", "">>, tensor<2xi64>) -> tensor<*xf32>
  // CHECK: nn.pad {{.*}} -> tensor<?x4xf32, #nn.dims<"N", "">>
  %1 = nn.pad constant %x, %pads, %value : (tensor<?x3xf32, #nn.dims<"N", "">>, tensor<4xi64>, tensor<f32>) -> tensor<*xf32>
  // CHECK: nn.pad {{.*}} -> tensor<?x4xf32, #nn.dims<"N", "">>
  %2 = nn.pad reflect %x, %pads, %none : (tensor<?x3xf32, #nn.dims<"N", "">>, tensor<4xi64>, none) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @gather
func.func @gather(%x: tensor<5x?x7xf32, #nn.dims<"", "N", "">>, %i: tensor<2x3xi32>, %scalar: tensor<i64>) {
  // CHECK: nn.gather {{.*}} -> tensor<2x3x?x7xf32, #nn.dims<"", "", "N", "">>
  %0 = nn.gather %x, %i {axis = 0 : i64} : (tensor<5x?x7xf32, #nn.dims<"", "N", "">>, tensor<2x3xi32>) -> tensor<*xf32>
  // CHECK: nn.gather {{.*}} -> tensor<5x?xf32, #nn.dims<"", "N">>
  %1 = nn.gather %x, %scalar {axis = -1 : i64} : (tensor<5x?x7xf32, #nn.dims<"", "N", "">>, tensor<i64>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @resize
func.func @resize(%x: tensor<?x3x5x4xf32, #nn.dims<"N", "", "", "">>, %dynamic: tensor<4xi64>) {
  %none = nn.none
  %scales = nn.constant dense<[1.0, 1.0, 0.5, 2.5]> : tensor<4xf32>
  %sizes = nn.constant dense<[1, 3, 7, 9]> : tensor<4xi64>
  // CHECK: nn.resize {{.*}} -> tensor<?x3x2x10xf32, #nn.dims<"N", "", "", "">>
  %0 = nn.resize linear(half_pixel, floor) %x, %none, %scales, %none {cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64}
    : (tensor<?x3x5x4xf32, #nn.dims<"N", "", "", "">>, none, tensor<4xf32>, none) -> tensor<*xf32>
  // CHECK: nn.resize {{.*}} -> tensor<1x3x7x9xf32>
  %1 = nn.resize nearest(asymmetric, floor) %x, %none, %none, %sizes {cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64}
    : (tensor<?x3x5x4xf32, #nn.dims<"N", "", "", "">>, none, none, tensor<4xi64>) -> tensor<*xf32>
  // CHECK: nn.resize {{.*}} -> tensor<?x?x?x?xf32>
  %2 = nn.resize cubic(align_corners, floor) %x, %none, %none, %dynamic {cubic_coeff_a = -0.75 : f64, exclude_outside = true, extrapolation_value = 0.0 : f64}
    : (tensor<?x3x5x4xf32, #nn.dims<"N", "", "", "">>, none, none, tensor<4xi64>) -> tensor<*xf32>
  // A region does not change what scales make of the sizes.
  %roi = nn.constant dense<[0.0, 0.0, 0.25, 0.25, 1.0, 1.0, 0.75, 0.75]> : tensor<8xf32>
  // CHECK: tf_crop_and_resize{{.*}} -> tensor<?x3x2x10xf32, #nn.dims<"N", "", "", "">>
  %3 = nn.resize linear(tf_crop_and_resize, floor) %x, %roi, %scales, %none {cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64}
    : (tensor<?x3x5x4xf32, #nn.dims<"N", "", "", "">>, tensor<8xf32>, tensor<4xf32>, none) -> tensor<*xf32>
  return
}
