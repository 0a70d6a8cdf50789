//===- ValueData.cpp - sequences, optionals and maps in .pb files ---------===//
#include "frontend/onnx/ValueData.h"

#include "frontend/onnx/OnnxReader.h"
#include "frontend/onnx/TensorData.h"

#include <fmt/format.h>

#include <cstring>

using namespace quern;
using namespace quern::onnx;
using Kind = ValueType::Kind;

/// Values in one file: what holds them takes more memory than the smallest do in the file.
static constexpr int64_t kMaxValues = int64_t{1} << 20;

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

namespace {
/// Decodes the messages of one file.
class ValueReader {
public:
  ValueReader(const SourceBytes &source, const Limits &limits) : source(source), limits(limits) {}

  Expected<AnyValue> decode(const proto::SequenceProto &message, const ValueType &type, int depth);
  Expected<AnyValue> decode(const proto::OptionalProto &message, const ValueType &type, int depth);
  Expected<AnyValue> decode(const proto::MapProto &message, const ValueType &type, int depth);
  Expected<AnyValue> decode(const proto::TensorProto &message, const ValueType &type, int depth);

private:
  Expected<std::vector<AnyValue>> decodeElements(const proto::SequenceProto &message,
                                                 const ValueType &type, int depth);
  template <typename Messages>
  Expected<std::vector<AnyValue>> decodeAll(const Messages &messages, const ValueType &type,
                                            int depth);
  Status checkDepth(int depth) const {
    return depth <= limits.maxNesting
               ? Status::ok()
               : resourceLimit(
                     fmt::format("values nested deeper than maxNesting {}", limits.maxNesting));
  }

  const SourceBytes &source;
  const Limits &limits;
  int64_t values = 0;
};
} // namespace

Expected<AnyValue> ValueReader::decode(const proto::TensorProto &message, const ValueType &, int) {
  QUERN_ASSIGN(Tensor tensor, decodeTensor(message, source, limits));
  return AnyValue(std::move(tensor));
}

template <typename Messages>
Expected<std::vector<AnyValue>> ValueReader::decodeAll(const Messages &messages,
                                                       const ValueType &type, int depth) {
  values += messages.size();
  if (values > kMaxValues)
    return resourceLimit(fmt::format("the file has more than {} values", kMaxValues));
  std::vector<AnyValue> elements;
  for (const auto &message : messages) {
    auto element = decode(message, type, depth);
    if (!element)
      return element.status().withContext(fmt::format("value {}", elements.size()));
    elements.push_back(element.take());
  }
  return elements;
}

/// The values of the kind that is wanted; an error when there are others.
Expected<std::vector<AnyValue>> ValueReader::decodeElements(const proto::SequenceProto &message,
                                                            const ValueType &type, int depth) {
  QUERN_TRY(checkDepth(depth));
  int counts[] = {message.tensor_values_size(), message.sequence_values_size(),
                  message.optional_values_size(), message.map_values_size()};
  for (Kind kind : {Kind::Tensor, Kind::Sequence, Kind::Optional, Kind::Map})
    if (kind != type.kind && counts[static_cast<size_t>(kind)] > 0)
      return invalidInput(fmt::format("wanted a sequence of {}, found values of kind {}",
                                      type.describe(), kindName(kind)));
  if (message.sparse_tensor_values_size() > 0)
    return unsupported("a sparse tensor");
  switch (type.kind) {
  case Kind::Tensor:
    return decodeAll(message.tensor_values(), type, depth + 1);
  case Kind::Sequence:
    return decodeAll(message.sequence_values(), type, depth + 1);
  case Kind::Optional:
    return decodeAll(message.optional_values(), type, depth + 1);
  case Kind::Map:
    break;
  }
  return decodeAll(message.map_values(), type, depth + 1);
}

Expected<AnyValue> ValueReader::decode(const proto::SequenceProto &message, const ValueType &type,
                                       int depth) {
  const ValueType &element = type.nested.front();
  QUERN_ASSIGN(std::vector<AnyValue> elements, decodeElements(message, element, depth));
  return AnyValue::sequence(element, std::move(elements));
}

