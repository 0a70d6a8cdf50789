//===- AotDispatch.h - code for several CPUs behind one interface ---------===//
#pragma once

#include "backends/native/aot/AotModel.h"
#include "backends/native/codegen/CodeGen.h"

#include <memory>
#include <string>
#include <vector>

namespace llvm {
class LLVMContext;
}

namespace quern::native {

/// The object code of the public functions of `prefix` (see quern/model_abi.h), which are
/// those of the first of `variants`, prefixes of models for x86-64, that the CPU can run.
Expected<ObjectCode> compileDispatch(const std::string &prefix,
                                     const std::vector<std::string> &variants,
                                     const ModelFunctions &functions);
/// The module that this is the code of.
Expected<std::unique_ptr<llvm::Module>> emitDispatch(const std::string &prefix,
                                                     const std::vector<std::string> &variants,
                                                     const ModelFunctions &functions,
                                                     llvm::LLVMContext &context,
                                                     llvm::TargetMachine &machine);

} // namespace quern::native
