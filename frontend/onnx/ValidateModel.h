//===- ValidateModel.h - is this a model at all? --------------------------===//
#pragma once

#include "frontend/onnx/OnnxReader.h"

#include <vector>

namespace quern::onnx {

/// Checks all that holds for every ONNX model whatever its ops mean, before any
/// IR exists: versions, names in single-assignment form and without cycles,
/// types, dims, data sizes, attribute types, limits. What ops want of their
/// operands and attributes is the business of their importers. The result is the
/// order in which to read the nodes of the graph; see NodeOrder.h.
Expected<std::vector<int>> validateModel(const ParsedModel &model, const Limits &limits);

} // namespace quern::onnx