Expected<AnyValue> ValueReader::decode(const proto::OptionalProto &message, const ValueType &type,
                                       int depth) {
  QUERN_TRY(checkDepth(depth));
  const ValueType &content = type.nested.front();
  bool isThere[] = {message.has_tensor_value(), message.has_sequence_value(),
                    message.has_optional_value(), message.has_map_value()};
  for (Kind kind : {Kind::Tensor, Kind::Sequence, Kind::Optional, Kind::Map})
    if (kind != content.kind && isThere[static_cast<size_t>(kind)])
      return invalidInput(fmt::format("wanted an optional {}, found one of a {}",
                                      content.describe(), kindName(kind)));
  if (message.has_sparse_tensor_value())
    return unsupported("a sparse tensor");
  if (!isThere[static_cast<size_t>(content.kind)])
    return AnyValue::optional(content, AnyValue());
  auto decodeContent = [&]() -> Expected<AnyValue> {
    switch (content.kind) {
    case Kind::Tensor:
      return decode(message.tensor_value(), content, depth + 1);
    case Kind::Sequence:
      return decode(message.sequence_value(), content, depth + 1);
    case Kind::Optional:
      return decode(message.optional_value(), content, depth + 1);
    case Kind::Map:
      break;
    }
    return decode(message.map_value(), content, depth + 1);
  };
  QUERN_ASSIGN(AnyValue value, decodeContent());
  return AnyValue::optional(content, std::move(value));
}

/// The keys of a map: int64 or strings, as the type says.
static Expected<Tensor> decodeKeys(const proto::MapProto &message, DType type,
                                   const Limits &limits) {
  bool areStrings = type == DType::String;
  int64_t count = areStrings ? message.string_keys_size() : message.keys_size();
  if (count > kMaxValues)
    return resourceLimit(fmt::format("the file has more than {} values", kMaxValues));
  if (message.key_type() != static_cast<int>(type) && count > 0)
    return invalidInput(fmt::format("wanted keys of type {}, found data_type {}", dtypeName(type),
                                    message.key_type()));
  QUERN_ASSIGN(Tensor keys, Tensor::allocate(type, {count}, limits));
  if (areStrings)
    std::copy(message.string_keys().begin(), message.string_keys().end(),
              keys.mutableData<std::string>());
  else
    std::copy(message.keys().begin(), message.keys().end(), keys.mutableData<int64_t>());
  return keys;
}

Expected<AnyValue> ValueReader::decode(const proto::MapProto &message, const ValueType &type,
                                       int depth) {
  const ValueType &valueType = type.nested.front();
  QUERN_ASSIGN(Tensor keys, decodeKeys(message, type.dtype, limits));
  QUERN_ASSIGN(std::vector<AnyValue> decoded, decodeElements(message.values(), valueType, depth));
  return AnyValue::map(std::move(keys), valueType, std::move(decoded));
}

template <typename Message>
static Expected<AnyValue> readMessage(const Expected<ParsedMessage<Message>> &file,
                                      const ValueType &type, const Limits &limits) {
  if (!file)
    return file.status();
  return ValueReader(file->source, limits).decode(**file, type, /*depth=*/0);
}

static Expected<AnyValue> readByType(const std::string &path, const ValueType &type,
                                     const Limits &limits) {
  switch (type.kind) {
  case Kind::Tensor:
    return readMessage(readTensorProtoFile(path, limits), type, limits);
  case Kind::Sequence:
    return readMessage(readSequenceProtoFile(path, limits), type, limits);
  case Kind::Optional:
    return readMessage(readOptionalProtoFile(path, limits), type, limits);
  case Kind::Map:
    break;
  }
  return readMessage(readMapProtoFile(path, limits), type, limits);
}

