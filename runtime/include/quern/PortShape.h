//===- PortShape.h - shapes of inputs and outputs -------------------------===//
#pragma once

#include "quern/Status.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace quern {

/// One dimension: a known size, a name that stands for one size ("N"), or unknown.
class PortDim {
public:
  /// Unknown.
  PortDim() = default;
  PortDim(int64_t size) : known(size) {}
  static PortDim symbol(std::string name) {
    PortDim d;
    d.name = std::move(name);
    return d;
  }

  bool isStatic() const { return known >= 0; }
  bool isSymbolic() const { return known < 0 && !name.empty(); }
  bool isUnknown() const { return known < 0 && name.empty(); }
  bool isStatic(int64_t size) const { return known == size && size >= 0; }
  /// The size of a static dimension.
  int64_t size() const { return known; }
  const std::string &symbolName() const { return name; }
  /// Equal for sure: the same size or the same symbol. Unknown equals nothing.
  bool provablyEquals(const PortDim &o) const {
    return isStatic() ? known == o.known : isSymbolic() && o.isSymbolic() && name == o.name;
  }
  /// Cannot be different: false only for two different static sizes.
  bool compatibleWith(const PortDim &o) const {
    return !isStatic() || !o.isStatic() || known == o.known;
  }
  /// "3", "N" or "?".
  std::string str() const;

private:
  int64_t known = -1;
  std::string name;
};

/// A ranked shape. Rank 0 is a scalar.
class PortShape {
public:
  PortShape() = default;
  explicit PortShape(std::vector<PortDim> d) : dimensions(std::move(d)) {}
  static PortShape fromSizes(std::span<const int64_t> sizes);

  int64_t rank() const { return static_cast<int64_t>(dimensions.size()); }
  const PortDim &operator[](int64_t i) const { return dimensions[i]; }
  PortDim &operator[](int64_t i) { return dimensions[i]; }
  const std::vector<PortDim> &dims() const { return dimensions; }
  bool isStatic() const;
  /// The sizes, when all are static.
  std::optional<std::vector<int64_t>> sizes() const;
  /// The number of elements, when static and not overflowing.
  std::optional<int64_t> numElements() const;
  /// "1x3x?xN"; "scalar" for rank 0.
  std::string str() const;

private:
  std::vector<PortDim> dimensions;
};

} // namespace quern
