//===- ZeroInputs.h - inputs of a wanted size ------------------------------===//
#pragma once

#include "runtime/running/Session.h"

#include <string>
#include <vector>

namespace quern {

/// Zeros for each input; the dimension called `name` is `size`.
inline std::vector<Tensor> zeroInputs(const Executable &executable, const std::string &name,
                                      int64_t size) {
  std::vector<Tensor> inputs;
  for (const PortSignature &port : executable.inputs()) {
    Tensor::Dims dims;
    for (const PortDim &dim : port.shape.dims())
      dims.push_back(dim.isStatic() ? dim.size() : dim.symbolName() == name ? size : 1);
    inputs.push_back(Tensor::allocate(port.dtype, dims).take());
  }
  return inputs;
}

} // namespace quern
