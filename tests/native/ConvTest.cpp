//===- ConvTest.cpp - convolutions through the whole compiler -------------===//
#include "tests/native/ConvGraph.h"

#include <gmock/gmock.h>

using namespace quern;
using namespace quern::native;

namespace {
/// Convolutions of every way there is, for the tests of epilogues.
std::vector<ConvCase> oneOfEachWay(int64_t batch) {
  return {
      {{batch, 16, 5, 7}, 32, {3, 3}, {}, {}, {1, 1, 1, 1}},
      {{batch, 32, 6, 6}, 16, {1, 1}},
      {{batch, 3, 9, 9}, 16, {3, 3}, {2, 2}},
      {{batch, 32, 6, 5}, 32, {3, 3}, {}, {}, {1, 1, 1, 1}, 32},
      {{batch, 5, 6, 6}, 7, {3, 3}},
      {{batch, 6, 4, 5}, 9, {1, 1}},
      {{batch, 6, 19}, 4, {3}, {}, {}, {1, 1}, 2},
      {{batch, 16, 6, 40}, 16, {3, 3}, {}, {18, 18}, {18, 18, 18, 18}},
  };
}
} // namespace

TEST(ConvTest, Integers) {
  std::vector<ConvCase> cases = oneOfEachWay(2);
  for (ConvCase &c : cases)
    c.dtype = "i32";
  expectExactConvs(cases);
  for (ConvCase &c : cases)
    c.constantWeights = false;
  expectExactConvs(cases);
}

TEST(ConvTest, Channels) {
  std::vector<ConvCase> cases;
  for (int64_t inputs : {1, 3, 16, 17, 24, 48})
    for (int64_t outputs : {1, 16, 17, 32, 48})
      cases.push_back({{1, inputs, 4, 6}, outputs, {3, 3}, {}, {}, {1, 1, 1, 1}});
  cases.push_back({{1, 64, 4, 6}, 64, {3, 3}, {}, {}, {1, 1, 1, 1}});
  cases.push_back({{1, 16, 4, 6}, 128, {1, 1}});
  expectExactConvs(cases);
}

TEST(ConvTest, Widths) {
  std::vector<ConvCase> cases;
  for (int64_t width = 1; width <= 33; width += width < 17 ? 1 : 4)
    cases.push_back({{1, 16, 3, width}, 32, {3, 3}, {}, {}, {1, 1, 1, 1}});
  cases.push_back({{1, 16, 2, 27}, 32, {3, 3}, {}, {}, {1, 1, 1, 1}});
  for (int64_t width : {1, 2, 13, 15, 28, 29, 33})
    cases.push_back({{1, 16, 1, width}, 16, {1, 1}});
  for (int64_t width : {1, 5, 15, 17, 33, 65})
    cases.push_back({{1, 3, 2, width}, 5, {1, 1}});
  GraphCheck check;
  // It rounds, and which widths it is chosen for depends on the CPU.
  check.options.winograd = WinogradUse::Off;
  expectExactConvs(cases, check);
}

TEST(ConvTest, KernelsAndStrides) {
  std::vector<ConvCase> cases;
  for (int64_t k : {1, 3, 5, 7})
    for (int64_t stride : {1, 2, 3})
      for (int64_t inputs : {3, 16})
        cases.push_back(
            {{1, inputs, 11, 13}, 16, {k, k}, {stride, stride}, {}, {k / 2, k / 2, k / 2, k / 2}});
  cases.push_back({{1, 16, 9, 12}, 16, {1, 7}, {}, {}, {0, 3, 0, 3}});
  cases.push_back({{1, 16, 9, 12}, 16, {7, 1}, {}, {}, {3, 0, 3, 0}});
  cases.push_back({{1, 16, 9, 12}, 16, {2, 3}, {1, 2}});
  cases.push_back({{1, 4, 10, 14}, 6, {2, 3}, {3, 2}});
  cases.push_back({{1, 16, 11, 21}, 16, {9, 9}, {}, {}, {4, 4, 4, 4}});
  GraphCheck check;
  check.options.winograd = WinogradUse::Off; // which rounds
  expectExactConvs(cases, check);
}

