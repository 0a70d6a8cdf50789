//===- NNDialect.cpp - the nn dialect -------------------------------------===//
#include "ir/NNDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;

#include "ir/NNDialect.cpp.inc"
#include "ir/NNInterfaces.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "ir/NNAttributes.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "ir/NNTypes.cpp.inc"

void NNDialect::initialize() {
  weights = std::make_shared<WeightStore>();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "ir/NNAttributes.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "ir/NNTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "ir/NNOps.cpp.inc"
      >();
}

Operation *NNDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type,
                                          Location loc) {
  auto elements = dyn_cast<ElementsAttr>(value);
  if (!elements || elements.getShapedType() != type)
    return nullptr;
  return builder.create<ConstantOp>(loc, type, elements);
}

LogicalResult DimNamesAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                           function_ref<InFlightDiagnostic()> emitError) const {
  if (getNames().size() != shape.size())
    return emitError() << "nn.dims must name " << shape.size() << " dimensions, found "
                       << getNames().size();
  for (auto [name, size] : llvm::zip(getNames(), shape))
    if (!name.empty() && !ShapedType::isDynamic(size))
      return emitError() << "nn.dims names a dimension of static size " << size << ": " << name;
  return success();
}

/// Compatible: the same element type, and no dimension that differs for sure.
static bool compatibleTypes(Type declared, Type inferred) {
  if (isa<NoneType>(declared) || isa<NoneType>(inferred))
    return declared == inferred;
  auto a = cast<TensorType>(declared), b = cast<TensorType>(inferred);
  if (a.getElementType() != b.getElementType())
    return false;
  auto shapeA = shapeOf(a), shapeB = shapeOf(b);
  if (!shapeA || !shapeB)
    return true;
  if (shapeA->rank() != shapeB->rank())
    return false;
  for (int64_t i = 0; i < shapeA->rank(); ++i)
    if (!(*shapeA)[i].compatibleWith((*shapeB)[i]))
      return false;
  return true;
}

LogicalResult nn::detail::verifyResultTypes(Operation *op) {
  auto inferred = cast<GraphOpInterface>(op).inferResultTypes();
  if (failed(inferred))
    return failure();
  if (inferred->size() != op->getNumResults())
    return op->emitOpError("has ")
           << op->getNumResults() << " results, expected " << inferred->size();
  for (auto [declared, expected] : llvm::zip(op->getResultTypes(), *inferred))
    if (!compatibleTypes(declared, expected))
      return op->emitOpError("result type ")
             << declared << " contradicts the inferred " << expected;
  return success();
}
