//===- AotCompiler.cpp - models to libraries that need no runtime ---------===//
//
// For each CPU the graph is compiled by itself; AotOutput.cpp puts all into one file.
//
//===----------------------------------------------------------------------===//
#include "backends/native/aot/AotCompiler.h"

#include "backends/native/aot/AotHeader.h"
#include "backends/native/aot/AotOutput.h"
#include "backends/native/aot/AotPlans.h"
#include "backends/native/aot/AotPrograms.h"
#include "backends/native/aot/AotRefusal.h"
#include "backends/native/aot/AotSizes.h"
#include "backends/native/aot/AotSteps.h"
#include "backends/native/aot/AotText.h"
#include "backends/native/target/CpuFeatures.h"
#include "ir/Signature.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

#include <fmt/format.h>

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

/// Quern's own names begin so: types of the header, functions of the library.
static bool isReserved(llvm::StringRef prefix) {
  return prefix == "quern" || prefix.starts_with("quern_");
}

std::string native::symbolPrefix(const std::string &outputPath) {
  std::string name;
  bool inNumbers = false;
  // The bytes of a name that is not in ASCII as numbers: those of others are different.
  for (unsigned char c : llvm::sys::path::stem(outputPath)) {
    bool isAscii = c < 0x80;
    if (isAscii)
      name += llvm::isAlnum(static_cast<char>(c)) ? static_cast<char>(c) : '_';
    else
      name += fmt::format("{}{:02x}", inNumbers ? "" : "u", c);
    inNumbers = !isAscii;
  }
  bool isUsable = !name.empty() && !llvm::isDigit(name.front()) && !isReserved(name);
  return isUsable ? name : "model_" + name;
}

static Status checkOptions(const AotOptions &options) {
  llvm::StringRef suffix = llvm::sys::path::extension(options.outputPath);
  if (suffix != ".so" && suffix != ".o" && suffix != ".a" && !isTextFile(options.outputPath))
    return usageError("cannot tell what '" + options.outputPath +
                      "' is to be: wanted FILE.so, FILE.o, FILE.a, FILE.s or FILE.ll");
  if (!options.prefix.empty() && !isIdentifier(options.prefix))
    return usageError("the prefix '" + options.prefix + "' is not a C identifier");
  if (isReserved(options.prefix))
    return usageError("the prefix '" + options.prefix +
                      "' is Quern's own, as all names that begin with quern_ are");
  return Status::ok();
}

/// A plan of the artefact, with the symbols of its kernels.
static Expected<AotPlan> describePlan(const PlanTree &tree, const KernelStore &kernels) {
  AotPlan result;
  if (!tree.broken.isOk())
    return result;
  result.plan = &tree.plan.plan;
  for (auto [step, origin, bodies] :
       llvm::zip_equal(tree.plan.plan.steps, tree.plan.steps, tree.bodies)) {
    result.kernelSymbols.push_back(
        origin.kernel ? kernels.get(tree.plan.kernels[*origin.kernel].key).symbol : "");
    RuntimeCall &call = result.runtimeCalls.emplace_back();
    if (auto *reference = step.as<ReferenceStep>()) {
      QUERN_ASSIGN(call, runtimeCallOf(*reference, origin.op));
    }
    std::vector<AotPlan> &made = result.bodies.emplace_back();
    for (const PlanTree &body : bodies) {
      QUERN_ASSIGN(AotPlan plan, neverIterates(step) ? AotPlan() : describePlan(body, kernels));
      made.push_back(std::move(plan));
    }
  }
  return result;
}

/// Everything that the writers need to know.
static Expected<AotModel> describe(const CompiledPlans &graph, const AotInterface &interface,
                                   std::string prefix, bool weightsInFile) {
  const Target &target = graph.kernels->target();
  std::vector<AotPlan> plans;
  for (const PlanTree &tree : graph.plans) {
    QUERN_ASSIGN(AotPlan plan, describePlan(tree, *graph.kernels));
    plans.push_back(std::move(plan));
  }
  for (const AotPlan &plan : plans)
    for (auto [output, first] : llvm::zip(plan.plan->outputs, plans.front().plan->outputs))
      if (output.dims.size() != first.dims.size())
        return unsupported("this model cannot be compiled for these sizes: the rank of output '" +
                           output.name + "' depends on them");
  if (!workspaceBytes(plans).valid())
    return resourceLimit("the workspace of this model needs more memory than there can be");
  QUERN_ASSIGN(WeightLayout weights, layOutWeights(usedWeights(plans), weightsInFile));
  QUERN_ASSIGN(std::vector<std::string> features, requiredCpuFeatures(target));
  if (target.arch == Target::Arch::Aarch64)
    features.clear(); // those of every CPU; code without a C library could not ask
  return AotModel{std::move(plans),  interface, std::move(weights),
                  std::move(prefix), target,    std::move(features)};
}

