//===- TensorDifference.h - how far two tensors are apart -----------------===//
#pragma once

#include "quern/AnyValue.h"
#include "quern/Precision.h"
#include "quern/PrecisionChoice.h"

#include <optional>
#include <string>
#include <vector>

namespace quern {

struct Tolerance {
  double relative = 1e-3;
  double absolute = 1e-5;
  /// Of the largest magnitude that a tensor of real or complex numbers has: roundings of operands
  /// are errors of sums, whatever is left of these.
  double ofLargest = 0;
};
/// What results may differ by that are computed so: at less than float32, and where products of
/// quantized tensors are computed on their integers, which rounds once where the model's steps
/// round thrice, 4 % of the largest magnitude; with Precision::Auto the bound that was chosen by.
/// `unrounded` is the coarsest type that results are not rounded to before they are read, as the
/// model says that they are (Explanation::unroundedType): float16 adds 2 %, bfloat16 10 %.
Tolerance toleranceOf(Precision precision, bool multipliesBytes = false,
                      const PrecisionChoice *choice = nullptr, DType unrounded = DType::Undefined);

struct TensorDifference {
  double maxAbsolute = 0;
  /// Relative to the wanted value; elements whose difference is 0 do not count.
  double maxRelative = 0;
  /// maxAbsolute as a share of the largest finite magnitude that is wanted; 0 of integers, bools
  /// and strings.
  double maxOfLargest = 0;
  /// How many numbers of the tensor's type lie between two elements at most, and one: units in the
  /// last place; infinite where one of them is not finite. 0 of others than floats.
  double maxUlp = 0;
  /// How many finite elements differ by 0 of these units, by 1, by 2 and 3, by 4 to 7, and so on;
  /// empty of others than floats.
  std::vector<int64_t> ulps = {};
  /// Of the angle between both, as vectors of their finite elements; 0 where one of them is all
  /// zeros, 1 where both are.
  double cosine = 1;
  /// Of rows of floats (of up to three dims, the last of two entries or more) the share whose
  /// largest entry is the same one.
  std::optional<double> topAgreement = {};
  /// Elements with |found - wanted| > absolute + relative * |wanted| + ofLargest * the largest
  /// magnitude wanted, or not both NaN, or different integers, bools or strings.
  int64_t mismatches = 0;
  /// Why the tensors cannot be compared element by element; empty when they can.
  std::string incomparable = {};

  bool passes() const { return mismatches == 0 && incomparable.empty(); }
};

TensorDifference compareTensors(const Tensor &wanted, const Tensor &found,
                                const Tolerance &tolerance);

/// The same of all tensors in two values; two that are not made alike cannot be compared.
TensorDifference compareValues(const AnyValue &wanted, const AnyValue &found,
                               const Tolerance &tolerance);

/// The elements as doubles (complex ones as pairs); empty for strings.
std::vector<double> elementsAsDouble(const Tensor &tensor);

} // namespace quern
