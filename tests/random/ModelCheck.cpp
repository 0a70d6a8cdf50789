//===- ModelCheck.cpp - compiled against interpreted, at all levels -------===//
#include "tests/random/ModelCheck.h"

#include "backends/interpreter/Interpreter.h"
#include "ir/Signature.h"
#include "passes/OptimizeGraph.h"
#include "passes/PrecisionPolicy.h"
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
         (threads == 1 ? " thread" : " threads") +
         (precision == Precision::Float32 ? "" : " in " + std::string(precisionName(precision)));
}

std::vector<RunConfig> ModelCheck::usualConfigs(uint64_t seed) {
  std::vector<RunConfig> configs;
  for (int level : {3, 2, 1, 0})
    configs.push_back({"host", level, 1 + static_cast<int>((seed + level) % 2)});
  std::vector<std::string> targets = native::runnableTargets();
  targets.pop_back(); // the host, which is last
  configs.push_back({targets[seed % targets.size()], static_cast<int>(seed / 2 % 4), 1});
  configs.push_back({"host", 3 - static_cast<int>(seed % 4), 1, Precision::BFloat16});
  return configs;
}

std::vector<RunConfig> ModelCheck::oneConfig(uint64_t seed) {
  if (seed % 2 == 0)
    return {{"host", 3, 1 + static_cast<int>(seed / 2 % 2)}};
  std::vector<RunConfig> configs = allConfigs();
  return {configs[seed / 2 % configs.size()]};
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

/// An element of 8 bits or more; unsigned 64 bits wrap.
static int64_t integerAt(const Tensor &tensor, int64_t i) {
  int64_t bytes = dtypeBytes(tensor.dtype()), value = 0;
  std::memcpy(&value, tensor.data<char>() + i * bytes, static_cast<size_t>(bytes));
  int64_t unused = 64 - 8 * bytes;
  return isSignedInteger(tensor.dtype()) ? (value << unused) >> unused : value;
}

static bool agree(const Tensor &found, const Tensor &wanted, int64_t i, double error) {
  if (!isFloat(wanted.dtype())) {
    int64_t a = integerAt(found, i), b = integerAt(wanted, i);
    return a == b || (error > 0 && static_cast<double>(std::abs(a - b)) <= error);
  }
  double a = floatAt(found, i), b = floatAt(wanted, i);
  if (std::isnan(a) || std::isnan(b))
    return std::isnan(a) == std::isnan(b);
  return a == b || std::abs(a - b) <= 4 * error;
}

static std::string valueText(const Tensor &tensor, int64_t i) {
  return isFloat(tensor.dtype()) ? std::to_string(floatAt(tensor, i))
                                 : std::to_string(integerAt(tensor, i));
}

/// Counts the elements of an output whose integers may be rounded to a neighbour.
static void countSteps(const Tensor &found, const Tensor &wanted, StepCount &count) {
  count.compared += wanted.numElements();
  for (int64_t i = 0; i < wanted.numElements(); ++i)
    count.off += integerAt(found, i) != integerAt(wanted, i);
}

std::string ModelCheck::difference(const RandomModel &model, const std::vector<Tensor> &found,
                                   const std::vector<Tensor> &wanted, const RunConfig &config,
                                   StepCount &count) {
  for (size_t o = 0; o < wanted.size(); ++o) {
    const Tensor &a = found[o], &b = wanted[o];
    // A sum that is another in its last bit may be rounded the other way, and then be anything.
    if (config.precision != Precision::Float32 && !model.outputs[o].isExact())
      continue;
    std::string output = "output " + model.outputs[o].name + " (" + b.describe() + "): ";
    if (a.dtype() != b.dtype() || a.dims() != b.dims())
      return output + "found " + a.describe();
    for (int64_t i = 0; i < b.numElements(); ++i)
      if (!agree(a, b, i, model.outputs[o].error))
        return output + "element " + std::to_string(i) + " is " + valueText(a, i) +
               ", interpreted " + valueText(b, i) + ", allowed error " +
               std::to_string(isFloat(b.dtype()) ? 4 * model.outputs[o].error
                                                 : model.outputs[o].error);
    if (!isFloat(b.dtype()) && !model.outputs[o].isExact())
      countSteps(a, b, count);
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

/// What is asked for, beside the CPU and its kernels.
static native::NativeOptions optionsOf(const RunConfig &config) {
  native::NativeOptions options;
  options.optLevel = config.optLevel;
  options.threads = 1;
  options.precision = config.precision;
  options.precisions = std::make_shared<passes::BFloat16Factors>();
  return options;
}

/// At a lower precision, of the graph whose factors are rounded.
Expected<std::vector<Tensor>> ModelCheck::interpret(const std::string &bytes,
                                                    const RandomModel &model,
                                                    const RunConfig &config) const {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  QUERN_ASSIGN(auto module, import(bytes, context));
  std::vector<Tensor> inputs = orderedInputs(*module, model);
  if (config.precision != Precision::Float32)
    QUERN_TRY(passes::optimize(*module, optionsOf(config), passes::Phase::Simplified));
  return interpreter::interpret(nn::findMain(*module), inputs);
}

Expected<std::vector<Tensor>> ModelCheck::runCompiled(const std::string &bytes,
                                                      const RandomModel &model,
                                                      const RunConfig &config, bool guarded) {
  nn::OwnedModule source = nn::OwnedModule::create();
  QUERN_ASSIGN(source.module, import(bytes, *source.context));
  std::vector<Tensor> inputs = orderedInputs(*source.module, model);
  native::NativeOptions options = optionsOf(config);
  options.targetCpu = config.targetCpu;
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
  auto results = interpret(bytes, model, {});
  if (!results)
    return "interpreter: " + results.status().message();
  wanted = results.take();
  for (size_t o = 0; o < wanted.size(); ++o)
    if (wanted[o].dims() != model.outputs[o].dims)
      return "interpreter: output " + model.outputs[o].name + " has shape " +
             formatDims(wanted[o].dims()) + ", drawn was " + formatDims(model.outputs[o].dims);
  StepCount count;
  for (size_t i = 0; i < configs.size(); ++i) {
    bool guarded = i % 2 == 0;
    auto found = runCompiled(bytes, model, configs[i], guarded);
    auto rounded = configs[i].precision == Precision::Float32
                       ? Expected<std::vector<Tensor>>(wanted)
                       : interpret(bytes, model, configs[i]);
    std::string wrong = !found     ? found.status().message()
                        : !rounded ? rounded.status().message()
                                   : difference(model, *found, *rounded, configs[i], count);
    if (!wrong.empty())
      return configs[i].describe() + (guarded ? ", beside inaccessible pages: " : ": ") + wrong;
  }
  stepCount.compared += count.compared;
  stepCount.off += count.off;
  stepCount.models += count.compared > 0;
  stepCount.modelsOff += count.off > 0;
  return {};
}

std::string random::checkSeed(ModelCheck &check, uint64_t seed,
                              const std::vector<RunConfig> &configs, DrawMix mix) {
  RandomModel model = drawModel(seed, kAllOps, mix);
  std::string wrong = check.check(model, configs);
  if (wrong.empty())
    return {};
  check.dropKernels();
  for (int ops = 1; ops < model.ops; ++ops) {
    RandomModel prefix = drawModel(seed, ops, mix);
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
