//===- CloseFile.h - closing output files that may have failed ------------===//
#pragma once

#include "quern/Status.h"

#include <string>

namespace llvm {
class raw_fd_ostream;
}

namespace quern::native {

/// Closes the file `path`, which `out` writes; Io error when a write to it has
/// failed. A stream that is destroyed with an error ends the process instead.
Status closeFile(llvm::raw_fd_ostream &out, const std::string &path);

} // namespace quern::native
