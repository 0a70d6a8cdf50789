//===- OptimizeGraph.cpp - running graph passes with Status for errors ----===//
#include "passes/OptimizeGraph.h"

#include "ir/Types.h"
#include "passes/GraphLog.h"
#include "runtime/running/TraceScope.h"

#include "mlir/IR/Action.h"
#include "mlir/Pass/Pass.h"

#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::passes;

void passes::shareFolding(PipelineOptions &options, ModuleOp module) {
  options.limits.maxFoldedWork += weightFoldingWork(module);
  options.foldBudget = makeFoldBudget(options.limits);
}

PipelineOptions passes::optionsOfBody(const PipelineOptions &options, const OutlinedOp &op,
                                      size_t opNumber, size_t bodyNumber) {
  bool isIf = op.kind == OutlinedOp::Kind::If;
  PipelineOptions result = options;
  result.dumpPrefix += fmt::format("{}.{}.", opNumber,
                                   !isIf             ? "body"
                                   : bodyNumber == 0 ? "then"
                                                     : "else");
  return result;
}

PipelineOptions passes::optionsOfSizes(const PipelineOptions &options, size_t number,
                                       const Deadline &deadline) {
  PipelineOptions result = options;
  result.limits.deadline = deadline;
  result.foldBudget = makeFoldBudget(result.limits);
  result.dumpPrefix += fmt::format("sizes{}.", number);
  return result;
}

namespace {
/// While it lives, what passes do in a context (visits of ops, applications of patterns) ends
/// when the time is over or a watcher says so: MLIR executes no action then. Passes begin, and
/// come to their end soon, so that those that must not go on can say so. The context has no
/// threads, as those of models.
class PassClock {
public:
  static constexpr std::string_view kDoing = "optimising the graph";

  PassClock(MLIRContext &context, const Deadline &deadline) : context(context), deadline(deadline) {
    context.registerActionHandler(
        [this](function_ref<void()> execute, const tracing::Action &action) {
          if (auto *pass = dyn_cast<PassExecutionAction>(&action)) {
            llvm::StringRef name = pass->getPass().getArgument();
            TraceScope span("compile", name.empty() ? "passes of a function" : name);
            execute();
          } else if (goesOn()) {
            execute();
          }
        });
  }
  ~PassClock() { context.registerActionHandler(nullptr); }
  PassClock(const PassClock &) = delete;
  PassClock &operator=(const PassClock &) = delete;

  /// Why passes were ended, if they were.
  const Status &status() const { return ended; }

private:
  /// Actions take microseconds: the clock is looked at before one of many.
  static constexpr uint32_t kActionsPerLook = 16;
  bool goesOn() {
    if (ended.isOk() && actions++ % kActionsPerLook == 0)
      ended = deadline.check(kDoing);
    return ended.isOk();
  }

  MLIRContext &context;
  const Deadline &deadline;
  uint32_t actions = 0;
  Status ended;
};
} // namespace

Status passes::runPasses(ModuleOp module, const PipelineOptions &options,
                         const std::function<void(OpPassManager &)> &build) {
  const Deadline &deadline = options.limits.deadline;
  std::string errors;
  StatusCode code = StatusCode::InvalidModel;
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
      return success();
    // A pass says so where it was not the model.
    if (auto *other =
            OpaqueLoc::getUnderlyingLocationOrNull<const StatusCode *>(diagnostic.getLocation()))
      code = *other;
    std::string node = nn::nodeName(diagnostic.getLocation());
    errors += (errors.empty() ? "" : "; ") + (node == "?" ? "" : "node '" + node + "': ") +
              diagnostic.str();
    return success();
  });
  PassManager pm(module.getContext());
  build(pm);
  if (options.log)
    pm.addInstrumentation(std::make_unique<NodeWatch>(*options.log));
  PassClock clock(*module.getContext(), deadline);
  bool succeeds = succeeded(pm.run(module));
  QUERN_TRY(clock.status());
  Status ended = deadline.check(PassClock::kDoing);
  if (succeeds || ended.code() == StatusCode::Cancelled)
    return ended;
  if (deadline.passed()) // which a pass has noticed
    return resourceLimit(errors);
  return Status(code, errors.empty() ? "a graph pass failed" : errors);
}

Status passes::optimize(ModuleOp module, const PipelineOptions &options, Phase last) {
  return runPasses(module, options,
                   [&](OpPassManager &pm) { buildGraphPipeline(pm, options, last); });
}

Expected<std::vector<OutlinedOp>> passes::simplifyAndOutline(ModuleOp module,
                                                             const PipelineOptions &options) {
  QUERN_TRY(optimize(module, options, Phase::Simplified));
  return outlineBodies(module, options.limits.deadline);
}

Status passes::layOutAndFuse(ModuleOp module, const PipelineOptions &options) {
  return runPasses(module, options, [&](OpPassManager &pm) {
    buildLayoutPipeline(pm, options);
    buildFusionPipeline(pm, options);
  });
}

bool passes::hasUnrankedValues(ModuleOp module) {
  auto isUnranked = [](Value v) { return isa<UnrankedTensorType>(v.getType()); };
  return module
      .walk([&](Operation *op) {
        bool found = llvm::any_of(op->getResults(), isUnranked);
        for (Region &region : op->getRegions())
          for (Block &block : region)
            found |= llvm::any_of(block.getArguments(), isUnranked);
        return found ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}
