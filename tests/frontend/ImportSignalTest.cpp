//===- ImportSignalTest.cpp - windows and filters of signals --------------===//
#include "tests/frontend/RunModel.h"

#include <cmath>
#include <numbers>

using namespace quern;
using namespace quern::onnx::test;

static ModelBuilder window(const char *op, bool isPeriodic) {
  ModelBuilder b(17);
  b.input("n", {}, DType::Int32).node(op, {"n"}, {"y"}).output("y");
  b.attr("periodic", int64_t{isPeriodic});
  return b;
}

static Tensor windowOf(const char *op, bool isPeriodic, int32_t size) {
  return run(window(op, isPeriodic), {Tensor::of<int32_t>({}, {size})}).at(0);
}

TEST(ImportSignal, WindowsOfCosines) {
  expectFloats(windowOf("HannWindow", true, 4), {4}, {0, 0.5, 1, 0.5});
  expectFloats(windowOf("HannWindow", false, 5), {5}, {0, 0.5, 1, 0.5, 0});
  double a = 25.0 / 46, b = 21.0 / 46;
  expectFloats(windowOf("HammingWindow", true, 4), {4}, {a - b, a, 1, a});
  expectFloats(windowOf("BlackmanWindow", true, 4), {4}, {0, 0.34, 1, 0.34});
  expectFloats(windowOf("BlackmanWindow", false, 3), {3}, {0, 1, 0});
  for (const char *op : {"HannWindow", "HammingWindow", "BlackmanWindow"}) {
    expectFloats(windowOf(op, false, 1), {1}, {1});
    expectFloats(windowOf(op, true, 0), {0}, {});
  }
  ModelBuilder typed = window("HannWindow", true);
  typed.attr("output_datatype", int64_t{static_cast<int64_t>(DType::Float64)});
  EXPECT_EQ(Imported(typed).outputType(), "tensor<?xf64>");
  ModelBuilder wrong = window("HannWindow", true);
  wrong.attr("output_datatype", int64_t{static_cast<int64_t>(DType::String)});
  expectError(wrong, StatusCode::InvalidModel, {"'output_datatype': 8 is no type of numbers"});
  ModelBuilder many(17);
  many.input("n", {2}, DType::Int64).node("HannWindow", {"n"}, {"y"}).output("y");
  expectError(many, StatusCode::InvalidModel, {"input 0 must be one number, found 2"});
}

/// The matrix as the specification makes it.
static std::vector<double> melMatrix(int filters, int length, int rate, double low, double high) {
  auto mel = [](double f) { return 2595 * std::log10(1 + f / 700); };
  std::vector<int> edges;
  for (int i = 0; i < filters + 2; ++i) {
    double at = mel(low) + i * (mel(high) - mel(low)) / (filters + 2);
    double hertz = 700 * (std::pow(10.0, at / 2595) - 1);
    edges.push_back(static_cast<int>(std::floor((length + 1) * hertz / rate)));
  }
  int bins = length / 2 + 1;
  std::vector<double> matrix(static_cast<size_t>(bins * filters));
  for (int i = 0; i < filters; ++i) {
    int lower = edges[i], center = edges[i + 1], upper = edges[i + 2];
    if (lower == center)
      matrix[center * filters + i] = 1;
    for (int j = lower; lower != center && j <= center; ++j)
      matrix[j * filters + i] = double(j - lower) / (center - lower);
    for (int j = center; j < upper; ++j)
      matrix[j * filters + i] = double(upper - j) / (upper - center);
  }
  return matrix;
}

TEST(ImportSignal, MelWeightsAreTriangles) {
  ModelBuilder b(17);
  for (const char *name : {"filters", "length", "rate"})
    b.input(name, {}, DType::Int64);
  b.input("low", {}).input("high", {}).output("y");
  b.node("MelWeightMatrix", {"filters", "length", "rate", "low", "high"}, {"y"});
  struct {
    int filters, length, rate;
    float low, high;
  } cases[] = {{8, 16, 8192, 0, 4096}, {3, 64, 8000, 100, 4000}, {10, 33, 16000, 20, 7600}};
  for (const auto &c : cases) {
    auto scalar = [](int value) { return Tensor::of<int64_t>({}, {value}); };
    std::vector<Tensor> found =
        run(b, {scalar(c.filters), scalar(c.length), scalar(c.rate), Tensor::of<float>({}, {c.low}),
                Tensor::of<float>({}, {c.high})});
    expectFloats(found.at(0), {c.length / 2 + 1, c.filters},
                 melMatrix(c.filters, c.length, c.rate, c.low, c.high));
  }
}
