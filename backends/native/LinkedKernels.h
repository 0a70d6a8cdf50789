//===- LinkedKernels.h - compiled kernels in this process -----------------===//
#pragma once

#include "backends/native/KernelCache.h"
#include "backends/native/codegen/Jit.h"
#include "backends/plan/OnDemandPlanner.h"

namespace quern::native {

/// Loads the kernels of a cache into the process, each once. Thread-safe.
class LinkedKernels : public plan::KernelLinker {
public:
  explicit LinkedKernels(std::shared_ptr<KernelCache> compiled) : compiled(std::move(compiled)) {}

  KernelCache &cache() { return *compiled; }
  Status link(plan::UnlinkedPlan &plan, const Deadline &deadline) override;
  /// The function of a kernel that has been compiled.
  Expected<KernelFunction> link(const std::string &key);

private:
  /// What keeps the code alive.
  std::shared_ptr<Jit> jit();

  std::shared_ptr<KernelCache> compiled;
  std::mutex mutex;
  std::map<std::string, KernelFunction> linked;
  std::shared_ptr<Jit> loader;
};

} // namespace quern::native
