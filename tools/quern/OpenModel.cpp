//===- OpenModel.cpp - from options to a model that runs ------------------===//
#include "tools/quern/OpenModel.h"

#include "quern/Artifact.h"
#include "quern/Statistics.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::cli;

Expected<OpenedModel> cli::openModel(const ModelOptions &options, const OutputStyle &style) {
  QUERN_TRY(checkJsonWritable(style));
  QUERN_ASSIGN(Limits limits, limitsWithTimeout(options.timeout));
  QUERN_ASSIGN(InputSizes sizes, parseInputSizes(options));
  Progress progress(style);
  progress.show("loading " + options.path);
  Stopwatch watch;
  QUERN_ASSIGN(Model model, Model::load(options.path, sizes, limits));
  double loadMs = watch.milliseconds();
  detail(style, fmt::format("loaded {} in {:.1f} ms", options.path, loadMs));
  return OpenedModel{std::move(model), limits, loadMs};
}

CompileOptions cli::compileOptions(const BackendOptions &options, const Limits &limits) {
  return {.backend = options.backend == "interpreter" ? Backend::Interpreter : Backend::Native,
          .targetCpu = options.targetCpu,
          .optLevel = options.optLevel,
          .threads = options.threads,
          .dumpPhasesTo = options.dumpPhasesTo,
          .limits = limits};
}

static Expected<Runnable> openLibrary(const ModelOptions &options, const OutputStyle &style) {
  QUERN_TRY(checkJsonWritable(style));
  QUERN_ASSIGN(Limits limits, limitsWithTimeout(options.timeout));
  if (!options.shapes.empty() || !options.dims.empty())
    return usageError(options.path + " is a compiled library, whose sizes are fixed: --shape and "
                                     "--dim are for models");
  Stopwatch watch;
  QUERN_ASSIGN(std::shared_ptr<const CompiledModel> library, loadArtifact(options.path));
  double loadMs = watch.milliseconds();
  detail(style, fmt::format("loaded {} in {:.1f} ms", options.path, loadMs));
  return Runnable{.model = {}, .library = std::move(library), .limits = limits, .loadMs = loadMs};
}

Expected<Runnable> cli::openRunnable(const ModelOptions &options, const OutputStyle &style) {
  if (isLibraryFile(options.path))
    return openLibrary(options, style);
  QUERN_ASSIGN(OpenedModel opened, openModel(options, style));
  return Runnable{.model = std::move(opened.model),
                  .library = nullptr,
                  .limits = opened.limits,
                  .loadMs = opened.loadMs};
}

Expected<std::unique_ptr<Runner>> cli::prepare(const Runnable &opened,
                                               const BackendOptions &options,
                                               std::span<const AnyValue> inputs) {
  std::shared_ptr<const CompiledModel> compiled = opened.library;
  if (compiled && options.backend == "interpreter")
    return usageError("a compiled library cannot be interpreted; give the model");
  if (!compiled) {
    QUERN_ASSIGN(compiled, opened.model->compile(compileOptions(options, opened.limits)));
  }
  QUERN_TRY(compiled->planForInputs(inputs, opened.limits.deadline));
  return compiled->createRunner(
      {.threads = options.threads, .profile = options.profile, .limits = opened.limits});
}
