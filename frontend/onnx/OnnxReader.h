//===- OnnxReader.h - bytes to protobuf messages --------------------------===//
#pragma once

#include "frontend/onnx/OnnxProto.h"
#include "frontend/onnx/RawData.h"
#include "quern/Limits.h"
#include "quern/Status.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace quern::onnx {

/// A message and what it was parsed from, where the raw_data of its tensors is:
/// see rawDataOf.
template <typename Message> struct ParsedMessage {
  std::shared_ptr<const Message> message;
  SourceBytes source;

  const Message &operator*() const { return *message; }
  const Message *operator->() const { return message.get(); }
};
using ParsedModel = ParsedMessage<proto::ModelProto>;
using ParsedTensor = ParsedMessage<proto::TensorProto>;

/// Maps a model file and parses all of it but raw_data. The result is well-formed
/// protobuf, nothing more: see ValidateModel.h. Messages do not name the file; the
/// caller adds it.
Expected<ParsedModel> readModelFile(const std::string &path, const Limits &limits);
/// As above, from memory. Without an owner the bytes are copied.
Expected<ParsedModel> readModelBytes(SourceBytes bytes, const Limits &limits);

/// Maps and parses a file with one TensorProto (the .pb files of ONNX test data).
Expected<ParsedTensor> readTensorProtoFile(const std::string &path, const Limits &limits);
/// The same of other values.
Expected<ParsedMessage<proto::SequenceProto>> readSequenceProtoFile(const std::string &path,
                                                                    const Limits &limits);
Expected<ParsedMessage<proto::OptionalProto>> readOptionalProtoFile(const std::string &path,
                                                                    const Limits &limits);
Expected<ParsedMessage<proto::MapProto>> readMapProtoFile(const std::string &path,
                                                          const Limits &limits);

} // namespace quern::onnx
