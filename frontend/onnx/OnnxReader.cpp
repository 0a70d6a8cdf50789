//===- OnnxReader.cpp - bytes to protobuf messages ------------------------===//
#include "frontend/onnx/OnnxReader.h"

#include "frontend/onnx/ForeignFile.h"
#include "runtime/system/MappedFile.h"

#include <fmt/format.h>

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <climits>

using namespace quern;
using namespace quern::onnx;
namespace io = google::protobuf::io;

/// Whether the bytes look like text: then say so, it is the most common mistake.
static bool looksLikeText(std::span<const std::byte> bytes) {
  constexpr size_t kEnough = 256;
  for (std::byte byte : bytes.first(std::min(bytes.size(), kEnough))) {
    auto c = static_cast<unsigned char>(byte);
    if (c == 0x7f || (c < 0x20 && c != '\n' && c != '\r' && c != '\t'))
      return false;
  }
  return !bytes.empty();
}

static Status checkSize(int64_t size, const Limits &limits) {
  if (size == 0)
    return invalidModel("the file is empty");
  if (size > limits.maxModelBytes)
    return resourceLimit(
        fmt::format("the file has {} bytes, maxModelBytes is {}", size, limits.maxModelBytes));
  if (size > INT_MAX)
    return resourceLimit(fmt::format(
        "the file has {} bytes, protobuf holds at most {}; keep large weights in external data",
        size, INT_MAX));
  return Status::ok();
}

template <typename Message>
static Expected<ParsedMessage<Message>> parse(SourceBytes source, const char *what) {
  // Protobuf logs to stderr; the Status says it all.
  [[maybe_unused]] static auto previous = google::protobuf::SetLogHandler(nullptr);
  auto message = std::make_shared<Message>();
  auto parsed = [&] {
    std::unique_ptr<RawDataStream> stream =
        RawDataStream::create(source.bytes, *Message::descriptor());
    if (!stream)
      return false;
    io::CodedInputStream coded(stream.get());
    coded.SetTotalBytesLimit(INT_MAX);
    coded.SetRecursionLimit(kMaxMessageNesting);
    return message->ParseFromCodedStream(&coded) && coded.ConsumedEntireMessage();
  };
  if (!parsed())
    return invalidModel(fmt::format(
        "not {}: the bytes are no valid protobuf message (truncated, damaged, of another "
        "format, or nested deeper than {} messages)",
        what, kMaxMessageNesting));
  return ParsedMessage<Message>{std::move(message), std::move(source)};
}

template <typename Message>
static Expected<ParsedMessage<Message>> parseFile(const std::string &path, const Limits &limits,
                                                  const char *what) {
  auto file = openRegularFile(path);
  if (!file)
    return file.status().withContext("cannot open");
  QUERN_TRY(checkSize(file->size, limits));
  QUERN_ASSIGN(std::shared_ptr<const MappedFile> mapped,
               MappedFile::map(file->descriptor, file->size));
  auto message = parse<Message>({mapped->bytes(), mapped, /*isMappedFile=*/true}, what);
  if (!message && looksLikeText(mapped->bytes()))
    return invalidModel(fmt::format("not {}: this is a text file", what));
  return message;
}

Expected<ParsedModel> quern::onnx::readModelFile(const std::string &path, const Limits &limits) {
  auto model = parseFile<proto::ModelProto>(path, limits, "an ONNX model");
  if (model && (*model)->has_graph())
    return model;
  if (!model && model.status().code() == StatusCode::Io) {
    std::string found = describeForeignPath(path);
    return found.empty() ? model : ioError("cannot open: this is " + found);
  }
  std::string found = describeForeignFile(path, /*isProtobuf=*/model.isOk());
  return found.empty() ? model : invalidModel("not an ONNX model: this is " + found);
}

Expected<ParsedModel> quern::onnx::readModelBytes(SourceBytes bytes, const Limits &limits) {
  QUERN_TRY(checkSize(static_cast<int64_t>(bytes.bytes.size()), limits));
  if (!bytes.owner) {
    auto copy = std::make_shared<std::vector<std::byte>>(bytes.bytes.begin(), bytes.bytes.end());
    bytes = {*copy, copy};
  }
  return parse<proto::ModelProto>(std::move(bytes), "an ONNX model");
}

Expected<ParsedTensor> quern::onnx::readTensorProtoFile(const std::string &path,
                                                        const Limits &limits) {
  return parseFile<proto::TensorProto>(path, limits, "an ONNX tensor");
}

Expected<ParsedMessage<proto::SequenceProto>>
quern::onnx::readSequenceProtoFile(const std::string &path, const Limits &limits) {
  return parseFile<proto::SequenceProto>(path, limits, "an ONNX sequence");
}

Expected<ParsedMessage<proto::OptionalProto>>
quern::onnx::readOptionalProtoFile(const std::string &path, const Limits &limits) {
  return parseFile<proto::OptionalProto>(path, limits, "an ONNX optional");
}

Expected<ParsedMessage<proto::MapProto>> quern::onnx::readMapProtoFile(const std::string &path,
                                                                       const Limits &limits) {
  return parseFile<proto::MapProto>(path, limits, "an ONNX map");
}
