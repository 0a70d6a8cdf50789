//===- RawData.cpp - the raw_data of tensors, left where it lies ----------===//
#include "frontend/onnx/RawData.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

using namespace quern;
using namespace quern::onnx;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using Piece = RawDataStream::Piece;

//===----------------------------------------------------------------------===//
// References
//===----------------------------------------------------------------------===//

namespace {
/// What raw_data holds in the stream. Every raw_data that has bytes is replaced, so
/// that no file can bring a reference of its own.
struct Reference {
  uint64_t offset;
  uint64_t size;
};
} // namespace

std::span<const std::byte> quern::onnx::rawDataOf(const proto::TensorProto &tensor,
                                                  const SourceBytes &source) {
  const std::string &field = tensor.raw_data();
  if (source.bytes.empty())
    return std::as_bytes(std::span(field));
  Reference reference;
  if (field.size() != sizeof reference)
    return {};
  std::memcpy(&reference, field.data(), sizeof reference);
  if (reference.offset > source.bytes.size() ||
      reference.size > source.bytes.size() - reference.offset)
    return {};
  return source.bytes.subspan(reference.offset, reference.size);
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

namespace {
enum WireType : uint32_t { Varint, Fixed64, Bytes, GroupStart, GroupEnd, Fixed32 };

/// Longest forms that protobuf accepts.
constexpr int kMaxVarintBytes = 10, kMaxLengthBytes = 5;

/// Writes the pieces of a message's stream. Where a message inside holds raw_data
/// its length changes; all else is a piece of the original.
class PieceWriter {
public:
  explicit PieceWriter(std::span<const std::byte> bytes)
      : begin(reinterpret_cast<const char *>(bytes.data())), copied(begin) {}

  /// Whether [at, end) is a message of this type. Its bytes up to `copied` are in
  /// `pieces` then.
  bool writeMessage(const char *at, const char *end, const Descriptor &type, int nesting);
  void copyUpTo(const char *end);

  std::vector<Piece> pieces;
  /// Bytes in `pieces`.
  int64_t written = 0;

private:
  bool writeField(const char *value, const char *end, uint32_t number, const Descriptor &type,
                  int nesting);
  bool writeNested(const char *value, const char *content, const char *end, const Descriptor &type,
                   int nesting);
  void writeReference(const char *value, const char *content, const char *end);
  void append(const Piece &piece) {
    pieces.push_back(piece);
    written += piece.size;
  }

  const char *begin;
  const char *copied;
};
} // namespace

/// Whether messages of this type can hold a tensor, however deep.
static bool mayHoldTensors(const Descriptor &type) {
  static const std::set<const Descriptor *> holders = [] {
    std::set<const Descriptor *> found = {proto::TensorProto::descriptor()};
    for (bool changed = true; changed;) {
      changed = false;
      for (const auto *file :
           {proto::ModelProto::descriptor()->file(), proto::SequenceProto::descriptor()->file()})
        for (int i = 0; i < file->message_type_count(); ++i)
          for (int j = 0; j < file->message_type(i)->field_count(); ++j)
            if (found.count(file->message_type(i)->field(j)->message_type()))
              changed |= found.insert(file->message_type(i)).second;
    }
    return found;
  }();
  return holders.count(&type) != 0;
}

/// Moves `at` past a varint of at most `maxBytes` bytes; false when there is none.
static bool readVarint(const char *&at, const char *end, int maxBytes, uint64_t &value) {
  value = 0;
  for (int i = 0; i < maxBytes && at < end; ++i) {
    auto byte = static_cast<unsigned char>(*at++);
    value |= uint64_t{byte & 0x7fU} << (7 * i);
    if (byte < 0x80)
      return true;
  }
  return false;
}

static bool readTag(const char *&at, const char *end, uint32_t &number, uint32_t &wireType) {
  uint64_t tag;
  if (!readVarint(at, end, kMaxLengthBytes, tag))
    return false;
  number = static_cast<uint32_t>(tag) >> 3;
  wireType = tag & 7;
  return number != 0;
}

/// Moves `at` past the value of a field that is no group.
static bool skipValue(const char *&at, const char *end, uint32_t wireType) {
  uint64_t number;
  int64_t size;
  switch (wireType) {
  case Varint:
    return readVarint(at, end, kMaxVarintBytes, number);
  case Fixed64:
  case Fixed32:
    size = wireType == Fixed64 ? 8 : 4;
    break;
  case Bytes:
    if (!readVarint(at, end, kMaxLengthBytes, number))
      return false;
    size = static_cast<int64_t>(number);
    break;
  default:
    return false;
  }
  if (size > end - at)
    return false;
  at += size;
  return true;
}

/// Moves `at` past the rest of the unknown group `number`, groups in it included.
static bool skipGroup(const char *&at, const char *end, uint32_t number) {
  std::vector<uint32_t> open = {number};
  while (!open.empty()) {
    uint32_t field, wireType;
    if (!readTag(at, end, field, wireType))
      return false;
    if (wireType == GroupStart) {
      open.push_back(field);
      if (open.size() > kMaxMessageNesting)
        return false;
    } else if (wireType == GroupEnd) {
      if (open.back() != field)
        return false;
      open.pop_back();
    } else if (!skipValue(at, end, wireType)) {
      return false;
    }
  }
  return true;
}

void PieceWriter::copyUpTo(const char *end) {
  if (end > copied) {
    Piece piece;
    piece.original = copied;
    piece.size = static_cast<int>(end - copied);
    append(piece);
  }
  copied = end;
}

/// [value, content) is the length of raw_data, [content, end) what it holds.
void PieceWriter::writeReference(const char *value, const char *content, const char *end) {
  copyUpTo(value);
  Reference reference{static_cast<uint64_t>(content - begin), static_cast<uint64_t>(end - content)};
  Piece piece;
  piece.own[0] = sizeof reference; // a varint of one byte
  std::memcpy(piece.own + 1, &reference, sizeof reference);
  piece.size = 1 + sizeof reference;
  append(piece);
  copied = end;
}

/// [value, content) is the length of a message of `type`, [content, end) itself.
bool PieceWriter::writeNested(const char *value, const char *content, const char *end,
                              const Descriptor &type, int nesting) {
  // To go back to when nothing in the message is replaced.
  size_t piecesBefore = pieces.size();
  int64_t writtenBefore = written;
  const char *copiedBefore = copied;

  copyUpTo(value);
  size_t lengthPiece = pieces.size();
  Piece length;
  length.size = kMaxLengthBytes; // filled to this size: the length is known at the end
  append(length);
  copied = content;
  int64_t start = written;
  if (!writeMessage(content, end, type, nesting + 1))
    return false;
  if (pieces.size() == lengthPiece + 1) {
    pieces.resize(piecesBefore);
    written = writtenBefore;
    copied = copiedBefore;
    return true;
  }
  copyUpTo(end);
  auto rest = static_cast<uint64_t>(written - start);
  for (int i = 0; i < kMaxLengthBytes; ++i, rest >>= 7)
    pieces[lengthPiece].own[i] =
        static_cast<char>((rest & 0x7f) | (i + 1 < kMaxLengthBytes ? 0x80 : 0));
  return true;
}

/// [value, end) is what follows the tag of a field of wire type Bytes.
bool PieceWriter::writeField(const char *value, const char *end, uint32_t number,
                             const Descriptor &type, int nesting) {
  const FieldDescriptor *field = type.FindFieldByNumber(static_cast<int>(number));
  const char *content = value;
  uint64_t size;
  if (!readVarint(content, end, kMaxLengthBytes, size))
    return false;
  if (size == 0)
    return true;
  const char *contentEnd = content + size;
  if (&type == proto::TensorProto::descriptor() &&
      number == proto::TensorProto::kRawDataFieldNumber) {
    writeReference(value, content, contentEnd);
    return true;
  }
  const Descriptor *nested = field ? field->message_type() : nullptr;
  if (&type == proto::FunctionProto::descriptor() &&
      number == static_cast<uint32_t>(kFunctionAttributeProtoField))
    nested = proto::AttributeProto::descriptor();
  return !nested || !mayHoldTensors(*nested) ||
         writeNested(value, content, contentEnd, *nested, nesting);
}

bool PieceWriter::writeMessage(const char *at, const char *end, const Descriptor &type,
                               int nesting) {
  if (nesting > kMaxMessageNesting)
    return false;
  while (at < end) {
    uint32_t number, wireType;
    if (!readTag(at, end, number, wireType))
      return false;
    const char *value = at;
    bool valid = wireType == GroupStart ? skipGroup(at, end, number) : skipValue(at, end, wireType);
    if (!valid || (wireType == Bytes && !writeField(value, at, number, type, nesting)))
      return false;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// The stream
//===----------------------------------------------------------------------===//

std::unique_ptr<RawDataStream> RawDataStream::create(std::span<const std::byte> bytes,
                                                     const Descriptor &type) {
  PieceWriter writer(bytes);
  const char *begin = reinterpret_cast<const char *>(bytes.data()), *end = begin + bytes.size();
  if (!writer.writeMessage(begin, end, type, /*nesting=*/0))
    return nullptr;
  writer.copyUpTo(end);
  return std::make_unique<RawDataStream>(std::move(writer.pieces));
}

bool RawDataStream::Next(const void **data, int *size) {
  if (backedUp == 0 && nextPiece == pieces.size())
    return false;
  if (backedUp == 0)
    backedUp = pieces[nextPiece++].size;
  const Piece &piece = pieces[nextPiece - 1];
  *data = piece.data() + piece.size - backedUp;
  *size = std::exchange(backedUp, 0);
  delivered += *size;
  return true;
}

void RawDataStream::BackUp(int count) {
  backedUp = count;
  delivered -= count;
}

bool RawDataStream::Skip(int count) {
  const void *data;
  int size = 0;
  for (; count > 0; count -= size)
    if (!Next(&data, &size))
      return false;
  if (count < 0)
    BackUp(-count);
  return true;
}
