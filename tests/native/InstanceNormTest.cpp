//===- InstanceNormTest.cpp - instance normalization in graphs ------------===//
#include "tests/native/GraphCheck.h"

using namespace quern;
using namespace quern::native;

// What follows stands in its kernel, of planes and of blocks: a residual, and numbers of channels.
// Of as many ones as minus ones all is exact.
TEST(InstanceNormTest, EndsWithWhatFollows) {
  for (bool isBlocked : {false, true}) {
    Graph graph;
    Tensor ones = integerTensor(DType::Float32, {2, 24, 6, 7}, 0);
    for (int64_t i = 0; i < ones.numElements(); ++i)
      ones.mutableData<float>()[i] = i % 2 == (i / 42) % 2 ? 1 : -1;
    Tensor same = integerTensor(DType::Float32, {24, 24, 1, 1}, 0);
    for (int64_t i = 0; i < same.numElements(); ++i)
      same.mutableData<float>()[i] = i % 25 == 0;
    GraphValue image = graph.input("2x24x6x7xf32"), residual = graph.input("2x24x6x7xf32");
    if (isBlocked)
      for (GraphValue *value : {&residual, &image})
        *value = graph.op("nn.conv", {*value, graph.weight(same), graph.none()},
                          "strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = "
                          "array<i64: 0, 0, 0, 0>, group = 1");
    GraphValue scale = graph.weight("24xf32"), bias = graph.weight("24xf32");
    GraphValue normal = graph.op("nn.instance_norm", {image, scale, bias}, "epsilon = 3.0 : f64");
    GraphValue sum = graph.op("nn.add", {normal, residual});
    GraphValue scaled = graph.op("nn.mul", {sum, graph.weight("24x1x1xf32")});
    graph.output(graph.op("nn.relu", {scaled}));
    GraphCheck check;
    check.inputs = {ones, integerTensor(DType::Float32, {2, 24, 6, 7}, 1)};
    size_t fused = 0;
    for (const ProfileRow &step : expectExact(graph, check).steps) {
      fused += step.kernel.starts_with("instance_norm_");
      EXPECT_FALSE(step.kernel.starts_with("map_")) << step.kernel;
    }
    EXPECT_EQ(fused, 1u);
  }
}
