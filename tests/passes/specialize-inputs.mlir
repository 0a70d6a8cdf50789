// RUN: quern-opt %s --split-input-file --verify-diagnostics \
// RUN:   --nn-specialize-inputs="shapes=data=2x3 dims=W=8" | FileCheck %s

// Named by attribute; a shape for one use of N holds for the others.
// CHECK-LABEL: module @bySymbol
// CHECK: func @main(%{{.*}}: tensor<2x3xf32> {nn.name = "data"}, %{{.*}}: tensor<2x8xf32>,
// CHECK-SAME: %{{.*}}: tensor<?xf32>)
module @bySymbol {
  func.func @main(%a: tensor<?x3xf32, #nn.dims<"N", "">> {nn.name = "data"},
                  %b: tensor<?x?xf32, #nn.dims<"N", "W">>, %c: tensor<?xf32>) {
    return
  }
}

// -----

// Named by location; an unranked input takes any shape.
// CHECK-LABEL: module @byLocation
// CHECK: func @main(%{{.*}}: tensor<2x3xf32>
module @byLocation {
  func.func @main(%a: tensor<*xf32> loc("data"), %b: tensor<?xf32, #nn.dims<"W">>) {
    return
  }
}

// -----

module @wrongSize {
  // expected-error @below {{input 'data': dimension 1 is 4 in the model, found 3}}
  func.func @main(%a: tensor<?x4xf32> {nn.name = "data"}) {
    return
  }
}

// -----

module @wrongRank {
  // expected-error @below {{input 'data' has rank 1 (?), found 2x3}}
  func.func @main(%a: tensor<?xf32> {nn.name = "data"}) {
    return
  }
}

// -----

module @contradiction {
  // expected-error @below {{input 'data': dimension 0 ('W') is 8 by the given dimensions, found 2}}
  func.func @main(%a: tensor<?x3xf32, #nn.dims<"W", "">> {nn.name = "data"}) {
    return
  }
}

// -----

module @unknownInput {
  // expected-error @below {{no input is named 'data'; the inputs are image, input1}}
  func.func @main(%a: tensor<?xf32> {nn.name = "image"}, %b: tensor<?xf32, #nn.dims<"W">>) {
    return
  }
}

// -----

module @unknownDimension {
  // expected-error @below {{no input has a dimension 'W'; the dimensions are N}}
  func.func @main(%a: tensor<?x3xf32, #nn.dims<"N", "">> {nn.name = "data"}) {
    return
  }
}

// -----

// expected-error @below {{has no function @main}}
module @noMain {
}
