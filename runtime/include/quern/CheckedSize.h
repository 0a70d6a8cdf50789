//===- CheckedSize.h - size arithmetic that cannot wrap -------------------===//
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace quern {

/// A non-negative size whose arithmetic remembers overflow. Every size that is
/// computed from a model file or from a request goes through this type; ask
/// `valid()` before using `value()`.
class CheckedSize {
public:
  constexpr CheckedSize() = default;
  /// A negative value is invalid, as is one above INT64_MAX.
  constexpr CheckedSize(int64_t v) : bytes(v < 0 ? 0 : v), good(v >= 0) {}
  constexpr CheckedSize(int v) : CheckedSize(static_cast<int64_t>(v)) {}
  constexpr CheckedSize(size_t v)
      : bytes(static_cast<int64_t>(v)),
        good(v <= static_cast<size_t>(std::numeric_limits<int64_t>::max())) {}

  constexpr bool valid() const { return good; }
  /// The value; 0 when invalid.
  constexpr int64_t value() const { return good ? bytes : 0; }

  friend constexpr CheckedSize operator*(CheckedSize a, CheckedSize b) {
    CheckedSize r;
    r.good = !__builtin_mul_overflow(a.bytes, b.bytes, &r.bytes) && a.good && b.good;
    return r;
  }
  friend constexpr CheckedSize operator+(CheckedSize a, CheckedSize b) {
    CheckedSize r;
    r.good = !__builtin_add_overflow(a.bytes, b.bytes, &r.bytes) && a.good && b.good;
    return r;
  }
  /// Invalid when the difference would be negative.
  friend constexpr CheckedSize operator-(CheckedSize a, CheckedSize b) {
    CheckedSize r;
    r.bytes = a.bytes - b.bytes;
    r.good = a.good && b.good && a.bytes >= b.bytes;
    return r;
  }
  CheckedSize &operator*=(CheckedSize o) { return *this = *this * o; }
  CheckedSize &operator+=(CheckedSize o) { return *this = *this + o; }

  /// Rounded up to a multiple of `alignment` (a positive number).
  constexpr CheckedSize alignedTo(int64_t alignment) const {
    CheckedSize up = *this + CheckedSize(alignment - 1);
    up.bytes = up.bytes / alignment * alignment;
    return up;
  }

  /// The product of `dims`; invalid when one is negative or the product overflows.
  static constexpr CheckedSize product(std::span<const int64_t> dims) {
    CheckedSize total(int64_t{1});
    for (int64_t d : dims)
      total = total * CheckedSize(d);
    return total;
  }

private:
  int64_t bytes = 0;
  bool good = true;
};

} // namespace quern
