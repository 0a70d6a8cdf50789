//===- WeightMemory.h - packed weights beside each other ------------------===//
#pragma once

#include "quern/Tensor.h"

namespace quern {

/// As Tensor::allocateUninitialized, for weights that are read from one end to the other in each
/// run: those of half a megabyte and more lie one after the other on huge pages, so that each
/// has them and none is left half empty. Memory is given back when all weights that share a region
/// are gone: it is for what lives as long as a compiled model. Threads may call it at once.
Expected<Tensor> allocateWeights(DType dtype, Tensor::Dims dims);

} // namespace quern
