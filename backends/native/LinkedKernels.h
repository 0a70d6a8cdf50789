//===- LinkedKernels.h - compiled kernels in this process -----------------===//
#pragma once

#include "backends/native/KernelStore.h"
#include "backends/native/codegen/Jit.h"
#include "backends/plan/OnDemandPlanner.h"

#include <shared_mutex>

namespace quern::native {

/// Loads the kernels of a store into the process, each once. Thread-safe: those that are there
/// are had while others are being loaded.
class LinkedKernels : public plan::KernelLinker {
public:
  explicit LinkedKernels(std::shared_ptr<KernelStore> compiled) : compiled(std::move(compiled)) {}

  KernelStore &store() { return *compiled; }
  Status link(plan::UnlinkedPlan &plan, const Deadline &deadline) override;
  /// The function of a kernel that has been compiled.
  Expected<KernelFunction> link(const plan::KernelSpec &spec);

private:
  /// What keeps the code alive.
  std::shared_ptr<Jit> jit() const;
  KernelFunction find(const std::string &key) const;

  std::shared_ptr<KernelStore> compiled;
  /// Of `linked` and `loader`; and of loading, which takes longer.
  mutable std::shared_mutex mutex;
  std::mutex loading;
  std::unordered_map<std::string, KernelFunction> linked;
  std::shared_ptr<Jit> loader;
};

} // namespace quern::native
