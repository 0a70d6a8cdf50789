// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @cast_complex(%a0: tensor<2xcomplex<f32>>) {
  // expected-error @+1 {{cannot convert 'complex<f32>' to 'f32'}}
  %0 = nn.cast %a0 {to = f32} : (tensor<2xcomplex<f32>>) -> tensor<*xf32>
  return
}

// -----

func.func @cast_index(%a0: tensor<2xf32>) {
  // expected-error @+1 {{cannot convert 'f32' to 'index'}}
  %0 = nn.cast %a0 {to = index} : (tensor<2xf32>) -> tensor<*xindex>
  return
}

// -----

func.func @bitcast_width(%a0: tensor<2xf32>) {
  // expected-error @+1 {{cannot read the bits of 'f32' as 'i64'}}
  %0 = nn.bitcast %a0 {to = i64} : (tensor<2xf32>) -> tensor<*xi64>
  return
}

// -----

func.func @bitcast_pairs(%a0: tensor<2x3xf32>) {
  // expected-error @+1 {{the last dimension must be 2, found 3}}
  %0 = nn.bitcast %a0 {to = complex<f32>} : (tensor<2x3xf32>) -> tensor<*xcomplex<f32>>
  return
}

// -----

func.func @bitcast_bool(%a0: tensor<2xi8>) {
  // expected-error @+1 {{cannot read the bits of 'i8' as 'i1'}}
  %0 = nn.bitcast %a0 {to = i1} : (tensor<2xi8>) -> tensor<*xi1>
  return
}

// -----

