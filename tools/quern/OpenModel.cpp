//===- OpenModel.cpp - from options to a model that runs ------------------===//
#include "tools/quern/OpenModel.h"

#include "quern/Artifact.h"
#include "quern/CacheFolder.h"
#include "quern/OutputGuard.h"
#include "quern/Statistics.h"
#include "tools/quern/ChosenPrecision.h"

#include <fmt/ranges.h>
#include <set>

using namespace quern;
using namespace quern::cli;

Expected<OpenedModel> cli::openModel(const ModelOptions &options, const OutputStyle &style,
                                     FileGuard guard) {
  QUERN_TRY(guard.reads("model", options.path));
  QUERN_TRY(checkJsonWritable(style, guard));
  QUERN_ASSIGN(Limits limits, limitsWithTimeout(options.timeout));
  QUERN_ASSIGN(InputSizes sizes, parseInputSizes(options));
  Progress progress(style);
  progress.show("loading " + options.path);
  Stopwatch watch;
  QUERN_ASSIGN(Model model, Model::load(options.path, sizes, limits));
  double loadMs = watch.milliseconds();
  detail(style, fmt::format("loaded {} in {:.1f} ms", options.path, loadMs));
  QUERN_TRY(guardModelFiles(model.files(), guard));
  return OpenedModel{std::move(model), limits, loadMs, std::move(guard)};
}

/// Gives symbols in the ports their sizes.
static Status fixSymbols(std::vector<PortSignature> &ports, const SymbolSizes &sizes) {
  std::set<std::string> symbols;
  for (PortSignature &port : ports)
    for (int64_t d = 0; d < port.shape.rank(); ++d)
      if (port.shape[d].isSymbolic()) {
        symbols.insert(port.shape[d].symbolName());
        if (auto size = sizes.find(port.shape[d].symbolName()); size != sizes.end())
          port.shape[d] = PortDim(size->second);
      }
  for (const auto &[name, size] : sizes)
    if (!symbols.contains(name))
      return usageError(
          fmt::format("--dim {}: no input of the library has this dimension; {}", name,
                      symbols.empty() ? "its sizes are fixed"
                                      : fmt::format("it takes {}", fmt::join(symbols, ", "))));
  return Status::ok();
}

/// The sizes of the first plan that the ports leave possible.
static SymbolSizes firstPossibleSizes(const CompiledModel &library,
                                      std::span<const PortSignature> ports) {
  for (const std::vector<Tensor::Dims> &plan : library.listedInputDims()) {
    SymbolSizes sizes;
    bool isPossible = true;
    for (size_t i = 0; i < ports.size(); ++i)
      for (int64_t d = 0; d < ports[i].shape.rank(); ++d) {
        int64_t size = plan[i][static_cast<size_t>(d)];
        isPossible &= ports[i].shape[d].compatibleWith(size);
        if (ports[i].shape[d].isSymbolic())
          sizes.emplace(ports[i].shape[d].symbolName(), size);
      }
    if (isPossible)
      return sizes;
  }
  return {};
}

static Expected<Runnable> openLibrary(const ModelOptions &options, const OutputStyle &style) {
  FileGuard guard;
  QUERN_TRY(guardLibraryFiles(options.path, guard));
  QUERN_TRY(checkJsonWritable(style, guard));
  QUERN_ASSIGN(Limits limits, limitsWithTimeout(options.timeout));
  if (!options.shapes.empty())
    return usageError(options.path + " is a compiled library: --shape is for models");
  if (options.growingCaches)
    return usageError(options.path + " is a compiled library: how its caches lie is part of it");
  QUERN_ASSIGN(InputSizes sizes, parseInputSizes(options));
  Stopwatch watch;
  QUERN_ASSIGN(std::shared_ptr<const CompiledModel> library, loadArtifact(options.path));
  double loadMs = watch.milliseconds();
  detail(style, fmt::format("loaded {} in {:.1f} ms", options.path, loadMs));
  std::vector<PortSignature> inputs = library->inputs();
  QUERN_TRY(fixSymbols(inputs, sizes.dims));
  SymbolSizes defaults = firstPossibleSizes(*library, inputs);
  return Runnable{.model = {},
                  .library = std::move(library),
                  .limits = limits,
                  .loadMs = loadMs,
                  .guard = std::move(guard),
                  .libraryInputs = std::move(inputs),
                  .defaults = std::move(defaults)};
}

