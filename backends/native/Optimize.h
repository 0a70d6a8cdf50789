//===- Optimize.h - running graph passes with Status for errors -----------===//
#pragma once

#include "backends/native/Compiler.h"

#include "mlir/Pass/PassManager.h"

#include <functional>

namespace quern::native {

/// The options with the work that folding the model's own weights may take.
CompileOptions allowWeightFolding(CompileOptions options, mlir::ModuleOp module);

/// Runs the pipelines that `build` adds; diagnostics become the Status.
Status runPasses(mlir::ModuleOp module, const Deadline &deadline,
                 const std::function<void(mlir::OpPassManager &)> &build);

passes::PipelineOptions pipelineOptions(const CompileOptions &options, const Target &target);

/// Runs the graph passes up to `last`.
Status optimize(mlir::ModuleOp module, const Target &target, const CompileOptions &options,
                passes::Phase last = passes::Phase::Fused);

/// Runs the passes up to Simplified, and makes graphs of the bodies in @main.
Expected<std::vector<passes::OutlinedOp>>
simplifyAndOutline(mlir::ModuleOp module, const Target &target, const CompileOptions &options);
/// Runs the passes that follow.
Status layOutAndFuse(mlir::ModuleOp module, const Target &target, const CompileOptions &options);

/// Whether passes have little to go by until the sizes of the inputs are known.
bool hasUnrankedValues(mlir::ModuleOp module);

/// The threads that plans are tuned for.
int threadsOf(const CompileOptions &options);

std::shared_ptr<KernelCache> createKernelCache(const Target &target, const CompileOptions &options);

/// Compiles the kernels of a plan that are not there yet.
Status compileKernels(const plan::UnlinkedPlan &plan, KernelCache &cache, const Deadline &deadline);

} // namespace quern::native
