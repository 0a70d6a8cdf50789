//===- ModelBindings.h - loading and compiling, in Python -----------------===//
#pragma once

#include "quern/Deadline.h"

#include <nanobind/nanobind.h>

#include <string>

namespace quern::python {

/// A report of the library (quern/Reports.h) as dicts and lists.
nanobind::object parsedReport(const std::string &json);

/// Seconds from now, a century at most; None is no limit.
Deadline deadlineOf(nanobind::handle seconds);

void bindModel(nanobind::module_ &module);
/// What files say without being loaded; this machine.
void bindFiles(nanobind::module_ &module);
/// The program `quern`.
void bindCommandLine(nanobind::module_ &module);
/// Comparing and measuring.
void bindReports(nanobind::module_ &module);
void bindQuantize(nanobind::module_ &module);

} // namespace quern::python
