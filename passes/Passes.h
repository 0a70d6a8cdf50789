//===- Passes.h - the graph passes ----------------------------------------===//
//
// Declares create<Foo>Pass(), <Foo>PassOptions and registerQuernPasses() from
// Passes.td.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "passes/FoldBudget.h"
#include "quern/Limits.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace quern::passes {

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

class GraphLog;
class LayoutPolicy;
class PrecisionPolicy;
class ProductPolicy;

// With a budget that other folding passes share; null is one of its own. What is refused is
// written to `log`, unless that is null.
std::unique_ptr<mlir::Pass> createFoldConstantsPass(std::shared_ptr<Budget> budget,
                                                    const FoldConstantsPassOptions &options = {});
std::unique_ptr<mlir::Pass> createFoldBatchNormPass(std::shared_ptr<Budget> budget, GraphLog *log);
/// `policy` says what is formed; null: nothing.
std::unique_ptr<mlir::Pass>
createFormIntegerProductsPass(std::shared_ptr<const ProductPolicy> policy, GraphLog *log);
/// `policy` says from what cost on a table pays; null: what AllProducts says.
std::unique_ptr<mlir::Pass> createFormByteLookupsPass(std::shared_ptr<const ProductPolicy> policy);
std::unique_ptr<mlir::Pass> createQuantizeWeightsPass(const QuantizeWeightsPassOptions &options,
                                                      GraphLog *log);
std::unique_ptr<mlir::Pass> createWidenFloat16Pass(const WidenFloat16PassOptions &options,
                                                   GraphLog *log);
std::unique_ptr<mlir::Pass> createRaiseLayerNormPass(GraphLog *log);
std::unique_ptr<mlir::Pass> createRaiseAttentionPass(GraphLog *log);
/// `policy` says what is lowered; null is BFloat16Factors.
std::unique_ptr<mlir::Pass> createAssignPrecisionPass(std::shared_ptr<const PrecisionPolicy> policy,
                                                      GraphLog *log);
/// `policy` says what is blocked; null is by the default of the option.
std::unique_ptr<mlir::Pass> createAssignLayoutsPass(std::shared_ptr<const LayoutPolicy> policy,
                                                    GraphLog *log);
std::unique_ptr<mlir::Pass> createFormFusionGroupsPass(const FormFusionGroupsPassOptions &options,
                                                       GraphLog *log);

} // namespace quern::passes
