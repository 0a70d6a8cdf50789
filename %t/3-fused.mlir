module {
  func.func @main(%arg0: tensor<1x16x8x8xf32> loc("tests/passes/quern-graph.mlir":56:17)) -> tensor<1x16x8x8xf32> {
    %0 = nn.constant dense<-0.828420042> : tensor<16xf32> loc(unknown)
    %1 = nn.constant dense<0.707105041> : tensor<16x16x1x1xf32> loc(unknown)
    %2 = nn.constant dense<5.000000e-01> : tensor<16x16x1x1xf32> loc(unknown)
    %3 = nn.pack %arg0 : (tensor<1x16x8x8xf32>) -> tensor<1x1x8x8x16xf32, #nn.blocked<16>> loc("tests/passes/quern-graph.mlir":56:17)
    %4 = nn.group %3, %2 {
    ^bb0(%arg1: tensor<1x1x8x8x16xf32, #nn.blocked<16>> loc("tests/passes/quern-graph.mlir":56:17), %arg2: tensor<16x16x1x1xf32> loc(unknown)):
      %7 = nn.none loc("tests/passes/quern-graph.mlir":57:11)
      %8 = nn.conv %arg1, %arg2, %7 {dilations = array<i64: 1, 1>, group = 1 : i64, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : (tensor<1x1x8x8x16xf32, #nn.blocked<16>>, tensor<16x16x1x1xf32>, none) -> tensor<1x1x8x8x16xf32, #nn.blocked<16>> loc("tests/passes/quern-graph.mlir":60:8)
      %9 = nn.relu %8 : (tensor<1x1x8x8x16xf32, #nn.blocked<16>>) -> tensor<1x1x8x8x16xf32, #nn.blocked<16>> loc("tests/passes/quern-graph.mlir":61:8)
      nn.yield %9 : tensor<1x1x8x8x16xf32, #nn.blocked<16>> loc(fused["tests/passes/quern-graph.mlir":60:8, "tests/passes/quern-graph.mlir":61:8])
    } : (tensor<1x1x8x8x16xf32, #nn.blocked<16>>, tensor<16x16x1x1xf32>) -> tensor<1x1x8x8x16xf32, #nn.blocked<16>> loc(fused["tests/passes/quern-graph.mlir":60:8, "tests/passes/quern-graph.mlir":61:8])
    %5 = nn.group %4, %1, %0, %3 {
    ^bb0(%arg1: tensor<1x1x8x8x16xf32, #nn.blocked<16>> loc(fused["tests/passes/quern-graph.mlir":60:8, "tests/passes/quern-graph.mlir":61:8]), %arg2: tensor<16x16x1x1xf32> loc(unknown), %arg3: tensor<16xf32> loc(unknown), %arg4: tensor<1x1x8x8x16xf32, #nn.blocked<16>> loc("tests/passes/quern-graph.mlir":56:17)):
      %7 = nn.conv %arg1, %arg2, %arg3 {dilations = array<i64: 1, 1>, group = 1 : i64, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : (tensor<1x1x8x8x16xf32, #nn.blocked<16>>, tensor<16x16x1x1xf32>, tensor<16xf32>) -> tensor<1x1x8x8x16xf32, #nn.blocked<16>> loc(fused["tests/passes/quern-graph.mlir":62:8, "tests/passes/quern-graph.mlir":63:8])
      %8 = nn.add %7, %arg4 : (tensor<1x1x8x8x16xf32, #nn.blocked<16>>, tensor<1x1x8x8x16xf32, #nn.blocked<16>>) -> tensor<1x1x8x8x16xf32, #nn.blocked<16>> loc("tests/passes/quern-graph.mlir":64:8)
      %9 = nn.relu %8 : (tensor<1x1x8x8x16xf32, #nn.blocked<16>>) -> tensor<1x1x8x8x16xf32, #nn.blocked<16>> loc("tests/passes/quern-graph.mlir":65:8)
      nn.yield %9 : tensor<1x1x8x8x16xf32, #nn.blocked<16>> loc(fused["tests/passes/quern-graph.mlir":62:8, "tests/passes/quern-graph.mlir":63:8, "tests/passes/quern-graph.mlir":64:8, "tests/passes/quern-graph.mlir":65:8])
    } : (tensor<1x1x8x8x16xf32, #nn.blocked<16>>, tensor<16x16x1x1xf32>, tensor<16xf32>, tensor<1x1x8x8x16xf32, #nn.blocked<16>>) -> tensor<1x1x8x8x16xf32, #nn.blocked<16>> loc(fused["tests/passes/quern-graph.mlir":62:8, "tests/passes/quern-graph.mlir":63:8, "tests/passes/quern-graph.mlir":64:8, "tests/passes/quern-graph.mlir":65:8])
    %6 = nn.unpack %5 {channels = 16 : i64} : (tensor<1x1x8x8x16xf32, #nn.blocked<16>>) -> tensor<1x16x8x8xf32> loc("tests/passes/quern-graph.mlir":65:8)
    return %6 : tensor<1x16x8x8xf32> loc("tests/passes/quern-graph.mlir":66:3)
  } loc("tests/passes/quern-graph.mlir":56:1)
} loc("tests/passes/quern-graph.mlir":0:0)
