module {
  func.func @main(%arg0: tensor<1x16x8x8xf32> loc("tests/passes/quern-graph.mlir":56:17)) -> tensor<1x16x8x8xf32> {
    %0 = nn.constant dense<-0.828420042> : tensor<16xf32> loc(unknown)
    %1 = nn.constant dense<0.707105041> : tensor<16x16x1x1xf32> loc(unknown)
    %2 = nn.constant dense<5.000000e-01> : tensor<16x16x1x1xf32> loc(unknown)
    %3 = nn.none loc("tests/passes/quern-graph.mlir":57:11)
    %4 = nn.conv %arg0, %2, %3 {dilations = array<i64: 1, 1>, group = 1 : i64, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : (tensor<1x16x8x8xf32>, tensor<16x16x1x1xf32>, none) -> tensor<1x16x8x8xf32> loc("tests/passes/quern-graph.mlir":60:8)
    %5 = nn.relu %4 : (tensor<1x16x8x8xf32>) -> tensor<1x16x8x8xf32> loc("tests/passes/quern-graph.mlir":61:8)
    %6 = nn.conv %5, %1, %0 {dilations = array<i64: 1, 1>, group = 1 : i64, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : (tensor<1x16x8x8xf32>, tensor<16x16x1x1xf32>, tensor<16xf32>) -> tensor<1x16x8x8xf32> loc(fused["tests/passes/quern-graph.mlir":62:8, "tests/passes/quern-graph.mlir":63:8])
    %7 = nn.add %6, %arg0 : (tensor<1x16x8x8xf32>, tensor<1x16x8x8xf32>) -> tensor<1x16x8x8xf32> loc("tests/passes/quern-graph.mlir":64:8)
    %8 = nn.relu %7 : (tensor<1x16x8x8xf32>) -> tensor<1x16x8x8xf32> loc("tests/passes/quern-graph.mlir":65:8)
    return %8 : tensor<1x16x8x8xf32> loc("tests/passes/quern-graph.mlir":66:3)
  } loc("tests/passes/quern-graph.mlir":56:1)
} loc("tests/passes/quern-graph.mlir":0:0)
