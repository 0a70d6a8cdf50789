//===- ModelText.h - ONNX models for people -------------------------------===//
#pragma once

#include "frontend/onnx/OnnxProto.h"

#include <string>

namespace quern::random {

/// Inputs, initializers, nodes with their attributes, and outputs: a line each.
/// Of tensors only type and shape, but the elements of int64 vectors.
std::string modelText(const onnx::proto::ModelProto &model);

} // namespace quern::random
