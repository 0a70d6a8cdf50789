//===- GraphBuilder.h - how importers make ops of the dialect -------------===//
#pragma once

#include "frontend/ImportState.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"

namespace quern::frontend {

/// Makes ops with the types that they infer. Errors are sticky: the first is kept and values made
/// after it mean nothing, so that an import function reads straight through.
class GraphBuilder {
public:
  GraphBuilder(ImportState &state, mlir::Location loc) : shared(state), location(loc) {}

  mlir::OpBuilder &builder() { return shared.builder; }
  mlir::Location loc() const { return location; }
  const Limits &limits() const { return shared.limits; }
  /// An operand that is left out.
  mlir::Value none() const { return shared.none; }

  // Errors.
  void fail(Status error);
  void invalid(std::string message) { fail(invalidModel(std::move(message))); }
  void unsupported(std::string message) { fail(quern::unsupported(std::move(message))); }
  bool failed() const { return !firstError.isOk(); }
  const Status &status() const { return firstError; }

  // Building.
  /// Builds an op with one result; the arguments are those of its ODS builder
  /// after the result type, which the op infers.
  template <typename Op, typename... Args> mlir::Value create(Args &&...args) {
    return inferred(builder().create<Op>(loc(), uninferredType(), std::forward<Args>(args)...));
  }
  /// As `create`, for ops with several results.
  template <typename Op, typename... Args>
  mlir::ResultRange createMulti(size_t results, Args &&...args) {
    llvm::SmallVector<mlir::Type> types(results, uninferredType());
    mlir::Operation *op =
        builder().create<Op>(loc(), mlir::TypeRange(types), std::forward<Args>(args)...);
    inferTypes(op);
    return op->getResults();
  }
  /// As above, of a state with all but result types.
  mlir::ResultRange createMulti(mlir::OperationState &state, size_t results);
  /// An op of the elementwise table.
  mlir::Value createElementwise(const nn::ElementwiseInfo &row, mlir::ValueRange operands,
                                llvm::ArrayRef<double> params = {});
  mlir::Value constant(const Tensor &tensor);
  mlir::Value intsConstant(const std::vector<int64_t> &values);
  mlir::Value createCast(mlir::Value value, DType dtype);
  /// A rank-0 constant.
  mlir::Value scalarConstant(double value, DType dtype);
  /// A size of a tensor, as an int64 vector of one: a constant when it is known. A
  /// negative dimension counts from the end.
  mlir::Value sizeOf(mlir::Value tensor, int64_t dimension);
  /// The int64 vector 0, 1, ... count - 1.
  mlir::Value createCount(mlir::Value count);

private:
  /// What results are declared as until inferTypes replaces it.
  mlir::Type uninferredType();
  void inferTypes(mlir::Operation *op);
  mlir::Value inferred(mlir::Operation *op);

  ImportState &shared;
  mlir::Location location;
  Status firstError;
};

} // namespace quern::frontend
