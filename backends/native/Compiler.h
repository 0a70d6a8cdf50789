//===- Compiler.h - from an imported graph to something that runs ---------===//
#pragma once

#include "backends/native/LinkedKernels.h"
#include "backends/plan/PlanBuilder.h"
#include "ir/OwnedModule.h"
#include "passes/Pipelines.h"
#include "quern/Executable.h"
#include "quern/Limits.h"

#include <memory>
#include <string>
#include <vector>

namespace quern::native {

struct CompileOptions {
  /// See resolveTarget.
  std::string targetCpu = "host";
  std::string targetTriple;
  /// 0 to 3, see passes::PipelineOptions.
  int optLevel = 3;
  /// The deadline is that of the call: plans that are made later, at new input
  /// shapes, have one of their own.
  Limits limits;
  /// Threads of the compiler; 0: all CPUs this process may use. Task sizes are
  /// tuned for as many.
  int compileThreads = 0;
  /// Where kernels are kept, for executables that share them; of the same target.
  /// Null: each executable has its own.
  std::shared_ptr<LinkedKernels> kernels;
  /// Receives the module after each phase, and kernels/ with the MLIR and
  /// assembly of each kernel; unless empty.
  std::string dumpPhasesTo;
  /// What the names of modules there begin with; "3.then." says that one is a body.
  std::string dumpPrefix;
  /// What constant folding may spend, in all graphs of the model; see shareFolding.
  std::shared_ptr<Budget> foldBudget;
  /// Keeps what the code of kernels is made from, for output that is text.
  bool keepBitcode = false;
};

/// Compiles for running in this process. The module is kept for planning at new
/// input shapes, in whatever thread; the plan is made at once when all input shapes
/// are static. Incompatible when this machine cannot run code for the target CPU.
Expected<std::shared_ptr<Executable>> compileForJit(nn::OwnedModule owned,
                                                    const CompileOptions &options);

/// What can be said of an op or a fusion group before its sizes are known.
struct OpSupport {
  std::string nodes;
  std::string op;
  bool native = false;
  /// Only its sizes can tell whether it is native.
  bool needsSizes = false;
  /// Why it is not native.
  std::string refusal;
};
/// Runs the graph passes on `module`, in place, and lowers what the input shapes,
/// static or not, allow. An error holds whatever sizes the inputs get.
Expected<std::vector<OpSupport>> checkGraph(mlir::ModuleOp module, const CompileOptions &options);

/// The module after `phase` as text: MLIR up to Fused, then the kernels' MLIR,
/// LLVM dialect or assembly. Changes `module`.
Expected<std::string> compileToPhase(mlir::ModuleOp module, passes::Phase phase,
                                     const CompileOptions &options);

} // namespace quern::native
