//===- ConvTest.cpp - convolution and transposed convolution --------------===//
#include "tests/reference/KernelCall.h"

#include <cmath>
#include <numeric>

using namespace quern;
using namespace quern::reference;

namespace {

using Ints = std::vector<int64_t>;

/// The attributes of a 2-D window.
struct Window {
  Ints strides = {1, 1};
  Ints dilations = {1, 1};
  Ints pads = {0, 0, 0, 0};
  int64_t group = 1;
  AutoPad autoPad = AutoPad::NotSet;

  Attributes attributes() const {
    return makeAttributes({{"strides", strides},
                           {"dilations", dilations},
                           {"pads", pads},
                           {"group", group},
                           {"auto_pad", int64_t(autoPad)},
                           {"input_block", int64_t{0}},
                           {"output_block", int64_t{0}}});
  }
  Attributes transposed(const Ints &outputPadding = {0, 0}, const Ints &outputShape = {}) const {
    Attributes result = attributes();
    result.set("output_padding", outputPadding);
    result.set("output_shape", outputShape);
    return result;
  }
};

/// Small integers in no simple order: their products and sums are exact.
template <typename T> Tensor patterned(const Tensor::Dims &dims, int64_t seed) {
  std::vector<T> values(CheckedSize::product(dims).value());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = T(float((int64_t(i) * 7 + seed) % 11 - 5));
  return Tensor::of<T>(dims, values);
}

float at(const Tensor &t, int64_t n, int64_t c, int64_t y, int64_t x) {
  return t.data<float>()[((n * t.dim(1) + c) * t.dim(2) + y) * t.dim(3) + x];
}

/// The definition of 2-D convolution, one result element at a time.
std::vector<float> directConv(const Tensor &input, const Tensor &weights, const Tensor &bias,
                              const Window &w, const Tensor::Dims &resultDims) {
  std::vector<float> result;
  int64_t outputsPerGroup = weights.dim(0) / w.group;
  for (int64_t n = 0; n < resultDims[0]; ++n)
    for (int64_t m = 0; m < resultDims[1]; ++m)
      for (int64_t y = 0; y < resultDims[2]; ++y)
        for (int64_t x = 0; x < resultDims[3]; ++x) {
          float sum = bias.isPresent() ? bias.data<float>()[m] : 0;
          for (int64_t c = 0; c < weights.dim(1); ++c)
            for (int64_t ky = 0; ky < weights.dim(2); ++ky)
              for (int64_t kx = 0; kx < weights.dim(3); ++kx) {
                int64_t iy = y * w.strides[0] + ky * w.dilations[0] - w.pads[0];
                int64_t ix = x * w.strides[1] + kx * w.dilations[1] - w.pads[1];
                if (iy >= 0 && iy < input.dim(2) && ix >= 0 && ix < input.dim(3))
                  sum += at(weights, m, c, ky, kx) *
                         at(input, n, m / outputsPerGroup * weights.dim(1) + c, iy, ix);
              }
          result.push_back(sum);
        }
  return result;
}

void expectDirect(const Tensor::Dims &inputDims, const Tensor::Dims &weightDims, const Window &w,
                  const Tensor::Dims &resultDims) {
  Tensor input = patterned<float>(inputDims, 1), weights = patterned<float>(weightDims, 2);
  Tensor bias = patterned<float>({weightDims[0]}, 3);
  expectTensor(evaluate("nn.conv", {input, weights, bias}, w.attributes()), resultDims,
               directConv(input, weights, bias, w, resultDims));
}

} // namespace

//===----------------------------------------------------------------------===//
// Convolution
//===----------------------------------------------------------------------===//

TEST(Conv, AgreesWithTheDefinition) {
  expectDirect({1, 1, 3, 3}, {1, 1, 2, 2}, {}, {1, 1, 2, 2});
  expectDirect({2, 3, 7, 5}, {4, 3, 3, 3}, {.pads = {1, 1, 1, 1}}, {2, 4, 7, 5});
  expectDirect({2, 3, 9, 8}, {4, 3, 3, 2}, {.strides = {2, 3}, .pads = {1, 0, 2, 1}}, {2, 4, 5, 3});
  expectDirect({1, 2, 9, 9}, {3, 2, 3, 3}, {.dilations = {2, 3}, .pads = {0, 1, 0, 1}},
               {1, 3, 5, 5});
  // Pads larger than the input: some windows lie in the padding altogether.
  expectDirect({1, 1, 2, 2}, {1, 1, 2, 2}, {.strides = {3, 1}, .pads = {5, 4, 4, 6}},
               {1, 1, 4, 11});
}

