// RUN: quern-opt %s --nn-infer-shapes --split-input-file | FileCheck %s

// CHECK-LABEL: @sequences
func.func @sequences(%x: tensor<2x3xf32>, %y: tensor<4x3xf32>, %p: tensor<i64>) -> tensor<*xf32> {
  %none = nn.none
  %0 = nn.sequence %x, %y : (tensor<2x3xf32>, tensor<4x3xf32>) -> !nn.sequence<tensor<?x3xf32>>
  %1 = nn.sequence_splice %0, %none, %x {removed = 0 : i64} : (!nn.sequence<tensor<?x3xf32>>, none, tensor<2x3xf32>) -> !nn.sequence<tensor<?x3xf32>>
  %2 = nn.sequence_splice %1, %p {removed = 1 : i64} : (!nn.sequence<tensor<?x3xf32>>, tensor<i64>) -> !nn.sequence<tensor<?x3xf32>>
  // CHECK: nn.sequence_length {{.*}} -> tensor<i64>
  %3 = nn.sequence_length %2 : (!nn.sequence<tensor<?x3xf32>>) -> tensor<*xi64>
  // CHECK: nn.sequence_at {{.*}} -> tensor<?x3xf32>
  %4 = nn.sequence_at %2, %p : (!nn.sequence<tensor<?x3xf32>>, tensor<i64>) -> tensor<*xf32>
  return %4 : tensor<*xf32>
}

// -----

// CHECK-LABEL: @joined
func.func @joined(%s: !nn.sequence<tensor<2x3xf32>>) {
  // CHECK: -> tensor<?x3xf32>
  %0 = nn.sequence_concat %s {axis = 0 : i64, new_axis = false} : (!nn.sequence<tensor<2x3xf32>>) -> tensor<*xf32>
  // CHECK: -> tensor<2x3x?xf32>
  %1 = nn.sequence_concat %s {axis = -1 : i64, new_axis = true} : (!nn.sequence<tensor<2x3xf32>>) -> tensor<*xf32>
  return
}

// -----

// Each value of a sequence may have another size: its symbol is no symbol of the graph.
// CHECK-LABEL: @symbols
func.func @symbols(%s: !nn.sequence<tensor<?x3xf32, #nn.dims<"N", "">>>, %p: tensor<i64>) {
  // CHECK: nn.sequence_at {{.*}} -> tensor<?x3xf32>
  %0 = nn.sequence_at %s, %p : (!nn.sequence<tensor<?x3xf32, #nn.dims<"N", "">>>, tensor<i64>) -> tensor<*xf32>
  return
}

// -----

// CHECK-LABEL: @optionals
func.func @optionals(%x: tensor<2xf32>) {
  %0 = nn.optional %x : (tensor<2xf32>) -> !nn.optional<tensor<2xf32>>
  %1 = nn.optional : () -> !nn.optional<tensor<2xf32>>
  // CHECK: nn.optional_has {{.*}} -> tensor<i1>
  %2 = nn.optional_has %1 : (!nn.optional<tensor<2xf32>>) -> tensor<*xi1>
  // CHECK: nn.optional_get {{.*}} -> tensor<2xf32>
  %3 = nn.optional_get %0 : (!nn.optional<tensor<2xf32>>) -> tensor<*xf32>
  return
}
