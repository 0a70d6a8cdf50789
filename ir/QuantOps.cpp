//===- QuantOps.cpp - rules of quantization -------------------------------===//
#include "ir/QuantOps.h"

#include "ir/ScalarFunctions.h"
#include "ir/TypeRules.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

/// Whether something can be quantized to elements of this type.
static bool isQuantized(DType dtype) {
  bool isInteger = isSignedInteger(dtype) || isUnsignedInteger(dtype);
  return isMiniFloat(dtype) || (isInteger && dtypeBits(dtype) <= 16);
}

static LogicalResult requireScale(Operation *op, Value scale) {
  DType dtype = dtypeOf(elementTypeOf(scale));
  if (dtype == DType::Float32 || dtype == DType::Float16 || dtype == DType::BFloat16 ||
      dtype == DType::Int32 || dtype == DType::Float8E8M0)
    return success();
  return op->emitOpError("cannot scale by ") << elementTypeOf(scale);
}

/// Fails unless `to` is one of the types that floats are computed in.
static LogicalResult requireFloatType(Operation *op, Type to, StringRef name, bool isDouble) {
  DType dtype = dtypeOf(to);
  if (dtype == DType::Float32 || dtype == DType::Float16 || dtype == DType::BFloat16 ||
      (isDouble && dtype == DType::Float64))
    return success();
  return op->emitOpError() << "`" << name << "` cannot be " << to;
}

//===----------------------------------------------------------------------===//
// Scales and zero points
//===----------------------------------------------------------------------===//

static InFlightDiagnostic misfit(Operation *op, const Shape &parameter, const Shape &x) {
  return op->emitOpError("a scale or zero point does not fit: ")
         << parameter.str() << " to " << x.str();
}

/// Scales for blocks have the sizes of `x`, along the axis as many as there are blocks.
static LogicalResult verifyBlocks(Operation *op, const Shape &parameter, const Shape &x,
                                  int64_t axis, int64_t blockSize) {
  if (parameter.rank() != x.rank())
    return op->emitOpError("blocks of ")
           << blockSize << " need scales of the rank of the data, found " << parameter.str()
           << " for " << x.str();
  for (int64_t i = 0; i < x.rank(); ++i) {
    Dim blocks = ceilDiv(x[axis], blockSize);
    if (i == axis && !parameter[i].compatibleWith(blocks))
      return op->emitOpError() << x.str() << " in blocks of " << blockSize << " along axis " << axis
                               << " needs " << blocks.str() << " scales, found "
                               << parameter[i].str();
    if (i != axis && !parameter[i].isStatic(1) && !parameter[i].compatibleWith(x[i]))
      return misfit(op, parameter, x);
  }
  return success();
}

/// Checks a scale or zero point of `op`.
template <typename Op>
static LogicalResult verifyParameter(Op op, const ShapeFacts &facts, Value value) {
  std::optional<Shape> parameter = facts.shapeOf(value), x = facts.shapeOf(op.getX());
  int64_t blockSize = op.getBlockSize();
  if (!parameter || parameter->rank() == 0)
    return success();
  if (blockSize == 0 && parameter->rank() > 1)
    return op.emitOpError("scales ") << parameter->str() << " need attribute 'block_size'";
  if (!x || (parameter->rank() == 1 && (*parameter)[0].isStatic(1)))
    return success();
  int64_t axis = op.getAxis() < 0 ? op.getAxis() + x->rank() : op.getAxis();
  if (axis < 0 || axis >= x->rank())
    return op.emitOpError("axis ")
           << op.getAxis() << " is not in [-" << x->rank() << ", " << x->rank() << ")";
  if (blockSize > 0)
    return verifyBlocks(op, *parameter, *x, axis, blockSize);
  return (*parameter)[0].compatibleWith((*x)[axis]) ? success() : misfit(op, *parameter, *x);
}