TEST(Conv, DividesIntoGroups) {
  expectDirect({2, 6, 5, 5}, {4, 3, 3, 3}, {.group = 2}, {2, 4, 3, 3});
  // Depthwise, with two outputs for each channel.
  expectDirect({1, 3, 6, 6}, {6, 1, 3, 3}, {.pads = {1, 1, 1, 1}, .group = 3}, {1, 6, 6, 6});
}

TEST(Conv, CrossesTheBordersOfItsTiles) {
  // More positions, outputs and depth than one tile holds.
  expectDirect({1, 15, 13, 21}, {300, 15, 3, 3}, {.pads = {1, 1, 1, 1}}, {1, 300, 13, 21});
}

TEST(Conv, TakesOneAndThreeDimensions) {
  Attributes line = makeAttributes(
      {{"strides", Ints{2}}, {"dilations", Ints{1}}, {"pads", Ints{1, 0}}, {"group", int64_t{1}}});
  expectTensor<float>(evaluate("nn.conv",
                               {Tensor::of<float>({1, 1, 5}, {1, 2, 3, 4, 5}),
                                Tensor::of<float>({1, 1, 3}, {1, 10, 100}), Tensor()},
                               line),
                      {1, 1, 2}, {210, 432});
  Attributes cube = makeAttributes({{"strides", Ints{1, 1, 1}},
                                    {"dilations", Ints{1, 1, 1}},
                                    {"pads", Ints{0, 0, 0, 1, 0, 0}},
                                    {"group", int64_t{1}}});
  expectTensor<float>(evaluate("nn.conv",
                               {Tensor::of<float>({1, 1, 2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}),
                                Tensor::of<float>({1, 1, 2, 2, 2}, {1, 1, 1, 1, 10, 10, 10, 10}),
                                Tensor::of<float>({1}, {0.5f})},
                               cube),
                      {1, 1, 2, 1, 1}, {270.5f, 26.5f});
}

TEST(Conv, ResolvesAutoPad) {
  Tensor input = Tensor::of<float>({1, 1, 1, 4}, {1, 2, 3, 4});
  Tensor weights = Tensor::of<float>({1, 1, 1, 2}, {1, 10});
  Window window;
  window.pads = {9, 9, 9, 9}; // ignored
  window.autoPad = AutoPad::SameUpper;
  expectTensor<float>(evaluate("nn.conv", {input, weights, Tensor()}, window.attributes()),
                      {1, 1, 1, 4}, {21, 32, 43, 4});
  window.autoPad = AutoPad::SameLower;
  expectTensor<float>(evaluate("nn.conv", {input, weights, Tensor()}, window.attributes()),
                      {1, 1, 1, 4}, {10, 21, 32, 43});
  window.autoPad = AutoPad::Valid;
  expectTensor<float>(evaluate("nn.conv", {input, weights, Tensor()}, window.attributes()),
                      {1, 1, 1, 3}, {21, 32, 43});
}

TEST(Conv, GivesTheSameInBlockedLayouts) {
  // 6 input and 10 output channels in blocks of 4: both end in padding channels.
  Tensor input = patterned<float>({2, 6, 5, 4}, 1), weights = patterned<float>({10, 3, 3, 3}, 2);
  Tensor bias = patterned<float>({10}, 3);
  Window window{.pads = {1, 1, 1, 1}, .group = 2};
  Tensor plain = evaluate("nn.conv", {input, weights, bias}, window.attributes());
  Attributes four = makeAttributes({{"output_block", int64_t{4}}});
  Tensor packed = evaluate("nn.pack", {input}, four);
  Attributes blocked = window.attributes();
  blocked.set("input_block", int64_t{4});
  blocked.set("output_block", int64_t{4});
  Tensor result = evaluate("nn.conv", {packed, weights, bias}, blocked);
  expectTensor(result, {2, 3, 5, 4, 4}, elementsOf<float>(evaluate("nn.pack", {plain}, four)));
  blocked.set("output_block", int64_t{0});
  expectTensor(evaluate("nn.conv", {packed, weights, bias}, blocked), {2, 10, 5, 4},
               elementsOf<float>(plain));
}

