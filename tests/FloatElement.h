//===- FloatElement.h - one number out of a tensor of any float type ------===//
#pragma once

#include "quern/Tensor.h"

namespace quern {

/// Element `i` of a float tensor.
inline double floatAt(const Tensor &tensor, int64_t i) {
  switch (tensor.dtype()) {
  case DType::Float16:
    return static_cast<float>(tensor.data<Float16>()[i]);
  case DType::BFloat16:
    return static_cast<float>(tensor.data<BFloat16>()[i]);
  case DType::Float32:
    return tensor.data<float>()[i];
  default:
    return tensor.data<double>()[i];
  }
}

} // namespace quern
