//===- DumpPhase.cpp - the module after a phase, as a file ----------------===//
#include "passes/Passes.h"
#include "passes/Pipelines.h"
#include "quern/Status.h"

#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace mlir;
using namespace quern;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_DUMPPHASEPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

void passes::printPhase(ModuleOp module, raw_ostream &stream) {
  module.print(stream, OpPrintingFlags().enableDebugInfo().useLocalScope());
  stream << "\n";
}

namespace {
struct DumpPhasePass : passes::impl::DumpPhasePassBase<DumpPhasePass> {
  using DumpPhasePassBase::DumpPhasePassBase;

  void runOnOperation() override {
    markAllAnalysesPreserved();
    std::optional<Phase> ended = parsePhase(phase.getValue());
    if (!ended) {
      getOperation().emitError("no phase is named '") << phase << "'";
      return signalPassFailure();
    }
    SmallString<128> path(directory.getValue());
    llvm::sys::path::append(path, Twine(prefix) + phaseDumpName(*ended));
    std::string error;
    std::unique_ptr<llvm::ToolOutputFile> file = openOutputFile(path, &error);
    if (!file)
      return fail(error);
    printPhase(getOperation(), file->os());
    file->os().flush();
    if (std::error_code code = file->os().error()) {
      // A stream that is destroyed with an error ends the process.
      file->os().clear_error();
      return fail("'" + path.str().str() + "': " + code.message());
    }
    file->keep();
  }

  /// No fault of the model, which runPasses is told.
  void fail(const std::string &reason) {
    static constexpr StatusCode kCode = StatusCode::Io;
    Location nowhere = UnknownLoc::get(&getContext());
    emitError(OpaqueLoc::get(&kCode, nowhere)) << "cannot write the phase dump: " << reason;
    signalPassFailure();
  }
};
} // namespace