TEST(Conv, TransposedGivesTheSameInBlockedLayouts) {
  Tensor input = patterned<float>({2, 6, 5, 4}, 1), weights = patterned<float>({6, 5, 3, 3}, 2);
  Tensor bias = patterned<float>({10}, 3);
  Window window{.strides = {2, 2}, .pads = {1, 0, 1, 0}, .group = 2};
  Tensor plain = evaluate("nn.conv_transpose", {input, weights, bias}, window.transposed());
  Attributes four = makeAttributes({{"output_block", int64_t{4}}});
  Tensor packed = evaluate("nn.pack", {input}, four);
  Attributes blocked = window.transposed();
  blocked.set("input_block", int64_t{4});
  blocked.set("output_block", int64_t{4});
  Tensor result = evaluate("nn.conv_transpose", {packed, weights, bias}, blocked);
  expectTensor(result, {2, 3, 9, 9, 4}, elementsOf<float>(evaluate("nn.pack", {plain}, four)));
  blocked.set("output_block", int64_t{0});
  expectTensor(evaluate("nn.conv_transpose", {packed, weights, bias}, blocked), {2, 10, 9, 9},
               elementsOf<float>(plain));
}

TEST(Conv, ServesOtherElementTypes) {
  Window window{.pads = {1, 1, 1, 1}};
  Tensor expected = evaluate(
      "nn.conv", {patterned<float>({1, 2, 4, 4}, 1), patterned<float>({2, 2, 3, 3}, 2), Tensor()},
      window.attributes());
  auto expectSame = [&]<typename T>(T) {
    Tensor found = evaluate(
        "nn.conv", {patterned<T>({1, 2, 4, 4}, 1), patterned<T>({2, 2, 3, 3}, 2), Tensor()},
        window.attributes());
    ASSERT_EQ(found.dims(), expected.dims());
    for (int64_t i = 0; i < found.numElements(); ++i)
      EXPECT_EQ(float(found.data<T>()[i]), expected.data<float>()[i]);
  };
  expectSame(double());
  expectSame(int32_t());
  expectSame(int64_t());
  // Sums of up to 18 products of at most 25 have no more bits than float16 holds.
  expectSame(Float16());
}

TEST(Conv, SumsBytesInIntegersWithTheirPadding) {
  Tensor image = Tensor::of<uint8_t>({1, 1, 1, 2}, {200, 10});
  Tensor weights = Tensor::of<int8_t>({1, 1, 1, 3}, {-128, 127, 2});
  Window window{.pads = {0, 1, 0, 1}};
  Attributes attributes = window.attributes();
  attributes.set("pad_value", int64_t{7});
  Tensor bias = Tensor::of<int32_t>({1}, {1000000});
  expectTensor<int32_t>(evaluate("nn.conv", {image, weights, bias}, attributes, DType::Int32),
                        {1, 1, 1, 2},
                        {1000000 - 7 * 128 + 200 * 127 + 20, 1000000 - 200 * 128 + 1270 + 14});
}

TEST(Conv, SumsInDouble) {
  // In float, 1e8 + 1 - 1e8 is 0.
  Attributes line = makeAttributes(
      {{"strides", Ints{1}}, {"dilations", Ints{1}}, {"pads", Ints{0, 0}}, {"group", int64_t{1}}});
  expectTensor<float>(evaluate("nn.conv",
                               {Tensor::of<float>({1, 1, 3}, {1e8f, 1, -1e8f}),
                                Tensor::of<float>({1, 1, 3}, {1, 1, 1}), Tensor()},
                               line),
                      {1, 1, 1}, {1});
}

