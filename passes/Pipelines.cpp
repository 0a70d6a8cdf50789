//===- Pipelines.cpp - the phases of the graph compiler -------------------===//
//
// The table of contents of passes/. VerifyPhase checks what the comment above
// each pipeline promises.
//
//===----------------------------------------------------------------------===//
#include "passes/Pipelines.h"

#include "passes/FoldBudget.h"
#include "passes/LayoutPolicy.h"
#include "passes/Passes.h"
#include "passes/PrecisionPolicy.h"
#include "passes/ProductPolicy.h"

#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

#include <array>

using namespace mlir;
using namespace quern;
using namespace quern::passes;

static constexpr std::array<std::string_view, 7> kPhaseNames = {
    "imported", "simplified", "laid-out", "fused", "kernels", "llvm", "object"};

std::string_view passes::phaseName(Phase phase) { return kPhaseNames[static_cast<size_t>(phase)]; }

std::string passes::phaseDumpName(Phase phase) {
  return std::to_string(static_cast<int>(phase)) + "-" + std::string(phaseName(phase)) + ".mlir";
}

std::optional<Phase> passes::parsePhase(std::string_view name) {
  for (size_t i = 0; i < kPhaseNames.size(); ++i)
    if (kPhaseNames[i] == name)
      return static_cast<Phase>(i);
  return std::nullopt;
}

static void foldConstants(OpPassManager &pm, const PipelineOptions &options) {
  pm.addNestedPass<func::FuncOp>(createFoldConstantsPass(options.foldBudget));
}

/// Whether weights of 16 bits stay such, unless they are to be quantized.
static bool keepsHalves(const PipelineOptions &options) {
  return options.optLevel >= 1 && options.weights == WeightType::Given;
}

/// Leaves weights as the model quantizes them, or has them in 16 bits.
static void foldButDequantized(OpPassManager &pm, const PipelineOptions &options) {
  FoldConstantsPassOptions folding;
  folding.keepDequantized = true;
  folding.keepHalves = keepsHalves(options);
  pm.addNestedPass<func::FuncOp>(createFoldConstantsPass(options.foldBudget, folding));
}

/// Before anything looks into the floats that quantized tensors stand for.
static void formIntegerProducts(OpPassManager &pm, const PipelineOptions &options) {
  pm.addPass(createCSEPass()); // what several nodes quantize in the same way
  pm.addNestedPass<func::FuncOp>(createSinkDequantizePass());
  foldButDequantized(pm, options); // weights that have been moved
  pm.addNestedPass<func::FuncOp>(createFormIntegerProductsPass(options.products, options.log));
  foldButDequantized(pm, options); // quotients of scales are numbers, which tables may be made of
  pm.addNestedPass<func::FuncOp>(createFormByteLookupsPass(options.products));
}

/// What FormBlockProducts finds.
static void quantizeWeights(OpPassManager &pm, const PipelineOptions &options) {
  QuantizeWeightsPassOptions format;
  format.bits = options.weights == WeightType::Int4 ? 4 : 8;
  pm.addNestedPass<func::FuncOp>(createQuantizeWeightsPass(format, options.log));
  foldButDequantized(pm, options);
}

static void endPhase(OpPassManager &pm, Phase phase, const PipelineOptions &options) {
  std::string name(phaseName(phase));
  pm.addPass(createVerifyPhasePass({name}));
  if (!options.dumpPhasesTo.empty())
    pm.addPass(createDumpPhasePass({name, options.dumpPhasesTo, options.dumpPrefix}));
}

/// What was raised is seen as one op, and what is rounded is laid out and fused.
static void assignPrecision(OpPassManager &pm, const PipelineOptions &options) {
  if (options.precision == Precision::Float32)
    return;
  pm.addNestedPass<func::FuncOp>(createAssignPrecisionPass(
      options.precisions ? options.precisions : std::make_shared<KeepFloat32>(), options.log));
  // The casts of weights: a product by one that is rounded in each run is slower than in float32.
  pm.addNestedPass<func::FuncOp>(
      createFoldConstantsPass(makeRoundingBudget(options.foldBudget.get())));
  // What a body is given has sizes without names, and so has what is rounded of it.
  pm.addNestedPass<func::FuncOp>(createNameUnknownSizesPass());
}

