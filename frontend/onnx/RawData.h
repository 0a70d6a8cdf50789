//===- RawData.h - the raw_data of tensors, left where it lies ------------===//
//
// Nearly all bytes of a model file are the raw_data of its tensors. Protobuf would
// copy them. So messages are parsed from a stream in which each raw_data is
// replaced by a reference to the bytes, which are found by a walk over the wire
// format.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "frontend/SourceBytes.h"
#include "frontend/onnx/OnnxProto.h"

#include <google/protobuf/io/zero_copy_stream.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace quern::onnx {

/// Nested messages that are followed before giving up: far beyond the default
/// Limits::maxNesting (three messages per subgraph), and few enough for a thread's
/// stack.
inline constexpr int kMaxMessageNesting = 1000;

/// FunctionProto.attribute_proto, of newer ONNX than that of the generated classes:
/// default attributes, which may hold tensors.
inline constexpr int kFunctionAttributeProtoField = 11;

using frontend::SourceBytes;

/// The raw_data of a tensor in a message that was parsed from `source`. With a
/// default-constructed `source` it is the field itself, of a message that was built.
std::span<const std::byte> rawDataOf(const proto::TensorProto &tensor, const SourceBytes &source);

/// A serialized message with references in place of raw_data, as a stream for the
/// parser. The bytes must live as long.
class RawDataStream : public google::protobuf::io::ZeroCopyInputStream {
public:
  /// `type` is the message's. Null for bytes that are no message.
  static std::unique_ptr<RawDataStream> create(std::span<const std::byte> bytes,
                                               const google::protobuf::Descriptor &type);

  bool Next(const void **data, int *size) override;
  void BackUp(int count) override;
  bool Skip(int count) override;
  int64_t ByteCount() const override { return delivered; }

  /// A part of the stream: a piece of the original bytes, or bytes of its own.
  struct Piece {
    const char *original = nullptr;
    int size = 0;
    char own[20] = {};
    const char *data() const { return original ? original : own; }
  };
  explicit RawDataStream(std::vector<Piece> pieces) : pieces(std::move(pieces)) {}

private:
  std::vector<Piece> pieces;
  size_t nextPiece = 0;
  /// Bytes at the end of the piece before `nextPiece` that are to come again.
  int backedUp = 0;
  int64_t delivered = 0;
};

} // namespace quern::onnx
