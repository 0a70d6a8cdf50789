//===- ModelBindings.h - loading and compiling, in Python -----------------===//
#pragma once

#include "quern/Deadline.h"

#include <nanobind/nanobind.h>

namespace quern::python {

/// Seconds from now, a century at most; None is no limit.
Deadline deadlineOf(nanobind::handle seconds);

void bindModel(nanobind::module_ &module);
/// What files say without being loaded; this machine.
void bindFiles(nanobind::module_ &module);
/// Comparing and measuring.
void bindReports(nanobind::module_ &module);

} // namespace quern::python
