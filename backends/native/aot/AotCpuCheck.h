//===- AotCpuCheck.h - whether a CPU can run an artefact ------------------===//
#pragma once

#include <string>
#include <vector>

namespace llvm {
class Function;
class Module;
} // namespace llvm

namespace quern::native {

/// Adds the function `int symbol(void)` to `module`: 1 when the CPU and the
/// operating system provide `features` (see requiredCpuFeatures), else 0; always
/// 0 when there is one that CPUID cannot be asked for.
llvm::Function *emitCpuCheck(llvm::Module &module, const std::string &symbol,
                             const std::vector<std::string> &features);

} // namespace quern::native
