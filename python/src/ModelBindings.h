//===- ModelBindings.h - loading and compiling, in Python -----------------===//
#pragma once

#include <nanobind/nanobind.h>

namespace quern::python {

void bindModel(nanobind::module_ &module);
/// What files say without being loaded; this machine.
void bindFiles(nanobind::module_ &module);

} // namespace quern::python
