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
  // expected-error @+1 {{mode must be constant, reflect or edge, found 'wrap'}}
  %0 = nn.pad %a0, %a1, %a2 {mode = "wrap"} : (tensor<3xf32>, tensor<2xi64>, none) -> tensor<*xf32>
  return
}

// -----

func.func @pad_count(%a0: tensor<3x3xf32>) {
  %a1 = nn.constant dense<[1, 1]> : tensor<2xi64>
  %a2 = nn.none
  // expected-error @+1 {{pads must have 4 entries, found 2}}
  %0 = nn.pad %a0, %a1, %a2 {mode = "edge"} : (tensor<3x3xf32>, tensor<2xi64>, none) -> tensor<*xf32>
  return
}

// -----

func.func @pad_crop(%a0: tensor<3xf32>) {
  %a1 = nn.constant dense<[-2, -2]> : tensor<2xi64>
  %a2 = nn.none
  // expected-error @+1 {{pads -2 and -2 crop more than the 3 elements of axis 0}}
  %0 = nn.pad %a0, %a1, %a2 {mode = "edge"} : (tensor<3xf32>, tensor<2xi64>, none) -> tensor<*xf32>
  return
}

// -----

func.func @pad_overflow(%a0: tensor<3xf32>) {
  %a1 = nn.constant dense<[9223372036854775807, 1]> : tensor<2xi64>
  %a2 = nn.none
  // expected-error @+1 {{the size of axis 0 overflows}}
  %0 = nn.pad %a0, %a1, %a2 {mode = "constant"} : (tensor<3xf32>, tensor<2xi64>, none) -> tensor<*xf32>
  return
}

// -----

func.func @pad_nothing(%a0: tensor<0xf32>) {
  %a1 = nn.constant dense<[1, 1]> : tensor<2xi64>
  %a2 = nn.none
  // expected-error @+1 {{mode edge has no element to repeat along axis 0}}
  %0 = nn.pad %a0, %a1, %a2 {mode = "edge"} : (tensor<0xf32>, tensor<2xi64>, none) -> tensor<*xf32>
  return
}

// -----

