//===- Call.cpp - what all functions of quern.h do ------------------------===//
#include "api/c/Call.h"

#include "quern/Version.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

using namespace quern;
using namespace quern::c;

/// Its capacity is there before memory runs out.
static std::string &lastError() {
  thread_local std::string message = std::string(4096, ' ').substr(4096);
  return message;
}

/// Instead of that, unless null.
static thread_local const char *fixedError = nullptr;

static const char *nameOf(StatusCode code) {
  switch (code) {
  case StatusCode::Ok:
    return "ok";
  case StatusCode::Internal:
    return "internal error";
  case StatusCode::Usage:
    return "wrong usage";
  case StatusCode::InvalidModel:
    return "invalid model";
  case StatusCode::Unsupported:
    return "unsupported";
  case StatusCode::AccuracyMismatch:
    return "accuracy mismatch";
  case StatusCode::TooSlow:
    return "too slow";
  case StatusCode::Incompatible:
    return "incompatible";
  case StatusCode::InvalidInput:
    return "invalid input";
  case StatusCode::ResourceLimit:
    return "resource limit";
  case StatusCode::Io:
    return "input or output failed";
  case StatusCode::Cancelled:
    return "cancelled";
  }
  return "unknown status";
}

quern_status c::report(const Status &status) noexcept {
  if (!status.isOk()) {
    fixedError = nullptr;
    try {
      lastError() = status.message().empty() ? status.code() == StatusCode::ResourceLimit
                                                   ? "memory is exhausted"
                                                   : "an exception was thrown"
                                             : status.message();
    } catch (...) { // the status says it
    }
  }
  return static_cast<quern_status>(status.code());
}

quern_status c::reportFixed(StatusCode code, const char *message) noexcept {
  fixedError = message;
  return static_cast<quern_status>(code);
}

Status c::missingObject(const char *what, const void *handle) {
  return usageError(handle ? fmt::format("the {} was released, or is something else", what)
                           : fmt::format("the {} is NULL", what));
}

Status c::giveText(std::string text, quern_text **result) {
  return giveHandle(std::make_unique<TextObject>(TextObject{std::move(text)}), result);
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

Status c::require(const void *argument, const char *name) {
  return argument ? Status::ok() : usageError(fmt::format("{} is NULL", name));
}

Status c::requireArray(const void *array, size_t count, const char *name) {
  return count == 0 ? Status::ok() : require(array, name);
}

Expected<Deadline> c::readSeconds(double seconds) {
  if (seconds == 0)
    return Deadline();
  if (!(seconds > 0)) // nor NaN
    return usageError(fmt::format("{} seconds are no time limit; wanted more than 0", seconds));
  // Longer than anybody waits, and few enough to count in nanoseconds.
  constexpr double kLongest = 1e9;
  return Deadline::after(
      std::chrono::nanoseconds(static_cast<int64_t>(std::min(seconds, kLongest) * 1e9)));
}

Expected<Limits> c::readLimits(const quern_limits *given) {
  Limits limits;
  if (!given)
    return limits;
  QUERN_ASSIGN(limits.deadline, readSeconds(given->seconds));
  auto set = [](int64_t value, int64_t &limit) {
    if (value > 0)
      limit = value;
    return value >= 0;
  };
  if (!set(given->memory_bytes, limits.maxActivationBytes) ||
      !set(given->max_tensor_bytes, limits.maxTensorBytes) ||
      !set(given->max_model_bytes, limits.maxModelBytes) || !set(given->max_nodes, limits.maxNodes))
    return usageError("a limit is below 0");
  return limits;
}

Expected<Tensor::Dims> c::readDims(const int64_t *dims, size_t rank) {
  QUERN_TRY(requireArray(dims, rank, "dims"));
  if (rank > static_cast<size_t>(Limits().maxRank))
    return usageError(fmt::format("a rank of {} is too large", rank));
  Tensor::Dims result(dims, dims + rank);
  if (std::any_of(result.begin(), result.end(), [](int64_t size) { return size < 0; }))
    return usageError("a size is below 0");
  return result;
}

Expected<std::vector<Tensor::Dims>> c::readShapes(const quern_shape *shapes, size_t count) {
  QUERN_TRY(requireArray(shapes, count, "shapes"));
  std::vector<Tensor::Dims> result;
  for (size_t i = 0; i < count; ++i) {
    QUERN_ASSIGN(Tensor::Dims dims, readDims(shapes[i].dims, shapes[i].rank));
    result.push_back(std::move(dims));
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Ports
//===----------------------------------------------------------------------===//

c::PortTable::PortTable(const std::vector<PortSignature> &given) : signatures(given) {
  for (const PortSignature &port : signatures) {
    std::vector<quern_dim> &sizes = dims.emplace_back();
    for (const PortDim &dim : port.shape.dims())
      sizes.push_back({dim.isStatic() ? dim.size() : -1,
                       dim.isSymbolic() ? dim.symbolName().c_str() : nullptr});
    types.push_back(port.describe());
  }
  for (size_t i = 0; i < signatures.size(); ++i) {
    const PortSignature &port = signatures[i];
    bool hasDims = port.isTensor() && port.ranked;
    ports.push_back({port.name.c_str(), types[i].c_str(), static_cast<int32_t>(port.kind),
                     static_cast<int32_t>(port.dtype),
                     hasDims ? static_cast<int32_t>(dims[i].size()) : -1,
                     hasDims ? dims[i].data() : nullptr});
  }
}

Status c::PortTable::get(size_t index, quern_port *port) const {
  QUERN_TRY(require(port, "port"));
  if (index >= ports.size())
    return usageError(fmt::format("there is no port {}; there are {}", index, ports.size()));
  *port = ports[index];
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

const char *quern_status_name(quern_status status) { return nameOf(StatusCode(status)); }

const char *quern_last_error(void) {
  try {
    return fixedError ? fixedError : lastError().c_str();
  } catch (...) {
    return "";
  }
}

const char *quern_version(void) { return versionString(); }

quern_status quern_text_get(const quern_text *text, const char **chars, size_t *size) {
  return guarded([&]() -> Status {
    QUERN_ASSIGN(TextObject * object, objectOf<TextObject>(text));
    QUERN_TRY(require(chars, "chars"));
    *chars = object->text.c_str();
    if (size)
      *size = object->text.size();
    return Status::ok();
  });
}

void quern_text_release(quern_text *text) { releaseObject<TextObject>(text); }
