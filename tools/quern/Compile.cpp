//===- Compile.cpp - quern compile ----------------------------------------===//
#include "tools/quern/FileIo.h"
#include "tools/quern/Options.h"
#include "tools/quern/Statistics.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

using namespace quern;
using namespace quern::cli;

namespace {
struct CompileOptions {
  ModelOptions model;
  BackendOptions backend;
  ArtifactOptions artifact;
  std::string phase;
  OutputStyle style;
};
} // namespace

static void addOptions(CLI::App &verb, CompileOptions &options) {
  addModelOptions(verb, options.model);
  addCompileOptions(verb, options.backend);
  verb.add_option("-o,--output", options.artifact.outputPath,
                  "The artefact: FILE.so, FILE.o or FILE.a")
      ->type_name("FILE");
  verb.add_option("--header", options.artifact.headerPath, "A C header for the artefact")
      ->type_name("FILE");
  verb.add_option("--prefix", options.artifact.prefix,
                  "Of the C symbols (default: from the artefact's name)");
  verb.add_option("--compile-to", options.phase,
                  "Stops after a phase and prints, or writes to -o, what there is then: imported, "
                  "simplified, laid-out, fused, kernels, llvm, object")
      ->type_name("PHASE");
}

static Status writePhase(const CompileOptions &options, const Model &model) {
  QUERN_ASSIGN(std::string text, model.textOfPhase(options.backend, options.phase));
  const std::string &path = options.artifact.outputPath;
  if (path.empty())
    return printText(text);
  QUERN_ASSIGN(AtomicFile file, AtomicFile::create(path));
  file.write(text);
  return file.commit();
}

static Status checkOptions(const CompileOptions &options) {
  const ArtifactOptions &artifact = options.artifact;
  if (options.phase.empty()) {
    if (artifact.outputPath.empty())
      return usageError("-o FILE is required: FILE.so, FILE.o or FILE.a");
    bool known = false;
    for (const char *suffix : {".so", ".o", ".a"})
      known |= artifact.outputPath.ends_with(suffix);
    if (!known)
      return usageError("-o " + artifact.outputPath + ": wanted FILE.so, FILE.o or FILE.a");
  }
  if (!artifact.outputPath.empty())
    QUERN_TRY(checkWritable(artifact.outputPath));
  return artifact.headerPath.empty() ? Status::ok() : checkWritable(artifact.headerPath);
}

static Status execute(const CompileOptions &options) {
  QUERN_TRY(checkOptions(options));
  QUERN_ASSIGN(Model model, openModel(options.model, options.style));
  if (!options.phase.empty())
    return writePhase(options, model);
  for (const PortSignature &port : model.inputs())
    if (!port.ranked || !port.shape.isStatic())
      return usageError("input '" + port.name + "' is " + port.describe() +
                        "; an artefact needs all sizes: give --dim or --shape");
  ArtifactOptions artifact = options.artifact;
  if (artifact.prefix.empty())
    artifact.prefix = defaultPrefix(artifact);
  Progress progress(options.style);
  progress.show("compiling");
  Stopwatch watch;
  QUERN_TRY(model.compileToArtifact(options.backend, artifact));
  detail(options.style,
         "wrote " + artifact.outputPath + " in " + formatNumber(watch.milliseconds(), 1) + " ms");
  return writeJson({{"schema", "quern.compile/1"},
                    {"model", options.model.path},
                    {"output", artifact.outputPath},
                    {"header", artifact.headerPath},
                    {"prefix", artifact.prefix},
                    {"compile_ms", watch.milliseconds()}},
                   options.style);
}

void cli::addCompileVerb(CLI::App &app, Command &command) {
  addVerb<CompileOptions>(app, command, "compile", "Compiles a model ahead of time", addOptions,
                          execute);
}
