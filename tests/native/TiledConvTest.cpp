//===- TiledConvTest.cpp - convolutions by tiles of matrices --------------===//
#include "tests/native/NarrowFactors.h"
#include "tests/native/TilesTest.h"

#include <gmock/gmock.h>

using namespace quern;
using namespace quern::native;
using testing::HasSubstr;

namespace {
struct TiledConv {
  NarrowConv conv;
  /// Whether it is of tiles for bytes, and for bfloat16.
  bool ofBytes = true, ofBFloat16 = true;
};
} // namespace

// Blocks of 64, 32 and 16 channels, and several; lines of less than half a tile, in pairs or as
// many as fit, of which the last may be fewer, of one tile and of several; strides, padding,
// dilation of none, groups.
TEST_F(TilesTest, Convolutions) {
  const TiledConv cases[] = {
      {{{1, 64, 6, 7}, {64, 64, 3, 3}, 1, 1, 1, 128}},
      {{{2, 128, 9, 9}, {96, 128, 1, 1}}},
      {{{1, 32, 5, 33}, {32, 32, 3, 3}, 1, 1, 1, 7}},
      {{{1, 64, 9, 40}, {64, 64, 3, 3}, 2, 1, 1, 3}},
      {{{1, 48, 14, 14}, {80, 48, 3, 3}, 1, 1, 1, 200}},
      {{{2, 64, 3, 17}, {32, 64, 1, 1}, 2}},
      {{{1, 128, 8, 6}, {128, 64, 3, 3}, 1, 1, 2, 11}},
      {{{1, 64, 1, 20}, {64, 64, 1, 3}, 1, 0}},
      {{{1, 64, 1, 1}, {64, 64, 1, 1}}, false, false},
      {{{1, 3, 13, 11}, {64, 3, 7, 7}, 2, 3, 1, 255}},
      {{{2, 3, 20, 21}, {32, 3, 3, 3}, 2, 1, 1, 100}, false},
      {{{1, 3, 43, 47}, {96, 3, 11, 11}, 4}},
      {{{1, 4, 9, 24}, {32, 4, 5, 5}, 1, 2, 1, 5}},
      {{{1, 24, 5, 40}, {32, 24, 3, 3}, 1, 1, 1, 9}},
      {{{1, 1024, 9, 9}, {64, 1024, 1, 1}}},
      {{{2, 64, 7, 7}, {64, 1, 3, 3}, 1, 1, 64, 3}, false, false},
      {{{2, 64, 7, 7}, {64, 64, 3, 3}, 1, 1, 1, 77}},
      {{{1, 64, 4, 4}, {64, 64, 3, 3}, 1, 1, 1, 1}},
      {{{1, 64, 3, 5}, {64, 64, 3, 3}, 1, 1, 1, 30}},
      {{{1, 64, 11, 3}, {64, 64, 3, 3}, 1, 1, 1, 2}},
      {{{1, 64, 13, 9}, {64, 64, 5, 5}, 2, 2, 1, 13}},
      {{{2, 64, 9, 13}, {192, 64, 1, 1}, 2, 0, 1, 6}},
      {{{1, 192, 14, 14}, {256, 192, 1, 1}, 3}},
      {{{2, 136, 5, 9}, {160, 34, 1, 1}, 1, 0, 4}, false},
      {{{1, 64, 5, 7}, {80, 32, 3, 3}, 1, 1, 2}, false},
      {{{3, 66, 9, 11}, {70, 33, 3, 3}, 2, 1, 2}, false},
      {{{1, 64, 1, 450}, {64, 64, 1, 3}}},
      {{{1, 64, 1, 679}, {32, 64, 1, 5}, 2}},
      // Fewer results than fill a block.
      {{{1, 64, 6, 40}, {3, 64, 3, 3}, 1, 1, 1, 5}},
      {{{2, 64, 9, 13}, {1, 64, 1, 1}}},
      {{{1, 128, 8, 19}, {21, 128, 5, 5}, 2, 2, 1, 9}},
  };
  for (const NarrowTypes &types : kNarrowTypes) {
    SCOPED_TRACE(types.a + std::string(types.b));
    Graph graph;
    std::vector<Tensor> inputs;
    unsigned seed = 500;
    size_t tiled = 0;
    for (const TiledConv &c : cases) {
      GraphValue x = graph.input(typeText(c.conv.input, types.a));
      inputs.push_back(drawTensor(dtypeOfName(types.a), c.conv.input, ++seed));
      graph.output(addConv(graph, c.conv, types, x, seed += 2),
                   formatDims(c.conv.input) + " with " + formatDims(c.conv.weights));
      tiled += types.a == std::string_view("bf16") ? c.ofBFloat16 : c.ofBytes;
    }
    expectExactOnTiles(graph, inputs, tiled);
  }
}