// The pixels that a window of one pixel reads are copied together where many channels read them.
TEST(ConvTest, PixelsOfAGrid) {
  std::vector<ConvCase> cases;
  for (int64_t outputs : {128, 144})
    for (Tensor::Dims strides : {Tensor::Dims{2, 2}, {3, 1}, {1, 4}})
      for (int64_t images : {1, 2})
        cases.push_back({{images, 48, 9, 14}, outputs, {1, 1}, strides});
  cases.push_back({{1, 48, 9, 14}, 144, {1, 1}, {2, 2}, {}, {1, 0, 0, 1}});
  Graph graph;
  for (const ConvCase &c : cases)
    graph.output(addConv(graph, c), describe(c));
  GraphRun run = expectExact(graph);
  EXPECT_EQ(
      llvm::count_if(run.steps,
                     [](const ProfileRow &step) { return step.kernel.starts_with("take_pixels"); }),
      6)
      << "of 144 channels, without pads";
}

TEST(ConvTest, DilationsAndPads) {
  std::vector<ConvCase> cases;
  for (int64_t channels : {3, 16}) {
    cases.push_back({{1, channels, 9, 11}, 16, {3, 3}, {}, {2, 2}});
    cases.push_back({{1, channels, 9, 11}, 16, {3, 3}, {2, 1}, {1, 3}, {2, 3, 2, 3}});
    cases.push_back({{1, channels, 9, 11}, 16, {3, 3}, {}, {}, {0, 1, 2, 3}});
    cases.push_back({{1, channels, 9, 11}, 16, {3, 3}, {}, {}, {2, 0, 0, 1}});
    cases.push_back({{1, channels, 2, 2}, 16, {5, 5}, {}, {}, {4, 4, 4, 4}});
    cases.push_back({{1, channels, 7, 7}, 16, {1, 1}, {}, {}, {1, 0, 0, 2}});
    cases.push_back({{1, channels, 3, 3}, 16, {3, 3}});
    for (const char *autoPad : {"SAME_UPPER", "SAME_LOWER", "VALID"})
      for (int64_t stride : {1, 2})
        cases.push_back({.input = {1, channels, 8, 9},
                         .outputs = 16,
                         .kernel = {3, 4},
                         .strides = {stride, stride},
                         .autoPad = autoPad});
  }
  expectExactConvs(cases);
}

/// Square filters of 3 x 3 with pads that keep the size of images.
static ConvCase dilated(Tensor::Dims input, int64_t outputs, int64_t dilation) {
  return {std::move(input), outputs, {3, 3}, {}, {dilation, dilation}, Tensor::Dims(4, dilation)};
}

// Taps that meet nothing but padding are left out: for all results, for some lines, for the ends of
// lines. (Neighbouring taps of 3 x 3 would go by Winograd's algorithm, which rounds.)
TEST(ConvTest, TapsInThePadding) {
  std::vector<ConvCase> cases;
  for (int64_t channels : {3, 16, 40}) {
    for (int64_t dilation : {2, 6, 12, 24, 36}) {
      cases.push_back(dilated({2, channels, 14, 14}, 32, dilation));
      cases.push_back(dilated({1, channels, 5, 33}, 16, dilation));
      cases.push_back(dilated({1, channels, 2, 1}, 20, dilation));
    }
    cases.push_back({{1, channels, 20, 9}, 16, {2, 5}, {2, 1}, {9, 7}, {9, 14, 0, 14}});
    cases.push_back({{1, channels, 9, 20}, 16, {5, 2}, {1, 2}, {7, 9}, {14, 0, 14, 9}});
    cases.push_back({{1, channels, 7, 30}, 16, {3, 3}, {2, 3}, {4, 11}, {3, 20, 6, 2}});
    cases.push_back({{1, channels, 4, 40}, 16, {1, 3}, {}, {1, 18}, {0, 18, 0, 18}});
    cases.push_back({{1, channels, 1, 1}, 16, {2, 2}, {}, {100, 100}, {50, 50, 50, 50}});
    cases.push_back({{1, channels, 1, 1}, 16, {1, 1}, {3, 3}, {}, {5, 5, 5, 5}});
    cases.push_back({{2, channels, 50}, 16, {3}, {}, {20}, {20, 20}});
  }
  cases.push_back(dilated({1, 64, 17, 40}, 64, 18));
  cases.back().group = 2;
  cases.push_back(dilated({1, 16, 9, 40}, 32, 18));
  cases.back().dtype = "i32";
  for (const char *target : {"host", "haswell", "baseline"}) {
    SCOPED_TRACE(target);
    GraphCheck check;
    check.options.targetCpu = target;
    expectExactConvs(cases, check);
  }
}

/// The steps of one convolution by kernels of such a name.
static int64_t countSteps(const ConvCase &c, const std::string &kernel) {
  Graph graph;
  graph.output(addConv(graph, c), describe(c));
  GraphRun run = expectExact(graph);
  return llvm::count_if(run.steps, [&](const ProfileRow &step) {
    return step.kernel.compare(0, kernel.size(), kernel) == 0;
  });
}

