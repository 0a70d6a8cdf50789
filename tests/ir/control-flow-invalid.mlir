// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @condition(%c: tensor<2xi1>, %x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error@+1 {{the condition must have one element, found 'tensor<2xi1>'}}
  %0 = nn.if %c {
    nn.yield %x : tensor<2xf32>
  } else {
    nn.yield %x : tensor<2xf32>
  } : (tensor<2xi1>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

func.func @elements(%c: tensor<i1>, %x: tensor<2xf32>, %y: tensor<2xi64>) -> tensor<2xf32> {
  // expected-error@+1 {{result 0 of the then branch is 'tensor<2xf32>', that of the else branch 'tensor<2xi64>'}}
  %0 = nn.if %c {
    nn.yield %x : tensor<2xf32>
  } else {
    nn.yield %y : tensor<2xi64>
  } : (tensor<i1>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

func.func @counts(%c: tensor<i1>, %x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error@+1 {{the number of results of the else branch must be 1, found 2}}
  %0 = nn.if %c {
    nn.yield %x : tensor<2xf32>
  } else {
    nn.yield %x, %x : tensor<2xf32>, tensor<2xf32>
  } : (tensor<i1>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

func.func @carried(%n: tensor<i64>, %x: tensor<3xf32>) -> tensor<3xf32> {
  %none = nn.none
  // expected-error@+1 {{carried value 0 is 'tensor<3xf32>', wanted 'tensor<4xf32>'}}
  %0 = nn.loop %n, %none, %x {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<4xf32>):
    nn.yield %c, %v : tensor<i1>, tensor<4xf32>
  } : (tensor<i64>, none, tensor<3xf32>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

func.func @lengths(%x: tensor<5x2xf32>, %y: tensor<4xf32>) -> tensor<?x2xf32> {
  // expected-error@+1 {{scans operands of 5 and 4 slices}}
  %0 = nn.scan %x, %y {
  ^bb0(%a: tensor<2xf32>, %b: tensor<f32>):
    nn.yield %a : tensor<2xf32>
  } {input_axes = array<i64: 0, 0>, input_directions = array<i64: 0, 0>, output_axes = array<i64: 0>, output_directions = array<i64: 0>} : (tensor<5x2xf32>, tensor<4xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// -----

func.func @number(%n: tensor<i64>, %x: tensor<3xf32>) -> tensor<3xf32> {
  %none = nn.none
  // expected-error@+1 {{the iteration number must have one element, found 'tensor<2xi64>'}}
  %0 = nn.loop %n, %none, %x {
  ^bb0(%i: tensor<2xi64>, %c: tensor<i1>, %v: tensor<3xf32>):
    nn.yield %c, %v : tensor<i1>, tensor<3xf32>
  } : (tensor<i64>, none, tensor<3xf32>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}