TEST(Conv, TakesEmptyTensors) {
  Window window;
  Tensor weights = patterned<float>({2, 1, 1, 1}, 2);
  expectTensor<float>(evaluate("nn.conv", {patterned<float>({0, 1, 3, 3}, 1), weights, Tensor()},
                               window.attributes()),
                      {0, 2, 3, 3}, {});
  // Without channels the result is the bias.
  expectTensor<float>(evaluate("nn.conv",
                               {patterned<float>({1, 0, 1, 2}, 1),
                                patterned<float>({2, 0, 1, 1}, 2), Tensor::of<float>({2}, {3, 4})},
                               window.attributes()),
                      {1, 2, 1, 2}, {3, 3, 4, 4});
}

TEST(Conv, RefusesWhatDoesNotFit) {
  Tensor input = patterned<float>({1, 4, 3, 3}, 1), weights = patterned<float>({2, 4, 2, 2}, 2);
  auto message = [&](const Tensor &x, const Tensor &w, const Tensor &b, const Window &window) {
    return evaluateError("nn.conv", {x, w, b}, window.attributes()).message();
  };
  EXPECT_EQ(message(input, patterned<float>({2, 3, 2, 2}, 1), Tensor(), {}),
            "input float32 1x4x3x3 does not fit weights float32 2x3x2x2 in 1 groups");
  EXPECT_EQ(message(input, patterned<float>({2, 4, 2}, 1), Tensor(), {}),
            "input float32 1x4x3x3 does not fit weights float32 2x4x2");
  EXPECT_EQ(message(input, patterned<float>({3, 2, 2, 2}, 1), Tensor(), {.group = 2}),
            "weights float32 3x2x2x2 do not divide into 2 groups");
  EXPECT_EQ(message(input, weights, Tensor(), {.group = 0}), "group must be positive, found 0");
  EXPECT_EQ(message(input, weights, patterned<float>({3}, 1), {}),
            "bias needs 2 elements, found float32 3");
  EXPECT_EQ(message(input, patterned<double>({2, 4, 2, 2}, 1), Tensor(), {}),
            "operand types differ: float32 1x4x3x3 and float64 2x4x2x2");
  EXPECT_EQ(message(input, weights, Tensor(), {.strides = {1}}),
            "kernel, strides, dilations and pads have 2, 1, 2 and 4 entries for 2 spatial "
            "dimensions");
  EXPECT_EQ(message(input, weights, Tensor(), {.strides = {0, 1}}),
            "strides must be positive, found 0");
  EXPECT_EQ(message(patterned<float>({1, 4}, 1), weights, Tensor(), {}),
            "input needs batch, channels and spatial dimensions, found float32 1x4");
  int64_t huge = int64_t{1} << 40;
  EXPECT_EQ(evaluateError("nn.conv", {input, weights, Tensor()},
                          Window{.pads = {huge, huge, huge, huge}}.attributes())
                .code(),
            StatusCode::ResourceLimit);
}

//===----------------------------------------------------------------------===//
// Transposed convolution
//===----------------------------------------------------------------------===//

/// Transposed convolution is the adjoint of convolution with the same window:
/// <conv(x), y> = <x, conv_transpose(y)>.
static void expectAdjoint(const Tensor::Dims &xDims, const Tensor::Dims &weightDims,
                          const Tensor::Dims &yDims, const Window &window,
                          const Ints &outputPadding) {
  Tensor x = patterned<float>(xDims, 1), y = patterned<float>(yDims, 2);
  Tensor weights = patterned<float>(weightDims, 3);
  Tensor convolved = evaluate("nn.conv", {x, weights, Tensor()}, window.attributes());
  Tensor transposed =
      evaluate("nn.conv_transpose", {y, weights, Tensor()}, window.transposed(outputPadding));
  ASSERT_EQ(convolved.dims(), yDims);
  ASSERT_EQ(transposed.dims(), xDims);
  auto dot = [](const Tensor &a, const Tensor &b) {
    return std::inner_product(a.data<float>(), a.data<float>() + a.numElements(), b.data<float>(),
                              0.0);
  };
  EXPECT_EQ(dot(convolved, y), dot(x, transposed));
}

