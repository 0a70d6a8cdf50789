//===- NNDialect.cpp - the nn dialect -------------------------------------===//
#include "ir/NNDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;

#include "ir/NNDialect.cpp.inc"
#include "ir/NNInterfaces.cpp.inc"

namespace quern::nn::detail {
/// A value of an enumeration by its name.
template <typename E> static FailureOr<E> parseEnum(AsmParser &parser) {
  StringRef name;
  SMLoc where = parser.getCurrentLocation();
  if (parser.parseKeyword(&name))
    return failure();
  if (std::optional<E> value = enumNamed<E>(name))
    return *value;
  return parser.emitError(where) << "must be one of " << llvm::join(ArrayRef(kEnumNames<E>), ", ")
                                 << ", found " << name;
}

/// An element type by its name.
static FailureOr<DType> parseDType(AsmParser &parser) {
  StringRef name;
  SMLoc where = parser.getCurrentLocation();
  if (parser.parseKeyword(&name))
    return failure();
  if (std::optional<DType> dtype = quern::parseDType(name))
    return *dtype;
  return parser.emitError(where) << "no element type is called " << name;
}
} // namespace quern::nn::detail

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
  registerAttentionOps();
  registerContractionOps();
  registerControlFlowOps();
  registerConvOps();
  registerDataMovementOps();
  registerElementwiseOps();
  registerGatherOps();
  registerImageOps();
  registerLabelOps();
  registerLinearAlgebraOps();
  registerNormalizationOps();
  registerOutlinedOps();
  registerPoolOps();
  registerQuantOps();
  registerRandomOps();
  registerRecurrentOps();
  registerReductionOps();
  registerSelectionOps();
  registerSequenceOps();
  registerSignalOps();
  registerStructureOps();
  registerTextOps();
  registerTreeOps();
  registerVisionOps();
}

Operation *NNDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type,
                                          Location loc) {
  auto elements = dyn_cast<ElementsAttr>(value);
  if (!elements || elements.getShapedType() != type)
    return nullptr;
  return builder.create<ConstantOp>(loc, type, elements);
}

LogicalResult DimsAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                       function_ref<InFlightDiagnostic()> emitError) const {
  if (getExprs().size() != shape.size())
    return emitError() << "nn.dims must name " << shape.size() << " dimensions, found "
                       << getExprs().size();
  for (auto [expr, size] : llvm::zip(getExprs(), shape))
    if (expr && !ShapedType::isDynamic(size))
      return emitError() << "nn.dims names a dimension of static size " << size << ": "
                         << Dim(expr).str();
  return success();
}

LogicalResult BlockedAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                          function_ref<InFlightDiagnostic()> emitError) const {
  if (getSize() < 1)
    return emitError() << "nn.blocked needs a positive size, found " << getSize();
  if (shape.size() < 3)
    return emitError() << "nn.blocked needs rank 3 or more, found " << shape.size();
  if (shape.back() != getSize())
    return emitError() << "nn.blocked<" << getSize() << "> needs a last dimension of that size";
  return getDims() ? getDims().verifyEncoding(shape, elementType, emitError) : success();
}

static LogicalResult verifyNested(function_ref<InFlightDiagnostic()> emitError, Type inner) {
  if (isValueType(inner))
    return success();
  return emitError() << "must hold a tensor, sequence, optional or map type, found " << inner;
}

LogicalResult MiniFloatType::verify(function_ref<InFlightDiagnostic()> emitError, DType dtype) {
  switch (dtype) {
  case DType::Float4E2M1:
  case DType::Float6E2M3:
  case DType::Float6E3M2:
  case DType::Float8E8M0:
    return success();
  default:
    return emitError() << dtypeName(dtype) << " has a type of MLIR's or is no float";
  }
}

LogicalResult SequenceType::verify(function_ref<InFlightDiagnostic()> emitError, Type element) {
  return verifyNested(emitError, element);
}

LogicalResult OptionalType::verify(function_ref<InFlightDiagnostic()> emitError, Type content) {
  return verifyNested(emitError, content);
}