TEST(ConvTest, CopiesAndPartsOfDilatedFilters) {
  EXPECT_EQ(countSteps(dilated({1, 16, 12, 12}, 16, 2), "pad_halo"), 1);
  EXPECT_EQ(countSteps(dilated({1, 16, 14, 14}, 16, 24), "pad_halo"), 0) << "the middle tap only";
  EXPECT_EQ(countSteps(dilated({1, 16, 14, 14}, 16, 24), "dot_"), 1);
  EXPECT_EQ(countSteps(dilated({1, 16, 33, 40}, 16, 18), "pad_halo"), 0);
  EXPECT_EQ(countSteps(dilated({1, 16, 33, 40}, 16, 18), "dot_"), 3)
      << "ends of lines have fewer taps";
}

TEST(ConvTest, Groups) {
  std::vector<ConvCase> cases;
  for (int64_t channels : {1, 3, 16, 17, 24, 32, 48})
    cases.push_back({{2, channels, 6, 7}, channels, {3, 3}, {}, {}, {1, 1, 1, 1}, channels});
  cases.push_back({{1, 32, 9, 9}, 32, {5, 5}, {2, 2}, {}, {2, 2, 2, 2}, 32});
  cases.push_back({{1, 32, 9, 9}, 32, {1, 1}, {}, {}, {}, 32});
  cases.push_back({{1, 32, 5, 20}, 32, {3, 1}, {}, {2, 1}, {}, 32});
  cases.push_back({{1, 16, 5, 5}, 32, {3, 3}, {}, {}, {1, 1, 1, 1}, 16});
  cases.push_back({{2, 32, 5, 6}, 32, {3, 3}, {}, {}, {1, 1, 1, 1}, 2});
  cases.push_back({{1, 64, 5, 6}, 128, {1, 1}, {}, {}, {}, 4});
  cases.push_back({{2, 12, 5, 6}, 18, {3, 3}, {2, 1}, {}, {1, 1, 1, 1}, 3});
  cases.push_back({{1, 48, 5, 6}, 24, {3, 3}, {}, {}, {}, 8});
  expectExactConvs(cases);
}

TEST(ConvTest, OneAndThreeDimensions) {
  expectExactConvs({
      {{2, 3, 33}, 5, {3}, {2}, {2}, {1, 2}},
      {{1, 16, 20}, 16, {1}},
      {{1, 16, 20}, 32, {5}, {}, {}, {2, 2}},
      {{2, 8, 17}, 8, {3}, {}, {}, {1, 1}, 8},
      {{1, 3, 4, 5, 6}, 4, {3, 3, 3}, {}, {}, {1, 1, 1, 1, 1, 1}},
      {{2, 4, 5, 5, 7}, 6, {2, 3, 1}, {2, 1, 2}, {1, 2, 1}, {1, 2, 0, 0, 1, 0}, 2},
      {{1, 16, 3, 4, 5}, 16, {1, 1, 1}},
  });
}

TEST(ConvTest, BatchesAndBias) {
  std::vector<ConvCase> cases;
  for (int64_t batch : {2, 3})
    for (bool bias : {false, true})
      for (ConvCase c : oneOfEachWay(batch)) {
        c.bias = bias;
        cases.push_back(c);
      }
  expectExactConvs(cases);
}

TEST(ConvTest, RunTimeWeights) {
  std::vector<ConvCase> cases;
  for (ConvCase c : oneOfEachWay(2)) {
    c.constantWeights = false;
    cases.push_back(c);
    c.bias = false;
    cases.push_back(c);
  }
  // Where a blocked convolution meets run-time weights, layout must not block it.
  expectExactConvs(cases);
}

TEST(ConvTest, Float64) {
  std::vector<ConvCase> cases;
  for (ConvCase c : oneOfEachWay(2)) {
    c.dtype = "f64";
    cases.push_back(c);
  }
  expectExactConvs(cases);
}

