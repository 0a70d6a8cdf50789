//===- SampleInputs.h - something to run a model on -----------------------===//
#pragma once

#include "quern/CompiledModel.h"
#include "quern/Limits.h"

#include <cstdint>
#include <span>
#include <vector>

namespace quern {

/// The dims of a tensor for `port` that nothing is known of, unknown sizes as 1.
Tensor::Dims defaultDims(const ValueType &port);
std::vector<Tensor::Dims> defaultDims(std::span<const PortSignature> ports);

/// Uniform floats in [-1, 1), integers and bools in {0, 1}, empty strings; the
/// same for the same seed on any machine.
Expected<Tensor> randomTensor(DType dtype, Tensor::Dims dims, uint64_t seed,
                              const Limits &limits = {});

/// A tensor as above or of zeros; two of them in a sequence of tensors, else one value,
/// in what is no tensor.
Expected<AnyValue> sampleValue(const ValueType &type, bool zeros, uint64_t seed,
                               const Limits &limits = {});

/// A value for each port, as above, with a seed of its own. Sizes that are not known are 1.
Expected<std::vector<AnyValue>> sampleInputs(std::span<const PortSignature> ports, uint64_t seed,
                                             const Limits &limits = {});
/// The same for a compiled model, with the first of the sizes that there is code for.
Expected<std::vector<AnyValue>> sampleInputs(const CompiledModel &model, uint64_t seed,
                                             const Limits &limits = {});

} // namespace quern