TEST(ConvTranspose, IsTheAdjointOfConv) {
  expectAdjoint({2, 3, 5, 6}, {4, 3, 3, 3}, {2, 4, 3, 4}, {}, {0, 0});
  expectAdjoint({1, 3, 8, 7}, {2, 3, 3, 2}, {1, 2, 4, 3}, {.strides = {2, 3}, .pads = {1, 1, 0, 1}},
                {0, 1});
  expectAdjoint({1, 2, 9, 9}, {3, 2, 3, 3}, {1, 3, 5, 5},
                {.dilations = {2, 3}, .pads = {0, 1, 0, 1}}, {0, 0});
  expectAdjoint({2, 6, 5, 5}, {4, 3, 3, 3}, {2, 4, 3, 3}, {.group = 2}, {0, 0});
}

TEST(ConvTranspose, SpreadsEachElement) {
  Tensor input = Tensor::of<float>({1, 1, 1, 2}, {1, 2});
  Tensor weights = Tensor::of<float>({1, 1, 1, 3}, {1, 10, 100});
  Window window{.strides = {1, 2}};
  auto transpose = [&](const Ints &outputPadding, const Ints &outputShape) {
    return evaluate("nn.conv_transpose", {input, weights, Tensor::of<float>({1}, {0.5f})},
                    window.transposed(outputPadding, outputShape));
  };
  expectTensor<float>(transpose({0, 0}, {}), {1, 1, 1, 5}, {1.5f, 10.5f, 102.5f, 20.5f, 200.5f});
  // Output padding and output shapes beyond the products hold the bias.
  expectTensor<float>(transpose({0, 1}, {}), {1, 1, 1, 6},
                      {1.5f, 10.5f, 102.5f, 20.5f, 200.5f, 0.5f});
  expectTensor<float>(transpose({0, 0}, {1, 6}), {1, 1, 1, 6},
                      {1.5f, 10.5f, 102.5f, 20.5f, 200.5f, 0.5f});
  // Of an odd total padding the larger half is at the begin, unless SAME_UPPER.
  expectTensor<float>(transpose({0, 0}, {1, 4}), {1, 1, 1, 4}, {10.5f, 102.5f, 20.5f, 200.5f});
  window.autoPad = AutoPad::SameUpper;
  expectTensor<float>(transpose({0, 0}, {}), {1, 1, 1, 4}, {1.5f, 10.5f, 102.5f, 20.5f});
  window.autoPad = AutoPad::SameLower;
  expectTensor<float>(transpose({0, 0}, {}), {1, 1, 1, 4}, {10.5f, 102.5f, 20.5f, 200.5f});
}

TEST(ConvTranspose, TakesEmptyTensors) {
  Tensor weights = patterned<float>({1, 1, 2, 2}, 1);
  expectTensor<float>(evaluate("nn.conv_transpose",
                               {patterned<float>({0, 1, 2, 2}, 1), weights, Tensor()},
                               Window().transposed()),
                      {0, 1, 3, 3}, {});
  // Nothing is spread over the result that output_shape asks for.
  expectTensor<float>(
      evaluate("nn.conv_transpose",
               {patterned<float>({1, 1, 0, 0}, 1), weights, Tensor::of<float>({1}, {7})},
               Window().transposed({0, 0}, {1, 2})),
      {1, 1, 1, 2}, {7, 7});
}

TEST(ConvTranspose, RefusesWhatDoesNotFit) {
  Tensor input = patterned<float>({1, 4, 3, 3}, 1), weights = patterned<float>({4, 2, 2, 2}, 2);
  auto message = [&](const Tensor &w, const Window &window, const Ints &padding) {
    return evaluateError("nn.conv_transpose", {input, w, Tensor()}, window.transposed(padding))
        .message();
  };
  EXPECT_EQ(message(patterned<float>({3, 2, 2, 2}, 1), {}, {0, 0}),
            "input float32 1x4x3x3 does not fit weights float32 3x2x2x2 in 1 groups");
  EXPECT_EQ(message(weights, {.group = 3}, {0, 0}),
            "input float32 1x4x3x3 does not fit weights float32 4x2x2x2 in 3 groups");
  EXPECT_EQ(message(weights, {}, {0}),
            "output_padding and output_shape have 1 and 0 entries for 2 spatial dimensions");
  EXPECT_EQ(message(weights, {.pads = {9, 0, 9, 0}}, {0, 0}),
            "pads of 9 and 9 remove more than the output of 4");
}
