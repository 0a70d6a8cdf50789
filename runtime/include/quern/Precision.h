//===- Precision.h - what a model is computed in --------------------------===//
#pragma once

#include "quern/Status.h"

#include <string_view>

namespace quern {

/// What products and convolutions of float32 may be computed in. All else (softmax, norms,
/// reductions, what chooses by comparing) stays as the model has it.
enum class Precision {
  Float32,  ///< as the model has it: the same answers
  BFloat16, ///< operands rounded once to bfloat16, sums in float32
  Float16,
  Int8,
  Auto, ///< the least that keeps a bound on the error
};

/// "f32", "bf16", "f16", "int8", "auto".
std::string_view precisionName(Precision precision);
/// The inverse. A usage error lists the names.
Expected<Precision> parsePrecision(std::string_view name);
/// Unsupported for those that there is no native code for; the message says what to use instead.
Status checkPrecision(Precision precision);

/// Whether convolutions may go by Winograd's algorithm. It needs fewer multiplications, and its
/// sums are of other products: it is off by up to eight times what direct sums are, two as
/// measured.
enum class WinogradUse {
  Auto, ///< where the cost model expects it to be faster
  Off,
};

/// "auto", "off".
std::string_view winogradUseName(WinogradUse use);
/// The inverse. A usage error lists the names.
Expected<WinogradUse> parseWinogradUse(std::string_view name);

/// What constant weights of matrix products of float32 are kept as; they are widened where they
/// are multiplied.
enum class WeightType {
  Given, ///< as the model has them
  Int8,  ///< with a scale for each column
  Int4,  ///< with a scale for each 32 along a column
};

/// "given", "int8", "int4".
std::string_view weightTypeName(WeightType type);
/// The inverse. A usage error lists the names.
Expected<WeightType> parseWeightType(std::string_view name);

} // namespace quern
