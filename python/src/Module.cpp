//===- Module.cpp - the extension module quern._quern ---------------------===//
#include "CallableModel.h"
#include "ModelBindings.h"
#include "Ports.h"
#include "quern/Version.h"

NB_MODULE(_quern, module) {
  module.doc() = "The part of quern that is written in C++.";
  module.attr("__version__") = quern::versionString();
  quern::python::bindPorts(module);
  quern::python::bindCallableModel(module);
  quern::python::bindModel(module);
  quern::python::bindFiles(module);
  quern::python::bindReports(module);
}