func.func @pad_value(%a0: tensor<3xf32>, %a2: tensor<2xf32>) {
  %a1 = nn.constant dense<[1, 1]> : tensor<2xi64>
  // expected-error @+1 {{value must have one element, found 2}}
  %0 = nn.pad %a0, %a1, %a2 {mode = "constant"} : (tensor<3xf32>, tensor<2xi64>, tensor<2xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @pad_value_type(%a0: tensor<3xf32>, %a2: tensor<f64>) {
  %a1 = nn.constant dense<[1, 1]> : tensor<2xi64>
  // expected-error @+1 {{value must have element type 'f32', found 'f64'}}
  %0 = nn.pad %a0, %a1, %a2 {mode = "constant"} : (tensor<3xf32>, tensor<2xi64>, tensor<f64>) -> tensor<*xf32>
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
  // expected-error @+1 {{exactly one of scales and sizes must be given}}
  %0 = nn.resize %a0, %a1, %a2, %a3 {mode = "linear", coordinate_transformation_mode = "half_pixel", nearest_mode = "floor", cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<3xf32>, none, none, none) -> tensor<*xf32>
  return
}

// -----

func.func @resize_mode(%a0: tensor<3xf32>, %a3: tensor<1xi64>) {
  %a1 = nn.none
  %a2 = nn.none
  // expected-error @+1 {{mode must be one of nearest, linear, cubic, found 'area'}}
  %0 = nn.resize %a0, %a1, %a2, %a3 {mode = "area", coordinate_transformation_mode = "half_pixel", nearest_mode = "floor", cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<3xf32>, none, none, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @resize_length(%a0: tensor<3xf32>) {
  %a1 = nn.none
  %a2 = nn.none
  %a3 = nn.constant dense<[1, 2]> : tensor<2xi64>
  // expected-error @+1 {{sizes must have 1 entries, found 2}}
  %0 = nn.resize %a0, %a1, %a2, %a3 {mode = "linear", coordinate_transformation_mode = "half_pixel", nearest_mode = "floor", cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<3xf32>, none, none, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @resize_scale(%a0: tensor<3xf32>) {
  %a1 = nn.none
  %a2 = nn.constant dense<0.0> : tensor<1xf32>
  %a3 = nn.none
  // expected-error @+1 {{scales must be positive and finite, found 0.}}
  %0 = nn.resize %a0, %a1, %a2, %a3 {mode = "linear", coordinate_transformation_mode = "half_pixel", nearest_mode = "floor", cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<3xf32>, none, tensor<1xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @resize_overflow(%a0: tensor<3xf32>) {
  %a1 = nn.none
  %a2 = nn.constant dense<3.0e+38> : tensor<1xf32>
  %a3 = nn.none
  // expected-error @+1 {{a size scaled by}}
  %0 = nn.resize %a0, %a1, %a2, %a3 {mode = "linear", coordinate_transformation_mode = "half_pixel", nearest_mode = "floor", cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<3xf32>, none, tensor<1xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @resize_roi(%a0: tensor<3xf32>, %a2: tensor<1xf32>) {
  %a1 = nn.none
  %a3 = nn.none
  // expected-error @+1 {{tf_crop_and_resize needs roi}}
  %0 = nn.resize %a0, %a1, %a2, %a3 {mode = "linear", coordinate_transformation_mode = "tf_crop_and_resize", nearest_mode = "floor", cubic_coeff_a = -0.75 : f64, exclude_outside = false, extrapolation_value = 0.0 : f64} : (tensor<3xf32>, none, tensor<1xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @reshape_two_open(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<[-1, -1]> : tensor<2xi64>
  // expected-error @+1 {{shape must hold at most one -1}}
  %0 = nn.reshape %a0, %a1 {allowzero = false} : (tensor<6xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @reshape_negative(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<[-2, 3]> : tensor<2xi64>
  // expected-error @+1 {{shape entries must be -1 or more, found -2}}
  %0 = nn.reshape %a0, %a1 {allowzero = false} : (tensor<6xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @reshape_copy(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<[6, 0]> : tensor<2xi64>
  // expected-error @+1 {{shape entry 1 is 0, but the input has rank 1}}
  %0 = nn.reshape %a0, %a1 {allowzero = false} : (tensor<6xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @reshape_count(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<[4, 2]> : tensor<2xi64>
  // expected-error @+1 {{cannot reshape 6 to 4x2}}
  %0 = nn.reshape %a0, %a1 {allowzero = false} : (tensor<6xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @reshape_open(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<[4, -1]> : tensor<2xi64>
  // expected-error @+1 {{cannot reshape 6 so that -1 stands beside 4 elements}}
  %0 = nn.reshape %a0, %a1 {allowzero = false} : (tensor<6xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @reshape_zero(%a0: tensor<0xf32>) {
  %a1 = nn.constant dense<[0, -1]> : tensor<2xi64>
  // expected-error @+1 {{-1 cannot be inferred beside a dimension of size 0}}
  %0 = nn.reshape %a0, %a1 {allowzero = true} : (tensor<0xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @reshape_overflow(%a0: tensor<6xf32>) {
  %a1 = nn.constant dense<[4611686018427387904, 4]> : tensor<2xi64>
  // expected-error @+1 {{overflows}}
  %0 = nn.reshape %a0, %a1 {allowzero = false} : (tensor<6xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @flatten_axis(%a0: tensor<2x3xf32>) {
  // expected-error @+1 {{axis must be in [-2, 2], found 3}}
  %0 = nn.flatten %a0 {axis = 3 : i64} : (tensor<2x3xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @perm_range(%a0: tensor<2x3xf32>) {
  // expected-error @+1 {{perm must be a permutation of 0 to 1, found 2}}
  %0 = nn.transpose %a0 {perm = array<i64: 0, 2>} : (tensor<2x3xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @perm_twice(%a0: tensor<2x3xf32>) {
  // expected-error @+1 {{perm must be a permutation of 0 to 1, found 1 twice}}
  %0 = nn.transpose %a0 {perm = array<i64: 1, 1>} : (tensor<2x3xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @perm_length(%a0: tensor<2x3xf32>) {
  // expected-error @+1 {{perm must have 2 entries, found 3}}
  %0 = nn.transpose %a0 {perm = array<i64: 0, 1, 2>} : (tensor<2x3xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @squeeze_size(%a0: tensor<2x3xf32>) {
  %a1 = nn.constant dense<1> : tensor<1xi64>
  // expected-error @+1 {{squeezed dimension 1 must be 1, found 3}}
  %0 = nn.squeeze %a0, %a1 : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @squeeze_axis(%a0: tensor<2x3xf32>) {
  %a1 = nn.constant dense<2> : tensor<1xi64>
  // expected-error @+1 {{axis must be in [-2, 2), found 2}}
  %0 = nn.squeeze %a0, %a1 : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @unsqueeze_axis(%a0: tensor<2x3xf32>) {
  %a1 = nn.constant dense<3> : tensor<1xi64>
  // expected-error @+1 {{axis must be in [-3, 3), found 3}}
  %0 = nn.unsqueeze %a0, %a1 : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @unsqueeze_twice(%a0: tensor<2xf32>) {
  %a1 = nn.constant dense<[1, -2]> : tensor<2xi64>
  // expected-error @+1 {{axis 1 occurs twice}}
  %0 = nn.unsqueeze %a0, %a1 : (tensor<2xf32>, tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @expand_shape(%a0: tensor<2x3xf32>) {
  %a1 = nn.constant dense<2> : tensor<1xi64>
  // expected-error @+1 {{shapes 2x3 and 2 do not broadcast}}
  %0 = nn.expand %a0, %a1 : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @expand_negative(%a0: tensor<1xf32>) {
  %a1 = nn.constant dense<-1> : tensor<1xi64>
  // expected-error @+1 {{shape entries must not be negative, found -1}}
  %0 = nn.expand %a0, %a1 : (tensor<1xf32>, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @fill_count(%a0: tensor<1xi64>) {
  // expected-error @+1 {{value must have one element, found 'tensor<2xf32>'}}
  %0 = nn.constant_of_shape %a0 {value = dense<0.0> : tensor<2xf32>} : (tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @fill_negative() {
  %a0 = nn.constant dense<[2, -4]> : tensor<2xi64>
  // expected-error @+1 {{shape entries must not be negative, found -4}}
  %0 = nn.constant_of_shape %a0 {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @fill_overflow() {
  %a0 = nn.constant dense<[4611686018427387904, 4]> : tensor<2xi64>
  // expected-error @+1 {{the size of a result of shape 4611686018427387904x4 overflows}}
  %0 = nn.constant_of_shape %a0 {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @range_delta() {
  %a0 = nn.constant dense<0> : tensor<i64>
  %a1 = nn.constant dense<5> : tensor<i64>
  %a2 = nn.constant dense<0> : tensor<i64>
  // expected-error @+1 {{delta must not be 0}}
  %0 = nn.range %a0, %a1, %a2 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<*xi64>
  return
}

// -----

func.func @range_type(%a0: tensor<i64>, %a1: tensor<i32>, %a2: tensor<i64>) {
  // expected-error @+1 {{limit must have element type 'i64', found 'i32'}}
  %0 = nn.range %a0, %a1, %a2 : (tensor<i64>, tensor<i32>, tensor<i64>) -> tensor<*xi64>
  return
}

// -----

func.func @range_many() {
  %a0 = nn.constant dense<-9223372036854775808> : tensor<i64>
  %a1 = nn.constant dense<9223372036854775807> : tensor<i64>
  %a2 = nn.constant dense<1> : tensor<i64>
  // expected-error @+1 {{has too many elements}}
  %0 = nn.range %a0, %a1, %a2 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<*xi64>
  return
}

// -----

func.func @range_nan() {
  %a0 = nn.constant dense<0.0> : tensor<f32>
  %a1 = nn.constant dense<0x7FC00000> : tensor<f32>
  %a2 = nn.constant dense<1.0> : tensor<f32>
  // expected-error @+1 {{has too many elements: from 0}}
  %0 = nn.range %a0, %a1, %a2 : (tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<*xf32>
  return
}

// -----

func.func @range_vector(%a0: tensor<2xf32>, %a1: tensor<f32>, %a2: tensor<f32>) {
  // expected-error @+1 {{start, limit and delta must be scalars, found 'tensor<2xf32>'}}
  %0 = nn.range %a0, %a1, %a2 : (tensor<2xf32>, tensor<f32>, tensor<f32>) -> tensor<*xf32>
  return
}

// -----

func.func @rank_of_reshape(%x: tensor<6xf32>, %shape: tensor<9223372036854775807xi64>) {
  // expected-error @+1 {{tensors may have rank 64 at most, found 9223372036854775807}}
  %0 = nn.reshape %x, %shape {allowzero = false} : (tensor<6xf32>, tensor<9223372036854775807xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @rank_of_unsqueeze(%x: tensor<6xf32>, %axes: tensor<9223372036854775807xi64>) {
  // expected-error @+1 {{tensors may have rank 64 at most, found 9223372036854775807}}
  %0 = nn.unsqueeze %x, %axes : (tensor<6xf32>, tensor<9223372036854775807xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @rank_of_expand(%x: tensor<6xf32>, %shape: tensor<9223372036854775807xi64>) {
  // expected-error @+1 {{tensors may have rank 64 at most, found 9223372036854775807}}
  %0 = nn.expand %x, %shape : (tensor<6xf32>, tensor<9223372036854775807xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @missing_attribute(%x: tensor<6xf32>) {
  // expected-error @+1 {{requires attribute 'axis'}}
  %0 = nn.flatten %x : (tensor<6xf32>) -> tensor<*xf32>
  return
}
