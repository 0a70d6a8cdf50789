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

//===----------------------------------------------------------------------===//
// DFT and STFT
//===----------------------------------------------------------------------===//

/// y = DFT(x, length, axis) of opset 20; operands of rank 0 where given.
static ModelBuilder dft(const std::vector<int64_t> &dims, bool inverse, bool onesided) {
  ModelBuilder b(20);
  b.input("x", dims).input("n", {}, DType::Int64).input("a", {}, DType::Int64).output("y");
  b.node("DFT", {"x", "n", "a"}, {"y"});
  b.attr("inverse", int64_t{inverse}).attr("onesided", int64_t{onesided});
  return b;
}

static Tensor number(int64_t value) { return Tensor::of<int64_t>({}, {value}); }

TEST(ImportSignal, DftOfAnyLengthAlongAnyAxis) {
  Tensor x = Tensor::of<float>({1, 4, 1}, {1, 2, 3, 5});
  for (const std::vector<int64_t> &dims : {std::vector<int64_t>{1, 4, 1}, {-1, -2, 1}}) {
    auto result = [&](int64_t n, bool onesided) {
      return run(dft(dims, false, onesided), {x, number(n), number(-2)}).at(0);
    };
    expectFloats(result(4, false), {1, 4, 2}, {11, 0, -2, 3, -3, 0, -2, -3});
    expectFloats(result(4, true), {1, 3, 2}, {11, 0, -2, 3, -3, 0});
    expectFloats(result(2, false), {1, 2, 2}, {3, 0, -1, 0});
    expectFloats(result(3, true), {1, 2, 2}, {6, 0, -1.5, std::sqrt(0.75)});
    // Zeros behind it.
    double r = std::sqrt(0.5);
    expectFloats(result(8, true), {1, 5, 2},
                 {11, 0, 1 - 3 * r, -3 - 7 * r, -2, 3, 1 + 3 * r, 3 - 7 * r, -3, 0});
    Tensor first = run(dft(dims, false, false), {x, number(1), number(0)}).at(0);
    expectFloats(first, {1, 4, 2}, {1, 0, 2, 0, 3, 0, 5, 0});
  }
}

TEST(ImportSignal, TheInverseOfHalfTheFrequenciesIsReal) {
  Tensor half = Tensor::of<float>({1, 3, 2}, {11, 0, -2, 3, -3, 0});
  ModelBuilder b = dft({1, 3, 2}, true, true);
  expectFloats(run(b, {half, number(4), number(1)}).at(0), {1, 4, 1}, {1, 2, 3, 5});
  // An odd length has one of the others more.
  Tensor odd = Tensor::of<float>({1, 2, 2}, {6, 0, -1.5, std::sqrt(0.75f)});
  expectFloats(run(dft({1, 2, 2}, true, true), {odd, number(3), number(1)}).at(0), {1, 3, 1},
               {1, 2, 3});
  ModelBuilder otherwise(20);
  otherwise.input("x", {1, 3, 2}).node("DFT", {"x"}, {"y"}).output("y");
  otherwise.attr("inverse", int64_t{1}).attr("onesided", int64_t{1});
  expectFloats(run(otherwise, {half}).at(0), {1, 4, 1}, {1, 2, 3, 5});
  ModelBuilder beyond(17);
  beyond.input("x", {1, 3, 2}).node("DFT", {"x"}, {"y"}).attr("axis", int64_t{-5}).output("y");
  beyond.attr("inverse", int64_t{1}).attr("onesided", int64_t{1});
  expectError(beyond, StatusCode::InvalidModel, {"axis must be in [-3, 3), found -5"});
  expectError(dft({1, 3, 1}, true, true), StatusCode::InvalidModel,
              {"the last dimension of the signal must be 2, found 1"});
  expectError(dft({1, 3, 2}, false, true), StatusCode::InvalidModel,
              {"the last dimension of the signal must be 1, found 2"});
}

TEST(ImportSignal, DftBeforeOpset20HasAnAttributeForTheAxis) {
  ModelBuilder b(17);
  b.input("x", {2, 2, 1}).node("DFT", {"x"}, {"y"}).attr("axis", int64_t{0}).output("y");
  Tensor x = Tensor::of<float>({2, 2, 1}, {1, 2, 3, 4});
  expectFloats(run(b, {x}).at(0), {2, 2, 2}, {4, 0, 6, 0, -2, 0, -2, 0});
  b.attr("inverse", int64_t{1});
  expectFloats(run(b, {x}).at(0), {2, 2, 2}, {2, 0, 3, 0, -1, 0, -1, 0});
}

TEST(ImportSignal, StftTransformsFrames) {
  ModelBuilder b(17);
  b.input("x", {1, -1, 1}).input("step", {}, DType::Int64).input("w", {2}).output("y");
  b.node("STFT", {"x", "step", "w"}, {"y"});
  Tensor x = Tensor::of<float>({1, 5, 1}, {1, 2, 3, 4, 5}), w = Tensor::of<float>({2}, {1, 2});
  // Frames (1, 4), (3, 8); the fifth number has no frame.
  expectFloats(run(b, {x, number(2), w}).at(0), {1, 2, 2, 2}, {5, 0, -3, 0, 11, 0, -5, 0});
  ModelBuilder plain(17);
  plain.input("x", {1, 3, 1}).input("step", {}, DType::Int64).input("n", {}, DType::Int64);
  plain.node("STFT", {"x", "step", "", "n"}, {"y"}).attr("onesided", int64_t{0}).output("y");
  expectFloats(run(plain, {Tensor::of<float>({1, 3, 1}, {1, 2, 4}), number(1), number(2)}).at(0),
               {1, 2, 2, 2}, {3, 0, -1, 0, 6, 0, -2, 0});
  ModelBuilder longer(17);
  longer.input("x", {1, 3, 1}).input("step", {}, DType::Int64).input("w", {2}).output("y");
  longer.ints("n", {3}).node("STFT", {"x", "step", "w", "n"}, {"y"});
  Imported imported(longer);
  if (imported.module) {
    auto outputs = interpreter::interpret(
        nn::findMain(**imported.module),
        std::vector<Tensor>{Tensor::of<float>({1, 3, 1}, {1, 2, 4}), number(1), w});
    EXPECT_FALSE(outputs);
  }
}
