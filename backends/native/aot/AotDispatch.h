//===- AotDispatch.h - code for several CPUs behind one interface ---------===//
#pragma once

#include "backends/native/codegen/CodeGen.h"

#include <string>
#include <vector>

namespace quern::native {

/// The object code of the public functions of `prefix` (see quern/model_abi.h), which are
/// those of the first of `levels`, prefixes of models for x86-64, that the CPU can run.
/// Those that run models with listed sizes take the sizes first.
Expected<ObjectCode> compileDispatch(const std::string &prefix,
                                     const std::vector<std::string> &levels, bool takesSizes);

} // namespace quern::native
