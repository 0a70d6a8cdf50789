//===- ImageInput.h - image files as the inputs of models -----------------===//
#pragma once

#include "quern/PortSignature.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// How an image gets the height and width that a model wants: whole, with other proportions; the
/// centre of it; whole, with black at two sides.
enum class ImageFit { Stretch, Crop, Pad };
enum class ImageFilter { Nearest, Bilinear, Bicubic };
enum class ImageLayout { ChannelsFirst, ChannelsLast };
enum class ImageColors { Rgb, Bgr, Gray };

/// What becomes of a pixel from 0 to 255: (pixel * scale - mean) / deviation, where one number
/// stands for all channels and none for mean 0, deviation 1. Channels are in the model's order.
struct PixelNumbers {
  double scale = 1.0 / 255;
  std::vector<double> mean = {};
  std::vector<double> deviation = {};
};

/// Real numbers as an input's integers: number / scale + zeroPoint.
struct PixelQuantization {
  double scale = 1;
  int64_t zeroPoint = 0;
};

/// What is known of how a model takes images; the rest follows from the input's type, or is as
/// readImage says.
struct ImageOptions {
  /// Of inputs whose sizes are open; otherwise that of the input.
  std::optional<int64_t> height = std::nullopt, width = std::nullopt;
  std::optional<ImageFit> fit = std::nullopt;
  /// Of ImageFit::Crop: what part of the shorter side stays.
  std::optional<double> crop = std::nullopt;
  std::optional<ImageFilter> filter = std::nullopt;
  std::optional<ImageLayout> layout = std::nullopt;
  std::optional<ImageColors> colors = std::nullopt;
  std::optional<PixelNumbers> numbers = std::nullopt;
  std::optional<PixelQuantization> quantization = std::nullopt;
  /// What a model says of its images that is not done; readImage refuses it.
  std::string unsupported = {};

  /// These, and of `others` what these leave open.
  ImageOptions orElse(const ImageOptions &others) const;
};

/// What networks of a kind are trained on: "torch" (torchvision: the centre, mean and deviation of
/// ImageNet), "tf" (from -1 to 1), "caffe" (blue first, less the mean of ImageNet). Usage error
/// for others.
Expected<ImageOptions> imagePreset(std::string_view name);

/// Whether a file is an image that is known, by its first bytes: BMP, JPEG, JPEG 2000, PNG, PNM,
/// TIFF, WebP.
bool isImage(std::span<const std::byte> head);

struct ImageInput {
  Tensor tensor;
  /// "640x480 pixels as float32 1x3x224x224: stretched, RGB, (pixel / 255 - 0.5) / 0.5".
  std::string description;
  /// Nothing said which numbers a model of floats takes, so they are from 0 to 1.
  bool isNumbersGuessed = false;
};

/// An image file as the tensor that `port` takes: one image, of 1 or 3 channels. By default it is
/// stretched as Pillow does with BILINEAR, in the order RGB; pixels of floats are from 0 to 1,
/// those of uint8 stay, those of int8 are 128 less. InvalidInput for what is broken or does not
/// fit, ResourceLimit for more than 2^27 pixels, before there is memory for them.
Expected<ImageInput> readImage(std::span<const std::byte> file, const PortSignature &port,
                               const ImageOptions &options = {}, const Limits &limits = {});

} // namespace quern
