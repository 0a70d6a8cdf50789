//===- ThreadDiagnostics.h - what one thread reports ----------------------===//
#pragma once

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/Threading.h"

#include <string>

namespace quern::nn {

/// Takes the diagnostics that the thread which made it emits, while it lives. A handler of
/// MLIR gets those of every thread that uses the context: passes run on several functions at
/// a time, and the newest handler is asked first, whoever reports.
class ThreadDiagnostics : public mlir::ScopedDiagnosticHandler {
public:
  explicit ThreadDiagnostics(mlir::MLIRContext *context)
      : ScopedDiagnosticHandler(
            context, [this, thread = llvm::get_threadid()](mlir::Diagnostic &diagnostic) {
              if (llvm::get_threadid() != thread)
                return mlir::failure();
              joined += (joined.empty() ? "" : "; ") + diagnostic.str();
              return mlir::success();
            }) {}

  /// Joined by "; ".
  const std::string &messages() const { return joined; }

private:
  std::string joined;
};

} // namespace quern::nn
