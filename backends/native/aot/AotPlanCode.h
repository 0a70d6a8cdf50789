//===- AotPlanCode.h - a plan as code -------------------------------------===//
#pragma once

#include "backends/native/aot/AotModel.h"
#include "backends/native/codegen/CodeGen.h"

#include <memory>

namespace llvm {
class LLVMContext;
}

namespace quern::native {

/// The hidden symbol of the weights.
std::string weightsSymbol(const AotModel &model);
/// The functions that an artefact offers to its users (see quern/model_abi.h).
std::vector<std::string> publicSymbols(const std::string &prefix, const ModelFunctions &functions);

/// The object code of the public functions. It refers to the kernels and the
/// weights by their symbols, and runs on every CPU of the
/// architecture.
Expected<ObjectCode> compilePlanCode(const AotModel &model);

/// The module that this is the code of, for a machine of the baseline.
Expected<std::unique_ptr<llvm::Module>>
emitPlanCode(const AotModel &model, llvm::LLVMContext &context, llvm::TargetMachine &machine);

/// The object code of functions of these names that do nothing.
Expected<ObjectCode> compileStubs(const Target &target, const std::vector<std::string> &names);

} // namespace quern::native
