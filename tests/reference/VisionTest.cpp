//===- VisionTest.cpp - sampling, regions, windows summed up --------------===//
#include "tests/reference/KernelCall.h"

#include <cmath>

using namespace quern;
using namespace quern::reference;
using Ints = std::vector<int64_t>;
using Floats = std::vector<float>;

//===----------------------------------------------------------------------===//
// grid_sample
//===----------------------------------------------------------------------===//

static Tensor square() { return Tensor::of<float>({1, 1, 2, 2}, {1, 2, 3, 4}); }

static Attributes sampling(const char *mode, const char *padding, bool alignCorners = false) {
  return makeAttributes({{"mode", numberOf<ResizeMode>(mode)},
                         {"padding", numberOf<PadMode>(padding)},
                         {"align_corners", int64_t{alignCorners}}});
}

/// The square at points (x, y).
static Floats sampled(const Floats &points, const Attributes &attributes) {
  auto count = static_cast<int64_t>(points.size()) / 2;
  Tensor result =
      evaluate("nn.grid_sample", {square(), Tensor::of<float>({1, count, 2}, points)}, attributes);
  EXPECT_EQ(result.dims(), (Ints{1, 1, count}));
  return elementsOf<float>(result);
}

TEST(GridSample, InterpolatesLinearly) {
  Floats points = {0.5f, 0.5f, 0, 0, 1, 0, -0.5f, 0, 5, 5, 1.25f, 1};
  EXPECT_EQ(sampled(points, sampling("linear", "constant")), (Floats{2.5f, 1, 2, 0.5f, 0, 3}));
  EXPECT_EQ(sampled(points, sampling("linear", "edge")), (Floats{2.5f, 1, 2, 1, 4, 4}));
}

TEST(GridSample, ReflectsAtEdgesOrCentres) {
  Floats points = {-1, 0, 2, 0, 1.5f, 0, 3, 1, -1e30f, 0};
  Floats edges = sampled(points, sampling("linear", "reflect"));
  EXPECT_EQ(Floats(edges.begin(), edges.begin() + 4), (Floats{1, 2, 2, 3}));
  Floats centres = sampled(points, sampling("linear", "reflect", true));
  EXPECT_EQ(Floats(centres.begin(), centres.begin() + 4), (Floats{2, 1, 1.5f, 4}));
  // A single pixel has nothing to turn at.
  Tensor one = evaluate("nn.grid_sample",
                        {Tensor::of<float>({1, 1, 1}, {7}), Tensor::of<float>({1, 2, 1}, {-3, 9})},
                        sampling("linear", "reflect", true));
  expectTensor<float>(one, {1, 1, 2}, {7, 7});
}

TEST(GridSample, NearestRoundsTiesToEven) {
  Floats points = {0.5f, 0, 1.5f, 0, 1.4f, 0.6f, -0.5f, 0};
  EXPECT_EQ(sampled(points, sampling("nearest", "constant")), (Floats{1, 0, 4, 1}));
  EXPECT_EQ(sampled(points, sampling("nearest", "edge")), (Floats{1, 2, 4, 1}));
}

TEST(GridSample, InterpolatesCubically) {
  Floats points = {1, 1, 0.5f, 0};
  EXPECT_EQ(sampled(points, sampling("cubic", "edge")), (Floats{4, 1.5f}));
  EXPECT_EQ(sampled(points, sampling("cubic", "constant")), (Floats{4, 1.78125f}));
}