func.func @concat_rank(%a0: tensor<2x3xf32>, %a1: tensor<2x3x4xf32>) {
  // expected-error @+1 {{inputs must have the same rank, found 2 and 3}}
  %0 = nn.concat %a0, %a1 {axis = 0 : i64} : (tensor<2x3xf32>, tensor<2x3x4xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @concat_dim(%a0: tensor<2x3xf32>, %a1: tensor<2x4xf32>) {
  // expected-error @+1 {{dimension 1 of every input must be 3, found 4}}
  %0 = nn.concat %a0, %a1 {axis = 0 : i64} : (tensor<2x3xf32>, tensor<2x4xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @concat_axis(%a0: tensor<2x3xf32>, %a1: tensor<2x3xf32>) {
  // expected-error @+1 {{axis must be in [-2, 2), found 2}}
  %0 = nn.concat %a0, %a1 {axis = 2 : i64} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @concat_type(%a0: tensor<2x3xf32>, %a1: tensor<2x3xf16>) {
  // expected-error @+1 {{every input must have element type 'f32', found 'f16'}}
  %0 = nn.concat %a0, %a1 {axis = 0 : i64} : (tensor<2x3xf32>, tensor<2x3xf16>) -> tensor<*xf32>
  return
}

// -----

func.func @concat_scalar(%a0: tensor<f32>) {
  // expected-error @+1 {{axis must be in [0, 0), found 0}}
  %0 = nn.concat %a0 {axis = 0 : i64} : (tensor<f32>) -> tensor<*xf32>
  return
}

// -----

func.func @concat_overflow(%a0: tensor<9223372036854775807xi8>, %a1: tensor<1xi8>) {
  // expected-error @+1 {{the size of axis 0 overflows}}
  %0 = nn.concat %a0, %a1 {axis = 0 : i64} : (tensor<9223372036854775807xi8>, tensor<1xi8>) -> tensor<*xi8>
  return
}

// -----

func.func @split_count(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<[1, 2, 3]> : tensor<3xi64>
  // expected-error @+1 {{has 2 results, but 3 sizes}}
  %0:2 = nn.split %a0, %a1 {axis = 0 : i64} : (tensor<6xf32>, tensor<3xi64>) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @split_sum(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<[2, 3]> : tensor<2xi64>
  // expected-error @+1 {{sizes must sum to 6, found 5}}
  %0:2 = nn.split %a0, %a1 {axis = 0 : i64} : (tensor<6xf32>, tensor<2xi64>) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @split_negative(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<[7, -1]> : tensor<2xi64>
  // expected-error @+1 {{sizes must not be negative, found -1}}
  %0:2 = nn.split %a0, %a1 {axis = 0 : i64} : (tensor<6xf32>, tensor<2xi64>) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @split_parts(%a0: tensor<5xf32>) {
  %a1 = nn.none
  // expected-error @+1 {{cannot split 5 elements into 4 parts}}
  %0:4 = nn.split %a0, %a1 {axis = 0 : i64} : (tensor<5xf32>, none) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @slice_step(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<0> : tensor<1xi64>
  %a2 = nn.constant dense<3> : tensor<1xi64>
  %a3 = nn.none
  %a4 = nn.constant dense<0> : tensor<1xi64>
  // expected-error @+1 {{steps must not be 0}}
  %0 = nn.slice %a0, %a1, %a2, %a3, %a4 : (tensor<6xf32>, tensor<1xi64>, tensor<1xi64>, none, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @slice_lengths(%a0: tensor<6x6xf32>) {
  %a1 = nn.constant dense<0> : tensor<1xi64>
  %a2 = nn.constant dense<[3, 3]> : tensor<2xi64>
  %a3 = nn.none
  %a4 = nn.none
  // expected-error @+1 {{ends must have 1 entries, found 2}}
  %0 = nn.slice %a0, %a1, %a2, %a3, %a4 : (tensor<6x6xf32>, tensor<1xi64>, tensor<2xi64>, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @slice_axis(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<0> : tensor<1xi64>
  %a2 = nn.constant dense<3> : tensor<1xi64>
  %a3 = nn.constant dense<1> : tensor<1xi64>
  %a4 = nn.none
  // expected-error @+1 {{axis must be in [-1, 1), found 1}}
  %0 = nn.slice %a0, %a1, %a2, %a3, %a4 : (tensor<6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<*xf32>
  return
}

// -----

func.func @slice_axis_twice(%a0: tensor<6x6xf32>) {
  %a1 = nn.constant dense<[0, 1]> : tensor<2xi64>
  %a2 = nn.constant dense<[3, 3]> : tensor<2xi64>
  %a3 = nn.constant dense<[0, -2]> : tensor<2xi64>
  %a4 = nn.none
  // expected-error @+1 {{axis 0 occurs twice}}
  %0 = nn.slice %a0, %a1, %a2, %a3, %a4 : (tensor<6x6xf32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>, none) -> tensor<*xf32>
  return
}

// -----

func.func @slice_rank(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<[0, 1]> : tensor<2xi64>
  %a2 = nn.constant dense<[3, 3]> : tensor<2xi64>
  %a3 = nn.none
  %a4 = nn.none
  // expected-error @+1 {{starts must have at most 1 entries, found 2}}
  %0 = nn.slice %a0, %a1, %a2, %a3, %a4 : (tensor<6xf32>, tensor<2xi64>, tensor<2xi64>, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @slice_type(%a0: tensor<6xf32>, %a1: tensor<1xf32>) {
  %a2 = nn.constant dense<3> : tensor<1xi64>
  %a3 = nn.none
  %a4 = nn.none
  // expected-error @+1 {{starts must hold int32 or int64, found 'f32'}}
  %0 = nn.slice %a0, %a1, %a2, %a3, %a4 : (tensor<6xf32>, tensor<1xf32>, tensor<1xi64>, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @tile_count(%a0: tensor<2x3xf32>) {
  %a1 = nn.constant dense<2> : tensor<1xi64>
  // expected-error @+1 {{repeats must have 2 entries, found 1}}
  %0 = nn.tile %a0, %a1 : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @tile_negative(%a0: tensor<3xf32>) {
  %a1 = nn.constant dense<-2> : tensor<1xi64>
  // expected-error @+1 {{repeats must not be negative, found -2}}
  %0 = nn.tile %a0, %a1 : (tensor<3xf32>, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @tile_overflow(%a0: tensor<3xf32>) {
  %a1 = nn.constant dense<4611686018427387904> : tensor<1xi64>
  // expected-error @+1 {{the product of dimensions 3x4611686018427387904 overflows}}
  %0 = nn.tile %a0, %a1 : (tensor<3xf32>, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @pad_mode(%a0: tensor<3xf32>) {
  %a1 = nn.constant dense<[1, 1]> : tensor<2xi64>
  %a2 = nn.none
  // expected-error @+2 {{must be one of constant, reflect, edge, found wrap}}
  // expected-error @+1 {{failed to parse}}
  %0 = nn.pad wrap %a0, %a1, %a2 : (tensor<3xf32>, tensor<2xi64>, none) -> tensor<*xf32>
  return
}

// -----

func.func @pad_count(%a0: tensor<3x3xf32>) {
  %a1 = nn.constant dense<[1, 1]> : tensor<2xi64>
  %a2 = nn.none
  // expected-error @+1 {{pads must have 4 entries, found 2}}
  %0 = nn.pad edge %a0, %a1, %a2 : (tensor<3x3xf32>, tensor<2xi64>, none) -> tensor<*xf32>
  return
}

// -----

func.func @pad_crop(%a0: tensor<3xf32>) {
  %a1 = nn.constant dense<[-2, -2]> : tensor<2xi64>
  %a2 = nn.none
  // expected-error @+1 {{pads -2 and -2 crop more than the 3 elements of axis 0}}
  %0 = nn.pad edge %a0, %a1, %a2 : (tensor<3xf32>, tensor<2xi64>, none) -> tensor<*xf32>
  return
}

// -----

func.func @pad_overflow(%a0: tensor<3xf32>) {
  %a1 = nn.constant dense<[9223372036854775807, 1]> : tensor<2xi64>
  %a2 = nn.none
  // expected-error @+1 {{the size of axis 0 overflows}}
  %0 = nn.pad constant %a0, %a1, %a2 : (tensor<3xf32>, tensor<2xi64>, none) -> tensor<*xf32>
  return
}

// -----

func.func @pad_nothing(%a0: tensor<0xf32>) {
  %a1 = nn.constant dense<[1, 1]> : tensor<2xi64>
  %a2 = nn.none
  // expected-error @+1 {{mode edge has no element to repeat along axis 0}}
  %0 = nn.pad edge %a0, %a1, %a2 : (tensor<0xf32>, tensor<2xi64>, none) -> tensor<*xf32>
  return
}

// -----

func.func @pad_value(%a0: tensor<3xf32>, %a2: tensor<2xf32>) {
  %a1 = nn.constant dense<[1, 1]> : tensor<2xi64>
  // expected-error @+1 {{value must have one element, found 2}}
  %0 = nn.pad constant %a0, %a1, %a2 : (tensor<3xf32>, tensor<2xi64>, tensor<2xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @pad_value_type(%a0: tensor<3xf32>, %a2: tensor<f64>) {
  %a1 = nn.constant dense<[1, 1]> : tensor<2xi64>
  // expected-error @+1 {{value must have element type 'f32', found 'f64'}}
  %0 = nn.pad constant %a0, %a1, %a2 : (tensor<3xf32>, tensor<2xi64>, tensor<f64>) -> tensor<*xf32>
  return
}

// -----

func.func @gather_axis(%a0: tensor<3x3xf32>, %a1: tensor<2xi64>) {
  // expected-error @+1 {{axis must be in [-2, 2), found -3}}
  %0 = nn.gather %a0, %a1 {axis = -3 : i64} : (tensor<3x3xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @gather_type(%a0: tensor<3x3xf32>, %a1: tensor<2xi8>) {
  // expected-error @+1 {{indices must hold int32 or int64, found 'i8'}}
  %0 = nn.gather %a0, %a1 {axis = 0 : i64} : (tensor<3x3xf32>, tensor<2xi8>) -> tensor<*xf32>
  return
}

// -----

func.func @resize_neither(%a0: tensor<3xf32>) {
  %a1 = nn.none
  %a2 = nn.none
  %a3 = nn.none
  // expected-error @+1 {{scales or sizes must be given}}
  %0 = nn.resize linear(half_pixel, floor) %a0, %a1, %a2, %a3 {cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<3xf32>, none, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @resize_mode(%a0: tensor<3xf32>, %a3: tensor<1xi64>) {
  %a1 = nn.none
  %a2 = nn.none
  // expected-error @+2 {{must be one of nearest, linear, cubic, found area}}
  // expected-error @+1 {{failed to parse}}
  %0 = nn.resize area(half_pixel, floor) %a0, %a1, %a2, %a3 {cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<3xf32>, none, none, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @resize_length(%a0: tensor<3xf32>) {
  %a1 = nn.none
  %a2 = nn.none
  %a3 = nn.constant dense<[1, 2]> : tensor<2xi64>
  // expected-error @+1 {{sizes must have 1 entries, found 2}}
  %0 = nn.resize linear(half_pixel, floor) %a0, %a1, %a2, %a3 {cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<3xf32>, none, none, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @resize_scale(%a0: tensor<3xf32>) {
  %a1 = nn.none
  %a2 = nn.constant dense<0.0> : tensor<1xf32>
  %a3 = nn.none
  // expected-error @+1 {{scales must be positive and finite, found 0.}}
  %0 = nn.resize linear(half_pixel, floor) %a0, %a1, %a2, %a3 {cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<3xf32>, none, tensor<1xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @resize_overflow(%a0: tensor<3xf32>) {
  %a1 = nn.none
  %a2 = nn.constant dense<3.0e+38> : tensor<1xf32>
  %a3 = nn.none
  // expected-error @+1 {{a size scaled by}}
  %0 = nn.resize linear(half_pixel, floor) %a0, %a1, %a2, %a3 {cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<3xf32>, none, tensor<1xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @resize_roi(%a0: tensor<3xf32>, %a2: tensor<1xf32>) {
  %a1 = nn.none
  %a3 = nn.none
  // expected-error @+1 {{tf_crop_and_resize needs roi}}
  %0 = nn.resize linear(tf_crop_and_resize, floor) %a0, %a1, %a2, %a3 {cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<3xf32>, none, tensor<1xf32>, none) -> tensor<*xf32>
  return
}

// -----

// expected-error @+1 {{float32 has a type of MLIR's or is no float}}
func.func @float_type(%x: tensor<2x!nn.float<float32>>) {
  return
}

// -----

// expected-error @+2 {{no element type is called float9}}
// expected-error @+1 {{failed to parse NN_MiniFloatType}}
func.func @float_type_name(%x: tensor<2x!nn.float<float9>>) {
  return
}
