//===- Values.cpp - tensors, sequences, optionals and maps for C ----------===//
#include "api/c/Objects.h"
#include "quern/OnnxFile.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::c;

Status c::giveValue(AnyValue value, quern_value **result) {
  return giveHandle(std::make_unique<ValueObject>(ValueObject{std::move(value)}), result);
}

Expected<std::vector<AnyValue>> c::readValues(const quern_value *const *values, size_t count,
                                              const char *name) {
  QUERN_TRY(requireArray(values, count, name));
  std::vector<AnyValue> result;
  for (size_t i = 0; i < count; ++i) {
    auto object = objectOf<ValueObject>(values[i]);
    if (!object)
      return object.status().withContext(fmt::format("{}[{}]", name, i));
    result.push_back((*object)->value);
  }
  return result;
}

static Expected<DType> readDType(int32_t dtype) {
  if (!isDTypeNumber(dtype))
    return usageError(fmt::format("{} is no element type", dtype));
  return static_cast<DType>(dtype);
}

/// The type of a value that is there, of tensors the element type only.
static ValueType typeOf(const AnyValue &value) {
  if (const Tensor *tensor = value.asTensor())
    return ValueType::tensor(tensor->dtype());
  if (const SequenceValue *sequence = value.asSequence())
    return ValueType::sequenceOf(sequence->elementType);
  if (const OptionalValue *optional = value.asOptional())
    return ValueType::optionalOf(optional->contentType);
  return ValueType::mapOf(value.asMap()->keys.dtype(), value.asMap()->valueType);
}

/// What is in one that is no tensor.
static std::vector<AnyValue> partsOf(const AnyValue &value) {
  if (const SequenceValue *sequence = value.asSequence())
    return sequence->elements;
  if (const OptionalValue *optional = value.asOptional(); optional && optional->content.isPresent())
    return {optional->content};
  const MapValue *map = value.asMap();
  return map ? map->values : std::vector<AnyValue>();
}

static Expected<const Tensor *> tensorOf(const quern_value *value) {
  QUERN_ASSIGN(ValueObject * object, objectOf<ValueObject>(value));
  if (const Tensor *tensor = object->value.asTensor())
    return tensor;
  return usageError("wanted a tensor, found " + object->value.describe());
}

//===----------------------------------------------------------------------===//
// Making values
//===----------------------------------------------------------------------===//

quern_status quern_value_borrow(int32_t dtype, const int64_t *dims, size_t rank, void *data,
                                size_t bytes, quern_value **value) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(value, "value"));
    QUERN_ASSIGN(DType type, readDType(dtype));
    QUERN_ASSIGN(Tensor::Dims sizes, readDims(dims, rank));
    if (type == DType::String)
      return usageError("strings cannot be borrowed: use quern_value_strings");
    CheckedSize wanted = CheckedSize::product(sizes) * CheckedSize(dtypeBytes(type));
    if (!wanted.valid() || static_cast<size_t>(wanted.value()) != bytes)
      return usageError(fmt::format(
          "a tensor of {} {} has {} bytes, found {}", dtypeName(type), formatDims(sizes),
          wanted.valid() ? std::to_string(wanted.value()) : "too many", bytes));
    QUERN_TRY(requireArray(data, bytes, "data"));
    return giveValue(Tensor::borrow(type, std::move(sizes), data), value);
  });
}

quern_status quern_value_tensor(int32_t dtype, const int64_t *dims, size_t rank,
                                quern_value **value) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(value, "value"));
    QUERN_ASSIGN(DType type, readDType(dtype));
    QUERN_ASSIGN(Tensor::Dims sizes, readDims(dims, rank));
    QUERN_ASSIGN(Tensor tensor, Tensor::allocate(type, std::move(sizes)));
    return giveValue(std::move(tensor), value);
  });
}

quern_status quern_value_strings(const char *const *strings, size_t count, const int64_t *dims,
                                 size_t rank, quern_value **value) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(value, "value"));
    QUERN_TRY(requireArray(strings, count, "strings"));
    QUERN_ASSIGN(Tensor::Dims sizes, readDims(dims, rank));
    CheckedSize elements = CheckedSize::product(sizes);
    if (!elements.valid() || static_cast<size_t>(elements.value()) != count)
      return usageError(
          fmt::format("{} strings do not make a tensor of {}", count, formatDims(sizes)));
    QUERN_ASSIGN(Tensor tensor, Tensor::allocate(DType::String, std::move(sizes)));
    for (size_t i = 0; i < count; ++i) {
      QUERN_TRY(require(strings[i], fmt::format("strings[{}]", i).c_str()));
      tensor.mutableData<std::string>()[i] = strings[i];
    }
    return giveValue(std::move(tensor), value);
  });
}

quern_status quern_value_sequence(const quern_value *const *values, size_t count, int32_t dtype,
                                  quern_value **value) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(value, "value"));
    QUERN_ASSIGN(std::vector<AnyValue> parts, readValues(values, count, "values"));
    ValueType element;
    if (parts.empty()) {
      QUERN_ASSIGN(DType type, readDType(dtype));
      element = ValueType::tensor(type);
    } else {
      element = typeOf(parts.front());
    }
    QUERN_ASSIGN(AnyValue sequence, AnyValue::sequence(std::move(element), std::move(parts)));
    return giveValue(std::move(sequence), value);
  });
}

