//===- OutputGuard.cpp - the files that compiling reads and writes ---------===//
#include "quern/OutputGuard.h"

#include "backends/native/aot/AotWeightsFile.h"
#include "passes/Pipelines.h"

#include <filesystem>

using namespace quern;

Status quern::guardModelFiles(std::span<const std::string> files, FileGuard &guard) {
  for (size_t i = 0; i < files.size(); ++i)
    QUERN_TRY(guard.reads(i == 0 ? "model" : "model's external data", files[i]));
  return Status::ok();
}

Status quern::guardLibraryFiles(const std::string &library, FileGuard &guard) {
  QUERN_TRY(guard.reads("library", library));
  std::string weights = native::weightsPath(library);
  std::error_code ignored;
  return std::filesystem::exists(weights, ignored) ? guard.reads("library's weights", weights)
                                                   : Status::ok();
}

Status quern::guardDumps(const std::string &folder, FileGuard &guard) {
  if (folder.empty())
    return Status::ok();
  for (int phase = 0; phase <= static_cast<int>(passes::Phase::Fused); ++phase)
    QUERN_TRY(
        guard.writes("dump of a phase",
                     folder + "/" + passes::phaseDumpName(static_cast<passes::Phase>(phase))));
  return guard.fills("folder of kernels", folder + "/kernels");
}

Status quern::guardArtifact(const CompileOptions &options, const ArtifactOptions &artifact,
                            FileGuard &guard) {
  const std::string &output = artifact.outputPath;
  if (!artifact.runtimeArchive.empty())
    QUERN_TRY(guard.reads("archive of reference kernels", artifact.runtimeArchive));
  if (output.ends_with(".c-test"))
    QUERN_TRY(guard.fills("artefact", output));
  else if (!output.empty())
    QUERN_TRY(guard.writes("artefact", output));
  if (artifact.weightsInFile && !output.ends_with(".c-test"))
    QUERN_TRY(guard.writes("weights", native::weightsPath(output)));
  if (!artifact.headerPath.empty())
    QUERN_TRY(guard.writes("header", artifact.headerPath));
  if (!artifact.mainPath.empty())
    QUERN_TRY(guard.writes("main program", artifact.mainPath));
  return guardDumps(options.dumpPhasesTo, guard);
}
