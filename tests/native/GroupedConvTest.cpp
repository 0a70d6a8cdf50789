//===- GroupedConvTest.cpp - convolutions of single channels and few ------===//
#include "tests/native/ConvGraph.h"

using namespace quern;
using namespace quern::native;

// Lines shorter and longer than what is summed up at once; windows that reach over all edges, and
// beyond the other side; with the pixels of a line's end in the middle of it.
TEST(GroupedConvTest, Depthwise) {
  std::vector<ConvCase> cases;
  for (int64_t width : {1, 4, 7, 8, 9, 14, 17, 30})
    for (int64_t kernel : {1, 3, 5, 7, 9}) {
      int64_t stride = 1 + (width + kernel) % 3, dilation = 1 + (width + kernel / 2) % 3;
      int64_t pad = (kernel - 1) * dilation;
      ConvCase c{{1 + width % 2, 32, 6, width},
                 32,
                 {3, kernel},
                 {1, stride},
                 {1, dilation},
                 {1, pad / 2 + width % 2, 1, pad - pad / 2},
                 32};
      c.bias = kernel != 5;
      cases.push_back(c);
    }
  // Cut evenly, into one group of results or several, of which the first and the last reach
  // outside.
  for (int64_t width : {7, 14, 12, 28, 33, 42})
    for (int64_t kernel : {3, 5})
      for (int64_t stride : {1, 2, 3}) {
        int64_t pad = (kernel - 1) / 2, dilation = 1 + (width + stride) % 2;
        cases.push_back({{1, 32, 5, width * stride},
                         32,
                         {3, kernel},
                         {1, stride},
                         {1, dilation},
                         {1, pad * dilation, 1, pad * dilation - stride / 2},
                         32});
      }
  cases.push_back({{1, 20, 9, 9}, 20, {5, 5}, {2, 2}, {2, 2}, {4, 4, 4, 4}, 20});
  cases.push_back({{2, 48, 2, 3}, 48, {7, 7}, {}, {}, {6, 6, 6, 6}, 48});
  cases.push_back({{1, 16, 19}, 16, {3}, {}, {}, {1, 1}, 16});
  for (const char *target : {"host", "haswell", "baseline"}) {
    SCOPED_TRACE(target);
    GraphCheck check;
    check.options.targetCpu = target;
    expectExactConvs(cases, check);
  }
}

// A part of a block of channels serves a block of results; the last block is not full.
TEST(GroupedConvTest, SeveralResultsOfEachChannel) {
  std::vector<ConvCase> cases;
  for (int64_t results : {2, 3, 4, 8, 16})
    for (int64_t channels : {4, 21, 32})
      for (int64_t width : {5, 14}) {
        int64_t stride = 1 + width % 2, dilation = 1 + results % 2;
        ConvCase c{{1 + width % 2, channels, 5, width},
                   channels * results,
                   {3, 3},
                   {stride, stride},
                   {1, dilation},
                   {1, dilation, 1, dilation},
                   channels};
        c.bias = results != 3;
        cases.push_back(c);
      }
  cases.push_back({{1, 32, 28, 28}, 64, {7, 7}, {2, 2}, {}, {3, 3, 3, 3}, 32});
  cases.push_back({{1, 32, 19}, 64, {3}, {}, {}, {1, 1}, 32});
  for (const char *target : {"host", "haswell", "baseline"}) {
    SCOPED_TRACE(target);
    GraphCheck check;
    check.options.targetCpu = target;
    expectExactConvs(cases, check);
  }
}

// Groups of two, four and eight channels, of as many results each: within a block of channels, or
// whole blocks of narrower vectors. Channels that do not fill the last block, wide filters, lines
// cut evenly or not, pixels of all edges.
TEST(GroupedConvTest, SmallGroups) {
  std::vector<ConvCase> cases;
  for (int64_t group : {2, 4, 8})
    for (int64_t width : {1, 5, 9, 14, 28})
      for (int64_t kernel : {1, 3, 8}) {
        int64_t stride = 1 + (width + kernel) % 2, dilation = 1 + width % 2;
        int64_t pad = (kernel - 1) * dilation;
        ConvCase c{
            {1 + width % 2, 40, 5, width},  40,        {3, kernel}, {1, stride}, {1, dilation},
            {1, pad / 2, 1, pad - pad / 2}, 40 / group};
        c.bias = kernel != 3;
        cases.push_back(c);
      }
  cases.push_back({{1, 32, 14, 14}, 32, {3, 3}, {2, 2}, {}, {1, 1, 1, 1}, 8});
  cases.push_back({{1, 32, 19}, 32, {3}, {}, {}, {1, 1}, 4});
  for (const char *target : {"host", "haswell", "baseline"}) {
    SCOPED_TRACE(target);
    GraphCheck check;
    check.options.targetCpu = target;
    expectExactConvs(cases, check);
  }
}

// Between products that read rows of channels: each becomes blocks and back by one move, and what
// stands behind the convolution is in its kernel.
TEST(GroupedConvTest, BetweenRowsOfChannels) {
  Graph graph;
  for (int64_t images : {1, 2})
    for (int64_t channels : {32, 64, 24}) {
      std::string c = std::to_string(channels), n = std::to_string(images);
      auto shape = [&](const std::string &sizes) {
        int64_t rank = 2 + std::count(sizes.begin(), sizes.end(), ',');
        return graph.constant("dense<[" + n + ", " + c + sizes + "]>",
                              std::to_string(rank) + "xi64");
      };
      GraphValue rows =
          graph.op("nn.matmul", {graph.input(n + "x42x16xf32"), graph.weight("16x" + c + "xf32")});
      GraphValue channelsFirst = graph.op("nn.transpose", {rows}, "perm = array<i64: 0, 2, 1>");
      GraphValue image =
          graph.op("nn.reshape", {channelsFirst, shape(", 6, 7")}, "allowzero = true");
      GraphValue conv = graph.op("nn.conv", {image, graph.weight(c + "x1x3x3xf32"), graph.none()},
                                 "strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = "
                                 "array<i64: 1, 1, 1, 1>, "
                                 "group = " +
                                     c);
      GraphValue line = graph.op("nn.reshape", {conv, shape(", 42")}, "allowzero = true");
      GraphValue positive = graph.op("nn.relu", {line});
      GraphValue sum = graph.op("nn.add", {line, positive});
      GraphValue back = graph.op("nn.transpose", {sum}, "perm = array<i64: 0, 2, 1>");
      graph.output(graph.op("nn.matmul", {back, graph.weight(c + "x8xf32")}),
                   n + " images of " + c + " channels");
    }
  size_t fused = 0;
  for (const ProfileRow &step : expectExact(graph).steps)
    fused += step.kernel.starts_with("depthwise_") && step.kernel.find("add") != std::string::npos;
  EXPECT_EQ(fused, 6u);
}
