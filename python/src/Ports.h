//===- Ports.h - the inputs and outputs of a model, in Python -------------===//
#pragma once

#include "quern/Executable.h"

#include <nanobind/nanobind.h>

namespace quern::python {

void bindPorts(nanobind::module_ &module);
/// A tuple of quern.Port.
nanobind::tuple portsOf(const std::vector<PortSignature> &ports);

} // namespace quern::python
