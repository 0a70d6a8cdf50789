//===- KernelStore.h - kernels emitted and compiled once ------------------===//
#pragma once

#include "backends/native/KernelFolder.h"
#include "backends/native/codegen/CodeGen.h"
#include "backends/plan/LoweredStep.h"
#include "runtime/running/OncePerKey.h"

#include <atomic>
#include <optional>
#include <string>
#include <vector>

namespace quern::native {

/// The object code of one kernel.
struct CompiledKernel {
  std::string symbol;
  ObjectCode object;
  /// For stores that keep it.
  ObjectCode bitcode = {};
};

struct KernelStoreOptions {
  /// That compile; 0: all there are.
  int threads = 0;
  /// Where kernels are kept for other processes, see kernelFolder; none when empty.
  std::string folder = {};
  /// Unless empty, receives the MLIR and assembly of each kernel, which are all made anew.
  std::string dumpDirectory = {};
  /// Kernels are all made anew, too.
  bool keepBitcode = false;
};

/// The compiled kernels that plans and executables of one target share, and processes, too,
/// where there is a folder. A kernel that one thread compiles is waited for by those that
/// want it, and by nobody else. Thread-safe.
class KernelStore {
public:
  explicit KernelStore(const Target &target, KernelStoreOptions options = {});

  const Target &target() const { return cpu; }

  /// Loads or compiles, in parallel, the kernels that are not there yet.
  Status compile(const std::vector<const plan::KernelSpec *> &specs, const Deadline &deadline = {});
  /// The compiled kernel with this key; compile() has succeeded for it.
  const CompiledKernel &get(const std::string &key) const { return *kernels.find(key); }

  /// What this store has done.
  struct Counts {
    int64_t compiled = 0, loaded = 0;
  };
  Counts counts() const { return {compiled, loaded}; }
  size_t size() const { return kernels.size(); }

private:
  bool load(const plan::KernelSpec &spec);
  bool loadOrClaim(const plan::KernelSpec &spec, std::optional<KernelFolder::Claim> &claim,
                   bool &busy);
  Status make(const plan::KernelSpec &spec, const Deadline &deadline, bool mayWait, bool &busy);
  Status makeAll(std::vector<const plan::KernelSpec *> specs, const Deadline &deadline,
                 bool mayWait);
  Expected<CompiledKernel> compileOne(const plan::KernelSpec &spec) const;

  Target cpu;
  KernelStoreOptions options;
  KernelSurroundings surroundings;
  std::optional<KernelFolder> folder;
  /// By KernelSpec::key.
  OncePerKey<CompiledKernel> kernels;
  std::atomic<int64_t> compiled = 0, loaded = 0;
};

} // namespace quern::native
