//===- Optimize.h - running graph passes with Status for errors -----------===//
#pragma once

#include "backends/native/Compiler.h"

#include "mlir/Pass/PassManager.h"

#include <functional>

namespace quern::native {

/// The options with one budget for the folding in all graphs of a compilation, which may also
/// take the work of folding the model's own weights.
NativeOptions shareFolding(NativeOptions options, mlir::ModuleOp module);
/// The options for a body of an op, of these numbers, in the graph that `options` are for.
NativeOptions optionsOfBody(const NativeOptions &options, const passes::OutlinedOp &op,
                            size_t opNumber, size_t bodyNumber);

/// The options for a graph that the passes run on once more, for the sizes of this number: with
/// a budget of its own.
NativeOptions optionsOfSizes(const NativeOptions &options, size_t number);

/// Runs the pipelines that `build` adds; diagnostics become the Status.
Status runPasses(mlir::ModuleOp module, const Deadline &deadline,
                 const std::function<void(mlir::OpPassManager &)> &build);

passes::PipelineOptions pipelineOptions(const NativeOptions &options, const Target &target);

/// Runs the graph passes up to `last`.
Status optimize(mlir::ModuleOp module, const Target &target, const NativeOptions &options,
                passes::Phase last = passes::Phase::Fused);

/// Runs the passes up to Simplified, and makes graphs of the bodies in @main.
Expected<std::vector<passes::OutlinedOp>>
simplifyAndOutline(mlir::ModuleOp module, const Target &target, const NativeOptions &options);
/// Runs the passes that follow.
Status layOutAndFuse(mlir::ModuleOp module, const Target &target, const NativeOptions &options);

/// Whether passes have little to go by until the sizes of the inputs are known.
bool hasUnrankedValues(mlir::ModuleOp module);

/// The threads that plans are tuned for.
int threadsOf(const NativeOptions &options);

std::shared_ptr<KernelCache> createKernelCache(const Target &target, const NativeOptions &options);

/// Compiles the kernels of a plan that are not there yet.
Status compileKernels(const plan::UnlinkedPlan &plan, KernelCache &cache, const Deadline &deadline);

} // namespace quern::native
