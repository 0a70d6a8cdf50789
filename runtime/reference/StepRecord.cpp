//===- StepRecord.cpp - a reference step of an artefact as bytes ----------===//
//
// Numbers are 8 bytes; texts, lists and tensors say first how long they are. An attribute
// says first which alternative of Attributes::Value it is.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/StepRecord.h"

#include <cstring>
#include <type_traits>

using namespace quern;
using namespace quern::reference;

namespace {
class Writer {
public:
  void number(int64_t value) { raw(&value, sizeof value); }
  void put(int64_t value) { number(value); }
  void put(double value) { raw(&value, sizeof value); }
  void put(DType value) { number(static_cast<int64_t>(value)); }
  void put(const std::string &value) {
    number(static_cast<int64_t>(value.size()));
    bytes += value;
  }
  template <typename T> void put(const std::vector<T> &values) {
    number(static_cast<int64_t>(values.size()));
    for (const T &value : values)
      put(value);
  }
  void put(const StepRecord::Port &port) {
    put(port.dtype);
    put(port.dims);
  }
  void put(const Tensor &tensor) {
    put(StepRecord::Port{tensor.dtype(), tensor.dims()});
    if (tensor.dtype() != DType::String)
      return raw(tensor.rawData(), static_cast<size_t>(tensor.numBytes()));
    for (const std::string &text : tensor.elementsAs<std::string>())
      put(text);
  }

  std::string bytes;

private:
  void raw(const void *data, size_t count) {
    if (count > 0)
      bytes.append(static_cast<const char *>(data), count);
  }
};

/// Reads what Writer writes; once something is missing, `ok` is false and all that
/// follows is empty.
class Reader {
public:
  explicit Reader(std::string_view bytes) : bytes(bytes) {}

  void get(int64_t &value) { raw(&value, sizeof value); }
  void get(double &value) { raw(&value, sizeof value); }
  void get(DType &value) {
    int64_t number = 0;
    get(number);
    ok = ok && number >= 0 && number <= UINT8_MAX;
    value = ok ? static_cast<DType>(number) : DType::Undefined;
  }
  void get(std::string &value) {
    size_t size = length(1);
    value.assign(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  template <typename T> void get(std::vector<T> &values) {
    values.resize(length(sizeof(int64_t)));
    for (T &value : values)
      get(value);
  }
  void get(StepRecord::Port &port) {
    get(port.dtype);
    get(port.dims);
  }
  void get(Tensor &tensor) {
    StepRecord::Port port;
    get(port);
    auto made = Tensor::allocate(port.dtype, port.dims);
    ok = ok && made;
    if (!ok)
      return;
    tensor = made.take();
    if (tensor.dtype() != DType::String)
      return raw(tensor.mutableRawData(), static_cast<size_t>(tensor.numBytes()));
    for (int64_t i = 0; i < tensor.numElements(); ++i)
      get(tensor.mutableData<std::string>()[i]);
  }
  bool isAtEnd() const { return ok && bytes.empty(); }

private:
  void raw(void *data, size_t count) {
    ok = ok && count <= bytes.size();
    if (!ok || count == 0)
      return;
    std::memcpy(data, bytes.data(), count);
    bytes.remove_prefix(count);
  }
  /// How many entries follow, of so many bytes at least.
  size_t length(size_t least) {
    int64_t count = 0;
    get(count);
    ok = ok && count >= 0 && static_cast<uint64_t>(count) <= bytes.size() / least;
    return ok ? static_cast<size_t>(count) : 0;
  }

  std::string_view bytes;
  bool ok = true;
};
} // namespace

std::string reference::writeStepRecord(const StepRecord &record) {
  Writer writer;
  writer.put(record.opName);
  writer.number(static_cast<int64_t>(record.attributes.size()));
  for (const auto &[name, value] : record.attributes) {
    writer.put(name);
    writer.number(static_cast<int64_t>(value.index()));
    std::visit([&](const auto &held) { writer.put(held); }, value);
  }
  writer.put(record.inputs);
  writer.put(record.outputs);
  return std::move(writer.bytes);
}

/// The attribute value of alternative `index`.
template <size_t I = 0>
static bool readAlternative(Reader &reader, int64_t index, Attributes::Value &value) {
  if constexpr (I < std::variant_size_v<Attributes::Value>) {
    if (index != static_cast<int64_t>(I))
      return readAlternative<I + 1>(reader, index, value);
    reader.get(value.emplace<I>());
    return true;
  }
  return false;
}

Expected<StepRecord> reference::readStepRecord(std::string_view bytes) {
  StepRecord record;
  Reader reader(bytes);
  int64_t attributes = 0;
  reader.get(record.opName);
  reader.get(attributes);
  for (int64_t i = 0; i < attributes; ++i) {
    auto &[name, value] = record.attributes.emplace_back();
    int64_t index = -1;
    reader.get(name);
    reader.get(index);
    if (!readAlternative(reader, index, value))
      return internalError("not the record of a reference step");
  }
  reader.get(record.inputs);
  reader.get(record.outputs);
  if (!reader.isAtEnd())
    return internalError("not the record of a reference step");
  return record;
}