// The one line of a sound is computed as several, also where its length has no divisors, and where
// its ends are parts of their own.
TEST(ConvTest, LongLines) {
  std::vector<ConvCase> cases = {
      {{1, 16, 672}, 16, {3}, {}, {}, {1, 1}},
      {{2, 32, 673}, 32, {3}, {}, {}, {1, 1}},
      {{1, 32, 701}, 16, {7}, {}, {3}, {9, 9}},
      {{1, 16, 1203}, 32, {5}, {2}, {}, {2, 2}},
      {{1, 16, 900}, 16, {3}, {}, {150}, {150, 150}},
      {{1, 16, 1, 448}, 16, {1, 3}, {}, {}, {0, 1, 0, 1}},
  };
  GraphCheck check;
  check.options.winograd = WinogradUse::Off;
  expectExactConvs(cases, check);
  // Tasks for all threads.
  Graph graph;
  graph.output(addConv(graph, {{1, 16, 6720}, 16, {3}, {}, {}, {1, 1}}));
  int64_t most = 0;
  for (const ProfileRow &step : expectExact(graph, check).steps)
    most = step.kernel.starts_with("dot_") ? std::max(most, step.tasks) : most;
  EXPECT_GE(most, 2);
}

TEST(ConvTest, OptimizationLevels) {
  for (int level : {0, 1, 2}) {
    GraphCheck check;
    check.options.optLevel = level;
    expectExactConvs(oneOfEachWay(1), check);
  }
}

TEST(ConvTest, Epilogues) {
  Graph graph;
  for (const ConvCase &c : oneOfEachWay(2)) {
    auto perChannel = [&](bool isConstant) {
      Tensor::Dims sizes(c.kernel.size() + 1, 1);
      sizes[0] = c.outputs;
      std::string type = sizesText(sizes, c.dtype);
      return isConstant ? graph.weight(type) : graph.input(type);
    };
    std::string label = describe(c);
    graph.output(graph.op("nn.relu", {addConv(graph, c)}), label + " relu");
    // A residual of the convolution's own shape, before and after an activation.
    GraphValue residual = graph.op("nn.neg", {addConv(graph, c)});
    GraphValue sum = graph.op("nn.add", {addConv(graph, c), residual});
    graph.output(graph.op("nn.relu", {sum}), label + " residual");
    graph.output(residual, label + " the residual itself");
    GraphValue scaled = graph.op("nn.mul", {addConv(graph, c), perChannel(true)});
    graph.output(graph.op("nn.add", {scaled, perChannel(false)}), label + " per channel");
    GraphValue low = graph.op("nn.max", {addConv(graph, c), graph.constant("dense<-5.0>", "f32")});
    graph.output(graph.op("nn.min", {low, graph.constant("dense<6.0>", "f32")}), label + " clip");
    GraphValue number = graph.input("f32");
    graph.output(graph.op("nn.sub", {number, addConv(graph, c)}), label + " scalar");
  }
  expectExact(graph);
}

// The result of such a group is no float32: its elements are of another size.
TEST(ConvTest, EpiloguesOfOtherTypes) {
  for (int level : {2, 3}) {
    Graph graph;
    for (const ConvCase &c : oneOfEachWay(3)) {
      GraphValue zero = graph.constant("dense<0.0>", "f32");
      GraphValue isPositive = graph.op("nn.less", {zero, addConv(graph, c)}, "", "*xi1");
      graph.output(isPositive, describe(c) + " greater");
      GraphValue conv = addConv(graph, c);
      graph.output(graph.op("nn.cast", {conv}, "to = i64", "*xi64"), describe(c) + " to int64");
      GraphValue wide = graph.op("nn.cast", {addConv(graph, c)}, "to = f64", "*xf64");
      graph.output(graph.op("nn.mul", {wide, wide}), describe(c) + " to float64");
      graph.output(graph.op("nn.where", {isPositive, addConv(graph, c), zero}, "", "*xf32"),
                   describe(c) + " where");
    }
    GraphCheck check;
    check.options.optLevel = level;
    expectExact(graph, check);
  }
}

// Channels stay blocked from one convolution to the next.
TEST(ConvTest, Chains) {
  Graph graph;
  GraphValue x = graph.input("2x3x12x12xf32");
  GraphValue a = graph.op(
      "nn.relu", {addConv(graph, {{2, 3, 12, 12}, 16, {3, 3}, {2, 2}, {}, {1, 1, 1, 1}}, &x)});
  GraphValue b =
      graph.op("nn.relu", {addConv(graph, {{2, 16, 6, 6}, 32, {3, 3}, {}, {}, {1, 1, 1, 1}}, &a)});
  GraphValue c = addConv(graph, {{2, 32, 6, 6}, 16, {1, 1}}, &b);
  GraphValue sum = graph.op("nn.add", {c, a});
  GraphValue d = addConv(graph, {{2, 16, 6, 6}, 16, {3, 3}, {}, {}, {1, 1, 1, 1}, 16}, &sum);
  GraphValue e = addConv(graph, {{2, 16, 6, 6}, 5, {1, 1}}, &d);
  graph.output(e, "last");
  graph.output(sum, "sum");
  expectExact(graph);
}

