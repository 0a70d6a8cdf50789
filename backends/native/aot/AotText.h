//===- AotText.h - the code of an artefact to read ------------------------===//
#pragma once

#include "backends/native/aot/AotOutput.h"

namespace quern::native {

/// FILE.s, assembly, or FILE.ll, LLVM IR: one module either way.
bool isTextFile(const std::string &path);

/// Writes to `path`, the target of `staging`, all code of the artefact: kernels, plans and
/// the choice among CPUs. Weights that are no file of their own are external data.
Status writeText(const AotArtifact &artifact, const std::string &path, const Staging &staging);

} // namespace quern::native
