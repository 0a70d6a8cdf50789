//===- TensorDifference.h - how far two tensors are apart -----------------===//
#pragma once

#include "quern/AnyValue.h"

namespace quern {

struct Tolerance {
  double relative = 1e-3;
  double absolute = 1e-5;
};

struct TensorDifference {
  double maxAbsolute = 0;
  /// Relative to the wanted value; elements whose difference is 0 do not count.
  double maxRelative = 0;
  /// Elements with |found - wanted| > absolute + relative * |wanted|, or not both
  /// NaN, or different integers, bools or strings.
  int64_t mismatches = 0;
  /// Why the tensors cannot be compared element by element; empty when they can.
  std::string incomparable;

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
