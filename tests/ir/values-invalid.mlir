// RUN: quern-opt %s --split-input-file --verify-diagnostics

// expected-error @+1 {{must hold a tensor, sequence, optional or map type, found 'f32'}}
func.func @element(%s: !nn.sequence<f32>) {
  return
}

// -----

// expected-error @+1 {{must hold a tensor, sequence, optional or map type, found 'none'}}
func.func @content(%s: !nn.optional<none>) {
  return
}

// -----

// expected-error @+1 {{must hold a tensor, sequence, optional or map type, found '!nn.string'}}
func.func @values(%s: !nn.map<i64, !nn.string>) {
  return
}

// -----

// expected-error @+1 {{keys must be i64 or !nn.string, found 'f32'}}
func.func @keys(%s: !nn.map<f32, tensor<f32>>) {
  return
}

// -----

func.func @operand(%s: !nn.sequence<tensor<f32>>) {
  // expected-error @+1 {{operand #0 must be ranked tensor of any type values or unranked tensor of any type values, but got '!nn.sequence<tensor<f32>>'}}
  %0 = nn.relu %s : (!nn.sequence<tensor<f32>>) -> tensor<f32>
  return
}

// -----

func.func @no_value(%n: tensor<i64>) {
  %none = nn.none
  // expected-error @+1 {{operand #2 must be variadic of tensor, sequence, optional or map, but got 'none'}}
  %0 = nn.loop %n, %none, %none {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<f32>):
    nn.yield %c, %v : tensor<i1>, tensor<f32>
  } : (tensor<i64>, none, none) -> tensor<f32>
  return
}

// -----

func.func @kinds(%c: tensor<i1>, %s: !nn.sequence<tensor<f32>>, %o: !nn.optional<tensor<f32>>) {
  // expected-error @+1 {{result 0 of the then branch is '!nn.sequence<tensor<f32>>', that of the else branch '!nn.optional<tensor<f32>>'}}
  %0 = nn.if %c {
    nn.yield %s : !nn.sequence<tensor<f32>>
  } else {
    nn.yield %o : !nn.optional<tensor<f32>>
  } : (tensor<i1>) -> !nn.sequence<tensor<f32>>
  return
}

// -----

func.func @declared(%c: tensor<i1>, %s: !nn.sequence<tensor<f32>>) {
  // expected-error @+1 {{result type 'tensor<f32>' contradicts the inferred '!nn.sequence<tensor<f32>>'}}
  %0 = nn.if %c {
    nn.yield %s : !nn.sequence<tensor<f32>>
  } else {
    nn.yield %s : !nn.sequence<tensor<f32>>
  } : (tensor<i1>) -> tensor<f32>
  return
}

// -----

func.func @carried(%n: tensor<i64>, %s: !nn.sequence<tensor<2xf32>>) {
  %none = nn.none
  // expected-error @+1 {{carried value 0 is '!nn.sequence<tensor<2xf32>>', wanted '!nn.sequence<tensor<3xf32>>'}}
  %0 = nn.loop %n, %none, %s {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: !nn.sequence<tensor<3xf32>>):
    nn.yield %c, %v : tensor<i1>, !nn.sequence<tensor<3xf32>>
  } : (tensor<i64>, none, !nn.sequence<tensor<2xf32>>) -> !nn.sequence<tensor<?xf32>>
  return
}

// -----

func.func @collected(%n: tensor<i64>, %s: !nn.sequence<tensor<2xf32>>) {
  %none = nn.none
  // expected-error @+1 {{a collected value must be a tensor, found '!nn.sequence<tensor<2xf32>>'}}
  %0 = nn.loop %n, %none {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>):
    nn.yield %c, %s : tensor<i1>, !nn.sequence<tensor<2xf32>>
  } : (tensor<i64>, none) -> !nn.sequence<tensor<2xf32>>
  return
}

// -----

func.func @scanned(%s: !nn.sequence<tensor<2xf32>>) {
  // expected-error @+1 {{a scanned operand must be a tensor, found '!nn.sequence<tensor<2xf32>>'}}
  %0 = nn.scan %s {
  ^bb0(%b: tensor<2xf32>):
    nn.yield %b : tensor<2xf32>
  } {input_axes = array<i64: 0>, input_directions = array<i64: 0>, output_axes = array<i64: 0>, output_directions = array<i64: 0>}
    : (!nn.sequence<tensor<2xf32>>) -> tensor<*xf32>
  return
}
