//===- LinkedKernels.cpp - compiled kernels in this process ---------------===//
#include "backends/native/LinkedKernels.h"

#include "backends/native/CompilerParts.h"
#include "runtime/running/TraceScope.h"

#include "llvm/ADT/STLExtras.h"

using namespace quern;
using namespace quern::native;

Status LinkedKernels::link(plan::UnlinkedPlan &unlinked, const Deadline &deadline) {
  QUERN_TRY(compileKernels(unlinked, *compiled, deadline));
  for (auto [step, origin] : llvm::zip_equal(unlinked.plan.steps, unlinked.steps))
    if (origin.kernel) {
      QUERN_ASSIGN(step.as<KernelStep>()->function, link(unlinked.kernels[*origin.kernel]));
    }
  unlinked.plan.keepAlive.push_back(jit());
  return Status::ok();
}

KernelFunction LinkedKernels::find(const std::string &key) const {
  std::shared_lock lock(mutex);
  auto at = linked.find(key);
  return at == linked.end() ? nullptr : at->second;
}

Expected<KernelFunction> LinkedKernels::link(const plan::KernelSpec &spec) {
  const std::string &key = spec.key;
  if (KernelFunction known = find(key))
    return known;
  std::lock_guard lock(loading);
  if (KernelFunction known = find(key))
    return known;
  if (!loader) {
    QUERN_ASSIGN(std::shared_ptr<Jit> made, Jit::create(compiled->target()));
    std::lock_guard adding(mutex);
    loader = std::move(made);
  }
  const CompiledKernel &kernel = compiled->get(key);
  TraceScope span("compile", "linking a kernel");
  QUERN_ASSIGN(KernelFunction function, loader->load(kernel.object, kernel.symbol, spec.name));
  std::lock_guard adding(mutex);
  linked[key] = function;
  return function;
}

std::shared_ptr<Jit> LinkedKernels::jit() const {
  std::shared_lock lock(mutex);
  return loader;
}
