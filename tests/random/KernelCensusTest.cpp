//===- KernelCensusTest.cpp - equal keys are equal code, and the reverse --===//
//
// Every step that models of the suite are lowered to is emitted: kernels of one key have one
// text, and kernels of one text have one key, but for what an integer's sign does not change.
//
//===----------------------------------------------------------------------===//
#include "backends/native/CompilerParts.h"
#include "backends/native/emit/SpecKernel.h"
#include "backends/plan/GraphFamily.h"
#include "backends/plan/PlanTree.h"
#include "frontend/onnx/OnnxImporter.h"
#include "ir/Signature.h"
#include "passes/OptimizeGraph.h"
#include "passes/SpecializeInputs.h"
#include "tests/random/ModelDraw.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>

using namespace quern;
using namespace quern::native;
namespace fs = std::filesystem;

namespace {
/// The kernels that were seen, for one target.
class Census {
public:
  explicit Census(const std::string &targetCpu) : target(resolveTarget(targetCpu).take()) {
    options.targetCpu = targetCpu;
    options.threads = 2;
  }

  /// All kernels of a model; false when it is not imported or has no steps for these sizes.
  bool add(nn::OwnedModule source) {
    NativeOptions shared = options;
    passes::shareFolding(shared, *source.module);
    auto family = plan::GraphFamily::create(std::move(source), pipelineOptions(shared, target));
    if (!family)
      return false;
    auto instantiator = createInstantiator(target, shared);
    auto tree = plan::lowerTree(**family, plan::knownSizes((*family)->main(), {}),
                                plan::UnknownSizes::Reference, *instantiator, {});
    if (tree)
      addTree(*tree);
    return bool(tree);
  }
  size_t size() const { return texts.size(); }
  const std::set<std::string> &families() const { return seenFamilies; }

private:
  void addTree(const plan::LoweredTree &tree) {
    for (const plan::LoweredOp &op : tree.instance.lowered.ops)
      for (const plan::LoweredStep &step : op.steps)
        addKernel(step.kernel);
    for (const auto &bodies : tree.bodies)
      for (const plan::LoweredTree &body : bodies)
        addTree(body);
  }

  void addKernel(const KernelSpec &kernel) {
    // The same spec need not be emitted a hundred times.
    constexpr int kMostOfOneKey = 3;
    if (++times[kernel.key] > kMostOfOneKey)
      return;
    KernelBuilder builder(target, "kernel");
    emitKernel(kernel, builder);
    KernelBuilder::Module module = builder.finish();
    std::string text;
    llvm::raw_string_ostream stream(text);
    module.module->print(stream);
    std::string spec = kernel.source->text();
    seenFamilies.insert(spec.substr(0, spec.find('(')));
    auto [known, isNew] = texts.try_emplace(kernel.key, text);
    EXPECT_EQ(known->second, text) << spec << " has two codes";
    auto [other, isNewText] = specs.try_emplace(text, spec);
    EXPECT_EQ(withoutSigns(other->second), withoutSigns(spec)) << "are one code";
  }

  /// Elements of 32 bits are added alike, whether they are int32 or uint32.
  static std::string withoutSigns(const std::string &spec) {
    static const std::regex sign("uint");
    return std::regex_replace(spec, sign, "int");
  }

  Target target;
  NativeOptions options;
  std::map<std::string, std::string> texts;
  std::map<std::string, std::string> specs;
  std::map<std::string, int> times;
  std::set<std::string> seenFamilies;
};

/// A model whose open sizes are all the same number.
std::optional<nn::OwnedModule> load(const std::string &path, int64_t size) {
  nn::OwnedModule source = nn::OwnedModule::create();
  auto module = quern::onnx::importOnnxFile(path, *source.context);
  if (!module)
    return std::nullopt;
  source.module = module.take();
  mlir::func::FuncOp main = nn::findMain(*source.module);
  std::vector<std::optional<Tensor::Dims>> dims;
  for (const PortSignature &port : nn::inputSignature(main)) {
    std::optional<Tensor::Dims> &known = dims.emplace_back();
    if (!port.isTensor() || !port.ranked)
      continue;
    known.emplace();
    for (const PortDim &dim : port.shape.dims())
      known->push_back(dim.isStatic() ? dim.size() : size);
  }
  (void)passes::specializeInputs(main, dims);
  return source;
}

std::vector<std::string> modelsIn(const fs::path &folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; ++at)
    if (at->path().extension() == ".onnx")
      paths.push_back(at->path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

fs::path sharedModels() {
  const char *shared = std::getenv("QUERN_SHARED");
  return fs::path(shared ? shared : QUERN_SOURCE_DIR "/../shared") / "models";
}
} // namespace

TEST(KernelCensus, ConformanceModels) {
  Census host("host");
  size_t models = 0;
  for (const std::string &path : modelsIn("/usr/share/libonnx-testdata/data/node"))
    if (auto source = load(path, 2))
      models += host.add(std::move(*source));
  EXPECT_GT(models, 800u);
  EXPECT_GT(host.size(), 300u);
}

TEST(KernelCensus, WholeModels) {
  std::vector<std::string> paths = modelsIn(sharedModels());
  if (paths.empty())
    GTEST_SKIP() << "no models in " << sharedModels();
  for (const char *target : {"host", "haswell"}) {
    Census census(target);
    size_t models = 0;
    for (const std::string &path : paths)
      for (int64_t size : {1, 7})
        if (auto source = load(path, size))
          models += census.add(std::move(*source));
    EXPECT_GT(models, paths.size());
  }
}

TEST(KernelCensus, RandomModels) {
  for (const char *target : {"host", "baseline"}) {
    Census census(target);
    for (uint64_t seed = 0; seed < 400; ++seed) {
      random::RandomModel drawn = random::drawModel(seed);
      std::string bytes = drawn.model.SerializeAsString();
      nn::OwnedModule source = nn::OwnedModule::create();
      auto module = quern::onnx::importOnnxBytes(std::as_bytes(std::span(bytes)), "random.onnx",
                                                 *source.context);
      if (!module)
        continue;
      source.module = module.take();
      census.add(std::move(source));
    }
    EXPECT_GT(census.size(), 300u);
    EXPECT_GT(census.families().size(), 15u);
  }
}