/// What users of the artefact see, but for its outputs: the passes find out more of those.
static AotInterface describeInterface(ModuleOp module, const AotOptions &options,
                                      const std::string &prefix) {
  func::FuncOp main = nn::findMain(module);
  // The importer names a module after its file; where that lay does not matter.
  auto location = dyn_cast<NameLoc>(module.getLoc());
  return {.name = location ? llvm::sys::path::stem(location.getName().getValue()).str() : prefix,
          .inputs = nn::inputSignature(main),
          .outputs = {},
          .sizes = options.listedSizes,
          .precision = options.precision,
          .choice = options.choiceText,
          .maxIterations = options.maxIterations};
}

//===----------------------------------------------------------------------===//
// CPUs
//===----------------------------------------------------------------------===//

/// The CPUs that code is made for, the one with most to offer first: a machine runs the
/// first that it can.
static Expected<std::vector<std::string>> orderCpus(const AotOptions &options) {
  if (options.targetCpus.empty())
    return std::vector<std::string>{options.targetCpu};
  std::vector<std::tuple<int64_t, size_t, std::string>> ranked;
  for (const std::string &cpu : options.targetCpus) {
    QUERN_ASSIGN(Target target, resolveTarget(cpu, options.targetTriple));
    if (target.arch != Target::Arch::X86)
      return usageError("code for several CPUs in one file is for x86-64: that for AArch64 runs on "
                        "all its CPUs");
    QUERN_ASSIGN(std::vector<std::string> features, requiredCpuFeatures(target));
    ranked.emplace_back(target.vectorBytes, features.size(), cpu);
  }
  llvm::sort(ranked, std::greater<>());
  std::vector<std::string> cpus;
  for (auto &[bytes, features, cpu] : ranked)
    if (!llvm::is_contained(cpus, cpu))
      cpus.push_back(cpu);
  return cpus;
}

/// Of the symbols of the code for one of several CPUs: "m_x86_64_v3".
static std::string variantPrefix(const std::string &prefix, const std::string &cpu) {
  std::string name = prefix + "_" + cpu;
  for (char &c : name)
    if (!llvm::isAlnum(c))
      c = '_';
  return name;
}

namespace {
/// Compiles a model for each of the CPUs.
class VariantCompiler {
public:
  VariantCompiler(const AotOptions &options, std::vector<PlannedSizes> sizes)
      : options(options), sizes(std::move(sizes)) {}

  /// Compiles `module` into `artifact`, which this outlives.
  Status compile(ModuleOp module, const AotInterface &interface, AotArtifact &artifact);

private:
  Expected<AotVariant> compileVariant(ModuleOp module, const std::string &cpu, std::string prefix,
                                      const AotInterface &interface, CompiledPlans &graph) const;

  const AotOptions &options;
  std::vector<PlannedSizes> sizes;
  std::vector<std::unique_ptr<CompiledPlans>> compiled;
};
} // namespace

/// `graph` outlives what is described.
Expected<AotVariant> VariantCompiler::compileVariant(ModuleOp module, const std::string &cpu,
                                                     std::string prefix,
                                                     const AotInterface &interface,
                                                     CompiledPlans &graph) const {
  NativeOptions mine = options;
  mine.targetCpu = cpu;
  mine.keepBitcode = isTextFile(options.outputPath);
  QUERN_ASSIGN(graph, compilePlans(module, mine, sizes));
  // The archive at hand is one for this machine.
  bool hasRuntime = !options.outputPath.ends_with(".so") ||
                    (!options.runtimeArchive.empty() && isThisMachine(graph.kernels->target()));
  for (size_t i = 0; i < graph.plans.size(); ++i) {
    Status status = checkPlan(graph.plans[i], hasRuntime);
    QUERN_TRY(sizes.empty() ? status : status.withContext(sizes[i].name));
  }
  QUERN_TRY(options.limits.deadline.check("compiling ahead of time"));
  QUERN_ASSIGN(AotModel model,
               describe(graph, interface, std::move(prefix), options.weightsInFile));
  model.interface.outputs = graph.outputs;
  return AotVariant{std::move(model), &graph};
}

