// RUN: quern-opt %s --nn-name-unknown-sizes --split-input-file | FileCheck %s

// The slice's size is a number that no expression tells; the relu has the same.
// CHECK-LABEL: func.func @cut
// CHECK-SAME: tensor<?xf32, #nn.dims<"N">>
func.func @cut(%x: tensor<?xf32, #nn.dims<"N">>, %starts: tensor<1xi64>, %ends: tensor<1xi64>) -> tensor<?xf32> {
  %none = nn.none
  // CHECK: nn.slice {{.*}} -> tensor<?xf32, #nn.dims<"[[SIZE:s[0-9]+]]">>
  %0 = nn.slice %x, %starts, %ends, %none, %none : (tensor<?xf32, #nn.dims<"N">>, tensor<1xi64>, tensor<1xi64>, none, none) -> tensor<?xf32>
  // CHECK: nn.relu {{.*}} -> tensor<?xf32, #nn.dims<"[[SIZE]]">>
  %1 = nn.relu %0 : (tensor<?xf32>) -> tensor<?xf32>
  return %1 : tensor<?xf32>
}

// -----

// Unknown sizes of inputs differ; known ones and unknown ranks stay.
// CHECK-LABEL: func.func @inputs
// CHECK-SAME: tensor<?x3xf32, #nn.dims<"[[A:s[0-9]+]]", "">>
// CHECK-NOT: "[[A]]"
// CHECK-SAME: tensor<*xf32>
func.func @inputs(%x: tensor<?x3xf32>, %y: tensor<?x3xf32>, %z: tensor<*xf32>) -> tensor<*xf32> {
  return %z : tensor<*xf32>
}
