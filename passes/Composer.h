//===- Composer.h - ops that stand for another ----------------------------===//
#pragma once

#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/ShapeFacts.h"
#include "ir/Types.h"

namespace quern::passes {

/// Makes ops where a builder stands, as nodes of the name of what they stand for.
class Composer {
public:
  Composer(mlir::OpBuilder &ops, mlir::Location loc) : ops(ops), loc(loc) {}

  mlir::OpBuilder &builder() { return ops; }

  /// An op with one result, of the type that its shape rule gives; the arguments are those of
  /// its ODS builder after the result type. The rule must hold.
  template <typename Op, typename... Args> mlir::Value create(Args &&...args) {
    return createOf<Op>(ops.getI1Type(), std::forward<Args>(args)...);
  }
  /// The same with a result of elements that the rule leaves to its type.
  template <typename Op, typename... Args>
  mlir::Value createOf(mlir::Type elements, Args &&...args) {
    auto op =
        ops.create<Op>(loc, mlir::UnrankedTensorType::get(elements), std::forward<Args>(args)...);
    nn::InferredTypes types = op.inferResultTypes(nn::TypeFacts());
    assert(mlir::succeeded(types) && types->size() == 1 && "a composition that is wrong");
    op->getResult(0).setType(types->front().type());
    return op->getResult(0);
  }

  /// A conversion to elements of type `to`: `value` where it has them.
  mlir::Value convert(mlir::Value value, mlir::Type to) {
    return nn::elementTypeOf(value) == to ? value : create<nn::CastOp>(value, to);
  }
  mlir::Value none() { return ops.create<nn::NoneOp>(loc, ops.getNoneType()); }
  mlir::Value constant(const Tensor &tensor) { return nn::createConstant(ops, loc, tensor); }
  /// A vector of int64.
  mlir::Value ints(llvm::ArrayRef<int64_t> values) {
    return constant(Tensor::ofInts(values.vec()));
  }

private:
  mlir::OpBuilder &ops;
  mlir::Location loc;
};

} // namespace quern::passes
