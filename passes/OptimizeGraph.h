//===- OptimizeGraph.h - running graph passes with Status for errors ------===//
#pragma once

#include "passes/OutlineBodies.h"
#include "passes/Pipelines.h"

#include <functional>
#include <vector>

namespace quern::passes {

/// Gives the options one budget for the folding in all graphs of a compilation, which may also
/// take the work of folding the model's own weights.
void shareFolding(PipelineOptions &options, mlir::ModuleOp module);
/// The options for a body of an op, of these numbers, in the graph that `options` are for.
PipelineOptions optionsOfBody(const PipelineOptions &options, const OutlinedOp &op, size_t opNumber,
                              size_t bodyNumber);
/// The options for a graph that the passes run on once more, for the sizes of this number: with
/// a budget of its own.
PipelineOptions optionsOfSizes(const PipelineOptions &options, size_t number,
                               const Deadline &deadline);

/// Runs the pipelines that `build` adds, within the deadline and with the log of the options;
/// diagnostics become the Status.
Status runPasses(mlir::ModuleOp module, const PipelineOptions &options,
                 const std::function<void(mlir::OpPassManager &)> &build);

/// Runs the graph passes up to `last`.
Status optimize(mlir::ModuleOp module, const PipelineOptions &options, Phase last = Phase::Fused);

/// Runs the passes up to Simplified, and makes graphs of the bodies in @main.
Expected<std::vector<OutlinedOp>> simplifyAndOutline(mlir::ModuleOp module,
                                                     const PipelineOptions &options);
/// Runs the passes that follow.
Status layOutAndFuse(mlir::ModuleOp module, const PipelineOptions &options);

/// Whether passes have little to go by until the sizes of the inputs are known.
bool hasUnrankedValues(mlir::ModuleOp module);

} // namespace quern::passes
