// RUN: quern-opt %s | quern-opt --nn-infer-shapes | FileCheck %s

// CHECK-LABEL: @gather_elements
func.func @gather_elements(%x: tensor<2x?xf32, #nn.dims<"", "N">>, %i: tensor<2x5xi64>,
                           %any: tensor<*xf32>, %unknown: tensor<*xi32>) {
  // CHECK: nn.gather_elements {{.*}} {axis = 1 : i64} {{.*}} -> tensor<2x5xf32>
  %0 = nn.gather_elements %x, %i {axis = -1 : i64} : (tensor<2x?xf32, #nn.dims<"", "N">>, tensor<2x5xi64>) -> tensor<*xf32>
  // CHECK: nn.gather_elements {{.*}} -> tensor<2x5xf32>
  %1 = nn.gather_elements %any, %i {axis = 0 : i64} : (tensor<*xf32>, tensor<2x5xi64>) -> tensor<*xf32>
  // CHECK: nn.gather_elements {{.*}} -> tensor<?x?xf32>
  %2 = nn.gather_elements %x, %unknown {axis = 0 : i64} : (tensor<2x?xf32, #nn.dims<"", "N">>, tensor<*xi32>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @gather_nd
func.func @gather_nd(%x: tensor<2x3x?xf32, #nn.dims<"", "", "N">>, %i: tensor<?x2xi64, #nn.dims<"M", "">>,
                     %b: tensor<2x7x1xi64>, %open: tensor<4x?xi64>) {
  // CHECK: nn.gather_nd {{.*}} -> tensor<?x?xf32, #nn.dims<"M", "N">>
  %0 = nn.gather_nd %x, %i {batch_dims = 0 : i64} : (tensor<2x3x?xf32, #nn.dims<"", "", "N">>, tensor<?x2xi64, #nn.dims<"M", "">>) -> tensor<*xf32>
  // CHECK: nn.gather_nd {{.*}} -> tensor<2x7x?xf32, #nn.dims<"", "", "N">>
  %1 = nn.gather_nd %x, %b {batch_dims = 1 : i64} : (tensor<2x3x?xf32, #nn.dims<"", "", "N">>, tensor<2x7x1xi64>) -> tensor<*xf32>
  // CHECK: nn.gather_nd {{.*}} -> tensor<*xf32>
  %2 = nn.gather_nd %x, %open {batch_dims = 0 : i64} : (tensor<2x3x?xf32, #nn.dims<"", "", "N">>, tensor<4x?xi64>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @scatter
func.func @scatter(%x: tensor<2x?xf32, #nn.dims<"", "N">>, %i: tensor<1x2xi64>, %u: tensor<1x2xf32>,
                   %v: tensor<1xf32>) {
  // CHECK: nn.scatter_elements add {{.*}} {axis = 1 : i64} {{.*}} -> tensor<2x?xf32, #nn.dims<"", "N">>
  %0 = nn.scatter_elements add %x, %i, %u {axis = -1 : i64} : (tensor<2x?xf32, #nn.dims<"", "N">>, tensor<1x2xi64>, tensor<1x2xf32>) -> tensor<*xf32>
  // CHECK: nn.scatter_nd none {{.*}} -> tensor<2x?xf32, #nn.dims<"", "N">>
  %1 = nn.scatter_nd none %x, %i, %v : (tensor<2x?xf32, #nn.dims<"", "N">>, tensor<1x2xi64>, tensor<1xf32>) -> tensor<*xf32>
  return
}
