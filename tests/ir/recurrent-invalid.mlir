// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @cell(%x: tensor<2x3x5xf32>, %r: tensor<1x5x5xf32>) {
  %none = nn.none
  // expected-error @+1 {{must be one of rnn, gru, lstm, found tree}}
  %0:2 = nn.recurrent tree forward [Tanh] %x, %r, %none, %none, %none, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = false} : (tensor<2x3x5xf32>, tensor<1x5x5xf32>, none, none, none, none, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @direction(%x: tensor<2x3x5xf32>, %r: tensor<1x5x5xf32>) {
  %none = nn.none
  // expected-error @+1 {{must be one of forward, reverse, bidirectional, found back}}
  %0:2 = nn.recurrent rnn back [Tanh] %x, %r, %none, %none, %none, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = false} : (tensor<2x3x5xf32>, tensor<1x5x5xf32>, none, none, none, none, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @activation(%x: tensor<2x3x5xf32>, %r: tensor<1x5x5xf32>) {
  %none = nn.none
  // expected-error @+1 {{found Snake}}
  %0:2 = nn.recurrent rnn forward [Snake] %x, %r, %none, %none, %none, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = false} : (tensor<2x3x5xf32>, tensor<1x5x5xf32>, none, none, none, none, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @activations(%x: tensor<2x3x5xf32>, %r: tensor<1x5x5xf32>) {
  %none = nn.none
  // expected-error @+1 {{needs 2 activations, with alpha and beta each, found 1}}
  %0:2 = nn.recurrent rnn bidirectional [Tanh] %x, %r, %none, %none, %none, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = false} : (tensor<2x3x5xf32>, tensor<1x5x5xf32>, none, none, none, none, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @parameters(%x: tensor<2x3x5xf32>, %r: tensor<1x5x5xf32>) {
  %none = nn.none
  // expected-error @+1 {{needs 1 activations, with alpha and beta each, found 1}}
  %0:2 = nn.recurrent rnn forward [Tanh] %x, %r, %none, %none, %none, %none, %none {alpha = array<f64: 0.0, 0.0>, beta = array<f64: 0.0, 0.0>, input_forget = false, linear_before_reset = false} : (tensor<2x3x5xf32>, tensor<1x5x5xf32>, none, none, none, none, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @results(%x: tensor<2x3x5xf32>, %r: tensor<1x5x5xf32>) {
  %none = nn.none
  // expected-error @+1 {{must have 2 results, found 3}}
  %0:3 = nn.recurrent rnn forward [Tanh] %x, %r, %none, %none, %none, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = false} : (tensor<2x3x5xf32>, tensor<1x5x5xf32>, none, none, none, none, none) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @state(%x: tensor<2x3x5xf32>, %r: tensor<1x5x5xf32>, %c: tensor<1x3x5xf32>) {
  %none = nn.none
  // expected-error @+1 {{has a cell state or peepholes, but is no LSTM}}
  %0:2 = nn.recurrent rnn forward [Tanh] %x, %r, %none, %none, %none, %c, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = false} : (tensor<2x3x5xf32>, tensor<1x5x5xf32>, none, none, none, tensor<1x3x5xf32>, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @bias(%x: tensor<2x3x5xf32>, %r: tensor<1x5x5xf32>, %b: tensor<1x5xf32>) {
  %none = nn.none
  // expected-error @+1 {{has a bias, but is no GRU that is linear before its reset}}
  %0:2 = nn.recurrent rnn forward [Tanh] %x, %r, %b, %none, %none, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = true} : (tensor<2x3x5xf32>, tensor<1x5x5xf32>, tensor<1x5xf32>, none, none, none, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @gru_bias(%x: tensor<2x3x5xf32>, %r: tensor<1x5x5xf32>, %b: tensor<1x5xf32>) {
  %none = nn.none
  // expected-error @+1 {{has a bias, but is no GRU that is linear before its reset}}
  %0:2 = nn.recurrent gru forward [Sigmoid, Tanh] %x, %r, %b, %none, %none, %none, %none {alpha = array<f64: 0.0, 0.0>, beta = array<f64: 0.0, 0.0>, input_forget = false, linear_before_reset = false} : (tensor<2x3x5xf32>, tensor<1x5x5xf32>, tensor<1x5xf32>, none, none, none, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @input_elements(%x: tensor<2x3x5xi32>, %r: tensor<1x5x5xf32>) {
  %none = nn.none
  // expected-error @+1 {{input must hold floats, found 'i32'}}
  %0:2 = nn.recurrent rnn forward [Tanh] %x, %r, %none, %none, %none, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = false} : (tensor<2x3x5xi32>, tensor<1x5x5xf32>, none, none, none, none, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @elements(%x: tensor<2x3x5xf32>, %r: tensor<1x5x5xf64>) {
  %none = nn.none
  // expected-error @+1 {{recurrence must have element type 'f32', found 'f64'}}
  %0:2 = nn.recurrent rnn forward [Tanh] %x, %r, %none, %none, %none, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = false} : (tensor<2x3x5xf32>, tensor<1x5x5xf64>, none, none, none, none, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @lengths(%x: tensor<2x3x5xf32>, %r: tensor<1x5x5xf32>, %l: tensor<3xi64>) {
  %none = nn.none
  // expected-error @+1 {{lengths must hold int32, found 'i64'}}
  %0:2 = nn.recurrent rnn forward [Tanh] %x, %r, %none, %l, %none, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = false} : (tensor<2x3x5xf32>, tensor<1x5x5xf32>, none, tensor<3xi64>, none, none, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @input_rank(%x: tensor<3x5xf32>, %r: tensor<1x5x5xf32>) {
  %none = nn.none
  // expected-error @+1 {{input must have rank 3, found 2}}
  %0:2 = nn.recurrent rnn forward [Tanh] %x, %r, %none, %none, %none, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = false} : (tensor<3x5xf32>, tensor<1x5x5xf32>, none, none, none, none, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @input_size(%x: tensor<2x3x6xf32>, %r: tensor<1x5x5xf32>) {
  %none = nn.none
  // expected-error @+1 {{dimension 2 of input must be 5, found 6}}
  %0:2 = nn.recurrent rnn forward [Tanh] %x, %r, %none, %none, %none, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = false} : (tensor<2x3x6xf32>, tensor<1x5x5xf32>, none, none, none, none, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @recurrence_size(%x: tensor<2x3x5xf32>, %r: tensor<1x6x5xf32>) {
  %none = nn.none
  // expected-error @+1 {{dimension 1 of recurrence must be 5, found 6}}
  %0:2 = nn.recurrent rnn forward [Tanh] %x, %r, %none, %none, %none, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = false} : (tensor<2x3x5xf32>, tensor<1x6x5xf32>, none, none, none, none, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @lengths_size(%x: tensor<2x3x5xf32>, %r: tensor<1x5x5xf32>, %l: tensor<2xi32>) {
  %none = nn.none
  // expected-error @+1 {{dimension 0 of lengths must be 3, found 2}}
  %0:2 = nn.recurrent rnn forward [Tanh] %x, %r, %none, %l, %none, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = false} : (tensor<2x3x5xf32>, tensor<1x5x5xf32>, none, tensor<2xi32>, none, none, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @initial_size(%x: tensor<2x3x5xf32>, %r: tensor<1x5x5xf32>, %h: tensor<2x3x5xf32>) {
  %none = nn.none
  // expected-error @+1 {{dimension 0 of initial_h must be 1, found 2}}
  %0:2 = nn.recurrent rnn forward [Tanh] %x, %r, %none, %none, %h, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, linear_before_reset = false} : (tensor<2x3x5xf32>, tensor<1x5x5xf32>, none, none, tensor<2x3x5xf32>, none, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @cell_clip(%x: tensor<2x3x5xf32>, %r: tensor<1x5x5xf32>) {
  %none = nn.none
  // expected-error @+1 {{has a negative bound of c, or is no LSTM}}
  %0:2 = nn.recurrent rnn forward [Tanh] %x, %r, %none, %none, %none, %none, %none {alpha = array<f64: 0.0>, beta = array<f64: 0.0>, cell_clip = 1.0 : f64, input_forget = false, linear_before_reset = false} : (tensor<2x3x5xf32>, tensor<1x5x5xf32>, none, none, none, none, none) -> (tensor<*xf32>, tensor<*xf32>)
  return
}