// A kernel for each phase, of lines of less than half a tile, of one and of several; with what lies
// outside around the image, or nothing.
TEST_F(TilesTest, TransposedConvolutions) {
  struct Case {
    Tensor::Dims input, weights;
    int64_t stride, pad, extra = 0;
  };
  const Case cases[] = {
      {{2, 64, 7, 9}, {64, 32, 2, 2}, 2, 0},     {{1, 32, 5, 40}, {32, 64, 4, 4}, 2, 1},
      {{1, 64, 6, 20}, {64, 64, 3, 3}, 2, 1, 1}, {{1, 48, 9, 9}, {48, 80, 3, 3}, 3, 0},
      {{1, 64, 4, 4}, {64, 32, 4, 4}, 2, 3},     {{1, 64, 8, 20}, {64, 3, 4, 4}, 2, 1},
  };
  Graph graph;
  std::vector<Tensor> inputs;
  size_t tiled = 0;
  unsigned seed = 900;
  for (const Case &c : cases) {
    inputs.push_back(integerTensor(DType::BFloat16, c.input, ++seed));
    GraphValue x = graph.input(typeText(c.input, "bf16"));
    GraphValue w = graph.weight(integerTensor(DType::BFloat16, c.weights, ++seed));
    GraphValue bias = graph.weight(integerTensor(DType::Float32, {c.weights[1]}, ++seed));
    graph.output(
        graph.op("nn.conv_transpose", {x, w, bias},
                 fmt::format("strides = array<i64: {0}, {0}>, dilations = array<i64: 1, 1>, pads = "
                             "array<i64: {1}, {1}, {1}, {1}>, output_padding = array<i64: {2}, "
                             "{2}>, output_shape = array<i64>, group = 1",
                             c.stride, c.pad, c.extra),
                 "*xf32"),
        formatDims(c.input) + " with " + formatDims(c.weights));
    tiled += static_cast<size_t>(c.stride * c.stride);
  }
  expectExactOnTiles(graph, inputs, tiled);
}

// Channels that do not fill their block have zeros beside them where a tensor was put into blocks,
// but whatever was computed there after a convolution: not to be multiplied by tiles, for an
// infinite number times a weight of zero is none.
TEST_F(TilesTest, PaddingThatIsComputedIsNotMultiplied) {
  Graph graph;
  GraphValue x = graph.input("1x32x8x20xbf16");
  NarrowTypes types{"bf16", "bf16", "f32"};
  GraphValue first = addConv(graph, {{1, 32, 8, 20}, {24, 32, 3, 3}, 1, 1}, types, x, 1);
  GraphValue narrow = graph.op("nn.cast", {graph.op("nn.log", {first})}, "to = bf16", "*xbf16");
  graph.output(addConv(graph, {{1, 24, 8, 20}, {32, 24, 3, 3}}, types, narrow, 2));
  std::vector<Tensor> inputs = {drawTensor(DType::BFloat16, {1, 32, 8, 20}, 1)};
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  auto run = runCompiled(*executable, inputs, 1);
  ASSERT_TRUE(run) << run.status().message();
  size_t tiled = 0;
  for (const ProfileRow &step : run->steps)
    tiled += step.kernel.starts_with("tiles_");
  EXPECT_EQ(tiled, 1u);
}

