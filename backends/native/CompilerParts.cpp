//===- CompilerParts.cpp - what options and a target make of the compiler -===//
#include "backends/native/CompilerParts.h"

#include "backends/native/lowering/Lowering.h"
#include "backends/native/lowering/NarrowPolicies.h"
#include "passes/LayoutPolicy.h"
#include "runtime/system/CpuCount.h"

using namespace quern;
using namespace quern::native;

passes::PipelineOptions native::pipelineOptions(const NativeOptions &options,
                                                const Target &target) {
  passes::PipelineOptions pipeline = options;
  if (!pipeline.layouts)
    pipeline.layouts =
        std::make_shared<NativeLayouts>(target, options.winograd == WinogradUse::Auto);
  if (!pipeline.products)
    pipeline.products = std::make_shared<NativeProducts>(target);
  if (!pipeline.precisions)
    pipeline.precisions = precisionPolicy(options, target);
  if (!pipeline.foldBudget)
    pipeline.foldBudget = passes::makeFoldBudget(options.limits);
  return pipeline;
}

std::shared_ptr<const passes::PrecisionPolicy>
native::precisionPolicy(const CompileOptions &options, const Target &target) {
  // Only what is in channel blocks goes by Winograd's algorithm.
  bool hasWinograd = options.winograd == WinogradUse::Auto && options.optLevel >= 3;
  auto all = std::make_shared<NativePrecision>(target, hasWinograd);
  if (options.precision != Precision::Auto)
    return all;
  if (!options.choice)
    return std::make_shared<passes::KeepFloat32>();
  return std::make_shared<passes::ChosenFactors>(std::move(all), options.choice);
}

std::shared_ptr<plan::Instantiator> native::createInstantiator(const Target &target,
                                                               const NativeOptions &options) {
  int threads = options.threads > 0 ? options.threads : availableCpus();
  return std::make_shared<plan::Instantiator>(
      std::make_shared<NativeLowering>(target, threads, options.ways, options.winograd,
                                       options.wayLog, options.observers,
                                       options.precision != Precision::Float32),
      options.limits, options.threads);
}

std::shared_ptr<KernelStore> native::createKernelStore(const Target &target,
                                                       const NativeOptions &options) {
  std::string dump = options.dumpPhasesTo.empty() ? "" : options.dumpPhasesTo + "/kernels";
  return std::make_shared<KernelStore>(target,
                                       KernelStoreOptions{.threads = options.threads,
                                                          .folder = options.kernelFolder,
                                                          .dumpDirectory = std::move(dump),
                                                          .keepBitcode = options.keepBitcode});
}

Status native::compileKernels(const plan::UnlinkedPlan &plan, KernelStore &store,
                              const Deadline &deadline) {
  std::vector<const KernelSpec *> kernels;
  for (const KernelSpec &kernel : plan.kernels)
    kernels.push_back(&kernel);
  return store.compile(kernels, deadline);
}
