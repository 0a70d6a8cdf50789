// RUN: quern-opt %s | quern-opt --nn-infer-shapes | FileCheck %s

// CHECK-LABEL: @reduce
func.func @reduce(%x: tensor<?x3x4xf32, #nn.dims<"N", "", "">>, %axes: tensor<1xi64>, %dynamic: tensor<?xi64>) {
  %none = nn.none
  %last = nn.constant dense<-1> : tensor<1xi64>
  %empty = nn.constant dense<> : tensor<0xi64>
  // CHECK: nn.reduce {{.*}} -> tensor<?x3x1xf32, #nn.dims<"N", "", "">>
  %0 = nn.reduce sum %x, %last {keepdims = true, noop_with_empty_axes = false}
    : (tensor<?x3x4xf32, #nn.dims<"N", "", "">>, tensor<1xi64>) -> tensor<*xf32>
  // CHECK: nn.reduce {{.*}} -> tensor<?x3xf32, #nn.dims<"N", "">>
  %1 = nn.reduce log_sum_exp %x, %last {keepdims = false, noop_with_empty_axes = false}
    : (tensor<?x3x4xf32, #nn.dims<"N", "", "">>, tensor<1xi64>) -> tensor<*xf32>
  // CHECK: nn.reduce {{.*}} -> tensor<f32>
  %2 = nn.reduce max %x, %none {keepdims = false, noop_with_empty_axes = false}
    : (tensor<?x3x4xf32, #nn.dims<"N", "", "">>, none) -> tensor<*xf32>
  // CHECK: nn.reduce {{.*}} -> tensor<?x3x4xf32, #nn.dims<"N", "", "">>
  %3 = nn.reduce max %x, %empty {keepdims = false, noop_with_empty_axes = true}
    : (tensor<?x3x4xf32, #nn.dims<"N", "", "">>, tensor<0xi64>) -> tensor<*xf32>
  // The number of axes tells the rank, even when the axes are unknown.
  // CHECK: nn.reduce {{.*}} -> tensor<?x?xf32>
  %4 = nn.reduce mean %x, %axes {keepdims = false, noop_with_empty_axes = false}
    : (tensor<?x3x4xf32, #nn.dims<"N", "", "">>, tensor<1xi64>) -> tensor<*xf32>
  // CHECK: nn.reduce {{.*}} -> tensor<?x?x?xf32>
  %5 = nn.reduce mean %x, %dynamic {keepdims = true, noop_with_empty_axes = false}
    : (tensor<?x3x4xf32, #nn.dims<"N", "", "">>, tensor<?xi64>) -> tensor<*xf32>
  // CHECK: nn.reduce {{.*}} -> tensor<*xf32>
  %6 = nn.reduce mean %x, %dynamic {keepdims = false, noop_with_empty_axes = false}
    : (tensor<?x3x4xf32, #nn.dims<"N", "", "">>, tensor<?xi64>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @along_axis
func.func @along_axis(%x: tensor<2x3x4xf32>) {
  // CHECK: nn.softmax {{.*}} -> tensor<2x3x4xf32>
  %0 = nn.softmax %x {axis = -1 : i64, trailing = false} : (tensor<2x3x4xf32>) -> tensor<*xf32>
  // CHECK: nn.softmax {{.*}}logarithm = true{{.*}} -> tensor<2x3x4xf32>
  %1 = nn.softmax %x {axis = 1 : i64, trailing = true, logarithm = true} : (tensor<2x3x4xf32>) -> tensor<*xf32>
  // CHECK: nn.arg_reduce max {{.*}} -> tensor<2x1x4xi64>
  %2 = nn.arg_reduce max %x {axis = 1 : i64, keepdims = true, select_last_index = false} : (tensor<2x3x4xf32>) -> tensor<*xi64>
  // CHECK: nn.arg_reduce min {{.*}} -> tensor<2x3xi64>
  %3 = nn.arg_reduce min %x {axis = -1 : i64, keepdims = false, select_last_index = true} : (tensor<2x3x4xf32>) -> tensor<*xi64>
  return
}

// CHECK-LABEL: @topk_and_cumulate
func.func @topk_and_cumulate(%x: tensor<?x10xf32, #nn.dims<"N", "">>, %dynamic: tensor<1xi64>,
                           %axis: tensor<i32>, %unknown: tensor<*xf32>) {
  %k = nn.constant dense<4> : tensor<1xi64>
  // CHECK: nn.topk {{.*}} {axis = 1 : i64, largest = true} {{.*}} -> (tensor<?x4xf32, #nn.dims<"N", "">>, tensor<?x4xi64, #nn.dims<"N", "">>)
  %0:2 = nn.topk %x, %k {axis = -1 : i64, largest = true} : (tensor<?x10xf32, #nn.dims<"N", "">>, tensor<1xi64>) -> (tensor<*xf32>, tensor<*xi64>)
  // CHECK: nn.topk {{.*}} -> (tensor<?x?xf32, #nn.dims<"N", "">>, tensor<?x?xi64, #nn.dims<"N", "">>)
  %1:2 = nn.topk %x, %dynamic {axis = 1 : i64, largest = false} : (tensor<?x10xf32, #nn.dims<"N", "">>, tensor<1xi64>) -> (tensor<*xf32>, tensor<*xi64>)
  // CHECK: nn.topk {{.*}} -> (tensor<*xf32>, tensor<*xi64>)
  %2:2 = nn.topk %unknown, %k {axis = 0 : i64, largest = true} : (tensor<*xf32>, tensor<1xi64>) -> (tensor<*xf32>, tensor<*xi64>)
  // A size is a number of elements as well.
  %n = nn.shape %x {start = 0 : i64, end = 1 : i64} : (tensor<?x10xf32, #nn.dims<"N", "">>) -> tensor<1xi64>
  // CHECK: nn.topk {{.*}} -> (tensor<?x?xf32, #nn.dims<"N", "N">>, tensor<?x?xi64, #nn.dims<"N", "N">>)
  %3:2 = nn.topk %x, %n {axis = 1 : i64, largest = true} : (tensor<?x10xf32, #nn.dims<"N", "">>, tensor<1xi64>) -> (tensor<*xf32>, tensor<*xi64>)
  // CHECK: nn.cumulate sum {{.*}} -> tensor<?x10xf32, #nn.dims<"N", "">>
  %4 = nn.cumulate sum %x, %axis {exclusive = false, reverse = true} : (tensor<?x10xf32, #nn.dims<"N", "">>, tensor<i32>) -> tensor<*xf32>
  // CHECK: nn.cumulate prod {{.*}} -> tensor<?x10xf32, #nn.dims<"N", "">>
  %5 = nn.cumulate prod %x, %axis {exclusive = true, reverse = false} : (tensor<?x10xf32, #nn.dims<"N", "">>, tensor<i32>) -> tensor<*xf32>
  return
}
