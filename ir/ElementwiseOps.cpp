//===- ElementwiseOps.cpp - rows of elementwise ops -----------------------===//
#include "ir/NNDialect.h"
#include "ir/QuantOps.h"
#include "ir/ScalarFunctions.h"
#include "ir/TypeRules.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;

unsigned nn::elementClassOf(DType dtype) {
  if (isFloat(dtype))
    return kFloatClass;
  if (isSignedInteger(dtype))
    return kSignedClass;
  if (isUnsignedInteger(dtype))
    return kUnsignedClass;
  if (dtype == DType::Bool)
    return kBoolClass;
  return dtype == DType::String ? kStringClass : 0;
}

/// Checks that the data operands have one element type, of the row's domain,
/// and that a condition is bool.
static LogicalResult verifyElements(Operation *op, const ElementwiseInfo &info) {
  OperandRange data = op->getOperands();
  if (isa<WhereOp>(op)) {
    Type condition = elementTypeOf(data.front());
    if (!condition.isSignlessInteger(1))
      return op->emitOpError("condition must hold i1, found ") << condition;
    data = data.drop_front();
  }
  Type elementType = elementTypeOf(data.front());
  for (Value operand : data.drop_front())
    if (elementTypeOf(operand) != elementType)
      return op->emitOpError("operands must have the same element type, found ")
             << elementType << " and " << elementTypeOf(operand);
  if ((elementClassOf(dtypeOf(elementType)) & info.domain) == 0)
    return op->emitOpError("is not defined on elements of type ") << elementType;
  return success();
}

/// Whether a row-major operand broadcasts to blocked images: it has no channels.
static bool hasNoChannels(const std::optional<Shape> &operand, int64_t rank) {
  if (!operand)
    return false;
  auto isOne = [&](int64_t axis) {
    int64_t own = axis - (rank - operand->rank());
    return own < 0 || (*operand)[own].isStatic(1);
  };
  return isOne(1) && isOne(rank - 1);
}

/// The layout that the operands have; those without channels may be row-major beside
/// blocked ones.
static FailureOr<Layout> commonLayout(Operation *op, const Shape &result, const ShapeFacts &facts) {
  Layout common;
  for (Value operand : op->getOperands())
    if (layoutOf(operand).isBlocked())
      common = layoutOf(operand);
  if (!common.isBlocked())
    return common;
  for (Value operand : op->getOperands())
    if (layoutOf(operand) != common &&
        (layoutOf(operand).isBlocked() || !hasNoChannels(facts.shapeOf(operand), result.rank())))
      return op->emitOpError("operands must have the same layout, found ")
             << operand.getType() << " beside blocks of " << common.block << " channels";
  return common;
}

InferredTypes nn::detail::inferElementwiseTypes(Operation *op, const ElementwiseInfo &info,
                                                const ShapeFacts &facts) {
  if (failed(verifyElements(op, info)))
    return failure();
  Type elementType = info.result == ResultElement::Bool
                         ? Type(IntegerType::get(op->getContext(), 1))
                         : elementTypeOf(op->getOperands().back());
  Shape shape;
  for (Value operand : op->getOperands()) {
    std::optional<Shape> next = facts.shapeOf(operand);
    if (!next)
      return detail::unrankedResult(elementType);
    Expected<Shape> broadcast = broadcastShapes(shape, *next);
    if (!broadcast)
      return op->emitOpError(broadcast.status().message());
    shape = broadcast.take();
  }
  FailureOr<Layout> layout = commonLayout(op, shape, facts);
  if (failed(layout))
    return failure();
  return detail::rankedResult(op, shape, elementType, *layout);
}

#define GET_OP_CLASSES
#include "ir/ElementwiseOps.cpp.inc"

void NNDialect::registerElementwiseOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/ElementwiseOps.cpp.inc"
      >();
}

/// Collects the rows among all op classes, in dialect order.
template <typename... Ops> static std::vector<const ElementwiseInfo *> collectRows() {
  std::vector<const ElementwiseInfo *> rows;
  auto add = [&]<typename Op>() {
    if constexpr (requires { Op::info(); })
      rows.push_back(&Op::info());
  };
  (add.template operator()<Ops>(), ...);
  return rows;
}

ArrayRef<const ElementwiseInfo *> nn::elementwiseTable() {
  static const std::vector<const ElementwiseInfo *> rows = collectRows<
#define GET_OP_LIST
#include "ir/ElementwiseOps.cpp.inc"
      ,
#define GET_OP_LIST
#include "ir/QuantOps.cpp.inc"
      >();
  return rows;
}

const ElementwiseInfo *nn::lookupElementwise(StringRef opName) {
  for (const ElementwiseInfo *row : elementwiseTable())
    if (row->opName == opName)
      return row;
  return nullptr;
}

const ElementwiseInfo *nn::lookupElementwiseByOnnxName(StringRef onnxName) {
  for (const ElementwiseInfo *row : elementwiseTable())
    if (!row->onnxName.empty() && row->onnxName == onnxName)
      return row;
  return nullptr;
}
