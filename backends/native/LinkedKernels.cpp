//===- LinkedKernels.cpp - compiled kernels in this process ---------------===//
#include "backends/native/LinkedKernels.h"

#include "backends/native/CompilerParts.h"

#include "llvm/ADT/STLExtras.h"

using namespace quern;
using namespace quern::native;

Status LinkedKernels::link(plan::UnlinkedPlan &unlinked, const Deadline &deadline) {
  QUERN_TRY(compileKernels(unlinked, *compiled, deadline));
  for (auto [step, origin] : llvm::zip_equal(unlinked.plan.steps, unlinked.steps))
    if (origin.kernel) {
      QUERN_ASSIGN(step.as<KernelStep>()->function, link(unlinked.kernels[*origin.kernel].key));
    }
  unlinked.plan.keepAlive.push_back(jit());
  return Status::ok();
}

Expected<KernelFunction> LinkedKernels::link(const std::string &key) {
  std::lock_guard lock(mutex);
  if (auto it = linked.find(key); it != linked.end())
    return it->second;
  if (!loader) {
    QUERN_ASSIGN(loader, Jit::create(compiled->target()));
  }
  const CompiledKernel &kernel = compiled->get(key);
  QUERN_TRY(loader->addObject(kernel.object));
  QUERN_ASSIGN(KernelFunction function, loader->lookup(kernel.symbol));
  linked[key] = function;
  return function;
}

std::shared_ptr<Jit> LinkedKernels::jit() {
  std::lock_guard lock(mutex);
  return loader;
}
