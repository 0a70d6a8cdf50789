//===- GridSampleTest.cpp - native sampling against the reference ---------===//
#include "tests/native/GraphCheck.h"

using namespace quern;
using namespace quern::native;

/// Points are small integers over 4, so that sums are exact.
static void addSample(Graph &graph, const std::string &rule, const std::string &image,
                      const std::string &points, bool alignCorners) {
  std::string element = points.substr(points.rfind('x') + 1);
  GraphValue quarter = graph.constant("dense<0.25>", element);
  GraphValue places = graph.op("nn.mul", {graph.input(points), quarter});
  graph.output(graph.op("nn.grid_sample " + rule, {graph.input(image), places},
                        alignCorners ? "align_corners = true" : "align_corners = false"),
               rule + " " + image);
}

TEST(GridSampleTest, ModesAndPaddings) {
  Graph graph;
  for (const char *padding : {"constant", "edge", "reflect"})
    for (const char *mode : {"nearest", "linear"})
      for (bool alignCorners : {false, true}) {
        std::string rule = std::string(mode) + "(" + padding + ")";
        addSample(graph, rule, "2x3x3x2xf32", "2x5x20x2xf32", alignCorners);
        addSample(graph, rule, "1x2x1x4xf64", "1x70x2xf32", alignCorners);
      }
  expectExact(graph);
}

TEST(GridSampleTest, CubicAndOtherRanks) {
  Graph graph;
  addSample(graph, "cubic(constant)", "1x2x5x3xf64", "1x40x2xf64", false);
  addSample(graph, "cubic(edge)", "1x2x5x3xf64", "1x40x2xf64", true);
  addSample(graph, "linear(edge)", "2x3x7xf32", "2x9x1xf32", false);
  addSample(graph, "linear(constant)", "1x2x3x2x4xf32", "1x3x5x2x3xf64", true);
  expectExact(graph);
}

TEST(GridSampleTest, OtherwiseOnTheReference) {
  Graph graph;
  addSample(graph, "cubic(reflect)", "1x2x5x3xf64", "1x40x2xf64", false);
  addSample(graph, "linear(edge)", "1x2x5x3xi64", "1x40x2xf32", false);
  GraphCheck check;
  check.allowReference = true;
  expectExact(graph, check);
}
