//===- EqualizeLayers.h - weights of neighbours on one scale --------------===//
#pragma once

#include "api/quantize/EditableModel.h"

namespace quern::quantization {

/// Where a convolution feeds another one only, at most through ReLU, gives both weights of like
/// magnitude in each of the channels between them: what one is multiplied with the other is divided
/// by, which changes nothing but rounding in float, and lets numbers of 8 bits tell more of them
/// apart. How many pairs there are.
Expected<int> equalizeLayers(EditableModel &model);

} // namespace quern::quantization
