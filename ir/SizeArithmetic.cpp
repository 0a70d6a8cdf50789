//===- SizeArithmetic.cpp - the sizes that models compute -----------------===//
//
// Exporters write a reshape's target as a chain of small integer ops: shape, gather,
// mul, concat. Here such a chain is read backwards, as expressions over the sizes it
// starts from.
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/NNDialect.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;

namespace {
using Elements = std::optional<DimVector>;

/// Reads chains of a bounded length: they come from untrusted files.
class SizeReader {
public:
  Elements read(Value value);

private:
  static constexpr int kMaxOps = 256;
  /// Elements that a shape, or a part of one, may have.
  static constexpr int64_t kMaxElements = 64;

  Elements visit(Operation *op);
  Elements readConstant(const Tensor &tensor);
  Elements visitShape(ShapeOp op);
  Elements visitGather(GatherOp op);
  Elements visitSlice(SliceOp op);
  Elements visitConcat(ConcatOp op);
  template <typename Combine> Elements combine(Operation *op, Combine combine);

  int ops = 0;
};
} // namespace

static bool isIndexTensor(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() <= 1 &&
         (type.getElementType().isSignlessInteger(64) ||
          type.getElementType().isSignlessInteger(32));
}

Elements SizeReader::read(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || !isIndexTensor(value) || ++ops > kMaxOps)
    return std::nullopt;
  Elements elements = visit(op);
  bool fits = elements && static_cast<int64_t>(elements->size()) <= kMaxElements;
  return fits ? elements : std::nullopt;
}

/// Negative numbers are no sizes: they are unknown here.
Elements SizeReader::readConstant(const Tensor &tensor) {
  std::optional<std::vector<int64_t>> integers;
  if (tensor.numElements() <= kMaxElements)
    integers = integersOf(tensor);
  if (!integers)
    return std::nullopt;
  DimVector dims;
  for (int64_t value : *integers)
    dims.push_back(value >= 0 ? Dim(value) : Dim());
  return dims;
}

Elements SizeReader::visitShape(ShapeOp op) {
  std::optional<Shape> shape = shapeOf(op.getInput());
  return shape ? Elements(op.select(shape->dims())) : std::nullopt;
}

Elements SizeReader::visitGather(GatherOp op) {
  std::optional<std::vector<int64_t>> indices = constantInts(op.getIndices());
  Elements from = indices ? read(op.getInput()) : std::nullopt;
  if (!from)
    return std::nullopt;
  auto count = static_cast<int64_t>(from->size());
  DimVector result;
  for (int64_t i : *indices) {
    int64_t at = i < 0 ? i + count : i;
    if (at < 0 || at >= count)
      return std::nullopt;
    result.push_back((*from)[at]);
  }
  return result;
}

Elements SizeReader::visitSlice(SliceOp op) {
  std::optional<std::vector<int64_t>> starts = constantInts(op.getStarts()),
                                      ends = constantInts(op.getEnds());
  bool byOne = isNone(op.getSteps()) || constantInts(op.getSteps()) == std::vector<int64_t>{1};
  if (!starts || !ends || starts->size() != 1 || ends->size() != 1 || !byOne)
    return std::nullopt;
  Elements from = read(op.getInput());
  if (!from)
    return std::nullopt;
  auto count = static_cast<int64_t>(from->size());
  auto clamped = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + count : i, 0, count); };
  int64_t start = clamped(starts->front()), end = clamped(ends->front());
  return DimVector(ArrayRef<Dim>(*from).slice(start, std::max<int64_t>(0, end - start)));
}

Elements SizeReader::visitConcat(ConcatOp op) {
  DimVector result;
  for (Value input : op.getInputs()) {
    Elements part = read(input);
    if (!part)
      return std::nullopt;
    result.append(part->begin(), part->end());
  }
  return result;
}

/// Element by element; one element broadcasts.
template <typename Combine> Elements SizeReader::combine(Operation *op, Combine combine) {
  Elements a = read(op->getOperand(0)), b = read(op->getOperand(1));
  if (!a || !b || a->empty() || b->empty() ||
      (a->size() != b->size() && a->size() != 1 && b->size() != 1))
    return std::nullopt;
  DimVector result;
  for (size_t i = 0; i < std::max(a->size(), b->size()); ++i)
    result.push_back(combine((*a)[a->size() == 1 ? 0 : i], (*b)[b->size() == 1 ? 0 : i]));
  return result;
}

Elements SizeReader::visit(Operation *op) {
  return llvm::TypeSwitch<Operation *, Elements>(op)
      .Case<ConstantOp, WeightOp>([&](auto o) -> Elements {
        std::optional<Tensor> tensor = constantTensor(o.getResult());
        return tensor ? readConstant(*tensor) : std::nullopt;
      })
      .Case([&](ShapeOp o) { return visitShape(o); })
      .Case([&](GatherOp o) { return visitGather(o); })
      .Case([&](SliceOp o) { return visitSlice(o); })
      .Case([&](ConcatOp o) { return visitConcat(o); })
      .Case<UnsqueezeOp, SqueezeOp, ReshapeOp, CastOp>([&](auto o) { return read(o.getInput()); })
      .Case([&](AddOp o) { return combine(o, [](const Dim &a, const Dim &b) { return a + b; }); })
      .Case([&](SubOp o) { return combine(o, [](const Dim &a, const Dim &b) { return a - b; }); })
      .Case([&](MulOp o) { return combine(o, [](const Dim &a, const Dim &b) { return a * b; }); })
      .Case([&](DivOp o) {
        return combine(o, [](const Dim &a, const Dim &b) {
          return b.isStatic() && b.size() > 0 ? floorDiv(a, b.size()) : Dim();
        });
      })
      .Default([](Operation *) { return Elements(); });
}

std::optional<DimVector> TypeFacts::dimsIn(Value value) const { return SizeReader().read(value); }
