//===- Sequences.cpp - what recurrent ops share ---------------------------===//
#include "frontend/tflite/Sequences.h"

#include "frontend/compose/Composition.h"
#include "frontend/tflite/Images.h"
#include "ir/RecurrentOps.h"

using namespace quern;
using namespace quern::tflite;
using mlir::Value;

static Value exchanged(OpReader &op, Value sequence) {
  return op.create<nn::TransposeOp>(sequence, llvm::ArrayRef<int64_t>{1, 0, 2});
}

Value tflite::sequenceOf(OpReader &op, int i, bool isTimeMajor) {
  Value x = op.real(i);
  return !checkRank(op, i, 3) || isTimeMajor ? x : exchanged(op, x);
}

void tflite::setSequence(OpReader &op, int i, Value sequence, bool isTimeMajor) {
  if (!op.failed())
    op.setReal(i, isTimeMajor ? sequence : exchanged(op, sequence));
}

Value tflite::firstState(OpReader &op, int i) {
  return op.hasInput(i) && !op.isVariable(i) ? op.real(i) : op.none();
}

std::optional<CellActivation> tflite::cellActivation(file::Activation activation) {
  switch (activation) {
  case file::Activation::None:
    return CellActivation::Affine;
  case file::Activation::Relu:
    return CellActivation::Relu;
  case file::Activation::Tanh:
    return CellActivation::Tanh;
  default:
    return std::nullopt;
  }
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

Value tflite::createRecurrence(OpReader &op, const Recurrence &r) {
  auto inFront = [&](Value value) {
    return !value || nn::isNone(value) ? op.none()
                                       : op.create<nn::UnsqueezeOp>(value, op.intsConstant({0}));
  };
  llvm::SmallVector<int64_t> activations;
  for (CellActivation activation : r.activations)
    activations.push_back(static_cast<int64_t>(activation));
  // Affine alone has parameters: x * 1 + 0.
  llvm::SmallVector<double> alpha(activations.size(), 1.0), beta(activations.size(), 0.0);
  auto direction = r.isReverse ? RecurrentDirection::Reverse : RecurrentDirection::Forward;
  mlir::FloatAttr clip, cellClip;
  if (r.cellClip > 0)
    cellClip = op.builder().getF64FloatAttr(r.cellClip);
  auto results = op.createMulti<nn::RecurrentOp>(
      r.cell == CellKind::Lstm ? 3 : 2, r.gates, inFront(r.weights), op.none(), op.none(),
      inFront(r.h), inFront(r.c), inFront(r.peepholes), static_cast<int64_t>(r.cell),
      static_cast<int64_t>(direction), llvm::ArrayRef<int64_t>(activations),
      llvm::ArrayRef<double>(alpha), llvm::ArrayRef<double>(beta), clip, /*input_forget=*/false,
      /*linear_before_reset=*/false, cellClip);
  if (op.failed())
    return op.none();
  return op.create<nn::SqueezeOp>(results[0], op.intsConstant({1}));
}

Value tflite::scanSteps(OpReader &op, llvm::ArrayRef<Value> first, Value gates, bool isReverse,
                        Step step) {
  std::optional<nn::Shape> shape = nn::shapeOf(gates);
  if (op.failed() || !shape || shape->rank() == 0) {
    op.unsupported("sequences of unknown rank");
    return op.none();
  }
  nn::DimVector dims(shape->dims().begin() + 1, shape->dims().end());
  mlir::OperationState state(op.loc(), nn::ScanOp::getOperationName());
  state.addOperands(first);
  state.addOperands(gates);
  mlir::Block &block = state.addRegion()->emplaceBlock();
  for (Value value : first)
    block.addArgument(value.getType(), op.loc());
  block.addArgument(nn::tensorType(nn::Shape(std::move(dims)), nn::elementTypeOf(gates)), op.loc());
  {
    mlir::OpBuilder::InsertionGuard guard(op.builder());
    op.builder().setInsertionPointToStart(&block);
    llvm::SmallVector<Value> arguments(block.args_begin(), block.args_end());
    llvm::SmallVector<Value> next = step(llvm::ArrayRef(arguments).drop_back(), arguments.back());
    next.push_back(next.front());
    op.builder().create<nn::YieldOp>(op.loc(), next);
  }
  mlir::Builder &builder = op.builder();
  int64_t direction = isReverse ? 1 : 0;
  for (const char *name : {"input_axes", "output_axes"})
    state.addAttribute(name, builder.getDenseI64ArrayAttr({0}));
  for (const char *name : {"input_directions", "output_directions"})
    state.addAttribute(name, builder.getDenseI64ArrayAttr({direction}));
  if (op.failed())
    return op.none();
  return op.createMulti(state, first.size() + 1).back();
}

Value tflite::stateOrZeros(OpReader &op, Value state, Value gates, Value size) {
  if (!nn::isNone(state))
    return state;
  return op.create<nn::ExpandOp>(constantLike(op, 0, gates),
                                 joinSizes(op, {op.sizeOf(gates, 1), size}));
}