LogicalResult MapType::verify(function_ref<InFlightDiagnostic()> emitError, Type key, Type value) {
  if (!key.isSignlessInteger(64) && !llvm::isa<StringType>(key))
    return emitError() << "keys must be i64 or !nn.string, found " << key;
  return verifyNested(emitError, value);
}

/// "N", 3 or (expression operator expression); null for the empty name.
static ParseResult parseSize(AsmParser &parser, AffineExpr &expr) {
  MLIRContext *context = parser.getContext();
  int64_t value = 0;
  if (OptionalParseResult number = parser.parseOptionalInteger(value); number.has_value()) {
    expr = getAffineConstantExpr(value, context);
    return *number;
  }
  std::string name;
  if (succeeded(parser.parseOptionalString(&name))) {
    expr = name.empty() ? AffineExpr() : Dim::symbol(context, name).expr();
    return success();
  }
  AffineExpr left, right;
  if (parser.parseLParen() || parseSize(parser, left))
    return failure();
  AffineExprKind kind = AffineExprKind::Add;
  if (succeeded(parser.parseOptionalStar()))
    kind = AffineExprKind::Mul;
  else if (succeeded(parser.parseOptionalKeyword("floordiv")))
    kind = AffineExprKind::FloorDiv;
  else if (succeeded(parser.parseOptionalKeyword("ceildiv")))
    kind = AffineExprKind::CeilDiv;
  else if (succeeded(parser.parseOptionalKeyword("mod")))
    kind = AffineExprKind::Mod;
  else if (parser.parsePlus())
    return failure();
  if (parseSize(parser, right) || parser.parseRParen())
    return failure();
  if (!left || !right)
    return parser.emitError(parser.getCurrentLocation(), "an empty name inside an expression");
  expr = combineSizes(kind, left, right);
  if (!expr)
    return parser.emitError(parser.getCurrentLocation(), "an expression that is too large");
  return success();
}

Attribute DimsAttr::parse(AsmParser &parser, Type) {
  SmallVector<AffineExpr> exprs;
  auto parseElement = [&] { return parseSize(parser, exprs.emplace_back()); };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater, parseElement))
    return {};
  return get(parser.getContext(), exprs);
}

void DimsAttr::print(AsmPrinter &printer) const {
  auto printElement = [&](AffineExpr expr) {
    if (expr)
      printSize(expr, /*quoted=*/true, printer.getStream());
    else
      printer << "\"\"";
  };
  printer << "<";
  llvm::interleaveComma(getExprs(), printer.getStream(), printElement);
  printer << ">";
}

Type InferredType::type() const {
  if (isa<NoneType>(elementType) || isNestedType(elementType))
    return elementType;
  return shape ? Type(tensorType(*shape, elementType, layout))
               : UnrankedTensorType::get(elementType);
}

/// Compatible: the same element type and layout, and no dimension that differs for sure.
static bool isCompatible(Type declared, const InferredType &inferred) {
  if (!isa<TensorType>(declared))
    return areCompatible(declared, inferred.elementType);
  if (elementTypeOf(declared) != inferred.elementType)
    return false;
  std::optional<Shape> shape = shapeOf(declared);
  if (!shape || !inferred.shape)
    return true;
  if (shape->rank() != inferred.shape->rank() || layoutOf(declared) != inferred.layout)
    return false;
  for (int64_t i = 0; i < shape->rank(); ++i)
    if (!(*shape)[i].compatibleWith((*inferred.shape)[i]))
      return false;
  return true;
}

LogicalResult nn::detail::verifyResultTypes(Operation *op) {
  if (cast<GraphOpInterface>(op).getLayoutKind() == LayoutKind::Plain && hasBlocks(op))
    return op->emitOpError("works on row-major tensors only");
  InferredTypes inferred = cast<GraphOpInterface>(op).inferResultTypes(TypeFacts());
  if (failed(inferred))
    return failure();
  if (inferred->size() != op->getNumResults())
    return op->emitOpError("has ")
           << op->getNumResults() << " results, expected " << inferred->size();
  for (auto [declared, expected] : llvm::zip(op->getResultTypes(), *inferred))
    if (!isCompatible(declared, expected))
      return op->emitOpError("result type ")
             << declared << " contradicts the inferred " << expected.type();
  return success();
}
