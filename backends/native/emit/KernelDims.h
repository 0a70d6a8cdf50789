//===- KernelDims.h - a kernel's run-time numbers as a struct -------------===//
//
// A kernel that has more than a few dims declares them as the members of a struct of
// int64_t. The members' order is the order of the dims: the lowering fills the struct
// and flattens it, the emitter reads kb.dim(&Dims::member).
//
//===----------------------------------------------------------------------===//
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace quern::native {

/// The numbers of `dims` as a step has them.
template <class Dims> std::vector<int64_t> flattenDims(const Dims &dims) {
  static_assert(std::is_standard_layout_v<Dims> && sizeof(Dims) % sizeof(int64_t) == 0);
  auto numbers = std::bit_cast<std::array<int64_t, sizeof(Dims) / sizeof(int64_t)>>(dims);
  return {numbers.begin(), numbers.end()};
}

/// Which dim `member` is; the first one of a member that has several.
template <class Dims, class Member> int64_t dimIndex(Member Dims::*member) {
  static_assert(std::is_standard_layout_v<Dims> && sizeof(Member) % sizeof(int64_t) == 0);
  static const Dims dims{};
  auto address = [](const auto &place) { return reinterpret_cast<const char *>(&place); };
  return (address(dims.*member) - address(dims)) / static_cast<int64_t>(sizeof(int64_t));
}

} // namespace quern::native
