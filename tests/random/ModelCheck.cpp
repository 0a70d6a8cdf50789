//===- ModelCheck.cpp - compiled against interpreted, at all levels -------===//
#include "tests/random/ModelCheck.h"

#include "backends/interpreter/Interpreter.h"
#include "ir/Signature.h"
#include "passes/SpecializeInputs.h"
#include "tests/FloatElement.h"
#include "tests/native/GraphCheck.h"
#include "tests/native/RunnableTargets.h"
#include "tests/random/ModelText.h"

#include <cmath>
#include <cstring>

using namespace quern;
using namespace quern::random;

std::string RunConfig::describe() const {
  return "-O" + std::to_string(optLevel) + " on " + targetCpu + ", " + std::to_string(threads) +
         (threads == 1 ? " thread" : " threads");
}

std::vector<RunConfig> ModelCheck::usualConfigs(uint64_t seed) {
  std::vector<RunConfig> configs;
  for (int level : {3, 2, 1, 0})
    configs.push_back({"host", level, 1 + static_cast<int>((seed + level) % 2)});
  std::vector<std::string> targets = native::runnableTargets();
  targets.pop_back(); // the host, which is last
  configs.push_back({targets[seed % targets.size()], static_cast<int>(seed / 2 % 4), 1});
  return configs;
}

std::vector<RunConfig> ModelCheck::allConfigs() {
  std::vector<RunConfig> configs;
  for (const std::string &target : native::runnableTargets())
    for (int level : {0, 1, 2, 3})
      configs.push_back({target, level, 1 + level % 2});
  return configs;
}

//===----------------------------------------------------------------------===//
// Comparison
//===----------------------------------------------------------------------===//

static bool agree(const Tensor &found, const Tensor &wanted, int64_t i, double error) {
  if (!isFloat(wanted.dtype())) {
    int64_t bytes = dtypeBytes(wanted.dtype());
    return std::memcmp(found.data<char>() + i * bytes, wanted.data<char>() + i * bytes,
                       static_cast<size_t>(bytes)) == 0;
  }
  double a = floatAt(found, i), b = floatAt(wanted, i);
  if (std::isnan(a) || std::isnan(b))
    return std::isnan(a) == std::isnan(b);
  return a == b || std::abs(a - b) <= 4 * error;
}

static std::string valueText(const Tensor &tensor, int64_t i) {
  if (isFloat(tensor.dtype()))
    return std::to_string(floatAt(tensor, i));
  int64_t value = 0;
  int64_t bytes = dtypeBytes(tensor.dtype());
  std::memcpy(&value, tensor.data<char>() + i * bytes, static_cast<size_t>(bytes));
  return std::to_string(value);
}

std::string ModelCheck::difference(const RandomModel &model,
                                   const std::vector<Tensor> &found) const {
  for (size_t o = 0; o < wanted.size(); ++o) {
    const Tensor &a = found[o], &b = wanted[o];
    std::string output = "output " + model.outputs[o].name + " (" + b.describe() + "): ";
    if (a.dtype() != b.dtype() || a.dims() != b.dims())
      return output + "found " + a.describe();
    for (int64_t i = 0; i < b.numElements(); ++i)
      if (!agree(a, b, i, model.outputs[o].error))
        return output + "element " + std::to_string(i) + " is " + valueText(a, i) +
               ", interpreted " + valueText(b, i) + ", allowed error " +
               std::to_string(4 * model.outputs[o].error);
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Runs
//===----------------------------------------------------------------------===//

/// The input tensors in the order of the imported function's arguments.
static std::vector<Tensor> orderedInputs(mlir::ModuleOp module, const RandomModel &model) {
  std::vector<Tensor> ordered;
  mlir::func::FuncOp main = nn::findMain(module);
  for (unsigned i = 0; i < main.getNumArguments(); ++i)
    for (size_t k = 0; k < model.inputNames.size(); ++k)
      if (model.inputNames[k] == nn::inputName(main, i))
        ordered.push_back(model.inputs[k]);
  return ordered;
}

static Expected<mlir::OwningOpRef<mlir::ModuleOp>> import(const std::string &bytes,
                                                          mlir::MLIRContext &context) {
  nn::loadDialects(context);
  return quern::onnx::importOnnxBytes(std::as_bytes(std::span(bytes)), "random.onnx", context);
}

Expected<std::vector<Tensor>> ModelCheck::runCompiled(const std::string &bytes,
                                                      const RandomModel &model,
                                                      const RunConfig &config, bool guarded) {
  nn::OwnedModule source = nn::OwnedModule::create();
  QUERN_ASSIGN(source.module, import(bytes, *source.context));
  std::vector<Tensor> inputs = orderedInputs(*source.module, model);
  native::NativeOptions options;
  options.targetCpu = config.targetCpu;
  options.optLevel = config.optLevel;
  options.threads = 1;
  std::shared_ptr<native::LinkedKernels> &shared = kernels[config.targetCpu];
  if (!shared) {
    QUERN_ASSIGN(native::Target target, native::resolveTarget(config.targetCpu));
    shared = std::make_shared<native::LinkedKernels>(
        std::make_shared<native::KernelStore>(target, native::KernelStoreOptions{.threads = 1}));
  }
  options.kernels = shared;
  QUERN_ASSIGN(std::shared_ptr<Executable> executable,
               native::compileForJit(std::move(source), options));
  if (guarded)
    return native::runGuarded(*executable, inputs,
                              config.threads == 1 ? native::GuardedMemory::Side::Begin
                                                  : native::GuardedMemory::Side::End);
  RunnerOptions session;
  session.threads = config.threads;
  Session run(executable, session);
  return run.run(inputs);
}

std::string ModelCheck::check(const RandomModel &model, const std::vector<RunConfig> &configs) {
  std::string bytes = model.model.SerializeAsString();
  wanted.clear();
  {
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    auto module = import(bytes, context);
    if (!module)
      return "import: " + module.status().message();
    auto results = interpreter::interpret(nn::findMain(**module), orderedInputs(**module, model));
    if (!results)
      return "interpreter: " + results.status().message();
    wanted = results.take();
  }
  for (size_t o = 0; o < wanted.size(); ++o)
    if (wanted[o].dims() != model.outputs[o].dims)
      return "interpreter: output " + model.outputs[o].name + " has shape " +
             formatDims(wanted[o].dims()) + ", drawn was " + formatDims(model.outputs[o].dims);
  for (size_t i = 0; i < configs.size(); ++i) {
    bool guarded = i % 2 == 0;
    auto found = runCompiled(bytes, model, configs[i], guarded);
    std::string wrong = found ? difference(model, *found) : found.status().message();
    if (!wrong.empty())
      return configs[i].describe() + (guarded ? ", beside inaccessible pages: " : ": ") + wrong;
  }
  return {};
}

std::string random::checkSeed(ModelCheck &check, uint64_t seed,
                              const std::vector<RunConfig> &configs) {
  RandomModel model = drawModel(seed);
  std::string wrong = check.check(model, configs);
  if (wrong.empty())
    return {};
  // Whatever the failure has left in the shared kernels stays behind.
  check = ModelCheck();
  for (int ops = 1; ops < model.ops; ++ops) {
    RandomModel prefix = drawModel(seed, ops);
    std::string reduced = ModelCheck().check(prefix, configs);
    if (reduced.empty())
      continue;
    model = std::move(prefix);
    wrong = std::move(reduced);
    break;
  }
  return "seed " + std::to_string(seed) + ", the first " + std::to_string(model.ops) +
         " ops: " + wrong + "\n" + modelText(model.model);
}
