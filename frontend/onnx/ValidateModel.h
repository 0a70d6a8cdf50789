//===- ValidateModel.h - the rules that every ONNX model keeps ------------===//
#pragma once

#include "frontend/onnx/LocalFunctions.h"
#include "frontend/onnx/OnnxReader.h"

#include <vector>

namespace quern::onnx {

/// What is found out on the way. It refers to the model, which must live as long.
struct ValidModel {
  /// The order in which to read the nodes of the graph; see NodeOrder.h.
  std::vector<int> order;
  LocalFunctions functions;
};

/// Checks all that holds for every ONNX model whatever its ops mean, before any
/// IR exists: versions, names in single-assignment form and without cycles,
/// types, dims, data sizes, attribute types, limits. What ops want of their
/// operands and attributes is the business of their importers.
Expected<ValidModel> validateModel(const ParsedModel &model, const Limits &limits);

} // namespace quern::onnx
