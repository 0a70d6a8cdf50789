//===- GatherChannelsTest.cpp - channels that move between blocks ---------===//
#include "backends/native/kernels/GatherChannelsKernel.h"
#include "tests/native/ConvGraph.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"

#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <numeric>

using namespace quern;
using namespace quern::native;

namespace {
std::string intsText(const std::vector<int64_t> &values) {
  return "dense<[" + fmt::format("{}", fmt::join(values, ", ")) + "]>";
}

GraphValue ints(Graph &graph, const std::vector<int64_t> &values) {
  return graph.constant(intsText(values), std::to_string(values.size()) + "xi64");
}

/// An image of `channels` channels that a convolution leaves in blocks, as `element`s.
GraphValue blockedImage(Graph &graph, const GraphValue &x, const Tensor::Dims &dims,
                        int64_t channels, const std::string &element) {
  GraphValue image = graph.op("nn.relu", {addConv(graph, {dims, channels, {1, 1}}, &x)});
  return element == "f32" ? image : graph.op("nn.cast", {image}, "to = " + element, "*x" + element);
}

GraphValue slice(Graph &graph, const GraphValue &image, int64_t begin, int64_t end, int64_t step) {
  return graph.op("nn.slice", {image, ints(graph, {begin}), ints(graph, {end}), ints(graph, {1}),
                               ints(graph, {step})});
}

/// Reads all of it, in float32.
void read(Graph &graph, const GraphValue &image, const Tensor::Dims &dims,
          const std::string &name) {
  GraphValue wide = graph.op("nn.cast", {image}, "to = f32", "*xf32");
  graph.output(addConv(graph, {dims, 16, {3, 3}, {}, {}, {1, 1, 1, 1}}, &wide),
               name + " convolved");
  graph.output(image, name);
}

size_t gathered(const GraphRun &run) {
  return llvm::count_if(run.steps, [](const ProfileRow &step) {
    return llvm::StringRef(step.kernel).starts_with("gather_channels");
  });
}
} // namespace

TEST(GatherChannelsTest, PartsAndSumsOfChannels) {
  constexpr int64_t kImages = 2, kLines = 5, kColumns = 17;
  auto dimsOf = [](int64_t channels) { return Tensor::Dims{kImages, channels, kLines, kColumns}; };
  for (const char *target : {"host", "haswell", "baseline"})
    for (const char *element : {"f32", "bf16", "ui8", "f64"}) {
      SCOPED_TRACE(std::string(target) + ", " + element);
      Graph graph;
      GraphValue x = graph.input("2x16x5x17xf32");
      auto image = [&](int64_t channels) {
        return blockedImage(graph, x, dimsOf(16), channels, element);
      };
      for (auto [channels, begin, end, step] : std::vector<std::array<int64_t, 4>>{
               {32, 0, 20, 1}, {48, 7, 39, 1}, {32, 1, 32, 2}, {64, 33, 50, 1}, {32, 30, 32, 1}})
        read(graph, slice(graph, image(channels), begin, end, step),
             dimsOf((end - begin + step - 1) / step), fmt::format("{} to {}", begin, end));
      for (const std::vector<int64_t> &parts :
           std::vector<std::vector<int64_t>>{{13, 14}, {24, 24}, {30, 3, 31}, {16, 16, 1}}) {
        std::vector<GraphValue> images;
        int64_t all = 0;
        for (int64_t part : parts) {
          images.push_back(image(part + 16));
          images.back() = slice(graph, images.back(), 3, 3 + part, 1);
          all += part;
        }
        read(graph, graph.op("nn.concat", images, "axis = 1 : i64"), dimsOf(all),
             fmt::format("{}", fmt::join(parts, " + ")));
      }
      GraphCheck check;
      check.options.targetCpu = target;
      check.options.winograd = WinogradUse::Off; // which rounds
      EXPECT_GT(gathered(expectExact(graph, check)), 0u);
    }
}

// Of groups of channels the first ones, then the second ones: of two blocks and of many.
TEST(GatherChannelsTest, Shuffles) {
  for (int64_t groups : {2, 3, 8, 48}) {
    SCOPED_TRACE(groups);
    Graph graph;
    GraphValue x = graph.input("2x16x5x17xf32");
    GraphValue image = blockedImage(graph, x, {2, 16, 5, 17}, 48, "f32");
    GraphValue parts = graph.op("nn.reshape", {image, ints(graph, {2, groups, 48 / groups, 5, 17})},
                                "allowzero = true");
    GraphValue turned = graph.op("nn.transpose", {parts}, "perm = array<i64: 0, 2, 1, 3, 4>");
    read(graph, graph.op("nn.reshape", {turned, ints(graph, {2, 48, 5, 17})}, "allowzero = true"),
         {2, 48, 5, 17}, "shuffled");
    EXPECT_EQ(gathered(expectExact(graph)), groups == 48 ? 0u : 1u);
  }
}

// Other numbers of images, pixels and blocks have the same kernel; another cut has another.
TEST(GatherChannelsTest, SizesAreNotCode) {
  auto keyOf = [](int64_t batch, int64_t pixels, int64_t first, int64_t blocks) {
    std::vector<int64_t> lanes(16 * blocks);
    std::iota(lanes.begin(), lanes.end(), first);
    std::vector<BlockedImages> inputs = {{StepBuffer::output(0), blocks + 1, 16}};
    return gatherChannels(inputs, {StepBuffer::output(1), blocks, 16}, batch, pixels, lanes,
                          DType::Float32)
        .kernel.key;
  };
  EXPECT_EQ(keyOf(1, 1, 5, 2), keyOf(3, 200, 5, 9));
  EXPECT_NE(keyOf(1, 1, 5, 2), keyOf(1, 1, 6, 2));
  for (int64_t pixels : {1, 63, 64, 200}) {
    Graph graph;
    GraphValue x = graph.input(fmt::format("1x16x1x{}xf32", pixels));
    GraphValue image = blockedImage(graph, x, {1, 16, 1, pixels}, 64, "f32");
    graph.output(graph.op("nn.relu", {slice(graph, image, 5, 45, 1)}));
    EXPECT_EQ(gathered(expectExact(graph)), 1u) << pixels;
  }
}
