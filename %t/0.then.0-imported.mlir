module {
  func.func @main(%arg0: tensor<1x16x8x8xf32> loc("tests/passes/quern-graph.mlir":56:17)) -> tensor<*xf32> {
    %0 = nn.none loc("tests/passes/quern-graph.mlir":57:11)
    %1 = nn.constant dense<5.000000e-01> : tensor<16x16x1x1xf32> loc("tests/passes/quern-graph.mlir":58:8)
    %2 = nn.constant dense<2.000000e+00> : tensor<16xf32> loc("tests/passes/quern-graph.mlir":59:8)
    %3 = nn.conv %arg0, %1, %0 {dilations = array<i64: 1, 1>, group = 1 : i64, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : (tensor<1x16x8x8xf32>, tensor<16x16x1x1xf32>, none) -> tensor<*xf32> loc("tests/passes/quern-graph.mlir":60:8)
    %4 = nn.relu %3 : (tensor<*xf32>) -> tensor<*xf32> loc("tests/passes/quern-graph.mlir":61:8)
    %5 = nn.conv %4, %1, %0 {dilations = array<i64: 1, 1>, group = 1 : i64, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : (tensor<*xf32>, tensor<16x16x1x1xf32>, none) -> tensor<*xf32> loc("tests/passes/quern-graph.mlir":62:8)
    %6 = nn.batch_norm %5, %2, %2, %2, %2 {epsilon = 1.000000e-05 : f64} : (tensor<*xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>) -> tensor<*xf32> loc("tests/passes/quern-graph.mlir":63:8)
    %7 = nn.add %6, %arg0 : (tensor<*xf32>, tensor<1x16x8x8xf32>) -> tensor<*xf32> loc("tests/passes/quern-graph.mlir":64:8)
    %8 = nn.relu %7 : (tensor<*xf32>) -> tensor<*xf32> loc("tests/passes/quern-graph.mlir":65:8)
    return %8 : tensor<*xf32> loc("tests/passes/quern-graph.mlir":66:3)
  } loc("tests/passes/quern-graph.mlir":56:1)
} loc("tests/passes/quern-graph.mlir":0:0)