// Simplified: nn ops on plain tensors, no nn.pack, nn.unpack or nn.group; ops
// whose operands are all constant only where folding them failed. Every size of a
// ranked tensor is a number or an expression over symbols (not checked in branches,
// nor what folding should have done).
void passes::buildSimplifyPipeline(OpPassManager &pm, const PipelineOptions &options) {
  // Infers shapes on the way, which conditions are made of.
  foldButDequantized(pm, options);
  pm.addNestedPass<func::FuncOp>(createInlineKnownBranchesPass());
  // Integers are then quantized where convolutions make them.
  if (options.optLevel >= 1)
    pm.addNestedPass<func::FuncOp>(createSinkTransposesPass());
  if (options.optLevel >= 1 && options.products)
    formIntegerProducts(pm, options);
  if (options.optLevel >= 1 && options.weights != WeightType::Given)
    quantizeWeights(pm, options);
  if (options.optLevel >= 1) // of those that are left
    pm.addNestedPass<func::FuncOp>(createFormBlockProductsPass());
  // Sees what is quantized as such, and casts that are the model's.
  if (options.optLevel >= 1)
    pm.addNestedPass<func::FuncOp>(createWidenFloat16Pass({/*excessPrecision=*/true}, options.log));
  pm.addNestedPass<func::FuncOp>(createDecomposeQuantizationPass());
  FoldConstantsPassOptions folding;
  folding.keepHalves = keepsHalves(options);
  // What is dequantized, and scales in their places.
  pm.addNestedPass<func::FuncOp>(createFoldConstantsPass(options.foldBudget, folding));
  if (options.optLevel >= 1) {
    pm.addNestedPass<func::FuncOp>(createSimplifyGraphPass());
    pm.addNestedPass<func::FuncOp>(createKeepHalfWeightsPass());
    foldConstants(pm, options); // the casts of constants that these leave
    // After WidenFloat16: scales and shifts are then not rounded to a half type.
    pm.addNestedPass<func::FuncOp>(createFoldBatchNormPass(options.foldBudget, options.log));
    pm.addNestedPass<func::FuncOp>(createSimplifyGraphPass()); // scales and shifts of 1 and 0
    pm.addPass(createCSEPass()); // equal values are one value for the patterns that raise
    pm.addNestedPass<func::FuncOp>(createRaiseLayerNormPass(options.log));
  }
  if (options.optLevel >= 2) {
    // RaiseAttention must see which sizes are the same, and transposes merged into one.
    pm.addNestedPass<func::FuncOp>(createNameUnknownSizesPass());
    pm.addNestedPass<func::FuncOp>(createRaiseAttentionPass(options.log));
  }
  pm.addNestedPass<func::FuncOp>(createNameUnknownSizesPass()); // of what was raised, and at -O0
  assignPrecision(pm, options);
  endPhase(pm, Phase::Simplified, options);
}

// Laid out: as simplified; convolutions, pools, concatenations and elementwise
// ops may be on blocked tensors, between nn.pack and nn.unpack.
void passes::buildLayoutPipeline(OpPassManager &pm, const PipelineOptions &options) {
  if (options.optLevel >= 3) {
    pm.addNestedPass<func::FuncOp>(createAssignLayoutsPass(options.layouts, options.log));
    pm.addNestedPass<func::FuncOp>(createSimplifyGraphPass());
    foldConstants(pm, options);  // nn.pack of constants
    pm.addPass(createCSEPass()); // nn.pack of one value for several users
  }
  endPhase(pm, Phase::LaidOut, options);
}

// Fused: every anchor and elementwise op is in an nn.group; beside groups there are
// constants, nn.none and opaque ops.
void passes::buildFusionPipeline(OpPassManager &pm, const PipelineOptions &options) {
  FormFusionGroupsPassOptions grouping;
  if (options.optLevel < 2)
    grouping.maxOps = 1;
  pm.addNestedPass<func::FuncOp>(createFormFusionGroupsPass(grouping, options.log));
  endPhase(pm, Phase::Fused, options);
}

void passes::buildGraphPipeline(OpPassManager &pm, const PipelineOptions &options, Phase last) {
  endPhase(pm, Phase::Imported, options);
  if (last >= Phase::Simplified)
    buildSimplifyPipeline(pm, options);
  if (last >= Phase::LaidOut)
    buildLayoutPipeline(pm, options);
  if (last >= Phase::Fused)
    buildFusionPipeline(pm, options);
}

namespace {
struct GraphPipelineOptions : PassPipelineOptions<GraphPipelineOptions> {
  Option<int> optLevel{*this, "opt-level", llvm::cl::desc("0 to 3"), llvm::cl::init(3)};
  Option<int64_t> block{*this, "block", llvm::cl::desc("channels per block"), llvm::cl::init(16)};
  Option<std::string> precision{*this, "precision", llvm::cl::desc("f32 or bf16"),
                                llvm::cl::init("f32")};
  Option<bool> products{*this, "integer-products",
                        llvm::cl::desc("form all products on 8-bit integers"),
                        llvm::cl::init(false)};
  Option<std::string> last{*this, "to", llvm::cl::desc("the last phase"), llvm::cl::init("fused")};
  Option<std::string> dump{*this, "dump-phases-to", llvm::cl::desc("directory of phase dumps")};
  Option<std::string> prefix{*this, "dump-prefix", llvm::cl::desc("what their names begin with")};
};
} // namespace

void passes::registerQuernPipelines() {
  PassPipelineRegistration<GraphPipelineOptions>(
      "quern-graph", "all graph passes", [](OpPassManager &pm, const GraphPipelineOptions &given) {
        PipelineOptions options;
        options.optLevel = given.optLevel;
        options.layouts = std::make_shared<ChannelBlocks>(given.block);
        options.precisions = std::make_shared<BFloat16Factors>();
        if (given.precision.getValue() == "bf16")
          options.precision = Precision::BFloat16;
        if (given.products)
          options.products = std::make_shared<AllProducts>();
        options.dumpPhasesTo = given.dump;
        options.dumpPrefix = given.prefix;
        // An unknown phase is VerifyPhase's to report: a builder cannot fail.
        if (std::optional<Phase> last = parsePhase(given.last.getValue()))
          buildGraphPipeline(pm, options, *last);
        else
          pm.addPass(createVerifyPhasePass({given.last}));
      });
}
