//===- CheckedParts.h - what files between processes are made of ----------===//
#pragma once

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>

namespace quern::native {

/// The content of a file: `magic`, each part with its size before it, and a hash of all that.
std::string packParts(llvm::StringRef magic, llvm::ArrayRef<llvm::StringRef> parts);

/// The parts of such a content; nothing when it does not begin with `magic`, or is not what was
/// written.
std::optional<llvm::SmallVector<llvm::StringRef>> unpackParts(llvm::StringRef magic,
                                                              llvm::StringRef content);

} // namespace quern::native
