//===- ResizeTest.cpp - nearest, linear and cubic resizing ----------------===//
//
// Expected values come from the reference implementation in onnx's test cases.
//
//===----------------------------------------------------------------------===//
#include "tests/reference/KernelCall.h"

#include <cmath>

using namespace quern;
using namespace quern::reference;

namespace {

using Ints = std::vector<int64_t>;

struct Rule {
  std::string mode = "linear";
  std::string coordinates = "half_pixel";
  std::string nearest = "round_prefer_floor";
  double cubicCoefficient = -0.75;
  bool excludeOutside = false;
  double extrapolation = 0;
  bool antialias = false;

  Attributes attributes() const {
    return makeAttributes(
        {{"mode", numberOf<ResizeMode>(mode)},
         {"coordinate_transformation_mode", numberOf<ResizeCoordinates>(coordinates)},
         {"nearest_mode", numberOf<NearestMode>(nearest)},
         {"cubic_coeff_a", cubicCoefficient},
         {"exclude_outside", int64_t(excludeOutside)},
         {"extrapolation_value", extrapolation},
         {"antialias", int64_t(antialias)}});
  }
};

Tensor floats(const std::vector<float> &values) {
  return Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
}

Tensor toSizes(const Tensor &x, const Ints &sizes, const Rule &rule, const Tensor &roi = {}) {
  return evaluate("nn.resize", {x, roi, Tensor(), Tensor::ofInts(sizes)}, rule.attributes());
}

Tensor byScales(const Tensor &x, const std::vector<float> &scales, const Rule &rule,
                const Tensor &roi = {}) {
  return evaluate("nn.resize", {x, roi, floats(scales), Tensor()}, rule.attributes());
}

const Tensor kRow = floats({1, 2, 4, 8});
const Tensor kPlane = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 9});

} // namespace

TEST(Resize, PicksTheNearest) {
  auto expect = [](const std::string &coordinates, const std::string &nearest,
                   const std::vector<float> &elements) {
    SCOPED_TRACE(coordinates + " " + nearest);
    expectTensor(toSizes(kRow, {7}, {"nearest", coordinates, nearest}), {7}, elements);
  };
  expect("half_pixel", "round_prefer_floor", {1, 1, 2, 2, 4, 8, 8});
  expect("half_pixel", "round_prefer_ceil", {1, 1, 2, 4, 4, 8, 8});
  expect("half_pixel", "floor", {1, 1, 1, 2, 4, 4, 8});
  expect("half_pixel", "ceil", {1, 2, 2, 4, 8, 8, 8});
  expect("align_corners", "round_prefer_floor", {1, 1, 2, 2, 4, 4, 8});
  expect("align_corners", "round_prefer_ceil", {1, 2, 2, 4, 4, 8, 8});
  expect("asymmetric", "floor", {1, 1, 2, 2, 4, 4, 8});
  expect("asymmetric", "ceil", {1, 2, 4, 4, 8, 8, 8});
  expectTensor<float>(byScales(kRow, {2}, {"nearest", "asymmetric", "floor"}), {8},
                      {1, 1, 2, 2, 4, 4, 8, 8});
  expectTensor<float>(byScales(kRow, {0.5f}, {"nearest", "tf_half_pixel_for_nn", "floor"}), {2},
                      {2, 8});
}

TEST(Resize, InterpolatesLinearly) {
  auto expect = [](const std::string &coordinates, const std::vector<float> &elements) {
    SCOPED_TRACE(coordinates);
    expectTensor(toSizes(kRow, {6}, {"linear", coordinates}), {6}, elements);
  };
  expect("half_pixel", {1, 1.5f, 7 / 3.0f, 11 / 3.0f, 6, 8});
  expect("pytorch_half_pixel", {1, 1.5f, 7 / 3.0f, 11 / 3.0f, 6, 8});
  expect("half_pixel_symmetric", {1, 1.5f, 7 / 3.0f, 11 / 3.0f, 6, 8});
  expect("align_corners", {1, 1.6f, 2.4f, 3.6f, 5.6f, 8});
  expect("asymmetric", {1, 5 / 3.0f, 8 / 3.0f, 4, 20 / 3.0f, 8});
  expectTensor<float>(toSizes(kPlane, {3, 5}, {"linear"}), {3, 5},
                      {1, 1.4f, 2, 2.6f, 3, 2.5f, 2.9f, 3.5f, 5, 6, 4, 4.4f, 5, 7.4f, 9});
}

