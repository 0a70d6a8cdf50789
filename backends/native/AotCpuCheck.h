//===- AotCpuCheck.h - whether a CPU can run an artefact ------------------===//
#pragma once

#include "backends/native/Target.h"

#include <string>
#include <vector>

namespace llvm {
class Function;
class Module;
} // namespace llvm

namespace quern::native {

/// The instruction sets beyond x86-64's first that kernels for `target` may use,
/// by LLVM's names.
Expected<std::vector<std::string>> requiredCpuFeatures(const Target &target);

/// Adds the function `int symbol(void)` to `module`: 1 when the CPU and the
/// operating system provide `features`, else 0.
llvm::Function *emitCpuCheck(llvm::Module &module, const std::string &symbol,
                             const std::vector<std::string> &features);

} // namespace quern::native
