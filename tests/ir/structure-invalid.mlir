// RUN: quern-opt %s --split-input-file --verify-diagnostics

// expected-error @+1 {{nn.dims must name 2 dimensions, found 1}}
func.func @too_few_names(%x: tensor<?x3xf32, #nn.dims<"N">>) {
  return
}

// -----

// expected-error @+1 {{nn.dims names a dimension of static size 3: C}}
func.func @named_static(%x: tensor<?x3xf32, #nn.dims<"N", "C">>) {
  return
}

// -----

func.func @negative_offset() {
  // expected-error @+1 {{offset must not be negative, found -8}}
  %0 = nn.weight "model.onnx", -8 : tensor<4xf32>
  return
}

// -----

func.func @dynamic_weight() {
  // expected-error @+1 {{needs a static shape}}
  %0 = nn.weight "model.onnx", 0 : tensor<?xf32>
  return
}

// -----

func.func @pack_into_nothing(%x: tensor<1x3x4xf32>) {
  // expected-error @+1 {{puts row-major channels into blocks, found 'tensor<1x3x4xf32>' and 'tensor<1x1x4x4xf32>'}}
  %0 = nn.pack %x : (tensor<1x3x4xf32>) -> tensor<1x1x4x4xf32>
  return
}

// -----

func.func @pack_twice(%x: tensor<1x3x4x4xf32, #nn.blocked<4>>) {
  // expected-error @+1 {{puts row-major channels into blocks}}
  %0 = nn.pack %x : (tensor<1x3x4x4xf32, #nn.blocked<4>>) -> tensor<1x1x4x4x4xf32, #nn.blocked<4>>
  return
}

// -----

func.func @unpack_row_major(%x: tensor<1x1x4x4xf32>) {
  // expected-error @+1 {{input must be channel-blocked, found 'tensor<1x1x4x4xf32>'}}
  %0 = nn.unpack %x {channels = 4 : i64} : (tensor<1x1x4x4xf32>) -> tensor<*xf32>
  return
}

// -----

// expected-error @+1 {{nn.blocked needs a positive size, found 0}}
func.func @no_block(%x: tensor<1x1x4x0xf32, #nn.blocked<0>>) {
  return
}

// -----

// expected-error @+1 {{nn.blocked needs rank 3 or more, found 2}}
func.func @blocked_rank(%x: tensor<1x4xf32, #nn.blocked<4>>) {
  return
}

// -----

// expected-error @+1 {{nn.blocked<8> needs a last dimension of that size}}
func.func @blocked_size(%x: tensor<1x1x4xf32, #nn.blocked<8>>) {
  return
}

// -----

// expected-error @+1 {{nn.dims must name 3 dimensions, found 1}}
func.func @blocked_dims(%x: tensor<?x1x4xf32, #nn.blocked<4, dims = <"N">>>) {
  return
}

// -----

func.func @block_sizes(%x: tensor<1x1x4x8xf32, #nn.blocked<8>>, %y: tensor<1x1x4x1xf32, #nn.blocked<1>>) {
  // expected-error @+1 {{operands must have the same layout, found 'tensor<1x1x4x8xf32, #nn.blocked<8>>' beside blocks of 1 channels}}
  %0 = nn.add %x, %y : (tensor<1x1x4x8xf32, #nn.blocked<8>>, tensor<1x1x4x1xf32, #nn.blocked<1>>) -> tensor<*xf32>
  return
}

// -----

func.func @mixed_layouts(%x: tensor<1x2x4x8xf32, #nn.blocked<8>>, %y: tensor<1x2x4x8xf32>) {
  // expected-error @+1 {{operands must have the same layout, found 'tensor<1x2x4x8xf32>' beside blocks of 8 channels}}
  %0 = nn.add %x, %y : (tensor<1x2x4x8xf32, #nn.blocked<8>>, tensor<1x2x4x8xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @concat_layouts(%x: tensor<1x2x4x8xf32, #nn.blocked<8>>, %y: tensor<1x2x4x8xf32>) {
  // expected-error @+1 {{inputs must have the same layout, found 'tensor<1x2x4x8xf32, #nn.blocked<8>>' and 'tensor<1x2x4x8xf32>'}}
  %0 = nn.concat %x, %y {axis = 1 : i64} : (tensor<1x2x4x8xf32, #nn.blocked<8>>, tensor<1x2x4x8xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @concat_in_blocks(%x: tensor<1x2x4x8xf32, #nn.blocked<8>>) {
  // expected-error @+1 {{cannot concatenate inside of channel blocks}}
  %0 = nn.concat %x, %x {axis = 3 : i64} : (tensor<1x2x4x8xf32, #nn.blocked<8>>, tensor<1x2x4x8xf32, #nn.blocked<8>>) -> tensor<*xf32>
  return
}

// -----

func.func @row_major_only(%x: tensor<1x2x4x8xf32, #nn.blocked<8>>) {
  // expected-error @+1 {{works on row-major tensors only}}
  %0 = nn.transpose %x {perm = array<i64: 0, 1, 2, 3>} : (tensor<1x2x4x8xf32, #nn.blocked<8>>) -> tensor<*xf32>
  return
}

// -----

func.func @unpack_too_many(%x: tensor<1x2x4x8xf32, #nn.blocked<8>>) {
  // expected-error @+1 {{channels must be at most 16, found 17}}
  %0 = nn.unpack %x {channels = 17 : i64} : (tensor<1x2x4x8xf32, #nn.blocked<8>>) -> tensor<*xf32>
  return
}

// -----

func.func @group_arguments(%x: tensor<4xf32>) {
  // expected-error @+1 {{block arguments must have the types of the inputs}}
  %0 = nn.group %x {
  ^bb0(%inner: tensor<3xf32>):
    nn.yield %inner : tensor<3xf32>
  } : (tensor<4xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @group_results(%x: tensor<4xf32>) {
  // expected-error @+1 {{must yield values of its result types}}
  %0 = nn.group %x {
  ^bb0(%inner: tensor<4xf32>):
    nn.yield %inner : tensor<4xf32>
  } : (tensor<4xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @operand_is_none(%x: tensor<4xf32>) {
  %0 = nn.none
  // expected-error @+1 {{operand #1 must be ranked tensor of any type values or unranked tensor of any type values}}
  %1 = nn.add %x, %0 : (tensor<4xf32>, none) -> tensor<4xf32>
  return
}

// -----

func.func @weight_element() {
  // expected-error @+1 {{cannot hold elements of type '!nn.string'}}
  %0 = nn.weight "model.onnx", 0 : tensor<4x!nn.string>
  return
}

// -----

func.func @two_roots(%x: tensor<4x4xf32>) {
  // expected-error @+1 {{must hold at most one anchor, found 2}}
  %0 = nn.group %x {
  ^bb0(%inner: tensor<4x4xf32>):
    %1 = nn.matmul %inner, %inner : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    %2 = nn.matmul %1, %1 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    nn.yield %2 : tensor<4x4xf32>
  } : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return
}

// -----

func.func @gather_into_nothing(%x: tensor<1x2x5x16xf32, #nn.blocked<16>>) {
  // expected-error @+1 {{puts channels into blocks, found 'tensor<1x1x5x16xf32>'}}
  %0 = nn.gather_channels %x {lanes = array<i64: 1>} : (tensor<1x2x5x16xf32, #nn.blocked<16>>) -> tensor<1x1x5x16xf32>
  return
}

// -----

func.func @gather_of_plain(%x: tensor<1x2x5x16xf32>) {
  // expected-error @+1 {{inputs must be of a known number of blocks, found 'tensor<1x2x5x16xf32>'}}
  %0 = nn.gather_channels %x {lanes = array<i64: 1>} : (tensor<1x2x5x16xf32>) -> tensor<1x1x5x16xf32, #nn.blocked<16>>
  return
}

// -----

func.func @gather_of_others(%x: tensor<1x2x5x16xf32, #nn.blocked<16>>, %y: tensor<1x2x6x16xf32, #nn.blocked<16>>) {
  // expected-error @+1 {{dimension 2}}
  %0 = nn.gather_channels %x, %y {lanes = array<i64: 1>} : (tensor<1x2x5x16xf32, #nn.blocked<16>>, tensor<1x2x6x16xf32, #nn.blocked<16>>) -> tensor<1x1x5x16xf32, #nn.blocked<16>>
  return
}

// -----

func.func @gather_beyond(%x: tensor<1x2x5x16xf32, #nn.blocked<16>>) {
  // expected-error @+1 {{lanes must be in [-1, 32), found 32}}
  %0 = nn.gather_channels %x {lanes = array<i64: 31, 32>} : (tensor<1x2x5x16xf32, #nn.blocked<16>>) -> tensor<1x1x5x16xf32, #nn.blocked<16>>
  return
}
