//===- Values.h - what flows through a graph, in Python -------------------===//
//
// A sequence is a list, a map a dict, an empty optional None.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/AnyValue.h"

#include <nanobind/nanobind.h>

namespace quern::python {

/// Raises TypeError when `value` is not of the kind of `type`.
AnyValue valueFrom(nanobind::handle value, const ValueType &type);
nanobind::object toPython(AnyValue value);

} // namespace quern::python
