//===- FoldNorms.h - batch norms into the weights before them -------------===//
#pragma once

#include "api/quantize/EditableModel.h"

namespace quern::quantization {

/// Makes convolutions whose result only a BatchNormalization with constant statistics reads do
/// its work, so that what is quantized are the weights that count. Sums are rounded in another
/// order than before.
Status foldNorms(EditableModel &model);

} // namespace quern::quantization