Expected<Runnable> cli::openRunnable(const ModelOptions &options, const OutputStyle &style) {
  if (isLibraryFile(options.path))
    return openLibrary(options, style);
  QUERN_ASSIGN(OpenedModel opened, openModel(options, style));
  return Runnable{.model = std::move(opened.model),
                  .library = nullptr,
                  .limits = opened.limits,
                  .loadMs = opened.loadMs,
                  .guard = std::move(opened.guard)};
}

void cli::explainKernelCache(const CompileOptions &options, const OutputStyle &style) {
  if (options.backend != Backend::Native || !options.kernelCache || style.verbosity <= 0)
    return;
  if (Status status = kernelFolder().status(); !status.isOk())
    detail(style, "no kernels are kept: " + status.message());
}

std::optional<Explanation> cli::explainCompiled(const Runnable &compiled,
                                                const CompileOptions &options,
                                                std::span<const AnyValue> inputs,
                                                const OutputStyle &style) {
  if (compiled.library)
    return std::nullopt;
  CompileOptions compile = options.within(compiled.limits);
  compile.dumpPhasesTo.clear(); // done already
  Expected<Explanation> explanation = compiled.model->explainPlan(compile, dimsOf(inputs));
  if (explanation)
    return explanation.take();
  detail(style, "nothing is known of the plan: " + explanation.status().message());
  return std::nullopt;
}

/// Whether nobody gave inputs of their own.
static bool areRandom(const InputOptions &given) {
  return std::ranges::all_of(given.given, [](const std::string &text) {
    return text == "random" || text.ends_with("=random");
  });
}

/// What --precision auto comes to on these inputs, none for random ones.
static Expected<std::shared_ptr<const PrecisionChoice>>
precisionChoice(const Model &model, const CompileOptions &options, bool isRandom) {
  QUERN_ASSIGN(std::shared_ptr<const PrecisionChoice> chosen, model.choosePrecision(options));
  PrecisionChoice choice = *chosen;
  choice.isOnRandomInputs |= isRandom;
  return std::make_shared<const PrecisionChoice>(std::move(choice));
}

void cli::noteTuning(const TuningChoice &choice, const OutputStyle &style) {
  if (!choice.trouble.empty())
    warn(style, choice.trouble);
}

/// `options` with all that is to be chosen.
static Expected<CompileOptions> withChoices(const Model &model, const CompileOptions &options,
                                            std::span<const AnyValue> inputs, bool isRandom,
                                            const OutputStyle &style) {
  CompileOptions result = options;
  result.samples.assign(inputs.begin(), inputs.end());
  Progress progress(style);
  if (result.precision == Precision::Auto) {
    progress.show("choosing the precision");
    QUERN_ASSIGN(result.choice, precisionChoice(model, result, isRandom));
  }
  if (result.tuneSeconds) {
    progress.show("measuring ways");
    QUERN_ASSIGN(result.tuning, model.tune(result));
    noteTuning(*result.tuning, style);
  }
  result.samples.clear();
  return result;
}

/// Whether there is something to choose, for native code.
static bool hasChoices(const CompileOptions &options) {
  return options.backend == Backend::Native &&
         (options.precision == Precision::Auto || options.tuneSeconds);
}

