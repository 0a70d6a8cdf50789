//===- OnnxReader.h - bytes to protobuf messages --------------------------===//
#pragma once

#include "frontend/onnx/OnnxProto.h"
#include "quern/Limits.h"
#include "quern/Status.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace quern::onnx {

/// Parses a model file. The result is well-formed protobuf, nothing more: see
/// ValidateModel.h. Messages do not name the file; the caller adds it.
Expected<std::shared_ptr<const proto::ModelProto>> readModelFile(const std::string &path,
                                                                 const Limits &limits);
/// As above, from memory.
Expected<std::shared_ptr<const proto::ModelProto>> readModelBytes(std::span<const std::byte> bytes,
                                                                  const Limits &limits);

/// Parses a file with one TensorProto (the .pb files of ONNX test data).
Expected<std::shared_ptr<const proto::TensorProto>> readTensorProtoFile(const std::string &path,
                                                                        const Limits &limits);

} // namespace quern::onnx
