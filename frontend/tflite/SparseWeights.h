//===- SparseWeights.h - constants of which most elements are left out ----===//
#pragma once

#include "frontend/tflite/TfliteFile.h"

#include <vector>

namespace quern::tflite {

/// The elements of a sparse constant as a file has them of others, of `layout`: those that `stored`
/// lacks are 0. InvalidModel for levels that do not fit `layout` or each other, and Unsupported for
/// elements of less than a byte.
Expected<std::vector<std::byte>> expandSparse(const file::Sparsity &sparsity,
                                              const frontend::TensorLayout &layout,
                                              std::span<const std::byte> stored);

} // namespace quern::tflite
