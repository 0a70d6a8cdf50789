//===- AotPrograms.h - C programs that run an artefact --------------------===//
#pragma once

#include "quern/Status.h"

#include <span>
#include <string>

namespace quern::native {

/// What a program must know of an artefact besides its header.
struct ProgramFacts {
  /// The header: "#include ..." or its text.
  std::string header;
  std::string prefix;
  bool takesSizes = false;
  /// The name of its file of weights; empty when it has none.
  std::string weights = {};
};

/// C99 with nothing but its library: a program that runs the model on files.
std::string runProgramText(const ProgramFacts &facts);

/// What floats may be off by: absolute + relative * |wanted| + ofLargest * the largest |wanted|.
struct ProgramTolerance {
  double relative = 0, absolute = 0, ofLargest = 0;
};

/// The same: one that compares what these plans give with the files plan0_output0.bin...,
/// for the inputs plan0_input0.bin...
std::string testProgramText(const ProgramFacts &facts, std::span<const size_t> plans,
                            const ProgramTolerance &tolerance);

/// A Makefile that builds them as `run` and `test` from model.o, model.h and these libraries, and
/// runs `test`.
std::string makefileText(std::span<const std::string> libraries);

/// Io error when a folder with such files must not be put at `target`: something else is there
/// already, or in the folder there, and would be lost.
Status checkProgramFolder(const std::string &target);

} // namespace quern::native
