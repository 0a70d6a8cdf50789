//===- CodeGen.h - kernels to LLVM and to objects -------------------------===//
#pragma once

#include "backends/native/emit/KernelBuilder.h"

#include "llvm/ADT/SmallVector.h"

#include <string>

namespace llvm {
class Module;
}

namespace quern::native {

/// Object code of one kernel.
using ObjectCode = llvm::SmallVector<char, 0>;

/// Lowers an emitted kernel to the LLVM dialect, in place.
Status lowerToLlvmDialect(mlir::ModuleOp module, const Target &target);

/// Lowers and compiles an emitted kernel. Thread-safe: the kernel's context and
/// an LLVMContext of its own are all it touches. With `assembly` set, its text
/// is stored there as well; with `bitcode` what code was made from, as LLVM keeps it.
Expected<ObjectCode> compileKernel(KernelBuilder::Module kernel, const Target &target,
                                   std::string *assembly = nullptr, ObjectCode *bitcode = nullptr);

/// The object code of `module` as it is, without optimisation.
Expected<ObjectCode> emitObject(llvm::Module &module, llvm::TargetMachine &machine);
/// The same as assembly. Either may be asked for once: it changes the module.
Expected<ObjectCode> emitAssembly(llvm::Module &module, llvm::TargetMachine &machine);

} // namespace quern::native