TEST(GridSample, OfVolumesChannelsAndBatches) {
  Tensor volume = Tensor::of<float>({1, 1, 2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  Tensor points = Tensor::of<float>({1, 3, 1, 1, 3}, {0.5f, 0.5f, 0.5f, 1, 0, 0, 0, 0, 1});
  expectTensor<float>(evaluate("nn.grid_sample", {volume, points}, sampling("linear", "edge")),
                      {1, 1, 3, 1, 1}, {3.5f, 1, 4});
  Tensor rows = Tensor::of<float>({2, 2, 2}, {0, 1, 10, 11, 20, 21, 30, 31});
  expectTensor<float>(evaluate("nn.grid_sample", {rows, Tensor::of<float>({2, 1, 1}, {0.5f, 1})},
                               sampling("linear", "edge")),
                      {2, 2, 1}, {0.5f, 10.5f, 21, 31});
  Tensor bytes = Tensor::of<uint8_t>({1, 1, 2}, {3, 8});
  expectTensor<uint8_t>(evaluate("nn.grid_sample", {bytes, Tensor::of<double>({1, 1, 1}, {0.5})},
                                 sampling("linear", "edge")),
                        {1, 1, 1}, {5});
}

TEST(GridSample, TakesAnyPlace) {
  Floats points = {NAN, 0, INFINITY, 0, -INFINITY, 1, 1e38f, -1e38f};
  for (const char *mode : {"nearest", "linear", "cubic"})
    for (const char *padding : {"constant", "edge", "reflect"})
      for (float value : sampled(points, sampling(mode, padding)))
        EXPECT_TRUE(value >= 0 && value <= 4) << mode << " " << padding << " " << value;
  EXPECT_EQ(evaluateError("nn.grid_sample", {square(), Tensor::of<float>({1, 1, 3}, {0, 0, 0})})
                .message(),
            "points float32 1x1x3 do not fit input float32 1x1x2x2");
  EXPECT_EQ(evaluateError("nn.grid_sample",
                          {Tensor::of<float>({1, 1, 0}, {}), Tensor::of<float>({1, 1, 1}, {0})})
                .message(),
            "an empty image float32 1x1x0 has no elements to sample");
}

//===----------------------------------------------------------------------===//
// roi_pool
//===----------------------------------------------------------------------===//

namespace {
struct Roi {
  const char *kind = "mean";
  bool halfPixel = false, wholePixels = false;
  int64_t samplingRatio = 1;
  double scale = 1;

  Attributes attributes() const {
    return makeAttributes({{"kind", numberOf<ReduceKind>(kind)},
                           {"height", int64_t{2}},
                           {"width", int64_t{2}},
                           {"spatial_scale", scale},
                           {"sampling_ratio", samplingRatio},
                           {"half_pixel", int64_t{halfPixel}},
                           {"whole_pixels", int64_t{wholePixels}}});
  }
};
} // namespace

/// An image of 0 to 15, and one of 100 to 115.
static Tensor twoImages() {
  Floats elements;
  for (int i = 0; i < 32; ++i)
    elements.push_back(static_cast<float>(i < 16 ? i : i + 84));
  return Tensor::of<float>({2, 1, 4, 4}, elements);
}

static Floats pooled(const Floats &roi, const Roi &rule, int64_t image = 0) {
  Tensor result = evaluate("nn.roi_pool",
                           {twoImages(), Tensor::of<float>({1, 4}, roi), Tensor::ofInts({image})},
                           rule.attributes());
  EXPECT_EQ(result.dims(), (Ints{1, 1, 2, 2}));
  return elementsOf<float>(result);
}

TEST(RoiPool, SamplesBetweenPixels) {
  Floats whole = {0, 0, 4, 4};
  EXPECT_EQ(pooled(whole, {}), (Floats{5, 7, 13, 15}));
  EXPECT_EQ(pooled(whole, {}, 1), (Floats{105, 107, 113, 115}));
  EXPECT_EQ(pooled(whole, {}, -1), (Floats{105, 107, 113, 115}));
  EXPECT_EQ(pooled(whole, {.halfPixel = true}), (Floats{2.5f, 4.5f, 10.5f, 12.5f}));
  EXPECT_EQ(pooled(whole, {.halfPixel = true, .samplingRatio = 0}),
            (Floats{2.5f, 4.5f, 10.5f, 12.5f}));
  EXPECT_EQ(pooled({0, 0, 8, 8}, {.scale = 0.5}), (Floats{5, 7, 13, 15}));
  // Of the largest, the largest part of a pixel counts, as ONNX has it.
  EXPECT_EQ(pooled(whole, {.kind = "max", .halfPixel = true}),
            (Floats{1.25f, 1.75f, 3.25f, 3.75f}));
  EXPECT_EQ(pooled({-9, -9, -8, -8}, {}), (Floats{0, 0, 0, 0}));
  EXPECT_EQ(pooled({3, 3, 1, 1}, {.halfPixel = true, .samplingRatio = 0}), (Floats{0, 0, 0, 0}));
}

TEST(RoiPool, TakesWholePixels) {
  Roi max{.kind = "max", .wholePixels = true};
  EXPECT_EQ(pooled({0, 0, 3, 3}, max), (Floats{5, 7, 13, 15}));
  EXPECT_EQ(pooled({1, 1, 2, 2}, max), (Floats{5, 6, 9, 10}));
  EXPECT_EQ(pooled({2, 2, 9, 9}, max), (Floats{15, 0, 0, 0}));
  EXPECT_EQ(pooled({8, 8, 9, 9}, max), (Floats{0, 0, 0, 0}));
  EXPECT_EQ(pooled({0, 0, 3, 3}, {.kind = "mean", .wholePixels = true}),
            (Floats{2.5f, 4.5f, 10.5f, 12.5f}));
}

TEST(RoiPool, RefusesWhatDoesNotFit) {
  auto error = [](const Floats &roi, int64_t image, const Roi &rule) {
    return evaluateError("nn.roi_pool",
                         {twoImages(), Tensor::of<float>({1, 4}, roi), Tensor::ofInts({image})},
                         rule.attributes())
        .message();
  };
  EXPECT_EQ(error({0, 0, 1, 1}, 2, {}), "index 2 is out of range for a size of 2");
  EXPECT_EQ(error({NAN, 0, 1, 1}, 0, {}), "a region from nan to 1 has no samples");
  EXPECT_EQ(error({0, 0, 1e30f, 1}, 0, {.samplingRatio = 0}).substr(0, 13), "a region from");
  EXPECT_EQ(error({0, 0, INFINITY, 1}, 0, {.wholePixels = true}),
            "a region from 0 to inf has no pixels");
}

//===----------------------------------------------------------------------===//
// col2im
//===----------------------------------------------------------------------===//

static Tensor summed(const Tensor &input, const Ints &image, const Ints &block,
                     const Attributes &attributes = {}) {
  return evaluate("nn.col2im", {input, Tensor::ofInts(image), Tensor::ofInts(block)}, attributes);
}

TEST(Col2Im, SumsWindowsUp) {
  Tensor ones = Tensor::of<float>({1, 4, 4}, Floats(16, 1));
  expectTensor<float>(summed(ones, {3, 3}, {2, 2}), {1, 1, 3, 3}, {1, 2, 1, 2, 4, 2, 1, 2, 1});
  std::vector<int32_t> counted(16);
  for (int i = 0; i < 16; ++i)
    counted[i] = i;
  Tensor numbers = Tensor::of<int32_t>({1, 4, 4}, counted);
  Attributes spread = makeAttributes({{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}});
  expectTensor<int32_t>(summed(numbers, {2, 2}, {2, 2}, spread), {1, 1, 2, 2}, {12, 9, 6, 3});
  // Two channels of a row; elements of a window two apart.
  Tensor rows = Tensor::of<float>({1, 4, 1}, {1, 2, 3, 4});
  expectTensor<float>(summed(rows, {3}, {2}, makeAttributes({{"dilations", Ints{2}}})), {1, 2, 3},
                      {1, 0, 2, 3, 0, 4});
}

TEST(Col2Im, RefusesWhatDoesNotFit) {
  Tensor ones = Tensor::of<float>({1, 4, 4}, Floats(16, 1));
  auto error = [&](const Ints &image, const Ints &block) {
    return evaluateError("nn.col2im", {ones, Tensor::ofInts(image), Tensor::ofInts(block)})
        .message();
  };
  EXPECT_EQ(error({4, 3}, {2, 2}), "the input float32 1x4x4 does not fit an image of 4x3 in "
                                   "windows of 2x2");
  EXPECT_EQ(error({-1, 3}, {2, 2}), "image_shape must not be negative, found -1x3");
  EXPECT_EQ(error({3, 3}, {2}), "kernel, strides, dilations and pads have 1, 2, 2 and 4 entries "
                                "for 2 spatial dimensions");
  EXPECT_EQ(error({3, 3}, {2, 0}), "kernel sizes must be positive, found 0");
  EXPECT_EQ(error({}, {}), "image_shape must not be empty");
}

//===----------------------------------------------------------------------===//
// det
//===----------------------------------------------------------------------===//

TEST(Det, OfMatrices) {
  auto det = [](const Tensor &input) { return evaluate("nn.det", {input}); };
  expectTensor<float>(det(Tensor::of<float>({2, 2}, {1, 2, 3, 4})), {}, {-2});
  expectTensor<float>(det(Tensor::of<float>({3, 2, 2}, {1, 2, 2, 4, 0, 1, 1, 0, 2, 0, 0, 3})), {3},
                      {0, -1, 6});
  expectTensor<double>(det(Tensor::of<double>({1, 3, 3}, {0, 2, 1, 1, 0, 0, 4, 1, 4})), {1}, {-7});
  expectTensor<float>(det(Tensor::of<float>({2, 0, 0}, {})), {2}, {1, 1});
  EXPECT_EQ(evaluateError("nn.det", {Tensor::of<float>({1, 2}, {1, 2})}).message(),
            "the input must hold square matrices, found float32 1x2");
}
