//===- Compiler.h - from an imported graph to something that runs ---------===//
#pragma once

#include "backends/native/LinkedKernels.h"
#include "backends/plan/PlanBuilder.h"
#include "ir/OwnedModule.h"
#include "passes/Pipelines.h"
#include "quern/Explanation.h"
#include "quern/KernelCode.h"
#include "runtime/running/Executable.h"

#include <memory>
#include <string>
#include <vector>

namespace quern::native {

class TuningTable;
class WayLog;

/// What the caller asked for, as it is, with what the compiler adds: in the part of the passes
/// the budget that shareFolding makes, and the prefix that tells the graph of a body.
struct NativeOptions : passes::PipelineOptions {
  NativeOptions(const quern::CompileOptions &asked = {}) : PipelineOptions(asked) {}

  /// Where kernels are kept, for executables that share them; of the same target.
  /// Null: each executable has its own.
  std::shared_ptr<LinkedKernels> kernels;
  /// Where they are kept for other processes, see kernelFolder; none when empty.
  std::string kernelFolder;
  /// What was measured of ways of computing ops; null: nothing.
  std::shared_ptr<const TuningTable> ways;
  /// Hears which ways there were to choose from; null: nobody does.
  std::shared_ptr<WayLog> wayLog;
  /// Who looks at what the steps of plans compute; of plans that run in this process.
  std::vector<std::shared_ptr<plan::StepObserver>> observers;
  /// Keeps what the code of kernels is made from, for output that is text.
  bool keepBitcode = false;
};

/// Compiles for running in this process. The module is kept for planning at new
/// input shapes, in whatever thread; the plan is made at once when all input shapes
/// are static. Incompatible when this machine cannot run code for the target CPU.
Expected<std::shared_ptr<Executable>> compileForJit(nn::OwnedModule owned,
                                                    const NativeOptions &options);

/// What the input shapes of `module`, static or not, allow. An error holds whatever sizes the
/// inputs get.
Expected<Explanation> explainGraph(mlir::ModuleOp module, const NativeOptions &options);
/// The plan that compileForJit makes for inputs of these dims.
Expected<Explanation> explainPlan(mlir::ModuleOp module, const NativeOptions &options,
                                  std::span<const Tensor::Dims> inputDims);

/// The kernels of the step that computes `node` (or of steps of this name) in that plan, each once.
/// Usage where no kernel does.
Expected<std::vector<KernelCode>> codeOfNode(mlir::ModuleOp module, const NativeOptions &options,
                                             std::span<const Tensor::Dims> inputDims,
                                             const std::string &node);

/// The module after `phase` as text: MLIR up to Fused, then the kernels' MLIR,
/// LLVM dialect or assembly. Changes `module`.
Expected<std::string> compileToPhase(mlir::ModuleOp module, passes::Phase phase,
                                     const NativeOptions &options);

} // namespace quern::native
