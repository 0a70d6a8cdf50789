//===- InstanceNormTest.cpp - instance normalization in graphs ------------===//
#include "tests/native/GraphCheck.h"

#include "llvm/ADT/STLExtras.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

using namespace quern;
using namespace quern::native;

/// The image as a convolution that changes nothing leaves it: in blocks.
static GraphValue inBlocks(Graph &graph, const GraphValue &image, int64_t channels) {
  Tensor same = integerTensor(DType::Float32, {channels, channels, 1, 1}, 0);
  for (int64_t i = 0; i < same.numElements(); ++i)
    same.mutableData<float>()[i] = i % (channels + 1) == 0;
  return graph.op("nn.conv", {image, graph.weight(same), graph.none()},
                  "strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, "
                  "0, 0, 0>, group = 1");
}

// What follows stands in its kernel, of planes and of blocks: a residual, and numbers of channels.
// Of as many ones as minus ones all is exact.
TEST(InstanceNormTest, EndsWithWhatFollows) {
  for (bool isBlocked : {false, true}) {
    Graph graph;
    Tensor ones = integerTensor(DType::Float32, {2, 24, 6, 7}, 0);
    for (int64_t i = 0; i < ones.numElements(); ++i)
      ones.mutableData<float>()[i] = i % 2 == (i / 42) % 2 ? 1 : -1;
    GraphValue image = graph.input("2x24x6x7xf32"), residual = graph.input("2x24x6x7xf32");
    if (isBlocked)
      for (GraphValue *value : {&residual, &image})
        *value = inBlocks(graph, *value, 24);
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

// Few planes of many pixels are normalized in parts, the last of which may be shorter; results are
// the same with any number of threads, and those of one pass but for rounding.
TEST(InstanceNormTest, FewPlanesInParts) {
  for (const char *target : {"host", "haswell"})
    for (Tensor::Dims dims : {Tensor::Dims{1, 24, 97, 101}, {2, 16, 1, 16384}, {1, 16, 64, 127}}) {
      SCOPED_TRACE(formatDims(dims) + " on " + target);
      Graph graph;
      int64_t channels = dims[1];
      GraphValue image =
          inBlocks(graph, graph.input(fmt::format("{}xf32", fmt::join(dims, "x"))), channels);
      std::string perChannel = std::to_string(channels) + "xf32";
      GraphValue normal =
          graph.op("nn.instance_norm", {image, graph.weight(perChannel), graph.weight(perChannel)},
                   "epsilon = 1.0e-5 : f64");
      graph.output(graph.op("nn.relu", {normal}));
      std::vector<Tensor> inputs = {normalTensor(dims, 3, 7)};
      NativeOptions options;
      options.targetCpu = target;
      auto executable = compileForTest(graph, options);
      ASSERT_TRUE(executable) << executable.status().message();
      auto one = runCompiled(*executable, inputs, 1), two = runCompiled(*executable, inputs, 2);
      ASSERT_TRUE(one && two);
      expectSameTensors(two->results, one->results, graph.labels());
      Tensor wanted = runInterpreted(graph, inputs).take()[0];
      for (int64_t i = 0; i < wanted.numElements(); ++i)
        ASSERT_NEAR(one->results[0].data<float>()[i], wanted.data<float>()[i], 2e-5) << i;
      bool isParted = dims[2] * dims[3] >= 8192;
      size_t moments = llvm::count_if(
          one->steps, [](const ProfileRow &step) { return step.kernel == "instance_moments"; });
      EXPECT_EQ(moments, isParted ? 1u : 0u);
    }
}
