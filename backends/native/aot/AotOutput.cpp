//===- AotOutput.cpp - the files of a model compiled ahead of time --------===//
//
//   kernels' objects ─┐ ld -r              ┌ FILE.so   (linkSharedLibrary)
//   plan code ────────┴───▶ code ──┐       │
//                       (localized)├───────┤
//   packed weights ────────────────┘ ld -r └ FILE.o ──▶ FILE.a
//
// Of several CPUs the code of each, and a choice among them, are joined to one.
//
//===----------------------------------------------------------------------===//
#include "backends/native/aot/AotOutput.h"

#include "backends/native/aot/AotDispatch.h"
#include "backends/native/aot/AotPlanCode.h"
#include "backends/native/aot/AotText.h"
#include "backends/native/aot/LinkObjects.h"

#include "llvm/Support/Path.h"

#include <algorithm>
#include <fmt/format.h>

using namespace quern;
using namespace quern::native;

std::set<std::string> native::kernelKeys(const CompiledPlans &compiled) {
  std::set<std::string> keys;
  for (const plan::PlanTree &tree : compiled.plans)
    plan::visitPlans(tree, [&](const plan::UnlinkedPlan &plan) {
      for (const plan::PlannedStep &step : plan.steps)
        if (step.kernel)
          keys.insert(plan.kernels[*step.kernel].key);
    });
  return keys;
}

static std::string_view viewOf(const ObjectCode &object) { return {object.data(), object.size()}; }

/// Writes an object file of the plan with its kernels.
static Status writeVariant(const AotVariant &variant, const Staging &staging,
                           const std::string &output) {
  const CompiledPlans &graph = *variant.graph;
  QUERN_ASSIGN(ObjectCode plan, compilePlanCode(variant.model));
  QUERN_TRY(staging.write("plan.o", viewOf(plan)));
  std::vector<std::string> objects = {staging.path("plan.o")};
  for (const std::string &key : kernelKeys(graph)) {
    std::string name = fmt::format("kernel{}.o", objects.size());
    QUERN_TRY(staging.write(name, viewOf(graph.kernels->get(key).object)));
    objects.push_back(staging.path(name));
  }
  QUERN_TRY(linkRelocatable(objects, staging.path("joined.o")));
  return localizeSymbols(staging.path("joined.o"), output,
                         publicSymbols(variant.model.prefix, variant.model.functions()));
}

Status native::writeCode(const AotArtifact &artifact, const Staging &staging) {
  if (artifact.variants.size() == 1)
    return writeVariant(artifact.variants.front(), staging, staging.path("code.o"));
  std::vector<std::string> objects, prefixes;
  for (const AotVariant &variant : artifact.variants) {
    objects.push_back(staging.path(fmt::format("variant{}.o", objects.size())));
    prefixes.push_back(variant.model.prefix);
    QUERN_TRY(writeVariant(variant, staging, objects.back()));
  }
  QUERN_ASSIGN(ObjectCode dispatch,
               compileDispatch(artifact.prefix, prefixes, artifact.functions()));
  QUERN_TRY(staging.write("dispatch.o", viewOf(dispatch)));
  objects.push_back(staging.path("dispatch.o"));
  QUERN_TRY(linkRelocatable(objects, staging.path("joined.o")));
  return localizeSymbols(staging.path("joined.o"), staging.path("code.o"),
                         publicSymbols(artifact.prefix, artifact.functions()));
}

/// Functions that LLVM calls of itself, and that every C library has.
static bool isOfCLibrary(const std::string &symbol) {
  return symbol == "memcpy" || symbol == "memmove" || symbol == "memset";
}

/// The symbols that the code takes from libraries.
static Expected<std::vector<std::string>> librarySymbols(const AotArtifact &artifact,
                                                         const Staging &staging) {
  QUERN_ASSIGN(std::vector<std::string> symbols, undefinedSymbols(staging.path("code.o")));
  for (const AotVariant &variant : artifact.variants)
    llvm::erase(symbols, weightsSymbol(variant.model));
  return symbols;
}

