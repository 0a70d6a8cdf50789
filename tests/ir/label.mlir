// RUN: quern-opt %s | quern-opt --nn-infer-shapes | FileCheck %s

// CHECK-LABEL: @lookup
func.func @lookup(%x: tensor<?x2x!nn.string, #nn.dims<"N", "">>, %keys: tensor<3x!nn.string>, %values: tensor<3xi64>, %one: tensor<i64>,
                  %any: tensor<*x!nn.string>, %none: none) {
  // CHECK: nn.lookup {{.*}} -> tensor<?x2xi64, #nn.dims<"N", "">>
  %0 = nn.lookup %x, %keys, %values, %one : (tensor<?x2x!nn.string, #nn.dims<"N", "">>, tensor<3x!nn.string>, tensor<3xi64>, tensor<i64>) -> tensor<*xi64>
  // CHECK: nn.lookup {{.*}} -> tensor<*xi64>
  %1 = nn.lookup %any, %keys, %values, %none : (tensor<*x!nn.string>, tensor<3x!nn.string>, tensor<3xi64>, none) -> tensor<*xi64>
  return
}

// CHECK-LABEL: @couple_pairs
func.func @couple_pairs(%pairs: tensor<?x3x3xf32, #nn.dims<"N", "", "">>) {
  // CHECK: nn.couple_pairs {{.*}} -> tensor<?x3xf32, #nn.dims<"N", "">>
  %0 = nn.couple_pairs %pairs : (tensor<?x3x3xf32, #nn.dims<"N", "", "">>) -> tensor<*xf32>
  return
}

// CHECK-LABEL: @maps
func.func @maps(%x: tensor<?x2xf32, #nn.dims<"N", "">>, %keys: tensor<2xi64>, %map: !nn.map<!nn.string, tensor<f64>>) -> !nn.sequence<!nn.map<i64, tensor<*xf32>>> {
  // CHECK: nn.zip_map {{.*}} -> !nn.sequence<!nn.map<i64, tensor<*xf32>>>
  %0 = nn.zip_map %x, %keys : (tensor<?x2xf32, #nn.dims<"N", "">>, tensor<2xi64>) -> !nn.sequence<!nn.map<i64, tensor<*xf32>>>
  // CHECK: nn.map_entries {{.*}} -> (tensor<?x!nn.string{{.*}}>, tensor<?xf64{{.*}}>)
  %1, %2 = nn.map_entries %map : (!nn.map<!nn.string, tensor<f64>>) -> (tensor<*x!nn.string>, tensor<*xf64>)
  return %0 : !nn.sequence<!nn.map<i64, tensor<*xf32>>>
}
