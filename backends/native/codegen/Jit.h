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
/// as the Jit.
class Jit {
public:
  /// Incompatible when this machine cannot run code for `target`.
  static Expected<std::shared_ptr<Jit>> create(const Target &target);
  ~Jit();

  /// Adds an object; its symbols must not be defined yet.
  Status addObject(const ObjectCode &object);
  /// The kernel named `symbol`, linked.
  Expected<KernelFunction> lookup(const std::string &symbol);

private:
  explicit Jit(std::unique_ptr<llvm::orc::LLJIT> jit);
  std::unique_ptr<llvm::orc::LLJIT> lljit;
};

} // namespace quern::native
