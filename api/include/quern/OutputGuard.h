//===- OutputGuard.h - the files that compiling reads and writes -----------===//
#pragma once

#include "quern/ArtifactOptions.h"
#include "quern/CompileOptions.h"
#include "quern/FileGuard.h"

#include <span>

namespace quern {

/// Tells `guard` of the files of a model, as Model::files lists them.
Status guardModelFiles(std::span<const std::string> files, FileGuard &guard);
/// Of what a library, made by Model::compileToArtifact, is loaded from: with the file of its
/// weights, when one is beside it.
Status guardLibraryFiles(const std::string &library, FileGuard &guard);
/// Of what CompileOptions::dumpPhasesTo makes be written.
Status guardDumps(const std::string &folder, FileGuard &guard);
/// Of all that Model::compileToArtifact reads and writes beside the model, files that follow
/// from others included.
Status guardArtifact(const CompileOptions &options, const ArtifactOptions &artifact,
                     FileGuard &guard);

} // namespace quern
