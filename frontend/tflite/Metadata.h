//===- Metadata.h - what a model says of its images and labels ------------===//
#pragma once

#include "quern/Status.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace quern::tflite {
class ModelView;
struct TfliteFile;

/// How an input takes images.
struct ImageFacts {
  std::string input;
  /// Whether the model says that it is an image.
  bool isImage = false;
  bool isGray = false;
  /// 0 where it is not said.
  int64_t height = 0, width = 0;
  /// Whether pixels become (pixel - mean) / deviation.
  bool hasNormalization = false;
  std::vector<float> mean = {}, deviation = {};
  /// Of inputs of integers that stand for real numbers.
  std::optional<float> scale = std::nullopt;
  int64_t zeroPoint = 0;
};

/// A file behind the model with a label for each element of an output's rows.
struct LabelFile {
  std::string output;
  std::string file;
};

/// What is said is all optional; InvalidModel for metadata that are damaged.
struct MetadataFacts {
  /// One per input.
  std::vector<ImageFacts> images;
  std::vector<LabelFile> labels;
};
Expected<MetadataFacts> readMetadata(const TfliteFile &file, const ModelView &view);

} // namespace quern::tflite
