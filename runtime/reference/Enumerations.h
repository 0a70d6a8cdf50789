//===- Enumerations.h - what the attributes of ops choose from ------------===//
//
// The only list of each: the attributes of the nn dialect hold these (ir/NNBase.td),
// the importer reads ONNX's strings by these names, kernels switch over them.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace quern {

/// How a window is padded beside `pads`.
enum class AutoPad { NotSet, Valid, SameUpper, SameLower };

/// What a reduction computes.
enum class ReduceKind { Sum, Mean, Max, Min, Prod, L1, L2, LogSum, LogSumExp, SumSquare };

/// What stands in the padding.
enum class PadMode { Constant, Reflect, Edge };

/// How a resize makes elements.
enum class ResizeMode { Nearest, Linear, Cubic };

/// Where in the input of a resize a coordinate of its result lies.
enum class ResizeCoordinates {
  HalfPixel,
  HalfPixelSymmetric,
  PytorchHalfPixel,
  AlignCorners,
  Asymmetric,
  TfHalfPixelForNn,
  TfCropAndResize,
};

/// Which element is the nearest. FloorOrCeil is what resizing meant before ONNX had modes
/// (opset 11): ceil along an axis that shrinks, floor along others, of a float32 quotient.
enum class NearestMode { RoundPreferFloor, RoundPreferCeil, Floor, Ceil, FloorOrCeil };

/// What a scatter makes of an element and its update.
enum class ScatterReduction { None, Add, Mul, Max, Min };

/// How a cast rounds to float8e8m0, whose values are powers of two; ties of Nearest go up.
enum class CastRounding { Nearest, Up, Down };

/// The names of an enumeration's values, in their order: ONNX's where it has them.
template <typename E> inline constexpr std::string_view kEnumNames[] = {""};
template <>
inline constexpr std::string_view kEnumNames<AutoPad>[] = {"NOTSET", "VALID", "SAME_UPPER",
                                                           "SAME_LOWER"};
template <>
inline constexpr std::string_view kEnumNames<ReduceKind>[] = {
    "sum", "mean", "max", "min", "prod", "l1", "l2", "log_sum", "log_sum_exp", "sum_square"};
template <>
inline constexpr std::string_view kEnumNames<PadMode>[] = {"constant", "reflect", "edge"};
template <>
inline constexpr std::string_view kEnumNames<ResizeMode>[] = {"nearest", "linear", "cubic"};
template <>
inline constexpr std::string_view kEnumNames<ResizeCoordinates>[] = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
    "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"};
template <>
inline constexpr std::string_view kEnumNames<NearestMode>[] = {
    "round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "floor_or_ceil"};
template <>
inline constexpr std::string_view kEnumNames<ScatterReduction>[] = {"none", "add", "mul", "max",
                                                                    "min"};

template <>
inline constexpr std::string_view kEnumNames<CastRounding>[] = {"nearest", "up", "down"};

template <typename E> constexpr std::string_view nameOf(E value) {
  return kEnumNames<E>[static_cast<size_t>(value)];
}

/// The value with this name; nullopt when there is none.
template <typename E> constexpr std::optional<E> enumNamed(std::string_view name) {
  size_t i = 0;
  for (std::string_view known : kEnumNames<E>) {
    if (known == name)
      return static_cast<E>(i);
    ++i;
  }
  return std::nullopt;
}

} // namespace quern
