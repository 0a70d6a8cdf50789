//===- DecomposeQuantization.h - quantized ops in core ops ----------------===//
#pragma once

#include "llvm/ADT/StringRef.h"

namespace quern::passes {

/// Whether the pass writes ops of this name in others, where ranks are known.
bool isDecomposed(llvm::StringRef opName);

} // namespace quern::passes