quern_status quern_value_optional(const quern_value *content, int32_t dtype, quern_value **value) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(value, "value"));
    AnyValue inside;
    ValueType type;
    if (content) {
      QUERN_ASSIGN(ValueObject * object, objectOf<ValueObject>(content));
      inside = object->value;
      type = typeOf(inside);
    } else {
      QUERN_ASSIGN(DType element, readDType(dtype));
      type = ValueType::tensor(element);
    }
    QUERN_ASSIGN(AnyValue optional, AnyValue::optional(std::move(type), std::move(inside)));
    return giveValue(std::move(optional), value);
  });
}

quern_status quern_value_map(const quern_value *keys, const quern_value *const *values,
                             size_t count, quern_value **value) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(value, "value"));
    QUERN_ASSIGN(const Tensor *names, tensorOf(keys));
    QUERN_ASSIGN(std::vector<AnyValue> parts, readValues(values, count, "values"));
    if (parts.empty())
      return usageError("a map needs one value at least, which tells their type");
    ValueType type = typeOf(parts.front());
    QUERN_ASSIGN(AnyValue map, AnyValue::map(*names, std::move(type), std::move(parts)));
    return giveValue(std::move(map), value);
  });
}

quern_status quern_value_read(const char *path, const quern_limits *limits, quern_value **value) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(path, "path"));
    QUERN_TRY(require(value, "value"));
    QUERN_ASSIGN(Limits bounds, readLimits(limits));
    QUERN_ASSIGN(Tensor tensor, readTensorFile(path, bounds));
    return giveValue(std::move(tensor), value);
  });
}

quern_status quern_value_read_for(const quern_model *model, size_t input, const char *path,
                                  const quern_limits *limits, quern_value **value) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(path, "path"));
    QUERN_TRY(require(value, "value"));
    QUERN_ASSIGN(ModelObject * object, objectOf<ModelObject>(model));
    QUERN_ASSIGN(Limits bounds, readLimits(limits));
    const std::vector<PortSignature> &ports = object->model.inputs();
    if (input >= ports.size())
      return usageError(fmt::format("there is no input {}; there are {}", input, ports.size()));
    QUERN_ASSIGN(AnyValue read, readValueFile(path, ports[input], bounds));
    return giveValue(std::move(read), value);
  });
}

quern_status quern_value_serialize(const quern_value *value, const char *name, quern_text **bytes) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(bytes, "bytes"));
    QUERN_TRY(require(name, "name"));
    QUERN_ASSIGN(ValueObject * object, objectOf<ValueObject>(value));
    QUERN_ASSIGN(std::string text, serializeValue(object->value, name));
    return giveText(std::move(text), bytes);
  });
}

void quern_value_release(quern_value *value) { releaseObject<ValueObject>(value); }

//===----------------------------------------------------------------------===//
// Looking into values
//===----------------------------------------------------------------------===//

quern_status quern_value_kind(const quern_value *value, int32_t *kind) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(kind, "kind"));
    QUERN_ASSIGN(ValueObject * object, objectOf<ValueObject>(value));
    *kind = static_cast<int32_t>(object->value.kind());
    return Status::ok();
  });
}

quern_status quern_value_view(const quern_value *value, quern_tensor_view *view) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(view, "view"));
    QUERN_ASSIGN(const Tensor *tensor, tensorOf(value));
    bool isText = tensor->dtype() == DType::String;
    *view = {.dtype = static_cast<int32_t>(tensor->dtype()),
             .rank = tensor->dims().size(),
             .dims = tensor->dims().data(),
             .data = isText ? nullptr : const_cast<void *>(tensor->rawData()),
             .bytes = isText ? 0 : static_cast<size_t>(tensor->numBytes()),
             .elements = tensor->numElements()};
    return Status::ok();
  });
}

quern_status quern_value_string(const quern_value *value, size_t index, const char **chars,
                                size_t *size) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(chars, "chars"));
    QUERN_ASSIGN(const Tensor *tensor, tensorOf(value));
    if (tensor->dtype() != DType::String)
      return usageError("wanted a tensor of strings, found " + tensor->describe());
    if (index >= static_cast<size_t>(tensor->numElements()))
      return usageError(
          fmt::format("there is no string {}; there are {}", index, tensor->numElements()));
    const std::string &text = tensor->data<std::string>()[index];
    *chars = text.c_str();
    if (size)
      *size = text.size();
    return Status::ok();
  });
}

/// A usage error for tensors, which hold elements and no values.
static Expected<std::vector<AnyValue>> partsOf(const quern_value *value) {
  QUERN_ASSIGN(ValueObject * object, objectOf<ValueObject>(value));
  if (object->value.asTensor())
    return usageError("wanted a sequence, an optional or a map, found " + object->value.describe());
  return partsOf(object->value);
}

quern_status quern_value_count(const quern_value *value, size_t *count) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(count, "count"));
    QUERN_ASSIGN(std::vector<AnyValue> parts, partsOf(value));
    *count = parts.size();
    return Status::ok();
  });
}

quern_status quern_value_get(const quern_value *value, size_t index, quern_value **part) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(part, "part"));
    QUERN_ASSIGN(std::vector<AnyValue> parts, partsOf(value));
    if (index >= parts.size())
      return usageError(fmt::format("there is no value {}; there are {}", index, parts.size()));
    return giveValue(std::move(parts[index]), part);
  });
}

quern_status quern_value_keys(const quern_value *value, quern_value **keys) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(keys, "keys"));
    QUERN_ASSIGN(ValueObject * object, objectOf<ValueObject>(value));
    const MapValue *map = object->value.asMap();
    if (!map)
      return usageError("wanted a map, found " + object->value.describe());
    return giveValue(map->keys, keys);
  });
}
