//===- PortSignature.h - the inputs and outputs of a model ----------------===//
#pragma once

#include "quern/ValueList.h"

#include <span>
#include <string>
#include <utility>

namespace quern {

/// The name and type of one graph input or output.
struct PortSignature : ValueType {
  PortSignature() = default;
  PortSignature(std::string name, ValueType type)
      : ValueType(std::move(type)), name(std::move(name)) {}
  PortSignature(std::string name, DType dtype, PortShape shape)
      : PortSignature(std::move(name), tensor(dtype, std::move(shape))) {}

  std::string name;
};

/// Those of each tensor; what is none has no dims.
std::vector<Tensor::Dims> dimsOf(ValueList values);

/// InvalidInput, naming the input, what was wanted and what was found, unless
/// `dims` agree with `ports`; one symbol stands for one size everywhere. What is no
/// tensor has no dims.
Status checkInputDims(std::span<const PortSignature> ports, std::span<const Tensor::Dims> dims);
/// As checkInputDims, and for presence, kinds and element types too.
Status checkInputs(std::span<const PortSignature> ports, ValueList values);

} // namespace quern