TEST(Resize, InterpolatesCubically) {
  auto expect = [](const Rule &rule, const std::vector<double> &elements) {
    SCOPED_TRACE(rule.coordinates);
    Tensor found = toSizes(kRow, {6}, rule);
    ASSERT_EQ(found.dims(), Ints{6});
    for (size_t i = 0; i < 6; ++i)
      EXPECT_NEAR(found.data<float>()[i], elements[i], 1e-6) << i;
  };
  expect({"cubic", "half_pixel"}, {0.91319444, 1.3125, 2.30439815, 3.38310185, 6.1875, 8.34722222});
  expect({"cubic", "align_corners"}, {1, 1.396, 2.352, 3.288, 5.768, 8});
  expect({"cubic", "asymmetric"}, {1, 1.46296296, 2.51851852, 4, 6.85185185, 8.44444444});
  expect({.mode = "cubic", .cubicCoefficient = -0.5, .excludeOutside = true},
         {0.93421053, 1.35294118, 2.25231481, 3.53935185, 6.23529412, 8.26315789});
}

TEST(Resize, CropsAndExtrapolates) {
  Rule rule{.coordinates = "tf_crop_and_resize", .extrapolation = 10};
  expectTensor<float>(toSizes(kRow, {5}, rule, floats({-0.25f, 1})), {5},
                      {10, 1.1875f, 2.25f, 4.25f, 8});
  expectTensor<float>(toSizes(kPlane, {2, 2}, rule, floats({-0.5f, 0.25f, 1, 0.75f})), {2, 2},
                      {10, 10, 4.5f, 7});
  // One element comes from the middle of the region.
  expectTensor<float>(toSizes(kRow, {1}, rule, floats({0, 1})), {1}, {3});
  // Scales are those of the whole: the region is spread over as many elements.
  expectTensor<float>(byScales(kRow, {1}, rule, floats({0, 0.5f})), {4}, {1, 1.5f, 2, 3});
  expectTensor<float>(byScales(kRow, {0.5f}, rule, floats({0, 0.5f})), {2}, {1, 3});
  rule.mode = "nearest";
  expectTensor<float>(toSizes(kRow, {5}, rule, floats({-0.25f, 1})), {5}, {10, 1, 2, 4, 8});
}

