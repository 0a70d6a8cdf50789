//===- Call.h - what all functions of quern.h do --------------------------===//
#pragma once

#include "api/c/Handles.h"
#include "quern.h"
#include "quern/Limits.h"
#include "quern/PortSignature.h"

#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <type_traits>

namespace quern::c {

/// The code, after quern_last_error has got the message.
quern_status report(const Status &status) noexcept;
/// The same with a text that lives for ever: allocates nothing, for signal handlers.
quern_status reportFixed(StatusCode code, const char *message) noexcept;

/// Calls body(), which returns a Status; no exception gets out.
template <typename Body> quern_status guarded(Body &&body) noexcept {
  try {
    return report(body());
  } catch (const std::bad_alloc &) {
    return report(Status(StatusCode::ResourceLimit, {}));
  } catch (...) {
    return report(Status(StatusCode::Internal, {}));
  }
}

//===----------------------------------------------------------------------===//
// Objects behind handles
//===----------------------------------------------------------------------===//

/// Which handles a type of object has, and what users call it.
template <typename Object> struct HandleOf;

Status missingObject(const char *what, const void *handle);

/// The object; a usage error for null and what is released or something else.
template <typename Object> Expected<Object *> objectOf(const typename HandleOf<Object>::Type *h) {
  if (void *object = findObject(HandleOf<Object>::kind, h))
    return static_cast<Object *>(object);
  return missingObject(HandleOf<Object>::name, h);
}

/// Puts a new handle for the object into `result`, which is not null.
template <typename Object>
Status giveHandle(std::unique_ptr<Object> object, typename HandleOf<Object>::Type **result) {
  void *handle = makeHandle(HandleOf<Object>::kind, object.get());
  if (!handle)
    return resourceLimit("there are too many objects");
  object.release();
  *result = static_cast<typename HandleOf<Object>::Type *>(handle);
  return Status::ok();
}

template <typename Object> void releaseObject(const void *handle) noexcept {
  delete static_cast<Object *>(takeObject(HandleOf<Object>::kind, handle));
}

struct TextObject {
  std::string text;
};
template <> struct HandleOf<TextObject> {
  using Type = quern_text;
  static constexpr HandleKind kind = HandleKind::Text;
  static constexpr const char *name = "text";
};
Status giveText(std::string text, quern_text **result);

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

/// Usage error that names the argument when it is null.
Status require(const void *argument, const char *name);
/// The same for an array that has elements.
Status requireArray(const void *array, size_t count, const char *name);

/// The options as this library knows them: of an older program's the rest is zero. A newer
/// program's must not set what is not known here.
template <typename Options> Expected<Options> readOptions(const Options *given, const char *name) {
  static_assert(std::is_trivially_copyable_v<Options>);
  Options options;
  std::memset(static_cast<void *>(&options), 0, sizeof options);
  options.struct_size = sizeof options;
  if (!given)
    return options;
  size_t size = given->struct_size;
  // Nobody's options are as large: memory that was not set.
  if (size < sizeof(size_t) || size > 16 * sizeof(Options) + 4096)
    return usageError(std::string(name) + ": struct_size must be the size of the struct");
  auto *bytes = reinterpret_cast<const unsigned char *>(given);
  for (size_t i = sizeof options; i < size; ++i)
    if (bytes[i])
      return usageError(std::string(name) + ": this library is too old for an option that is set");
  std::memcpy(static_cast<void *>(&options), bytes, std::min(size, sizeof options));
  options.struct_size = sizeof options;
  return options;
}

/// Usage error when one makes no sense.
Expected<Limits> readLimits(const quern_limits *limits);
/// The deadline so many seconds from now; none for 0.
Expected<Deadline> readSeconds(double seconds);
Expected<std::vector<Tensor::Dims>> readShapes(const quern_shape *shapes, size_t count);
Expected<Tensor::Dims> readDims(const int64_t *dims, size_t rank);

//===----------------------------------------------------------------------===//
// Ports
//===----------------------------------------------------------------------===//

/// Ports as C programs see them.
class PortTable {
public:
  explicit PortTable(const std::vector<PortSignature> &ports);
  Status get(size_t index, quern_port *port) const;
  size_t size() const { return ports.size(); }

private:
  std::vector<std::vector<quern_dim>> dims;
  std::vector<std::string> types;
  std::vector<quern_port> ports;
  /// The names are its.
  std::vector<PortSignature> signatures;
};

} // namespace quern::c
