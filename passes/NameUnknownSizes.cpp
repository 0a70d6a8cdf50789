//===- NameUnknownSizes.cpp - a symbol for each size that nothing tells ---===//
//
// A size that data decides, or that a shape rule has no expression for, is one number
// all the same: with a symbol for it, passes can see that the values computed from it
// have equal shapes, and fuse them.
//
//===----------------------------------------------------------------------===//
#include "ir/NNDialect.h"
#include "passes/InferShapes.h"
#include "passes/Passes.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_NAMEUNKNOWNSIZESPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

/// The type with fresh symbols for its unknown dimensions.
static Type nameSizes(Type type) {
  std::optional<Shape> shape = shapeOf(type);
  if (!shape || llvm::none_of(shape->dims(), [](const Dim &d) { return d.isUnknown(); }))
    return type;
  for (int64_t i = 0; i < shape->rank(); ++i)
    if ((*shape)[i].isUnknown())
      (*shape)[i] = Dim::freshSymbol(type.getContext());
  return tensorType(*shape, elementTypeOf(type), layoutOf(type));
}

namespace {
struct NameUnknownSizesPass : passes::impl::NameUnknownSizesPassBase<NameUnknownSizesPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    for (BlockArgument argument : function.getArguments())
      argument.setType(nameSizes(argument.getType()));
    LogicalResult walked = walkGraph(function, [](Operation *op) {
      if (failed(refineResultTypes(op)))
        return failure();
      for (Value result : op->getResults())
        result.setType(nameSizes(result.getType()));
      return success();
    });
    if (failed(walked))
      return signalPassFailure();
    auto exit = cast<func::ReturnOp>(function.getBody().front().getTerminator());
    function.setFunctionType(FunctionType::get(
        &getContext(), function.getBody().front().getArgumentTypes(), exit.getOperandTypes()));
  }
};
} // namespace