Expected<BackendOptions> cli::settleChoices(const Runnable &opened, const BackendOptions &options,
                                            std::span<const AnyValue> inputs,
                                            const InputOptions &given, const OutputStyle &style) {
  BackendOptions result = options;
  if (opened.library || !hasChoices(options.compile))
    return result;
  QUERN_ASSIGN(result.compile, withChoices(*opened.model, options.compile.within(opened.limits),
                                           inputs, areRandom(given), style));
  return result;
}

Expected<CompileOptions> cli::settleChoices(const Model &model, const CompileOptions &options,
                                            const InputOptions &given, const OutputStyle &style,
                                            FileGuard &guard) {
  if (!hasChoices(options) && !given.given.empty())
    return usageError("--input is what --precision auto and --tune measure on: give one of these, "
                      "too");
  if (!hasChoices(options) || given.given.empty())
    return options;
  QUERN_ASSIGN(
      std::vector<AnyValue> inputs,
      makeInputs(model.inputs(), given, MissingInputs::Random, style, options.limits, {}, &guard));
  return withChoices(model, options, inputs, areRandom(given), style);
}

void cli::notePrecision(const Runnable &opened, const BackendOptions &options,
                        const OutputStyle &style) {
  Precision precision = opened.precision(options);
  if (const PrecisionChoice *choice = opened.choice(options))
    note(style, "precision auto: " + summarizeChoice(*choice));
  else if (precision != Precision::Float32)
    note(style, fmt::format("products and convolutions are computed in {} where there are kernels "
                            "for it; quern check says where",
                            precisionName(precision)));
  if (options.compile.weights != WeightType::Given)
    note(style, fmt::format("constant weights of matrix products are kept as {}; quern compare "
                            "measures what that costs",
                            weightTypeName(options.compile.weights)));
}

Expected<std::unique_ptr<Runner>> cli::prepare(const Runnable &opened,
                                               const BackendOptions &options,
                                               std::span<const AnyValue> inputs) {
  FileGuard guard = opened.guard;
  QUERN_TRY(guardDumps(options.compile.dumpPhasesTo, guard));
  std::shared_ptr<const CompiledModel> compiled = opened.library;
  if (compiled && options.compile.backend == Backend::Interpreter)
    return usageError("a compiled library cannot be interpreted; give the model");
  if (Precision asked = options.compile.precision;
      compiled && asked != Precision::Float32 && asked != compiled->precision())
    return usageError(fmt::format("the library was compiled with precision {}, which is no longer "
                                  "to be chosen; give the model for {}",
                                  precisionName(compiled->precision()), precisionName(asked)));
  if (compiled && options.compile.maxError)
    return usageError("the bound on the error of a compiled library is part of it; give the model "
                      "for another");
  if (compiled && options.compile.weights != WeightType::Given)
    return usageError(
        "the weights of a compiled library are part of it; give the model for others");
  if (compiled && options.compile.winograd != WinogradUse::Auto)
    return usageError("how a compiled library convolves is part of it; give the model to compute "
                      "it without Winograd's algorithm");
  if (compiled && options.compile.tuneSeconds)
    return usageError("the ways of a compiled library are part of it; give the model to tune");
  if (!compiled) {
    QUERN_ASSIGN(compiled, opened.model->compile(options.compile.within(opened.limits)));
  }
  QUERN_TRY(compiled->planForInputs(inputs, opened.limits.deadline));
  return compiled->createRunner(
      {.threads = options.compile.threads, .profile = options.profile, .limits = opened.limits});
}

Expected<PreparedRuns> cli::prepareRuns(const Runnable &opened, const BackendOptions &options,
                                        std::span<const AnyValue> inputs, const InputOptions &given,
                                        const OutputStyle &style) {
  explainKernelCache(options.compile, style);
  Stopwatch watch;
  QUERN_ASSIGN(BackendOptions backend, settleChoices(opened, options, inputs, given, style));
  QUERN_ASSIGN(std::unique_ptr<Runner> runner, prepare(opened, backend, inputs));
  return PreparedRuns{std::move(backend), std::move(runner), watch.milliseconds()};
}
