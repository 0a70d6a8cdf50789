//===- LinkedKernels.cpp - compiled kernels in this process ---------------===//
#include "backends/native/LinkedKernels.h"

using namespace quern;
using namespace quern::native;

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
