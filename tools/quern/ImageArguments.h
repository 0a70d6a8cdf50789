//===- ImageArguments.h - how images become inputs, as options say --------===//
#pragma once

#include "quern/ImageInput.h"

#include <string>

namespace quern::cli {

/// The values of --image-preset, --image-size, ... as they are given; empty when they are not.
struct ImageArguments {
  std::string preset, size, fit, crop, filter, layout, colors, scale, mean, deviation;
};

/// Usage error for what is no number, size or list.
Expected<ImageOptions> parseImageOptions(const ImageArguments &arguments);

} // namespace quern::cli
