//===- ArtifactOptions.h - how a model is written to a file ---------------===//
//
// As in CompileOptions.h; in C the struct is quern_file_options.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/ListedSize.h"
#include "quern/OptionText.h"
#include "quern/PrecisionChoice.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace quern {

struct ArtifactOptions {
  /// FILE.so, FILE.o, FILE.a; the code to read, FILE.s, FILE.ll; or FOLDER.c-test, with an
  /// object file and C programs that run it and compare it with the interpreter.
  std::string outputPath;
  /// The C header; none when empty.
  std::string headerPath = {};
  /// Of all C symbols; symbolPrefix of the output when empty.
  std::string prefix = {};
  /// How often the bodies of all loops may run in one run: nothing else could end a loop
  /// that its data never ends.
  int64_t maxIterations = 100'000'000;
  /// libquern_runtime.a, which shared libraries whose nodes need reference kernels are
  /// linked with; such nodes are refused when empty.
  std::string runtimeArchive = {};
  /// CPUs, as CompileOptions::targetCpu has one, that get code of their own in one file: a
  /// machine runs that of the one with most to offer among those that it can run. None:
  /// CompileOptions::targetCpu.
  std::vector<std::string> targetCpus = {};
  /// Symbolic dimensions of the inputs and the sizes they may have, for a model that was
  /// loaded without sizes for them: the artefact has a plan for each combination.
  std::vector<ListedSize> listedSizes = {};
  /// The weights go to a file beside the output, with the suffix .weights: the code is given
  /// it by PREFIX_use_weights, loadArtifact finds it there. Without, they are part of the
  /// code, and may take up to 1.9 GB.
  bool weightsInFile = false;
  /// A C program that runs the artefact on files; none when empty.
  std::string mainPath = {};
  /// Of the inputs in a .c-test.
  uint64_t seed = 0;
};

/// Calls visit(text, member) for each option.
template <typename Visit> void visitArtifactOptions(Visit &&visit) {
  using Options = ArtifactOptions;
  visit(OptionText{"output", "-o,--output", "FILE",
                   "The artefact: FILE.so, FILE.o or FILE.a; its code to read: FILE.s, FILE.ll; "
                   "or FOLDER.c-test, with C programs that test it and run it, and a Makefile"},
        &Options::outputPath);
  visit(OptionText{"header", "--header", "FILE", "A C header for the artefact"},
        &Options::headerPath);
  visit(OptionText{"main", "--emit-main", "FILE",
                   "A C program that runs the artefact on .npy files or bare elements"},
        &Options::mainPath);
  visit(OptionText{"seed", "--seed", "", "Of the inputs in a .c-test (default 0)"}, &Options::seed);
  visit(
      OptionText{"prefix", "--prefix", "", "Of the C symbols (default: from the artefact's name)"},
      &Options::prefix);
  visit(OptionText{"weights_in_file", "", "", ""}, &Options::weightsInFile);
  visit(OptionText{"max_iterations", "--max-iterations", "",
                   "Of all loops in one run of the artefact; more is an error (default "
                   "100000000)",
                   OptionUse::Everywhere, 1},
        &Options::maxIterations);
  visit(OptionText{"target_cpus", "--multi-cpu", "CPU,...",
                   "Code for several CPUs in one file, as in x86-64-v2,v3,v4: the best that a "
                   "machine can run is chosen there"},
        &Options::targetCpus);
  visit(OptionText{"runtime_archive", "", "", ""}, &Options::runtimeArchive);
  visit(OptionText{"listed_sizes", "", "", ""}, &Options::listedSizes);
}

/// What Model::compileToArtifact has written.
struct ArtifactSummary {
  /// What it must be linked with, or needs as a shared library: "-lm".
  std::vector<std::string> needed = {};
  /// LLVM's names of the CPUs compiled for, the one with most to offer first.
  std::vector<std::string> targetCpus = {};
  /// Of the artefact, with its weights.
  int64_t bytes = 0;
  /// Of Precision::Auto.
  std::optional<PrecisionChoice> choice = {};
};

} // namespace quern