// Filters of one pixel do not read it: of 24, 40 and 72 channels, at each pixel and at each second
// one, which are copied together. Those with a halo read zeros from its copy.
TEST_F(TilesTest, ChannelsAreReadWithoutTheirPadding) {
  for (int64_t channels : {24, 40, 72}) {
    Graph graph;
    GraphValue x = graph.input("2x32x7x12xbf16");
    NarrowTypes types{"bf16", "bf16", "f32"};
    GraphValue sums = addConv(graph, {{2, 32, 7, 12}, {channels, 32, 1, 1}}, types, x, 1);
    // Zeros beside the channels, of which the quotient is no number.
    Tensor numbers = integerTensor(DType::Float32, {channels, 1, 1}, 0);
    for (int64_t i = 0; i < channels; ++i)
      numbers.mutableData<float>()[i] = static_cast<float>(i % 5 + 1);
    GraphValue positive = graph.op("nn.add", {graph.op("nn.abs", {sums}), graph.weight(numbers)});
    GraphValue same = graph.op("nn.mul", {sums, graph.op("nn.div", {positive, positive})});
    GraphValue narrow = graph.op("nn.cast", {same}, "to = bf16", "*xbf16");
    size_t tiled = 1;
    for (int64_t stride : {1, 2})
      for (int64_t outputs : {32, 144}) {
        graph.output(addConv(graph, {{2, channels, 7, 12}, {outputs, channels, 1, 1}, stride},
                             types, narrow, ++tiled));
      }
    graph.output(
        addConv(graph, {{2, channels, 7, 12}, {32, channels, 3, 3}, 1, 1}, types, narrow, ++tiled));
    graph.output(
        addConv(graph, {{2, channels, 7, 12}, {16, channels, 5, 5}, 2, 2}, types, narrow, ++tiled));
    expectExactOnTiles(graph, {drawTensor(DType::BFloat16, {2, 32, 7, 12}, 1)}, tiled);
  }
}

// What one convolution writes the next one reads, through elementwise ops and pools: images move
// to blocks and back at the ends only.
TEST_F(TilesTest, ImagesKeepTheirBlocks) {
  Graph graph;
  GraphValue x = graph.input("1x64x12x12xui8");
  std::vector<Tensor> inputs = {drawTensor(DType::UInt8, {1, 64, 12, 12}, 1)};
  NarrowTypes bytes{"ui8", "i8", "i32"};
  auto narrowed = [&](const GraphValue &sums) {
    return graph.op("nn.cast", {sums}, "to = ui8", "*xui8");
  };
  x = narrowed(addConv(graph, {{1, 64, 12, 12}, {192, 64, 1, 1}}, bytes, x, 2));
  x = narrowed(addConv(graph, {{1, 192, 12, 12}, {192, 1, 3, 3}, 1, 1, 192}, bytes, x, 4));
  x = graph.op("nn.max_pool", {x},
               "kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, "
               "1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false");
  graph.output(addConv(graph, {{1, 192, 6, 6}, {64, 192, 3, 3}, 1, 1}, bytes, x, 6));
  expectExactOnTiles(graph, inputs, 2);
  auto run = runCompiled(*compileForTest(graph), inputs);
  ASSERT_TRUE(run);
  std::vector<std::string> kernels;
  for (const ProfileRow &step : run->steps)
    kernels.push_back(step.kernel);
  EXPECT_THAT(kernels,
              testing::ElementsAre(HasSubstr("transpose"), HasSubstr("tiles_"),
                                   HasSubstr("depthwise"), HasSubstr("pool"), HasSubstr("halo"),
                                   HasSubstr("tiles_"), HasSubstr("transpose")));
}
