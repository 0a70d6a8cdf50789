//===- ImageInputTest.cpp - images as inputs, for programs ----------------===//
//
// What tools/quern does with them is in tests/tools/test_images.py.
//
//===----------------------------------------------------------------------===//
#include "quern/ImageInput.h"

#include <gtest/gtest.h>
#include <string_view>

using namespace quern;
using namespace std::string_view_literals;

namespace {
/// 2 x 1 pixels: red, and one of 1, 2, 3.
constexpr std::string_view kImage = "P6 2 1 255 \xff\0\0\1\2\3"sv;

std::span<const std::byte> bytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

PortSignature port(DType dtype, std::vector<PortDim> dims) {
  return {"x", dtype, PortShape(std::move(dims))};
}
} // namespace

TEST(ImageInput, PixelsBecomeNumbers) {
  EXPECT_TRUE(isImage(bytesOf(kImage)));
  EXPECT_FALSE(isImage(bytesOf("hello")));
  auto input =
      readImage(bytesOf(kImage), port(DType::Float32, {1, 3, 1, 2}),
                {.numbers = PixelNumbers{.scale = 1, .mean = {1, 2, 3}, .deviation = {2}}});
  ASSERT_TRUE(input) << input.status().message();
  EXPECT_FALSE(input->isNumbersGuessed);
  EXPECT_EQ(input->description,
            "2x1 pixels as float32 1x3x1x2: stretched, RGB, (pixel - 1,2,3) / 2");
  std::vector<float> found(input->tensor.data<float>(), input->tensor.data<float>() + 6);
  EXPECT_EQ(found, (std::vector<float>{127, 0, -1, 0, -1.5, 0}));
}

TEST(ImageInput, IntegersStandForNumbers) {
  ImageOptions options = {.layout = ImageLayout::ChannelsLast,
                          .colors = ImageColors::Bgr,
                          .numbers =
                              PixelNumbers{.scale = 1, .mean = {127.5}, .deviation = {127.5}},
                          .quantization = PixelQuantization{.scale = 1.0 / 128, .zeroPoint = -1}};
  auto input = readImage(bytesOf(kImage), port(DType::Int8, {1, 2, 3}), options);
  ASSERT_TRUE(input) << input.status().message();
  std::vector<int8_t> found(input->tensor.data<int8_t>(), input->tensor.data<int8_t>() + 6);
  EXPECT_EQ(found, (std::vector<int8_t>{-128, -128, 127, -126, -127, -128}));
}

TEST(ImageInput, OptionsComeBeforeOthers) {
  ImageOptions preset = imagePreset("torch").take();
  ImageOptions both = ImageOptions{.fit = ImageFit::Pad}.orElse(preset);
  EXPECT_EQ(*both.fit, ImageFit::Pad);
  EXPECT_EQ(*both.crop, 0.875);
  EXPECT_EQ(both.numbers->mean.size(), 3u);
  EXPECT_EQ(imagePreset("vgg").status().message(),
            "there are no images for 'vgg'; wanted torch, tf or caffe");
}

TEST(ImageInput, LimitsHold) {
  Limits limits;
  limits.maxTensorBytes = 5;
  EXPECT_EQ(readImage(bytesOf(kImage), port(DType::UInt8, {1, 2, 3}), {}, limits).status().code(),
            StatusCode::ResourceLimit);
  ImageOptions part = {.fit = ImageFit::Crop, .crop = 1e-12, .layout = ImageLayout::ChannelsLast};
  EXPECT_EQ(readImage(bytesOf(kImage), port(DType::UInt8, {1, 2, 3}), part).status().message(),
            "too small a part of the image is to stay");
  part.crop = 0;
  EXPECT_EQ(readImage(bytesOf(kImage), port(DType::UInt8, {1, 2, 3}), part).status().code(),
            StatusCode::InvalidInput);
}
