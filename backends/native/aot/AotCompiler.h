//===- AotCompiler.h - models to libraries that need no runtime -----------===//
#pragma once

#include "backends/native/Compiler.h"
#include "quern/ArtifactOptions.h"

namespace quern::native {

/// The output is a file, no FOLDER.c-test, and the prefix, if there is one, a C identifier.
struct AotOptions : NativeOptions, ArtifactOptions {
  /// What is said of NativeOptions::choice; empty without one.
  std::string choiceText = {};
};

/// A C identifier made from the name of an artefact, without its last suffix:
/// "out/my-model.v2.so" gives "my_model_v2", "3d.so" gives "model_3d", "é.so" gives "uc3a9". Names
/// that begin with "quern_" are Quern's own.
std::string symbolPrefix(const std::string &outputPath);

/// Compiles `module` to a library, object file or archive with the
/// interface of quern/model_abi.h. The files appear complete, or not at all; that none replaces
/// another is the caller's to see to (quern/OutputGuard.h).
/// Unsupported when the model has inputs or outputs of unknown size, or nodes
/// without native code: all are listed.
/// `summary`, unless null, is filled but for its bytes.
Status compileToArtifact(mlir::ModuleOp module, const AotOptions &options,
                         ArtifactSummary *summary = nullptr);

} // namespace quern::native
