//===- Ports.h - the inputs and outputs of a model, in Python -------------===//
#pragma once

#include "quern/PortSignature.h"

#include <nanobind/nanobind.h>

#include <map>
#include <string>
#include <string_view>

namespace quern::python {

/// Text of a model, which may be no UTF-8: other bytes as "\\xff".
nanobind::str textOf(std::string_view text);

void bindPorts(nanobind::module_ &module);
/// A tuple of quern.Port.
nanobind::tuple portsOf(const std::vector<PortSignature> &ports);
/// The dims of an input whose symbolic dimensions have these sizes; InvalidInput, raised, for
/// one that is not among them.
Tensor::Dims sizedDims(const PortSignature &port, const std::map<std::string, int64_t> &sizes);

} // namespace quern::python
