//===- TfliteFile.h - files of TensorFlow Lite ----------------------------===//
#pragma once

#include "frontend/RawTensor.h"
#include "frontend/SourceBytes.h"
#include "quern/Limits.h"
#include "quern/Status.h"

#include "frontend/tflite/model.h"

#include <span>
#include <string>

namespace quern::tflite {

/// A file whose form is verified: offsets lie in it, vectors end in it, nothing is nested too
/// deeply. Its numbers (of tensors, buffers, ops) are not.
struct TfliteFile {
  frontend::SourceBytes source;
  const file::Model *model = nullptr;

  const file::Model *operator->() const { return model; }
};

/// Whether bytes claim to be such a file, by what they begin with.
bool isTflite(std::span<const std::byte> head);

/// InvalidModel for what is none, and ResourceLimit for too large ones.
Expected<TfliteFile> readTfliteBytes(frontend::SourceBytes bytes, const Limits &limits);

/// The element type; Undefined for what no tensor of numbers has.
DType dtypeOf(file::TensorType type);

/// A tensor's type, dims and size. InvalidModel, Unsupported, ResourceLimit.
Expected<frontend::TensorLayout> layoutOf(const file::Tensor &tensor, const Limits &limits);

/// The bytes of a constant; empty for what a run computes. InvalidModel for a buffer that is not
/// there or lies outside of the file.
Expected<std::span<const std::byte>> dataOf(const TfliteFile &file, const file::Tensor &tensor);

/// The name, which a file may lack.
std::string nameOf(const flatbuffers::String *name);

} // namespace quern::tflite
