//===- Arena.h - one large aligned buffer ---------------------------------===//
#pragma once

#include "quern/CheckedSize.h"
#include "quern/Status.h"

#include <cstddef>
#include <cstdlib>
#include <memory>

namespace quern {

/// One uninitialised buffer for activations. It starts on a 64-byte boundary; a
/// large one starts on a huge page and asks for huge pages.
class Arena {
public:
  static constexpr int64_t kAlignment = 64;

  /// Empty.
  Arena() = default;
  /// ResourceLimit when `bytes` is invalid, above `limit`, or cannot be had.
  static Expected<Arena> allocate(CheckedSize bytes, int64_t limit = INT64_MAX);

  std::byte *data() { return memory.get(); }
  const std::byte *data() const { return memory.get(); }
  int64_t size() const { return bytes; }

private:
  struct Free {
    void operator()(std::byte *p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> memory;
  int64_t bytes = 0;
};

} // namespace quern
