//===- CarriedValues.h - what the carried values of a loop depend on ------===//
#pragma once

#include "frontend/onnx/OnnxProto.h"

#include <cstddef>
#include <vector>

namespace quern::onnx {

/// The carried values of a loop: where they are among the inputs and the outputs of its
/// body, which has as many.
struct CarriedValues {
  const proto::GraphProto &body;
  size_t firstInput = 0, firstOutput = 0, count = 0;

  /// Adds to `chosen`, a flag for each, those that are computed from the chosen ones: in one
  /// iteration or in several.
  void addDependents(std::vector<bool> &chosen) const;
};

} // namespace quern::onnx
