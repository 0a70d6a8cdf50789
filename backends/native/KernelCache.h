//===- KernelCache.h - kernels emitted once, and packed weights -----------===//
#pragma once

#include "backends/native/Jit.h"
#include "backends/native/Lowering.h"
#include "quern/Deadline.h"

#include <map>
#include <mutex>
#include <string>

namespace quern::native {

/// The object code of one kernel.
struct CompiledKernel {
  std::string symbol;
  ObjectCode object;
};

/// What all plans of one executable share. Thread-safe.
class KernelCache {
public:
  /// `dumpDirectory`, unless empty, receives the MLIR and assembly of each kernel.
  KernelCache(const Target &target, std::string dumpDirectory, int threads)
      : cpu(target), dumpDirectory(std::move(dumpDirectory)), threads(threads) {}

  const Target &target() const { return cpu; }

  /// Emits and compiles, in parallel, the kernels that are not there yet.
  Status compile(const std::vector<const KernelSpec *> &specs, const Deadline &deadline = {});
  /// The compiled kernel with this key; compile() has succeeded for it.
  const CompiledKernel &get(const std::string &key) const;
  size_t size() const;

  /// Links a compiled kernel into the process.
  Expected<KernelFunction> link(const std::string &key);
  std::shared_ptr<Jit> jit() const { return loader; }

  /// The packed tensors of `buffers` (of kind Weights), in order; packs missing
  /// ones in parallel.
  Expected<std::vector<Tensor>> pack(const std::vector<const StepBuffer *> &buffers,
                                     const Deadline &deadline = {});

private:
  Expected<CompiledKernel> compileOne(const KernelSpec &spec, const std::string &symbol) const;

  Target cpu;
  std::string dumpDirectory;
  int threads;
  mutable std::mutex mutex;
  std::map<std::string, CompiledKernel> kernels;
  std::map<std::string, KernelFunction> linked;
  /// By pack key. A key holds the address of its source, which therefore lives as
  /// long as the entry.
  struct PackedTensor {
    Tensor source, result;
  };
  std::map<std::string, PackedTensor> packed;
  std::shared_ptr<Jit> loader;
};

} // namespace quern::native
