//===- ConvertTensor.h - numbers of one type as another -------------------===//
#pragma once

#include "quern/Limits.h"
#include "quern/Tensor.h"

namespace quern {

/// The numbers of `tensor` as `dtype`. Floats round, as float64 to float32 does. InvalidInput
/// that names the first number for which `dtype` has none: for integers one that is out of
/// range or no integer, for bool any but 0 and 1, for floats a finite one that is too large.
/// Strings are no numbers.
Expected<Tensor> convertTensor(const Tensor &tensor, DType dtype, const Limits &limits = {});

} // namespace quern