// Beside the last channel of an image there is no number in its block, here: 0 / 0.
TEST(ConvTest, ChannelsThatDoNotFillBlocks) {
  for (const char *target : {"host", "haswell", "baseline"}) {
    SCOPED_TRACE(target);
    Graph graph;
    GraphValue x = graph.input("2x16x7x9xf32");
    for (int64_t channels : {3, 5, 7, 13, 24, 30}) {
      GraphValue a = addConv(graph, {{2, 16, 7, 9}, channels, {1, 1}}, &x);
      Tensor numbers = integerTensor(DType::Float32, {channels, 1, 1}, 0);
      for (int64_t i = 0; i < channels; ++i)
        numbers.mutableData<float>()[i] = static_cast<float>(i % 5 + 1);
      GraphValue positive = graph.op("nn.add", {graph.op("nn.abs", {a}), graph.weight(numbers)});
      GraphValue image = graph.op("nn.mul", {a, graph.op("nn.div", {positive, positive})});
      for (Tensor::Dims strides : {Tensor::Dims{1, 1}, Tensor::Dims{2, 1}}) {
        ConvCase c{{2, channels, 7, 9}, 16, {3, 3}, strides, {}, {1, 1, 1, 1}};
        graph.output(addConv(graph, c, &image), describe(c));
        ConvCase pixels{{2, channels, 7, 9}, 16, {1, 1}, strides};
        graph.output(addConv(graph, pixels, &image), describe(pixels));
      }
    }
    GraphCheck check;
    check.options.targetCpu = target;
    check.options.winograd = WinogradUse::Off; // which rounds
    expectExact(graph, check);
  }
}

// Filters of one pixel read plain what comes so, and blocks that a convolution leaves.
TEST(ConvTest, PixelsAreReadAsTheyCome) {
  Graph graph;
  GraphValue x = graph.input("1x24x8x8xf32");
  GraphValue a = addConv(graph, {{1, 24, 8, 8}, 72, {1, 1}}, &x);
  GraphValue b = addConv(graph, {{1, 72, 8, 8}, 72, {3, 3}, {}, {}, {1, 1, 1, 1}, 72}, &a);
  graph.output(addConv(graph, {{1, 72, 8, 8}, 32, {1, 1}}, &b));
  std::vector<std::string> kernels;
  for (const ProfileRow &step : expectExact(graph).steps)
    kernels.push_back(step.kernel);
  EXPECT_THAT(kernels,
              testing::ElementsAre(testing::HasSubstr("dot"), testing::HasSubstr("depthwise"),
                                   testing::HasSubstr("dot"), testing::HasSubstr("transpose")));
}

// A model of a few bytes may have millions of images.
TEST(ConvTest, StepsDoNotGrowWithTheBatch) {
  GraphCheck check;
  check.options.optLevel = 2;
  for (int64_t groups : {1, 2})
    for (Tensor::Dims kernel : {Tensor::Dims{1, 1}, Tensor::Dims{2, 2}}) {
      Graph graph;
      ConvCase c{{3000, 4, 3, 2}, 6, kernel, {}, {}, {}, groups};
      c.constantWeights = false;
      graph.output(graph.op("nn.relu", {addConv(graph, c)}), describe(c));
      // Those of images that are unfolded together, and of their product.
      EXPECT_LE(expectExact(graph, check).steps.size(), kernel[0] == 1 ? 1u : 4u);
    }
}

// The last images are fewer than those of the steps before.
TEST(ConvTest, ImagesInParts) {
  ConvCase c{{7, 8, 40, 80}, 6, {3, 3}, {1, 2}, {}, {1, 1, 1, 1}, 2};
  c.constantWeights = false;
  Graph graph;
  graph.output(addConv(graph, c), describe(c));
  GraphRun run = expectExact(graph);
  EXPECT_GT(run.steps.size(), 2u);
  EXPECT_LT(run.steps.size(), 14u);

  // Each part adds its own images of what the sums are added to, whatever its elements are.
  for (const char *type : {"f32", "f64"}) {
    Graph sums;
    GraphValue conv = sums.op("nn.cast", {addConv(sums, c)}, std::string("to = ") + type,
                              std::string("*x") + type);
    sums.output(sums.op("nn.add", {conv, sums.input(std::string("7x6x40x40x") + type)}), type);
    EXPECT_EQ(expectExact(sums).steps.size(), run.steps.size()) << "the sum is not fused";
  }
}
