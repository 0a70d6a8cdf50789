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

func.func @block(%x: tensor<1x3x4xf32>) {
  // expected-error @+1 {{block must be positive, found 0}}
  %0 = nn.pack %x {block = 0 : i64} : (tensor<1x3x4xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @unpack_too_many(%x: tensor<1x2x4x8xf32>) {
  // expected-error @+1 {{channels must be at most 16, found 17}}
  %0 = nn.unpack %x {channels = 17 : i64} : (tensor<1x2x4x8xf32>) -> tensor<*xf32>
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
  // expected-error @+1 {{must hold at most one root, found 2}}
  %0 = nn.group %x {
  ^bb0(%inner: tensor<4x4xf32>):
    %1 = nn.matmul %inner, %inner : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    %2 = nn.matmul %1, %1 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    nn.yield %2 : tensor<4x4xf32>
  } : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return
}