template <typename Op> static LogicalResult verifyParameters(Op op, const ShapeFacts &facts) {
  if (int64_t size = op.getBlockSize(); size < 0)
    return op.emitOpError("attribute 'block_size' must not be negative, found ") << size;
  return success(succeeded(requireScale(op, op.getScale())) &&
                 succeeded(verifyParameter(op, facts, op.getScale())) &&
                 succeeded(verifyParameter(op, facts, op.getZeroPoint())));
}

/// The rank of `x`, where a scale or zero point is for more than the whole of it.
template <typename Op> static std::optional<int64_t> axisRankOf(Op op) {
  auto isScalar = [](Value value) {
    std::optional<Shape> shape = shapeOf(value.getType());
    return isNone(value) || (shape && (shape->rank() == 0 || shape->numElements() == 1));
  };
  std::optional<Shape> x = shapeOf(op.getX().getType());
  if (!x || (isScalar(op.getScale()) && isScalar(op.getZeroPoint())))
    return std::nullopt;
  return x->rank();
}

std::optional<int64_t> QuantizeOp::getAxisRank() { return axisRankOf(*this); }
std::optional<int64_t> DequantizeOp::getAxisRank() { return axisRankOf(*this); }

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

template <typename Op> static InferredTypes typesLikeX(Op op, const ShapeFacts &facts) {
  std::optional<Shape> x = facts.shapeOf(op.getX());
  return x ? rankedResult(op, *x, op.getTo()) : unrankedResult(op.getTo());
}

InferredTypes QuantizeOp::inferResultTypes(const ShapeFacts &facts) {
  DType from = dtypeOf(elementTypeOf(getX())), to = dtypeOf(getTo());
  if ((from != DType::Int32 && (!isFloat(from) || isMiniFloat(from))) || !isQuantized(to))
    return emitOpError("cannot quantize ") << elementTypeOf(getX()) << " to " << getTo();
  if (failed(requireFloatType(*this, getPrecision(), "precision", /*isDouble=*/true)))
    return failure();
  if (!isNone(getZeroPoint()) && elementTypeOf(getZeroPoint()) != getTo())
    return emitOpError("the zero point must have element type ")
           << getTo() << ", found " << elementTypeOf(getZeroPoint());
  if (failed(verifyParameters(*this, facts)))
    return failure();
  return typesLikeX(*this, facts);
}

InferredTypes DequantizeOp::inferResultTypes(const ShapeFacts &facts) {
  DType from = dtypeOf(elementTypeOf(getX()));
  if (from != DType::Int32 && !isQuantized(from))
    return emitOpError("cannot dequantize ") << elementTypeOf(getX());
  if (failed(requireFloatType(*this, getTo(), "to", /*isDouble=*/false)) ||
      failed(requireSameElements(*this, getZeroPoint(), "the zero point", getX())) ||
      failed(verifyParameters(*this, facts)))
    return failure();
  return typesLikeX(*this, facts);
}

static bool isByte(DType dtype) { return dtype == DType::UInt8 || dtype == DType::Int8; }

InferredTypes ByteLookupOp::inferResultTypes(const ShapeFacts &facts) {
  Type entry = elementTypeOf(getTable());
  if (!isByte(dtypeOf(elementTypeOf(getX()))) || !isByte(dtypeOf(entry)))
    return emitOpError("is of bytes, found ")
           << elementTypeOf(getX()) << " and a table of " << entry;
  std::optional<Shape> table = facts.shapeOf(getTable()), x = facts.shapeOf(getX());
  if (table && (table->rank() != 1 || !(*table)[0].compatibleWith(Dim(kByteTableSize))))
    return emitOpError("needs a table of ") << kByteTableSize << ", found " << table->str();
  return x ? rankedResult(*this, *x, entry, layoutOf(getX())) : unrankedResult(entry);
}

#define GET_OP_CLASSES
#include "ir/QuantOps.cpp.inc"

void NNDialect::registerQuantOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/QuantOps.cpp.inc"
      >();
}
