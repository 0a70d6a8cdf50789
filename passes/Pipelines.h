//===- Pipelines.h - the phases of the graph compiler ---------------------===//
#pragma once

#include "passes/FoldBudget.h"
#include "quern/CompileOptions.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace quern::passes {

class GraphLog;
class LayoutPolicy;
class PrecisionPolicy;
class ProductPolicy;

/// The states a graph goes through, in order. The first four are MLIR of the nn
/// dialect; the others are the native backend's.
enum class Phase { Imported, Simplified, LaidOut, Fused, Kernels, Llvm, Object };

/// "imported", "simplified", "laid-out", "fused", "kernels", "llvm", "object".
std::string_view phaseName(Phase phase);
/// Of the file that the module after a phase is written to: "1-simplified.mlir".
std::string phaseDumpName(Phase phase);
/// The inverse of phaseName.
std::optional<Phase> parsePhase(std::string_view name);

/// A module as text that quern-opt reads back, with the nodes' names as locations. Constants
/// stand in it whole: they are small, weights are references.
void printPhase(mlir::ModuleOp module, llvm::raw_ostream &stream);

/// What the caller asked for, and what passes are told beside it.
struct PipelineOptions : CompileOptions {
  PipelineOptions(const CompileOptions &asked = {}) : CompileOptions(asked) {}

  /// What says which ops are computed on channel-blocked tensors; null: blocks of 16 pay.
  std::shared_ptr<const LayoutPolicy> layouts;
  /// What says which ops are computed at the lower precision that is asked for; null: none.
  std::shared_ptr<const PrecisionPolicy> precisions;
  /// What says which products are computed on 8-bit integers; null: none are.
  std::shared_ptr<const ProductPolicy> products;
  /// What all folding may spend together; null: by default limits, each pass.
  std::shared_ptr<Budget> foldBudget;
  /// Receives what passes refuse, unless null; it outlives them.
  GraphLog *log = nullptr;
  /// What names in dumpPhasesTo begin with: which of the graphs of a model it is.
  std::string dumpPrefix;
};

// Each pipeline takes the module from the phase before to the named one, and
// verifies it.
void buildSimplifyPipeline(mlir::OpPassManager &pm, const PipelineOptions &options);
void buildLayoutPipeline(mlir::OpPassManager &pm, const PipelineOptions &options);
void buildFusionPipeline(mlir::OpPassManager &pm, const PipelineOptions &options);
/// All of them, up to `last` at most.
void buildGraphPipeline(mlir::OpPassManager &pm, const PipelineOptions &options,
                        Phase last = Phase::Fused);

/// Registers `--quern-graph` with the pipeline's options, for quern-opt.
void registerQuernPipelines();

} // namespace quern::passes
