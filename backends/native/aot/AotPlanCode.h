//===- AotPlanCode.h - a plan as code -------------------------------------===//
#pragma once

#include "backends/native/aot/AotModel.h"
#include "backends/native/codegen/CodeGen.h"

namespace quern::native {

/// The hidden symbol of the weights.
std::string weightsSymbol(const AotModel &model);
/// The functions that an artefact offers to its users (see quern/model_abi.h).
std::vector<std::string> publicSymbols(const AotModel &model);

/// The object code of the public functions. It refers to the kernels and the
/// weights by their symbols, and runs on every x86-64 CPU.
Expected<ObjectCode> compilePlanCode(const AotModel &model);

} // namespace quern::native
