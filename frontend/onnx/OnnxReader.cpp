//===- OnnxReader.cpp - bytes to protobuf messages ------------------------===//
#include "frontend/onnx/OnnxReader.h"

#include "frontend/onnx/FileDescriptor.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <unistd.h>

using namespace quern;
using namespace quern::onnx;
namespace io = google::protobuf::io;

/// Nested messages the parser follows before it gives up: far beyond the
/// default Limits::maxNesting (three messages per subgraph), and few enough for
/// a thread's stack.
static constexpr int kMaxMessageNesting = 1000;

/// Whether the bytes look like text: then say so, it is the most common mistake.
static bool looksLikeText(std::span<const char> head) {
  for (unsigned char c : head)
    if (c == 0x7f || (c < 0x20 && c != '\n' && c != '\r' && c != '\t'))
      return false;
  return !head.empty();
}

static Status checkSize(int64_t size, const Limits &limits) {
  if (size == 0)
    return invalidModel("the file is empty");
  if (size > limits.maxModelBytes)
    return resourceLimit("the file has " + std::to_string(size) + " bytes, maxModelBytes is " +
                         std::to_string(limits.maxModelBytes));
  if (size > INT_MAX)
    return resourceLimit("the file has " + std::to_string(size) +
                         " bytes, protobuf holds at most " + std::to_string(INT_MAX) +
                         "; keep large weights in external data");
  return Status::ok();
}

template <typename Message>
static Expected<std::shared_ptr<const Message>> parse(io::ZeroCopyInputStream &input,
                                                      const char *what) {
  // Protobuf logs to stderr; the Status says it all.
  [[maybe_unused]] static auto previous = google::protobuf::SetLogHandler(nullptr);
  auto message = std::make_shared<Message>();
  io::CodedInputStream coded(&input);
  coded.SetTotalBytesLimit(INT_MAX);
  coded.SetRecursionLimit(kMaxMessageNesting);
  if (!message->ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage())
    return invalidModel(std::string("not ") + what +
                        ": the bytes are no valid protobuf message (truncated, damaged, of another "
                        "format, or nested deeper than " +
                        std::to_string(kMaxMessageNesting) + " messages)");
  return std::shared_ptr<const Message>(std::move(message));
}

template <typename Message>
static Expected<std::shared_ptr<const Message>> parseFile(const std::string &path,
                                                          const Limits &limits, const char *what) {
  QUERN_ASSIGN(RegularFile file, openRegularFile(path));
  QUERN_TRY(checkSize(file.size, limits));
  char head[256];
  ssize_t headSize = ::pread(file.descriptor.get(), head, sizeof(head), 0);
  if (headSize < 0)
    return ioError(std::string("cannot read: ") + std::strerror(errno));
  io::FileInputStream input(file.descriptor.get(), 1 << 20);
  auto message = parse<Message>(input, what);
  if (input.GetErrno() != 0)
    return ioError(std::string("cannot read: ") + std::strerror(input.GetErrno()));
  if (!message && looksLikeText({head, static_cast<size_t>(headSize)}))
    return invalidModel(std::string("not ") + what + ": this is a text file");
  return message;
}

Expected<std::shared_ptr<const proto::ModelProto>>
quern::onnx::readModelFile(const std::string &path, const Limits &limits) {
  return parseFile<proto::ModelProto>(path, limits, "an ONNX model");
}

Expected<std::shared_ptr<const proto::ModelProto>>
quern::onnx::readModelBytes(std::span<const std::byte> bytes, const Limits &limits) {
  QUERN_TRY(checkSize(static_cast<int64_t>(bytes.size()), limits));
  io::ArrayInputStream input(bytes.data(), static_cast<int>(bytes.size()));
  return parse<proto::ModelProto>(input, "an ONNX model");
}

Expected<std::shared_ptr<const proto::TensorProto>>
quern::onnx::readTensorProtoFile(const std::string &path, const Limits &limits) {
  return parseFile<proto::TensorProto>(path, limits, "an ONNX tensor");
}