Expected<AnyValue> quern::onnx::readValueFile(const std::string &path, const ValueType &type,
                                              const Limits &limits) {
  auto value = readByType(path, type, limits);
  return value ? std::move(value) : value.status().withContext(path);
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

/// Two 4-bit values to a byte, the low nibble first.
static std::string packNibbles(const Tensor &tensor) {
  std::string packed(static_cast<size_t>((tensor.numElements() + 1) / 2), '\0');
  auto *from = static_cast<const uint8_t *>(tensor.rawData());
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    packed[static_cast<size_t>(i / 2)] |= static_cast<char>((from[i] & 0xf) << (i % 2 * 4));
  return packed;
}

static void encode(const Tensor &tensor, proto::TensorProto &message) {
  message.set_data_type(static_cast<int>(tensor.dtype()));
  message.mutable_dims()->Add(tensor.dims().begin(), tensor.dims().end());
  if (tensor.dtype() == DType::String)
    for (const std::string &text : tensor.elementsAs<std::string>())
      message.add_string_data(text);
  else if (dtypeBits(tensor.dtype()) == 4)
    message.set_raw_data(packNibbles(tensor));
  else
    message.set_raw_data(tensor.rawData(), static_cast<size_t>(tensor.numBytes()));
}

static void encode(const MapValue &map, proto::MapProto &message);
static void encode(const OptionalValue &optional, proto::OptionalProto &message);

static void encodeElements(Kind kind, const std::vector<AnyValue> &elements,
                           proto::SequenceProto &message) {
  static constexpr proto::SequenceProto::DataType kTypes[] = {
      proto::SequenceProto::TENSOR, proto::SequenceProto::SEQUENCE, proto::SequenceProto::OPTIONAL,
      proto::SequenceProto::MAP};
  message.set_elem_type(kTypes[static_cast<size_t>(kind)]);
  for (const AnyValue &element : elements) {
    if (const Tensor *tensor = element.asTensor())
      encode(*tensor, *message.add_tensor_values());
    else if (const SequenceValue *sequence = element.asSequence())
      encodeElements(sequence->elementType.kind, sequence->elements,
                     *message.add_sequence_values());
    else if (const OptionalValue *optional = element.asOptional())
      encode(*optional, *message.add_optional_values());
    else if (const MapValue *map = element.asMap())
      encode(*map, *message.add_map_values());
  }
}

static void encode(const MapValue &map, proto::MapProto &message) {
  message.set_key_type(static_cast<int>(map.keys.dtype()));
  if (map.keys.dtype() == DType::String)
    for (const std::string &key : map.keys.elementsAs<std::string>())
      message.add_string_keys(key);
  else
    for (int64_t key : map.keys.elementsAs<int64_t>())
      message.add_keys(key);
  encodeElements(map.valueType.kind, map.values, *message.mutable_values());
}

static void encode(const OptionalValue &optional, proto::OptionalProto &message) {
  static constexpr proto::OptionalProto::DataType kTypes[] = {
      proto::OptionalProto::TENSOR, proto::OptionalProto::SEQUENCE, proto::OptionalProto::OPTIONAL,
      proto::OptionalProto::MAP};
  const AnyValue &content = optional.content;
  if (!content.isPresent())
    return message.set_elem_type(proto::OptionalProto::UNDEFINED);
  message.set_elem_type(kTypes[static_cast<size_t>(content.kind())]);
  if (const Tensor *tensor = content.asTensor())
    encode(*tensor, *message.mutable_tensor_value());
  else if (const SequenceValue *sequence = content.asSequence())
    encodeElements(sequence->elementType.kind, sequence->elements,
                   *message.mutable_sequence_value());
  else if (const OptionalValue *inner = content.asOptional())
    encode(*inner, *message.mutable_optional_value());
  else if (const MapValue *map = content.asMap())
    encode(*map, *message.mutable_map_value());
}

template <typename Message>
static Expected<std::string> finish(Message &message, const std::string &name) {
  message.set_name(name);
  std::string bytes;
  if (!message.SerializeToString(&bytes))
    return resourceLimit("'" + name + "' is too large for a .pb file");
  return bytes;
}

Expected<std::string> quern::onnx::serializeValue(const AnyValue &value, const std::string &name) {
  // Protobuf's messages have 2 GB at most, and are not to be built in vain.
  if (value.numBytes() > INT32_MAX)
    return resourceLimit("'" + name + "' is too large for a .pb file");
  if (const SequenceValue *sequence = value.asSequence()) {
    proto::SequenceProto message;
    encodeElements(sequence->elementType.kind, sequence->elements, message);
    return finish(message, name);
  }
  if (const OptionalValue *optional = value.asOptional()) {
    proto::OptionalProto message;
    encode(*optional, message);
    return finish(message, name);
  }
  if (const MapValue *map = value.asMap()) {
    proto::MapProto message;
    encode(*map, message);
    return finish(message, name);
  }
  proto::TensorProto message;
  encode(*value.asTensor(), message);
  return finish(message, name);
}
