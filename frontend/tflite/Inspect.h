//===- Inspect.h - what a TensorFlow Lite file says -----------------------===//
#pragma once

#include "frontend/ImportProblems.h"
#include "frontend/SourceBytes.h"
#include "frontend/tflite/Metadata.h"
#include "quern/Limits.h"
#include "quern/PortSignature.h"

#include <string>
#include <utility>
#include <vector>

namespace quern::tflite {

/// What is in a model, whether or not its ops are supported.
struct FileFacts {
  std::string description;
  int64_t version = 0;
  std::vector<PortSignature> inputs, outputs;
  /// The op of each node, of all subgraphs.
  std::vector<std::string> ops;
  /// Names of pieces of metadata, and what is known of the one on images and labels.
  std::vector<std::string> metadata;
  MetadataFacts described;
  int64_t constants = 0;
  /// Elements of the constants.
  int64_t parameters = 0;
};

/// Errors do not name the file.
Expected<FileFacts> inspect(frontend::SourceBytes bytes, const Limits &limits);

} // namespace quern::tflite
