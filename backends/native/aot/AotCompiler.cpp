//===- AotCompiler.cpp - models to libraries that need no runtime ---------===//
//
//   kernels' objects ─┐ ld -r              ┌ FILE.so   (linkSharedLibrary)
//   plan code ────────┴───▶ code ──┐       │
//                       (localized)├───────┤
//   packed weights ────────────────┘ ld -r └ FILE.o ──▶ FILE.a
//
//===----------------------------------------------------------------------===//
#include "backends/native/aot/AotCompiler.h"

#include "backends/native/GraphTree.h"
#include "backends/native/aot/AotHeader.h"
#include "backends/native/aot/AotPlanCode.h"
#include "backends/native/aot/AotRefusal.h"
#include "backends/native/aot/AotStaging.h"
#include "backends/native/aot/LinkObjects.h"
#include "backends/native/codegen/CpuFeatures.h"
#include "ir/Signature.h"
#include "passes/SpecializeInputs.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

#include <fmt/format.h>
#include <set>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

//===----------------------------------------------------------------------===//
// What cannot be compiled
//===----------------------------------------------------------------------===//

static bool isIdentifier(llvm::StringRef name) {
  return !name.empty() && !llvm::isDigit(name.front()) &&
         llvm::all_of(name, [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

std::string native::symbolPrefix(const std::string &outputPath) {
  std::string name = llvm::sys::path::stem(outputPath).str();
  for (char &c : name)
    if (!llvm::isAlnum(c))
      c = '_';
  return name.empty() || llvm::isDigit(name.front()) ? "model_" + name : name;
}

static Status checkOptions(const AotOptions &options) {
  llvm::StringRef suffix = llvm::sys::path::extension(options.outputPath);
  if (suffix != ".so" && suffix != ".o" && suffix != ".a")
    return usageError("cannot tell what '" + options.outputPath +
                      "' is to be: wanted FILE.so, FILE.o or FILE.a");
  if (!options.prefix.empty() && !isIdentifier(options.prefix))
    return usageError("the prefix '" + options.prefix + "' is not a C identifier");
  return Status::ok();
}

/// Asked before the long work.
static Status checkInputSizes(func::FuncOp main) {
  std::string unknown;
  for (auto [i, type] : llvm::enumerate(main.getArgumentTypes())) {
    auto ranked = dyn_cast<RankedTensorType>(type);
    if (!ranked || !ranked.hasStaticShape())
      unknown += (unknown.empty() ? "'" : ", '") + nn::inputName(main, i) + "'";
  }
  if (!unknown.empty())
    return unsupported("compiling ahead of time needs all input sizes; set those of " + unknown +
                       " with --shape or --dim");
  return Status::ok();
}

/// A plan of the artefact, with the symbols of its kernels.
static AotPlan describePlan(const CompiledPlan &compiled, const KernelCache &kernels) {
  AotPlan result;
  if (!compiled.broken.isOk())
    return result;
  result.plan = &compiled.plan.plan;
  result.runtimeCalls = compiled.runtimeCalls;
  for (const std::string &key : compiled.plan.kernelKeys)
    result.kernelSymbols.push_back(key.empty() ? "" : kernels.get(key).symbol);
  for (auto [i, bodies] : llvm::enumerate(compiled.bodies)) {
    std::vector<AotPlan> &made = result.bodies.emplace_back();
    for (const CompiledPlan &body : bodies)
      made.push_back(neverIterates(result.plan->steps[i]) ? AotPlan()
                                                          : describePlan(body, kernels));
  }
  return result;
}

/// Everything that the writers need to know.
static Expected<AotModel> describe(const CompiledTree &graph, ModuleOp module,
                                   const AotOptions &options) {
  const Target &target = graph.kernels->target();
  AotPlan top = describePlan(graph, *graph.kernels);
  if (!workspaceBytes(top).valid())
    return resourceLimit("the workspace of this model needs more memory than there can be");
  QUERN_ASSIGN(WeightLayout weights, layOutWeights(usedWeights(top)));
  QUERN_ASSIGN(std::vector<std::string> features, requiredCpuFeatures(target));
  // The importer names a module after its file; where that lay does not matter.
  auto location = dyn_cast<NameLoc>(module.getLoc());
  std::string prefix = options.prefix.empty() ? symbolPrefix(options.outputPath) : options.prefix;
  std::string name = location ? llvm::sys::path::stem(location.getName().getValue()).str() : prefix;
  return AotModel{std::move(top), std::move(weights),  std::move(prefix),    std::move(name),
                  target,         std::move(features), options.maxIterations};
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

static void addKernels(const CompiledPlan &compiled, std::set<std::string> &keys) {
  keys.insert(compiled.plan.kernelKeys.begin(), compiled.plan.kernelKeys.end());
  for (const std::vector<CompiledPlan> &bodies : compiled.bodies)
    for (const CompiledPlan &body : bodies)
      addKernels(body, keys);
  keys.erase("");
}

/// Writes the object file code.o of the plan with its kernels.
static Status writeCode(const AotModel &model, const CompiledTree &graph, const Staging &staging) {
  auto view = [](const ObjectCode &object) {
    return std::string_view(object.data(), object.size());
  };
  QUERN_ASSIGN(ObjectCode plan, compilePlanCode(model));
  QUERN_TRY(staging.write("plan.o", view(plan)));
  std::vector<std::string> objects = {staging.path("plan.o")};
  std::set<std::string> keys;
  addKernels(graph, keys);
  for (const std::string &key : keys) {
    std::string name = fmt::format("kernel{}.o", objects.size());
    QUERN_TRY(staging.write(name, view(graph.kernels->get(key).object)));
    objects.push_back(staging.path(name));
  }
  QUERN_TRY(linkRelocatable(objects, staging.path("joined.o")));
  return localizeSymbols(staging.path("joined.o"), staging.path("code.o"), publicSymbols(model));
}

/// What LLVM calls of itself, and every C library has.
static bool isOfCLibrary(const std::string &symbol) {
  return symbol == "memcpy" || symbol == "memmove" || symbol == "memset";
}

/// The symbols that the code takes from libraries.
static Expected<std::vector<std::string>> librarySymbols(const AotModel &model,
                                                         const Staging &staging) {
  QUERN_ASSIGN(std::vector<std::string> symbols, undefinedSymbols(staging.path("code.o")));
  llvm::erase(symbols, weightsSymbol(model));
  return symbols;
}

/// Libraries that stand for those of another machine: what they define is looked up there
/// when the model is loaded.
static Expected<std::vector<std::string>> writeLibraryStubs(const AotModel &model,
                                                            const Staging &staging) {
  QUERN_ASSIGN(std::vector<std::string> symbols, librarySymbols(model, staging));
  auto mathBegin = std::partition(symbols.begin(), symbols.end(), isOfCLibrary);
  std::vector<std::string> libraries;
  auto write = [&](const std::string &name, std::vector<std::string> defined) -> Status {
    QUERN_ASSIGN(ObjectCode stub, compileStubs(model.target, defined));
    QUERN_TRY(staging.write(name + ".o", std::string_view(stub.data(), stub.size())));
    libraries.push_back(staging.path(name));
    return linkSharedLibrary({.objects = {staging.path(name + ".o")}, .name = name},
                             libraries.back());
  };
  QUERN_TRY(write("libc.so.6", {symbols.begin(), mathBegin}));
  QUERN_TRY(write("libm.so.6", {mathBegin, symbols.end()}));
  return libraries;
}

/// For who loads a library and does not know its prefix: "quern_model_run".
static std::vector<SymbolAlias> libraryAliases(const AotModel &model) {
  std::vector<SymbolAlias> aliases;
  for (const std::string &symbol : publicSymbols(model))
    if (std::string name = "quern_model" + symbol.substr(model.prefix.size()); name != symbol)
      aliases.push_back({name, symbol});
  return aliases;
}

/// Links what writeCode has left to `options.outputPath`.
static Status writeArtifact(const AotModel &model, const AotOptions &options,
                            const Staging &staging) {
  llvm::StringRef suffix = llvm::sys::path::extension(options.outputPath);
  std::vector<std::string> objects = {staging.path("code.o")};
  if (model.weights.bytes > 0) {
    objects.push_back(staging.path("weights.o"));
    QUERN_TRY(
        writeWeightsObject(objects.back(), model.weights, weightsSymbol(model), model.target.arch));
  }
  if (suffix == ".so") {
    std::string name = llvm::sys::path::filename(options.outputPath).str();
    std::string runtime = callsRuntime(model.top) ? options.runtimeArchive : "";
    std::vector<std::string> libraries = systemLibraries();
    if (!isThisMachine(model.target)) {
      QUERN_ASSIGN(libraries, writeLibraryStubs(model, staging));
    }
    QUERN_TRY(linkSharedLibrary({.objects = std::move(objects),
                                 .name = std::move(name),
                                 .libraries = std::move(libraries),
                                 .archive = std::move(runtime),
                                 .aliases = libraryAliases(model)},
                                staging.path("model.so")));
    return staging.publish("model.so");
  }
  QUERN_TRY(linkRelocatable(objects, staging.path("model.o")));
  if (suffix == ".o")
    return staging.publish("model.o");
  QUERN_TRY(writeArchive(staging.path("model.o"), model.prefix + ".o", staging.path("model.a")));
  return staging.publish("model.a");
}

static constexpr const char *kRuntimeArchive = "libquern_runtime.a";

/// Linker options for programs that use the object file code.o.
static Expected<std::vector<std::string>> neededLibraries(const AotModel &model,
                                                          const Staging &staging) {
  if (callsRuntime(model.top))
    return std::vector<std::string>{kRuntimeArchive, "-lstdc++", "-lm"};
  QUERN_ASSIGN(std::vector<std::string> symbols, librarySymbols(model, staging));
  std::vector<std::string> libraries;
  if (!llvm::all_of(symbols, isOfCLibrary))
    libraries.push_back("-lm");
  return libraries;
}

Status native::compileToArtifact(ModuleOp module, const AotOptions &options,
                                 std::vector<std::string> *needed) {
  QUERN_TRY(checkOptions(options));
  func::FuncOp main = nn::findMain(module);
  if (!main)
    return invalidModel("the module has no function @main");
  QUERN_TRY(nn::requireTensorPorts(main).withContext("compiling ahead of time"));
  QUERN_TRY(checkInputSizes(main));
  QUERN_ASSIGN(Staging staging, Staging::create(options.outputPath));
  std::optional<Staging> header;
  if (!options.headerPath.empty()) {
    QUERN_ASSIGN(Staging folder, Staging::create(options.headerPath));
    header.emplace(std::move(folder));
  }

  QUERN_ASSIGN(CompiledTree graph, compileTree(module, options));
  // The archive at hand is one for this machine.
  bool hasRuntime = !options.outputPath.ends_with(".so") ||
                    (!options.runtimeArchive.empty() && isThisMachine(graph.kernels->target()));
  QUERN_TRY(checkPlan(graph, hasRuntime));
  QUERN_TRY(options.limits.deadline.check("compiling ahead of time"));
  QUERN_ASSIGN(AotModel model, describe(graph, module, options));
  QUERN_TRY(writeCode(model, graph, staging));
  QUERN_ASSIGN(std::vector<std::string> libraries, neededLibraries(model, staging));
  if (header)
    QUERN_TRY(header->write("model.h", headerText(model, libraries)));
  QUERN_TRY(options.limits.deadline.check("writing " + options.outputPath));
  QUERN_TRY(writeArtifact(model, options, staging));
  if (needed && options.outputPath.ends_with(".so"))
    llvm::erase(libraries, kRuntimeArchive); // it is in there
  if (needed)
    *needed = std::move(libraries);
  return header ? header->publish("model.h") : Status::ok();
}
