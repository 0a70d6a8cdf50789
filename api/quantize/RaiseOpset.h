//===- RaiseOpset.h - the same model in a newer opset ---------------------===//
#pragma once

#include "api/quantize/EditableModel.h"

namespace quern::quantization {

/// The newest opset that models are raised to.
inline constexpr int64_t kNewestRaised = 21;

/// Makes the model one of opset `version` unless it is of a newer one: where an op has changed
/// since, its nodes are rewritten so that they mean what they did. Unsupported, naming node, op
/// and versions, where that is not known.
Status raiseOpset(EditableModel &model, int64_t version);

} // namespace quern::quantization
