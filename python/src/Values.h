//===- Values.h - what flows through a graph, in Python -------------------===//
//
// A sequence is a list, a map a dict, an empty optional None.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/PortSignature.h"

#include <nanobind/nanobind.h>

#include <span>
#include <vector>

namespace quern::python {

/// Raises TypeError when `value` is not of the kind of `type`.
AnyValue valueFrom(nanobind::handle value, const ValueType &type);
/// The value of an input; InvalidInput, raised, names it when it does not fit. `casts`: numbers
/// of another type of the same kind, as float64 for float32, are converted.
AnyValue inputFrom(nanobind::handle value, const PortSignature &port, bool casts = false);
/// The values of all inputs: a dict by name, or a list or tuple in order.
std::vector<AnyValue> feedOf(std::span<const PortSignature> ports, nanobind::handle feed);
nanobind::object toPython(AnyValue value);

} // namespace quern::python
