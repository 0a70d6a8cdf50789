//===- CompileOptions.h - how a model is compiled -------------------------===//
#pragma once

#include "quern/Limits.h"
#include "quern/ListedSize.h"

#include <cstdint>
#include <string>
#include <vector>

namespace quern {

/// What runs a model: native code, or the reference kernels on the graph as it was
/// loaded, one op after the other.
enum class Backend { Native, Interpreter };

struct CompileOptions {
  Backend backend = Backend::Native;
  /// "host", "baseline" or LLVM's name of a CPU. Code for AArch64 runs on every such CPU
  /// and is tuned for the one named.
  std::string targetCpu = "host";
  /// "x86_64-linux-gnu" or "aarch64-linux-gnu", for artefacts; this machine when empty.
  std::string targetTriple = {};
  /// 0 to 3.
  int optLevel = 3;
  /// Threads of the compiler; 0 is all CPUs this process may use. Tasks are sized
  /// for runs with as many.
  int threads = 0;
  /// A folder, made when it is missing, for the graph after each phase and for the
  /// kernels; none when empty.
  std::string dumpPhasesTo = {};
  /// The deadline is that of the call.
  Limits limits = {};
};

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
  /// it by <prefix>_use_weights, loadArtifact finds it there. Without, they are part of the
  /// code, and may take up to 1.9 GB.
  bool weightsInFile = false;
  /// A C program that runs the artefact on files; none when empty.
  std::string mainPath = {};
  /// Of the inputs in a .c-test.
  uint64_t seed = 0;
};

/// What Model::compileToArtifact has written.
struct ArtifactSummary {
  /// What it must be linked with, or needs as a shared library: "-lm".
  std::vector<std::string> needed = {};
  /// LLVM's names of the CPUs compiled for, the one with most to offer first.
  std::vector<std::string> targetCpus = {};
  /// Of the artefact, with its weights.
  int64_t bytes = 0;
};

/// A C identifier made from the name of an artefact: "out/my-model.so" gives
/// "my_model".
std::string symbolPrefix(const std::string &outputPath);

} // namespace quern
