//===- GraphBuilder.cpp - how importers make ops of the dialect -----------===//
#include "frontend/GraphBuilder.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::frontend;
using mlir::Operation;
using mlir::Type;
using mlir::Value;

void GraphBuilder::fail(Status error) {
  if (firstError.isOk())
    firstError = std::move(error);
}

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

/// Of float64: no op takes that for sums of smaller types that were asked for.
Type GraphBuilder::uninferredType() {
  return mlir::UnrankedTensorType::get(builder().getF64Type());
}

void GraphBuilder::inferTypes(Operation *op) {
  if (failed())
    return;
  shared.diagnostics.clear();
  auto types = mlir::cast<nn::GraphOpInterface>(op).inferResultTypes(nn::TypeFacts());
  if (mlir::failed(types))
    return invalid(shared.diagnostics);
  if (types->size() != op->getNumResults())
    return invalid(fmt::format("has {} outputs, expected {}", op->getNumResults(), types->size()));
  for (auto [result, type] : llvm::zip(op->getResults(), *types))
    result.setType(type.type());
}

Value GraphBuilder::inferred(Operation *op) {
  inferTypes(op);
  return op->getResult(0);
}

mlir::ResultRange GraphBuilder::createMulti(mlir::OperationState &state, size_t results) {
  state.types.assign(results, uninferredType());
  Operation *op = builder().create(state);
  inferTypes(op);
  return op->getResults();
}

Value GraphBuilder::createElementwise(const nn::ElementwiseInfo &row, mlir::ValueRange operands,
                                      llvm::ArrayRef<double> params) {
  mlir::OperationState state(loc(), row.opName);
  state.addOperands(operands);
  for (auto [param, value] : llvm::zip(row.params, params))
    state.addAttribute(param.name, builder().getF64FloatAttr(value));
  state.addTypes(uninferredType());
  return inferred(builder().create(state));
}

Value GraphBuilder::constant(const Tensor &tensor) {
  if (Status status = shared.countConstant(tensor.numBytes()); !status.isOk())
    fail(std::move(status));
  return nn::createConstant(builder(), loc(), tensor);
}

Value GraphBuilder::intsConstant(const std::vector<int64_t> &values) {
  return constant(Tensor::ofInts(values));
}

Value GraphBuilder::createCast(Value value, DType dtype) {
  return create<nn::CastOp>(value, nn::elementTypeOf(builder().getContext(), dtype));
}

template <typename T> static Tensor scalarOf(double value) {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>)
    return Tensor::of<T>({}, {T(static_cast<float>(value))});
  else
    return Tensor::of<T>({}, {static_cast<T>(value)});
}

Value GraphBuilder::scalarConstant(double value, DType dtype) {
  switch (dtype) {
  case DType::Float16:
    return constant(scalarOf<Float16>(value));
  case DType::BFloat16:
    return constant(scalarOf<BFloat16>(value));
  case DType::Float64:
    return constant(scalarOf<double>(value));
  case DType::Int32:
    return constant(scalarOf<int32_t>(value));
  case DType::Int64:
    return constant(scalarOf<int64_t>(value));
  case DType::Float32:
    break;
  default:
    unsupported(fmt::format("element type {}", dtypeName(dtype)));
  }
  return constant(scalarOf<float>(value));
}

Value GraphBuilder::sizeOf(Value tensor, int64_t dimension) {
  if (std::optional<nn::Shape> shape = nn::shapeOf(tensor)) {
    int64_t at = dimension < 0 ? dimension + shape->rank() : dimension;
    if (at >= 0 && at < shape->rank() && (*shape)[at].isStatic())
      return intsConstant({(*shape)[at].size()});
  }
  mlir::IntegerAttr end;
  if (dimension != -1)
    end = builder().getI64IntegerAttr(dimension + 1);
  return create<nn::ShapeOp>(tensor, builder().getI64IntegerAttr(dimension), end);
}

Value GraphBuilder::createCount(Value count) {
  if (std::optional<nn::Shape> shape = nn::shapeOf(count); !shape || shape->rank() != 0)
    count = create<nn::SqueezeOp>(count, intsConstant({0}));
  return create<nn::RangeOp>(scalarConstant(0, DType::Int64), count,
                             scalarConstant(1, DType::Int64));
}
