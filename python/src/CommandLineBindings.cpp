//===- CommandLineBindings.cpp - the program quern, in Python -------------===//
#include "ModelBindings.h"
#include "tools/quern/CommandLine.h"

#include <nanobind/stl/vector.h>

#include <csignal>
#include <cstdio>

namespace nb = nanobind;
using namespace quern;

/// Runs the command with these arguments, the program's name first; gives its exit code. It takes
/// the process for its own: signals do what they do in a C program.
static int runCommandLine(const std::vector<nb::bytes> &arguments) {
  std::vector<const char *> pointers;
  for (const nb::bytes &argument : arguments)
    pointers.push_back(argument.c_str());
  pointers.push_back(nullptr);
  nb::gil_scoped_release unlocked;
  // Python ignores it: `quern ... | head` would report errors of writing.
  std::signal(SIGPIPE, SIG_DFL);
  int code = cli::runCommandLine(static_cast<int>(arguments.size()), pointers.data());
  std::fflush(nullptr);
  return code;
}

void python::bindCommandLine(nb::module_ &module) {
  module.def("run_command_line", runCommandLine, nb::arg("arguments"));
}
