//===- NarrowFactors.h - products of narrow types, for tests --------------===//
#pragma once

#include "tests/native/GraphCheck.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <random>
#include <string>
#include <string_view>

namespace quern::native {

/// Of factors and of their sums.
struct NarrowTypes {
  const char *a, *b, *sums;
};
constexpr NarrowTypes kNarrowTypes[] = {{"ui8", "i8", "i32"},
                                        {"i8", "i8", "i32"},
                                        {"ui8", "ui8", "i32"},
                                        {"i8", "ui8", "i32"},
                                        {"bf16", "bf16", "f32"}};

inline DType dtypeOfName(std::string_view name) {
  return name == "i8"     ? DType::Int8
         : name == "ui8"  ? DType::UInt8
         : name == "bf16" ? DType::BFloat16
         : name == "f16"  ? DType::Float16
         : name == "i32"  ? DType::Int32
                          : DType::Float32;
}

/// Bytes of the whole range, both ends often; small integers of other types.
inline Tensor drawTensor(DType dtype, const Tensor::Dims &dims, unsigned seed) {
  if (dtype != DType::Int8 && dtype != DType::UInt8)
    return integerTensor(dtype, dims, seed);
  Tensor tensor = Tensor::allocate(dtype, dims).take();
  std::mt19937 random(seed);
  auto *bytes = static_cast<uint8_t *>(tensor.mutableRawData());
  for (int64_t i = 0; i < tensor.numElements(); ++i) {
    constexpr uint8_t kEnds[] = {0, 255, 127, 128};
    bytes[i] = static_cast<uint8_t>(random() % 3 == 0 ? kEnds[random() % 4] : random());
  }
  return tensor;
}

inline std::string typeText(const Tensor::Dims &dims, std::string_view element) {
  return fmt::format("{}x{}", fmt::join(dims, "x"), element);
}

struct NarrowConv {
  Tensor::Dims input, weights;
  int64_t stride = 1, pad = 0, group = 1;
  int64_t padValue = 0;
};

inline GraphValue addConv(Graph &graph, const NarrowConv &c, const NarrowTypes &types,
                          const GraphValue &x, unsigned seed) {
  GraphValue w = graph.weight(drawTensor(dtypeOfName(types.b), c.weights, seed));
  GraphValue bias = graph.weight(integerTensor(dtypeOfName(types.sums), {c.weights[0]}, seed + 1));
  size_t axes = c.weights.size() - 2;
  auto each = [](int64_t number, size_t count) {
    return fmt::format("{}", fmt::join(std::vector<int64_t>(count, number), ", "));
  };
  // What lies beyond the edges is of the image's type.
  int64_t padValue = types.a == std::string_view("ui8")  ? c.padValue
                     : types.a == std::string_view("i8") ? c.padValue - 128
                                                         : 0;
  return graph.op(
      "nn.conv", {x, w, bias},
      fmt::format("strides = array<i64: {}>, dilations = array<i64: {}>, pads = array<i64: {}>, "
                  "group = {}, pad_value = {} : i64",
                  each(c.stride, axes), each(1, axes), each(c.pad, 2 * axes), c.group, padValue),
      fmt::format("*x{}", types.sums));
}

} // namespace quern::native
