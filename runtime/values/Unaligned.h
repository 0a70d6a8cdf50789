//===- Unaligned.h - elements at any address ------------------------------===//
#pragma once

#include <cstdint>
#include <cstring>

namespace quern {

/// Reads elements that may lie at addresses not aligned for T, as in a mapped model
/// file. Costs nothing on CPUs that allow it.
template <typename T> class UnalignedElements {
public:
  explicit UnalignedElements(const void *data) : bytes(static_cast<const char *>(data)) {}

  T operator[](int64_t i) const {
    T value;
    std::memcpy(&value, at(i), sizeof value);
    return value;
  }
  const void *at(int64_t i) const { return bytes + i * static_cast<int64_t>(sizeof(T)); }
  UnalignedElements operator+(int64_t i) const { return UnalignedElements(at(i)); }

private:
  const char *bytes;
};

} // namespace quern