/// Libraries that stand for those of another machine: what they define is looked up there
/// when the model is loaded.
static Expected<std::vector<std::string>> writeLibraryStubs(const AotArtifact &artifact,
                                                            const Staging &staging) {
  QUERN_ASSIGN(std::vector<std::string> symbols, librarySymbols(artifact, staging));
  auto mathBegin = std::partition(symbols.begin(), symbols.end(), isOfCLibrary);
  std::vector<std::string> libraries;
  auto write = [&](const std::string &name, std::vector<std::string> defined) -> Status {
    QUERN_ASSIGN(ObjectCode stub, compileStubs(artifact.target(), defined));
    QUERN_TRY(staging.write(name + ".o", viewOf(stub)));
    libraries.push_back(staging.path(name));
    return linkSharedLibrary({.objects = {staging.path(name + ".o")}, .name = name},
                             libraries.back());
  };
  QUERN_TRY(write("libc.so.6", {symbols.begin(), mathBegin}));
  QUERN_TRY(write("libm.so.6", {mathBegin, symbols.end()}));
  return libraries;
}

/// For who loads a library and does not know its prefix: "quern_model_run".
static std::vector<SymbolAlias> libraryAliases(const std::string &prefix,
                                               const ModelFunctions &functions) {
  std::vector<SymbolAlias> aliases;
  for (const std::string &symbol : publicSymbols(prefix, functions))
    if (std::string name = "quern_model" + symbol.substr(prefix.size()); name != symbol)
      aliases.push_back({name, symbol});
  return aliases;
}

Status native::moveWeightsToFile(AotArtifact &artifact, const std::string &path) {
  std::vector<const WeightLayout *> layouts;
  for (const AotVariant &variant : artifact.variants)
    layouts.push_back(&variant.model.weights);
  std::vector<WeightsPart> parts = placeInFile(layouts);
  for (size_t i = 0; i < parts.size(); ++i)
    artifact.variants[i].model.inFile = parts[i];
  return writeWeightsFile(path, layouts, parts);
}

/// Writes the weights of all variants; the files.
static Expected<std::vector<std::string>> writeWeights(const AotArtifact &artifact,
                                                       const Staging &staging) {
  std::vector<std::string> objects;
  for (const auto &[model, graph] : artifact.variants) {
    if (model.weights.bytes == 0 || model.inFile)
      continue;
    objects.push_back(staging.path(fmt::format("weights{}.o", objects.size())));
    QUERN_TRY(
        writeWeightsObject(objects.back(), model.weights, weightsSymbol(model), model.target.arch));
  }
  return objects;
}

Status native::writeArtifact(const AotArtifact &artifact, const AotOptions &options,
                             const Staging &staging) {
  if (isTextFile(options.outputPath))
    return writeText(artifact, options.outputPath, staging);
  llvm::StringRef suffix = llvm::sys::path::extension(options.outputPath);
  QUERN_ASSIGN(std::vector<std::string> objects, writeWeights(artifact, staging));
  objects.insert(objects.begin(), staging.path("code.o"));
  if (suffix == ".so") {
    std::string name = llvm::sys::path::filename(options.outputPath).str();
    std::string runtime = artifact.callsRuntime() ? options.runtimeArchive : "";
    std::vector<std::string> libraries = systemLibraries();
    if (!isThisMachine(artifact.target())) {
      QUERN_ASSIGN(libraries, writeLibraryStubs(artifact, staging));
    }
    QUERN_TRY(linkSharedLibrary({.objects = std::move(objects),
                                 .name = std::move(name),
                                 .libraries = std::move(libraries),
                                 .archive = std::move(runtime),
                                 .aliases = libraryAliases(artifact.prefix, artifact.functions())},
                                staging.path("model.so")));
    return staging.publish("model.so");
  }
  QUERN_TRY(linkRelocatable(objects, staging.path("model.o")));
  if (suffix == ".o")
    return staging.publish("model.o");
  QUERN_TRY(writeArchive(staging.path("model.o"), artifact.prefix + ".o", staging.path("model.a")));
  return staging.publish("model.a");
}

Expected<std::vector<std::string>> native::neededLibraries(const AotArtifact &artifact,
                                                           const Staging &staging) {
  if (artifact.callsRuntime())
    return std::vector<std::string>{kRuntimeArchive, "-lstdc++", "-lm"};
  QUERN_ASSIGN(std::vector<std::string> symbols, librarySymbols(artifact, staging));
  std::vector<std::string> libraries;
  if (!llvm::all_of(symbols, isOfCLibrary))
    libraries.push_back("-lm");
  return libraries;
}
