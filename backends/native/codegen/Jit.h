//===- Jit.h - loads kernel objects into the process ----------------------===//
#pragma once

#include "backends/native/codegen/CodeGen.h"
#include "runtime/plan/Plan.h"

#include <memory>

namespace llvm::orc {
class LLJIT;
}

namespace quern::native {

/// An ORC session that object code is added to. Thread-safe. Code lives as long
/// as the Jit. $QUERN_JIT_EVENTS, "perf", "gdb" or both with a comma, says who hears of code: perf,
/// by a jitdump, or gdb, by its interface for JITs.
class Jit {
public:
  /// Incompatible when this machine cannot run code for `target`.
  static Expected<std::shared_ptr<Jit>> create(const Target &target);
  ~Jit();

  /// Adds an object; its symbols must not be defined yet.
  Status addObject(const ObjectCode &object);
  /// The kernel named `symbol`, linked.
  Expected<KernelFunction> lookup(const std::string &symbol);
  /// Both, of a kernel that people know as `name`, under which perf and gdb hear of it.
  Expected<KernelFunction> load(const ObjectCode &object, const std::string &symbol,
                                const std::string &name);

private:
  Jit(std::unique_ptr<llvm::orc::LLJIT> jit, bool hasListeners);
  std::unique_ptr<llvm::orc::LLJIT> lljit;
  bool hasListeners;
};

} // namespace quern::native
