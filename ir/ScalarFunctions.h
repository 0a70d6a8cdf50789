//===- ScalarFunctions.h - what rows of elementwise ops are made of -------===//
//
// For the files that define such ops: the `eval` snippet of a row as functions on scalars of all
// classes, and what the snippets use.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ir/Elementwise.h"
#include "ir/ScalarEmitter.h"
#include "runtime/reference/ScalarMath.h"

#include <cmath>

namespace quern::nn {

template <typename T> T readScalar(Scalar s) {
  if constexpr (std::is_same_v<T, double>)
    return s.f;
  else if constexpr (std::is_same_v<T, int64_t>)
    return s.i;
  else
    return static_cast<T>(s.u);
}

inline Scalar makeScalar(double v) { return {.f = v}; }
inline Scalar makeScalar(int64_t v) { return {.i = v}; }
inline Scalar makeScalar(uint64_t v) { return {.u = v}; }
inline Scalar makeScalar(bool v) { return {.u = v}; }

/// Adapts `Op::evalScalar<T>` to the untyped signature.
template <typename Op, unsigned arity, typename T>
Scalar evalAs(const Scalar *args, const double *params) {
  T values[arity];
  for (unsigned i = 0; i < arity; ++i)
    values[i] = readScalar<T>(args[i]);
  return makeScalar(Op::evalScalar(values, params));
}

template <typename Op, unsigned arity, unsigned classes> ScalarFunctions makeScalarFunctions() {
  ScalarFunctions f;
  if constexpr (classes & kFloatClass)
    f.onFloat = evalAs<Op, arity, double>;
  if constexpr (classes & kSignedClass)
    f.onSigned = evalAs<Op, arity, int64_t>;
  if constexpr (classes & kUnsignedClass)
    f.onUnsigned = evalAs<Op, arity, uint64_t>;
  if constexpr (classes & kBoolClass)
    f.onBool = evalAs<Op, arity, bool>;
  return f;
}

} // namespace quern::nn
