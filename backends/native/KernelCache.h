//===- KernelCache.h - kernels emitted and compiled once ------------------===//
#pragma once

#include "backends/native/codegen/CodeGen.h"
#include "backends/plan/LoweredStep.h"
#include "quern/Deadline.h"

#include <map>
#include <mutex>
#include <string>

namespace quern::native {

/// The object code of one kernel.
struct CompiledKernel {
  std::string symbol;
  ObjectCode object;
  /// For caches that keep it.
  ObjectCode bitcode = {};
};

/// The compiled kernels that plans and executables of one target share. Thread-safe.
class KernelCache {
public:
  /// `dumpDirectory`, unless empty, receives the MLIR and assembly of each kernel.
  KernelCache(const Target &target, std::string dumpDirectory, int threads,
              bool keepBitcode = false)
      : cpu(target), dumpDirectory(std::move(dumpDirectory)), threads(threads),
        keepBitcode(keepBitcode) {}

  const Target &target() const { return cpu; }

  /// Emits and compiles, in parallel, the kernels that are not there yet.
  Status compile(const std::vector<const KernelSpec *> &specs, const Deadline &deadline = {});
  /// The compiled kernel with this key; compile() has succeeded for it.
  const CompiledKernel &get(const std::string &key) const;
  size_t size() const;

private:
  Expected<CompiledKernel> compileOne(const KernelSpec &spec, const std::string &symbol) const;

  Target cpu;
  std::string dumpDirectory;
  int threads;
  bool keepBitcode;
  mutable std::mutex mutex;
  std::map<std::string, CompiledKernel> kernels;
};

} // namespace quern::native
