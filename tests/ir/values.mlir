// RUN: quern-opt %s --nn-infer-shapes | FileCheck %s
// RUN: quern-opt %s --emit-bytecode | quern-opt --nn-infer-shapes | FileCheck %s

// CHECK-LABEL: func.func @ports
// CHECK-SAME: !nn.sequence<tensor<?x3xf32, #nn.dims<"N", "">>>
// CHECK-SAME: !nn.optional<!nn.sequence<tensor<*xi64>>>
// CHECK-SAME: !nn.map<!nn.string, tensor<f32>>
// CHECK-SAME: !nn.sequence<!nn.map<i64, tensor<f32>>>
func.func @ports(%s: !nn.sequence<tensor<?x3xf32, #nn.dims<"N", "">>>,
                 %o: !nn.optional<!nn.sequence<tensor<*xi64>>>,
                 %m: !nn.map<!nn.string, tensor<f32>>,
                 %n: !nn.sequence<!nn.map<i64, tensor<f32>>>) -> !nn.map<!nn.string, tensor<f32>> {
  return %m : !nn.map<!nn.string, tensor<f32>>
}

// A branch yields what both sequences hold.
// CHECK-LABEL: func.func @branches
func.func @branches(%c: tensor<i1>, %x: !nn.sequence<tensor<2x3xf32>>, %y: !nn.sequence<tensor<2x4xf32>>)
    -> !nn.sequence<tensor<2x?xf32>> {
  // CHECK: nn.if
  // CHECK: } : (tensor<i1>) -> !nn.sequence<tensor<2x?xf32>>
  %0 = nn.if %c {
    nn.yield %x : !nn.sequence<tensor<2x3xf32>>
  } else {
    nn.yield %y : !nn.sequence<tensor<2x4xf32>>
  } : (tensor<i1>) -> !nn.sequence<tensor<2x?xf32>>
  return %0 : !nn.sequence<tensor<2x?xf32>>
}

// Carried through a loop and a scan.
// CHECK-LABEL: func.func @carried
func.func @carried(%n: tensor<i64>, %s: !nn.optional<tensor<?xf32>>, %x: tensor<5x2xf32>)
    -> (!nn.optional<tensor<?xf32>>, !nn.optional<tensor<?xf32>>) {
  %none = nn.none
  // CHECK: nn.loop
  // CHECK: } : (tensor<i64>, none, !nn.optional<tensor<?xf32>>) -> !nn.optional<tensor<?xf32>>
  %0 = nn.loop %n, %none, %s {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: !nn.optional<tensor<?xf32>>):
    nn.yield %c, %v : tensor<i1>, !nn.optional<tensor<?xf32>>
  } : (tensor<i64>, none, !nn.optional<tensor<?xf32>>) -> !nn.optional<tensor<?xf32>>
  // CHECK: nn.scan
  // CHECK: -> (!nn.optional<tensor<?xf32>>, tensor<5x2xf32>)
  %1:2 = nn.scan %s, %x {
  ^bb0(%a: !nn.optional<tensor<?xf32>>, %b: tensor<2xf32>):
    nn.yield %a, %b : !nn.optional<tensor<?xf32>>, tensor<2xf32>
  } {input_axes = array<i64: 0>, input_directions = array<i64: 0>, output_axes = array<i64: 0>, output_directions = array<i64: 0>}
    : (!nn.optional<tensor<?xf32>>, tensor<5x2xf32>) -> (!nn.optional<tensor<?xf32>>, tensor<*xf32>)
  return %0, %1#0 : !nn.optional<tensor<?xf32>>, !nn.optional<tensor<?xf32>>
}
