//===- ScalarFunction.h - scalar reference of elementwise ops (MLIR-free) -===//
#pragma once

#include <cstdint>

namespace quern {

/// One element in the widest type of its class: floats as double, signed
/// integers as int64_t, unsigned integers and bool as uint64_t.
union Scalar {
  double f;
  int64_t i;
  uint64_t u;
};

/// Evaluates one elementwise op on one element of each operand. `params` are
/// the op's float attributes in row order. A comparison returns 0 or 1 in `u`;
/// the condition of `where` is passed as 0 or 1 in the class of the others.
using ScalarFunction = Scalar (*)(const Scalar *args, const double *params);

/// The functions for the element classes an op supports; null where it does not.
/// The class is that of the last operand (the data operand of `where`).
struct ScalarFunctions {
  ScalarFunction onFloat = nullptr;
  ScalarFunction onSigned = nullptr;
  ScalarFunction onUnsigned = nullptr;
  ScalarFunction onBool = nullptr;
};

} // namespace quern
