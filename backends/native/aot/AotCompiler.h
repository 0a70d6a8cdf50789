//===- AotCompiler.h - models to libraries that need no runtime -----------===//
#pragma once

#include "backends/native/Compiler.h"
#include "quern/ListedSize.h"

namespace quern::native {

struct AotOptions : CompileOptions {
  /// FILE.so, FILE.o, FILE.a, or the code as text: FILE.s, FILE.ll.
  std::string outputPath;
  /// The C header; none when empty.
  std::string headerPath;
  /// Of all symbols, a C identifier; symbolPrefix of the output when empty.
  std::string prefix;
  /// How often the bodies of all loops may run in one run of the model: nothing else
  /// could end a loop that its data never ends.
  int64_t maxIterations = 100'000'000;
  /// libquern_runtime.a, which shared libraries whose nodes need reference kernels are
  /// linked with; such nodes are refused when empty.
  std::string runtimeArchive = {};
  /// Several CPUs instead of `targetCpu`: a machine runs the code for the one with most to
  /// offer among those whose code it can run.
  std::vector<std::string> targetCpus = {};
  /// Symbolic dimensions of the inputs and the sizes they may have: the artefact has a plan
  /// for each combination.
  std::vector<ListedSize> listedSizes = {};
  /// Weights go to a file beside the output, weightsPath of it.
  bool weightsInFile = false;
  /// A C program that runs the artefact; none when empty.
  std::string mainPath = {};
};

/// A C identifier made from the name of an artefact, without its last suffix:
/// "out/my-model.v2.so" gives "my_model_v2", "3d.so" gives "model_3d", "é.so" gives "uc3a9". Names
/// that begin with "quern_" are Quern's own.
std::string symbolPrefix(const std::string &outputPath);

/// What there is to know of a result.
struct AotSummary {
  /// What it must be linked with, or needs as a shared library: "-lm".
  std::vector<std::string> needed = {};
  /// LLVM's names of the CPUs compiled for, the one with most to offer first.
  std::vector<std::string> targetCpus = {};
};

/// Compiles `module`, in place, to a library, object file or archive with the
/// interface of quern/model_abi.h. The files appear complete, or not at all; that none replaces
/// another is the caller's to see to (quern/OutputGuard.h).
/// Unsupported when the model has inputs or outputs of unknown size, or nodes
/// without native code: all are listed.
/// `summary`, unless null, is filled.
Status compileToArtifact(mlir::ModuleOp module, const AotOptions &options,
                         AotSummary *summary = nullptr);

} // namespace quern::native