Status VariantCompiler::compile(ModuleOp module, const AotInterface &interface,
                                AotArtifact &artifact) {
  QUERN_ASSIGN(std::vector<std::string> cpus, orderCpus(options));
  for (const std::string &cpu : cpus) {
    CompiledPlans &graph = *compiled.emplace_back(std::make_unique<CompiledPlans>());
    std::string prefix = cpus.size() > 1 ? variantPrefix(artifact.prefix, cpu) : artifact.prefix;
    QUERN_ASSIGN(AotVariant made, compileVariant(module, cpu, std::move(prefix), interface, graph));
    artifact.variants.push_back(std::move(made));
  }
  return Status::ok();
}

static std::vector<std::string> cpusOf(const AotArtifact &artifact) {
  std::vector<std::string> cpus;
  for (const AotVariant &variant : artifact.variants)
    cpus.push_back(variant.model.target.cpu);
  return cpus;
}

static ProgramFacts programFacts(const AotArtifact &artifact, const AotOptions &options,
                                 const std::vector<std::string> &libraries) {
  llvm::StringRef weights;
  std::string path = weightsPath(options.outputPath);
  if (options.weightsInFile)
    weights = llvm::sys::path::filename(path);
  return {.header = headerText(artifact, libraries),
          .prefix = artifact.prefix,
          .takesSizes = artifact.functions().takeSizes,
          .weights = weights.str()};
}

/// A place on the way to `path`, unless that is empty.
static Expected<std::optional<Staging>> stageIfAsked(const std::string &path) {
  if (path.empty())
    return std::optional<Staging>();
  QUERN_ASSIGN(Staging staging, Staging::create(path));
  return std::optional(std::move(staging));
}

Status native::compileToArtifact(ModuleOp module, const AotOptions &options,
                                 ArtifactSummary *summary) {
  QUERN_TRY(checkOptions(options));
  func::FuncOp main = nn::findMain(module);
  if (!main)
    return invalidModel("the module has no function @main");
  QUERN_TRY(nn::requireTensorPorts(main).withContext("compiling ahead of time"));
  QUERN_ASSIGN(std::vector<PlannedSizes> sizes, planSizes(main, options.listedSizes));
  QUERN_ASSIGN(Staging staging, Staging::create(options.outputPath));
  QUERN_ASSIGN(std::optional<Staging> weights,
               stageIfAsked(options.weightsInFile ? weightsPath(options.outputPath) : ""));
  QUERN_ASSIGN(std::optional<Staging> header, stageIfAsked(options.headerPath));
  QUERN_ASSIGN(std::optional<Staging> program, stageIfAsked(options.mainPath));
  AotArtifact artifact;
  artifact.prefix = options.prefix.empty() ? symbolPrefix(options.outputPath) : options.prefix;
  VariantCompiler compiler(options, std::move(sizes));
  QUERN_TRY(
      compiler.compile(module, describeInterface(module, options, artifact.prefix), artifact));
  if (weights)
    QUERN_TRY(weights->nameTarget(moveWeightsToFile(artifact, weights->path("weights"))));
  QUERN_TRY(staging.nameTarget(writeCode(artifact, staging)));
  QUERN_ASSIGN(std::vector<std::string> libraries, neededLibraries(artifact, staging));
  if (header)
    QUERN_TRY(header->write("model.h", headerText(artifact, libraries)));
  if (program)
    QUERN_TRY(program->write("main.c", runProgramText(programFacts(artifact, options, libraries))));
  QUERN_TRY(options.limits.deadline.check("writing " + options.outputPath));
  QUERN_TRY(staging.nameTarget(writeArtifact(artifact, options, staging)));
  // Code that finds another file refuses it: nothing is wrong for the moment between.
  if (weights)
    QUERN_TRY(weights->publish("weights"));
  if (program)
    QUERN_TRY(program->publish("main.c"));
  if (options.outputPath.ends_with(".so"))
    llvm::erase(libraries, kRuntimeArchive); // it is in there
  if (summary)
    *summary = {.needed = std::move(libraries), .targetCpus = cpusOf(artifact)};
  return header ? header->publish("model.h") : Status::ok();
}