TEST(Resize, FloorsScaledSizes) {
  // In float 10 * 0.7 is 7, in double it would be less.
  Tensor ten = floats({0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  EXPECT_EQ(byScales(ten, {0.7f}, {"nearest"}).dims(), Ints{7});
  EXPECT_EQ(byScales(kRow, {0.6f}, {"linear"}).dims(), Ints{2});
  expectTensor<float>(byScales(kRow, {0.625f}, {"linear", "align_corners"}), {2}, {1, 4});
  expectTensor<float>(byScales(kRow, {0.25f}, {"linear", "pytorch_half_pixel"}), {1}, {1});
  // The centre stays the centre although 4 * 0.8 is no integer.
  expectTensor<float>(byScales(kRow, {0.8f}, {"linear", "half_pixel_symmetric"}), {3},
                      {1.25f, 3, 7});
}

TEST(Resize, LeavesAxesThatStayAsTheyAre) {
  Tensor special = Tensor::of<float>({2, 2}, {INFINITY, 1, NAN, 2});
  for (const char *mode : {"nearest", "linear", "cubic"})
    expectTensor<float>(byScales(special, {1, 1}, {mode}), {2, 2}, {INFINITY, 1, NAN, 2});
  // Elements without weight do not spoil their neighbours.
  expectTensor<float>(toSizes(floats({1, INFINITY}), {3}, {"linear", "align_corners"}), {3},
                      {1, INFINITY, INFINITY});
  expectTensor<float>(toSizes(Tensor::of<float>({}, {5}), {}, {"nearest"}), {}, {5});
}

TEST(Resize, ServesOtherElementTypes) {
  Tensor bytes = Tensor::of<uint8_t>({2}, {0, 255});
  expectTensor<uint8_t>(toSizes(bytes, {4}, {"linear"}), {4}, {0, 63, 191, 255});
  expectTensor<uint8_t>(toSizes(bytes, {3}, {"nearest"}), {3}, {0, 0, 255});
  Tensor flags = Tensor::of<bool>({2}, {true, false});
  EXPECT_EQ(elementsOf<bool>(toSizes(flags, {4}, {"nearest"})),
            (std::vector<bool>{true, true, false, false}));
  // Cubic overshoot saturates.
  Tensor step = Tensor::of<uint8_t>({4}, {0, 0, 255, 255});
  EXPECT_EQ(toSizes(step, {8}, {"cubic"}).data<uint8_t>()[5], 255);
}

TEST(Resize, AntialiasingWidensTheWeights) {
  Rule rule{.antialias = true};
  expectTensor<float>(byScales(kRow, {0.5f}, rule), {2}, {1.75f, 5.75f});
  // What grows is as without.
  expectTensor<float>(toSizes(kRow, {6}, rule), {6}, {1, 1.5f, 7 / 3.0f, 11 / 3.0f, 6, 8});
  rule.excludeOutside = true;
  expectTensor<float>(byScales(kRow, {0.5f}, rule), {2}, {1.625f / 0.875f, 4.75f / 0.875f});
  // Weights 1 to 4 beyond each end sum up to 1 as well.
  Rule cubic{.mode = "cubic", .antialias = true};
  expectTensor<float>(byScales(floats({5, 5, 5, 5, 5, 5}), {0.4f}, cubic), {2}, {5, 5});
}

TEST(Resize, SizesSayWhatScalesLeaveOpen) {
  auto results = evaluateAll("nn.resize", {kRow, Tensor(), floats({2}), Tensor::ofInts({3})},
                             Rule{"nearest", "asymmetric", "floor"}.attributes(), {DType::Float32});
  ASSERT_TRUE(results) << results.status().message();
  expectTensor<float>(results->front(), {3}, {1, 1, 2});
}

TEST(Resize, TakesEmptyTensors) {
  expectTensor<float>(toSizes(Tensor::of<float>({0, 2}, {}), {0, 4}, {"linear"}), {0, 4}, {});
  expectTensor<float>(toSizes(kRow, {0}, {"nearest"}), {0}, {});
}

TEST(Resize, RefusesWhatDoesNotFit) {
  auto error = [](const Tensor &roi, const Tensor &scales, const Tensor &sizes,
                  const Rule &rule = {}) {
    return evaluateError("nn.resize", {kRow, roi, scales, sizes}, rule.attributes()).message();
  };
  Tensor none, four = Tensor::ofInts({4});
  EXPECT_EQ(error(none, none, none), "scales or sizes must be given");
  EXPECT_EQ(error(none, floats({1, 1}), none), "scales needs 1 entries, found float32 2");
  EXPECT_EQ(error(none, none, Tensor::ofInts({4, 4})), "sizes needs 1 entries, found 2");
  EXPECT_EQ(error(none, floats({0}), none), "scales must be positive, found 0.000000");
  EXPECT_EQ(error(none, floats({NAN}), none), "scales must be positive, found nan");
  EXPECT_EQ(error(floats({}), none, four, {"linear", "tf_crop_and_resize"}),
            "roi needs 2 entries, found float32 0");
  EXPECT_EQ(
      evaluateError("nn.resize", {kRow, none, floats({1e30f}), none}, Rule().attributes()).code(),
      StatusCode::ResourceLimit);
  EXPECT_EQ(
      evaluateError("nn.resize", {kRow, none, none, Tensor::ofInts({-1})}, Rule().attributes())
          .code(),
      StatusCode::ResourceLimit);
  EXPECT_EQ(
      evaluateError("nn.resize", {floats({}), none, none, four}, Rule().attributes()).message(),
      "dimension 0 of 0 is empty and cannot grow");
}
