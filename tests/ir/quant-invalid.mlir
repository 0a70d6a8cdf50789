// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @scale_size(%x: tensor<2x3xf32>, %scale: tensor<2xf32>) {
  %none = nn.none
  // expected-error @+1 {{a scale or zero point does not fit: 2 to 2x3}}
  %0 = nn.quantize %x, %scale, %none {to = ui8, precision = f32, axis = 1 : i64} : (tensor<2x3xf32>, tensor<2xf32>, none) -> tensor<2x3xui8>
  return
}

// -----

func.func @zero_type(%x: tensor<2x3xf32>, %scale: tensor<f32>, %zero: tensor<i8>) {
  // expected-error @+1 {{the zero point must have element type 'ui8', found 'i8'}}
  %0 = nn.quantize %x, %scale, %zero {to = ui8, precision = f32} : (tensor<2x3xf32>, tensor<f32>, tensor<i8>) -> tensor<2x3xui8>
  return
}

// -----

func.func @quantized_type(%x: tensor<2x3xf32>, %scale: tensor<f32>) {
  %none = nn.none
  // expected-error @+1 {{cannot quantize 'f32' to 'i64'}}
  %0 = nn.quantize %x, %scale, %none {to = i64, precision = f32} : (tensor<2x3xf32>, tensor<f32>, none) -> tensor<2x3xi64>
  return
}

// -----

func.func @precision(%x: tensor<2x3xf32>, %scale: tensor<f32>) {
  %none = nn.none
  // expected-error @+1 {{`precision` cannot be 'i32'}}
  %0 = nn.quantize %x, %scale, %none {to = i8, precision = i32} : (tensor<2x3xf32>, tensor<f32>, none) -> tensor<2x3xi8>
  return
}

// -----

func.func @scale_type(%x: tensor<2x3xf32>, %scale: tensor<i8>) {
  %none = nn.none
  // expected-error @+1 {{cannot scale by 'i8'}}
  %0 = nn.quantize %x, %scale, %none {to = i8, precision = f32} : (tensor<2x3xf32>, tensor<i8>, none) -> tensor<2x3xi8>
  return
}

// -----

func.func @axis(%x: tensor<2x3xi8>, %scale: tensor<2xf32>) {
  %none = nn.none
  // expected-error @+1 {{axis 2 is not in [-2, 2)}}
  %0 = nn.dequantize %x, %scale, %none {to = f32, axis = 2 : i64} : (tensor<2x3xi8>, tensor<2xf32>, none) -> tensor<2x3xf32>
  return
}

// -----

func.func @no_block(%x: tensor<2x3xi8>, %scale: tensor<2x3xf32>) {
  %none = nn.none
  // expected-error @+1 {{scales 2x3 need attribute 'block_size'}}
  %0 = nn.dequantize %x, %scale, %none {to = f32, axis = 1 : i64} : (tensor<2x3xi8>, tensor<2x3xf32>, none) -> tensor<2x3xf32>
  return
}

// -----

func.func @blocks(%x: tensor<2x5xi8>, %scale: tensor<2x2xf32>) {
  %none = nn.none
  // expected-error @+1 {{2x5 in blocks of 2 along axis 1 needs 3 scales, found 2}}
  %0 = nn.dequantize %x, %scale, %none {to = f32, axis = 1 : i64, block_size = 2 : i64} : (tensor<2x5xi8>, tensor<2x2xf32>, none) -> tensor<2x5xf32>
  return
}

// -----

func.func @block_rank(%x: tensor<2x5xi8>, %scale: tensor<3xf32>) {
  %none = nn.none
  // expected-error @+1 {{blocks of 2 need scales of the rank of the data, found 3 for 2x5}}
  %0 = nn.dequantize %x, %scale, %none {to = f32, axis = 1 : i64, block_size = 2 : i64} : (tensor<2x5xi8>, tensor<3xf32>, none) -> tensor<2x5xf32>
  return
}

// -----

func.func @block_size(%x: tensor<2x5xi8>, %scale: tensor<f32>) {
  %none = nn.none
  // expected-error @+1 {{attribute 'block_size' must not be negative, found -1}}
  %0 = nn.dequantize %x, %scale, %none {to = f32, block_size = -1 : i64} : (tensor<2x5xi8>, tensor<f32>, none) -> tensor<2x5xf32>
  return
}

// -----

func.func @dequantized_type(%x: tensor<2x5xf32>, %scale: tensor<f32>) {
  %none = nn.none
  // expected-error @+1 {{cannot dequantize 'f32'}}
  %0 = nn.dequantize %x, %scale, %none {to = f32} : (tensor<2x5xf32>, tensor<f32>, none) -> tensor<2x5xf32>
  return
}

// -----

func.func @to(%x: tensor<2x5xi8>, %scale: tensor<f32>) {
  %none = nn.none
  // expected-error @+1 {{`to` cannot be 'f64'}}
  %0 = nn.dequantize %x, %scale, %none {to = f64} : (tensor<2x5xi8>, tensor<f32>, none) -> tensor<2x5xf64>
  return
}

// -----

func.func @rows(%a: tensor<2x3xui8>, %b: tensor<3x4xi8>, %zero: tensor<3xui8>) {
  %none = nn.none
  // expected-error @+1 {{a zero point does not fit: 3x1 to 2x3}}
  %0 = nn.matmul_integer %a, %b, %zero, %none : (tensor<2x3xui8>, tensor<3x4xi8>, tensor<3xui8>, none) -> tensor<2x4xi32>
  return
}

// -----

func.func @factor(%a: tensor<2x3xi32>, %b: tensor<3x4xi8>) {
  %none = nn.none
  // expected-error @+1 {{a must hold integers of 8 bits, found 'i32'}}
  %0 = nn.matmul_integer %a, %b, %none, %none : (tensor<2x3xi32>, tensor<3x4xi8>, none, none) -> tensor<2x4xi32>
  return
}

// -----

func.func @input_zero(%x: tensor<1x2x5x5xui8>, %w: tensor<6x2x3x3xi8>, %zero: tensor<2xui8>) {
  %none = nn.none
  // expected-error @+1 {{the input's zero point must be a scalar, found 2}}
  %0 = nn.conv_integer %x, %w, %zero, %none, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64}
    : (tensor<1x2x5x5xui8>, tensor<6x2x3x3xi8>, tensor<2xui8>, none, none) -> tensor<*xi32>
  return
}

// -----

func.func @weights_zero(%x: tensor<1x2x5x5xui8>, %w: tensor<6x2x3x3xi8>, %zero: tensor<2xi8>) {
  %none = nn.none
  // expected-error @+1 {{the weights' zero point does not fit: 2 to 6x2x3x3}}
  %0 = nn.conv_integer %x, %w, %none, %zero, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64}
    : (tensor<1x2x5x5xui8>, tensor<6x2x3x3xi8>, none, tensor<2xi8>, none) -> tensor<*xi32>
  return
}

// -----

func.func @bias(%x: tensor<1x2x5x5xui8>, %w: tensor<6x2x3x3xi8>, %bias: tensor<6xf32>) {
  %none = nn.none
  // expected-error @+1 {{bias must have element type 'i32', found 'f32'}}
  %0 = nn.conv_integer %x, %w, %none, %none, %bias {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64}
    : (tensor<1x2x5x5xui8>, tensor<6x2x3x3xi8>, none, none, tensor<6xf32>) -> tensor<*xi32>
  return
}
