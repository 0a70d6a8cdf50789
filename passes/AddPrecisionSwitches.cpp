//===- AddPrecisionSwitches.cpp - ops that are rounded when an input says so ===//
//
// What rounding the factors of one op does to the outputs of a whole model is measured on one
// graph that has every such op twice: on its factors, and on rounded ones, in float32 both. An
// input says for each which result counts. So a model is compiled once, and run once for each op.
//
//===----------------------------------------------------------------------===//
#include "ir/NNDialect.h"
#include "ir/NodeNames.h"
#include "ir/Types.h"
#include "passes/Passes.h"
#include "passes/PrecisionPolicy.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_ADDPRECISIONSWITCHESPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

/// `value` in float32 as it is after a rounding to bfloat16.
static Value createRounded(OpBuilder &builder, Value value) {
  auto type = cast<TensorType>(value.getType());
  Type narrow = builder.getBF16Type(), wide = builder.getF32Type();
  Value rounded = builder.create<CastOp>(value.getLoc(), type.clone(narrow), value, narrow);
  return builder.create<CastOp>(value.getLoc(), type.clone(wide), rounded, wide);
}

/// Gives `op` a twin with rounded factors, which counts where `condition` is true.
static void addTwin(Operation *op, Value condition) {
  OpBuilder builder(op);
  SmallVector<Value> operands(op->getOperands());
  for (OpOperand &operand : op->getOpOperands())
    if (isRoundedFactor(operand))
      operands[operand.getOperandNumber()] = createRounded(builder, operand.get());
  builder.setInsertionPointAfter(op);
  Operation *twin = builder.clone(*op);
  twin->setOperands(operands);
  for (auto [result, other] : llvm::zip_equal(op->getResults(), twin->getResults())) {
    if (result.use_empty()) // of some there is none
      continue;
    auto choice = builder.create<WhereOp>(op->getLoc(), result.getType(), condition, other, result);
    result.replaceAllUsesExcept(choice.getResult(), choice);
  }
}

std::vector<SwitchedLayer> passes::addPrecisionSwitches(func::FuncOp main,
                                                        const PrecisionPolicy &policy) {
  llvm::MapVector<StringAttr, SmallVector<Operation *>> byName;
  main.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (sumsFloat32(op) && !policy.refuse(op))
      byName[StringAttr::get(op->getContext(), nodeName(op->getLoc()))].push_back(op);
  });
  Type truth = RankedTensorType::get({}, IntegerType::get(main.getContext(), 1));
  std::vector<SwitchedLayer> layers;
  for (auto &[name, ops] : byName) {
    unsigned number = main.getNumArguments();
    main.insertArgument(number, truth, {}, main.getLoc());
    layers.push_back({name.str(), nodeNames(ops.front()->getLoc())});
    for (Operation *op : ops)
      addTwin(op, main.getArgument(number));
  }
  return layers;
}

namespace {
struct AddPrecisionSwitchesPass
    : passes::impl::AddPrecisionSwitchesPassBase<AddPrecisionSwitchesPass> {
  void runOnOperation() override { addPrecisionSwitches(getOperation(), BFloat16Factors()); }
};
} // namespace
