// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @values(%x: tensor<2xf32>, %y: tensor<2xi64>) {
  // expected-error @+1 {{value 1 is 'tensor<2xi64>', wanted 'tensor<2xf32>'}}
  %0 = nn.sequence %x, %y : (tensor<2xf32>, tensor<2xi64>) -> !nn.sequence<tensor<2xf32>>
  return
}

// -----

func.func @narrower(%s: !nn.sequence<tensor<2xf32>>) {
  %none = nn.none
  // expected-error @+1 {{an element of the sequence is 'tensor<2xf32>', wanted 'tensor<3xf32>'}}
  %0 = nn.sequence_splice %s, %none {removed = 1 : i64} : (!nn.sequence<tensor<2xf32>>, none) -> !nn.sequence<tensor<3xf32>>
  return
}

// -----

func.func @removed(%s: !nn.sequence<tensor<2xf32>>) {
  %none = nn.none
  // expected-error @+1 {{cannot remove -1 values}}
  %0 = nn.sequence_splice %s, %none {removed = -1 : i64} : (!nn.sequence<tensor<2xf32>>, none) -> !nn.sequence<tensor<2xf32>>
  return
}

// -----

func.func @position(%s: !nn.sequence<tensor<2xf32>>, %p: tensor<f32>) {
  // expected-error @+1 {{position must hold int32 or int64, found 'f32'}}
  %0 = nn.sequence_at %s, %p : (!nn.sequence<tensor<2xf32>>, tensor<f32>) -> tensor<2xf32>
  return
}

// -----

func.func @element(%s: !nn.sequence<tensor<2xf32>>, %p: tensor<i64>) {
  // expected-error @+1 {{result type 'tensor<3xf32>' contradicts the inferred 'tensor<2xf32>'}}
  %0 = nn.sequence_at %s, %p : (!nn.sequence<tensor<2xf32>>, tensor<i64>) -> tensor<3xf32>
  return
}

// -----

func.func @axis(%s: !nn.sequence<tensor<2xf32>>) {
  // expected-error @+1 {{axis must be in [-1, 1), found 1}}
  %0 = nn.sequence_concat %s {axis = 1 : i64, new_axis = false} : (!nn.sequence<tensor<2xf32>>) -> tensor<*xf32>
  return
}

// -----

func.func @nested(%s: !nn.sequence<!nn.sequence<tensor<2xf32>>>) {
  // expected-error @+1 {{must be of a sequence of tensors, found '!nn.sequence<!nn.sequence<tensor<2xf32>>>'}}
  %0 = nn.sequence_concat %s {axis = 0 : i64, new_axis = false} : (!nn.sequence<!nn.sequence<tensor<2xf32>>>) -> tensor<*xf32>
  return
}

// -----

func.func @split(%x: tensor<4xf32>) {
  %none = nn.none
  // expected-error @+1 {{splits a tensor of 'f32' into tensors of 'i64'}}
  %0 = nn.sequence_split %x, %none {axis = 0 : i64, keepdims = true} : (tensor<4xf32>, none) -> !nn.sequence<tensor<?xi64>>
  return
}

// -----

func.func @content(%x: tensor<4xf32>) {
  // expected-error @+1 {{the value is 'tensor<4xf32>', wanted 'tensor<5xf32>'}}
  %0 = nn.optional %x : (tensor<4xf32>) -> !nn.optional<tensor<5xf32>>
  return
}
