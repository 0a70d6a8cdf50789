//===- Module.cpp - the extension module quern._quern ---------------------===//
#include "CallableModel.h"
#include "Errors.h"
#include "Interrupt.h"
#include "ModelBindings.h"
#include "Ports.h"
#include "quern/Version.h"

NB_MODULE(_quern, module) {
  // Models live as long as programs want, in caches too, and what ends with the process, as
  // DuckDB's connections, may keep more: what is alive at the end is no leak.
  nanobind::set_leak_warnings(false);
  quern::python::translateExceptions();
  quern::python::watchSignals();
  module.doc() = "The part of quern that is written in C++.";
  module.attr("__version__") = quern::versionString();
  quern::python::bindPorts(module);
  quern::python::bindCallableModel(module);
  quern::python::bindModel(module);
  quern::python::bindFiles(module);
  quern::python::bindReports(module);
  quern::python::bindQuantize(module);
  quern::python::bindCommandLine(module);
}
