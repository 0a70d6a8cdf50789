//===- Types.cpp - between quern types and MLIR types ---------------------===//
#include "ir/Types.h"

#include "ir/NNDialect.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;

Type nn::elementTypeOf(MLIRContext *context, DType dtype) {
  Builder b(context);
  switch (dtype) {
  case DType::Float32:
    return b.getF32Type();
  case DType::Float64:
    return b.getF64Type();
  case DType::Float16:
    return b.getF16Type();
  case DType::BFloat16:
    return b.getBF16Type();
  case DType::Float8E4M3FN:
    return b.getFloat8E4M3FNType();
  case DType::Float8E4M3FNUZ:
    return b.getFloat8E4M3FNUZType();
  case DType::Float8E5M2:
    return b.getFloat8E5M2Type();
  case DType::Float8E5M2FNUZ:
    return b.getFloat8E5M2FNUZType();
  case DType::Bool:
    return b.getI1Type();
  case DType::String:
    return StringType::get(context);
  case DType::Complex64:
    return ComplexType::get(b.getF32Type());
  case DType::Complex128:
    return ComplexType::get(b.getF64Type());
  case DType::Float4E2M1:
  case DType::Float6E2M3:
  case DType::Float6E3M2:
  case DType::Float8E8M0:
    return MiniFloatType::get(context, dtype);
  default:
    break;
  }
  if (isSignedInteger(dtype))
    return b.getIntegerType(dtypeBits(dtype));
  if (isUnsignedInteger(dtype))
    return b.getIntegerType(dtypeBits(dtype), /*isSigned=*/false);
  return {};
}

static DType integerDType(IntegerType type) {
  if (type.isSignless() && type.getWidth() == 1)
    return DType::Bool;
  for (int i = 1; isDTypeNumber(i); ++i) {
    auto dtype = static_cast<DType>(i);
    bool fits =
        type.isUnsigned() ? isUnsignedInteger(dtype) : type.isSignless() && isSignedInteger(dtype);
    if (fits && dtypeBits(dtype) == static_cast<int>(type.getWidth()))
      return dtype;
  }
  return DType::Undefined;
}

// Compares kinds instead of making types, which threads that share a context must not.
DType nn::dtypeOf(Type elementType) {
  return llvm::TypeSwitch<Type, DType>(elementType)
      .Case([](Float32Type) { return DType::Float32; })
      .Case([](Float64Type) { return DType::Float64; })
      .Case([](Float16Type) { return DType::Float16; })
      .Case([](BFloat16Type) { return DType::BFloat16; })
      .Case([](Float8E4M3FNType) { return DType::Float8E4M3FN; })
      .Case([](Float8E4M3FNUZType) { return DType::Float8E4M3FNUZ; })
      .Case([](Float8E5M2Type) { return DType::Float8E5M2; })
      .Case([](Float8E5M2FNUZType) { return DType::Float8E5M2FNUZ; })
      .Case([](MiniFloatType type) { return type.getDtype(); })
      .Case([](StringType) { return DType::String; })
      .Case([](ComplexType type) {
        return type.getElementType().isF32()   ? DType::Complex64
               : type.getElementType().isF64() ? DType::Complex128
                                               : DType::Undefined;
      })
      .Case([](IntegerType type) { return integerDType(type); })
      .Default([](Type) { return DType::Undefined; });
}

Type nn::elementTypeOf(Type tensor) {
  auto shaped = dyn_cast<TensorType>(tensor);
  return shaped ? shaped.getElementType() : tensor;
}

//===----------------------------------------------------------------------===//
// Values of any kind
//===----------------------------------------------------------------------===//

bool nn::isNestedType(Type type) { return isa<SequenceType, OptionalType, MapType>(type); }

bool nn::isValueType(Type type) { return isa<TensorType>(type) || isNestedType(type); }

/// Symbols and expressions by their text, but for those that the compiler made.
static PortShape portShape(const Shape &shape) {
  std::vector<PortDim> dims;
  for (const Dim &d : shape.dims())
    dims.push_back(d.isStatic()
                       ? PortDim(d.size())
                       : PortDim::symbol(d.isSymbolic() && !d.hasFreshSymbol() ? d.str() : ""));
  return PortShape(std::move(dims));
}

ValueType nn::valueTypeOf(Type type) {
  if (auto sequence = dyn_cast<SequenceType>(type))
    return ValueType::sequenceOf(valueTypeOf(sequence.getElementType()));
  if (auto optional = dyn_cast<OptionalType>(type))
    return ValueType::optionalOf(valueTypeOf(optional.getContentType()));
  if (auto map = dyn_cast<MapType>(type))
    return ValueType::mapOf(dtypeOf(map.getKeyType()), valueTypeOf(map.getValueType()));
  std::optional<Shape> shape = shapeOf(type);
  return ValueType::tensor(dtypeOf(elementTypeOf(type)), shape ? portShape(*shape) : PortShape(),
                           shape.has_value());
}

static Dim dimOf(MLIRContext *context, const PortDim &dim) {
  if (dim.isSymbolic())
    return Dim::symbol(context, dim.symbolName());
  return dim.isStatic() ? Dim(dim.size()) : Dim();
}

Type nn::mlirTypeOf(MLIRContext *context, const ValueType &type) {
  switch (type.kind) {
  case ValueType::Kind::Sequence:
    return SequenceType::get(context, mlirTypeOf(context, type.nested.at(0)));
  case ValueType::Kind::Optional:
    return OptionalType::get(context, mlirTypeOf(context, type.nested.at(0)));
  case ValueType::Kind::Map:
    return MapType::get(context, elementTypeOf(context, type.dtype),
                        mlirTypeOf(context, type.nested.at(0)));
  case ValueType::Kind::Tensor:
    break;
  }
  Type element = elementTypeOf(context, type.dtype);
  if (!type.ranked)
    return UnrankedTensorType::get(element);
  DimVector dims;
  for (const PortDim &dim : type.shape.dims())
    dims.push_back(dimOf(context, dim));
  return tensorType(Shape(std::move(dims)), element);
}

static bool areCompatibleTensors(TensorType a, TensorType b) {
  if (a.getElementType() != b.getElementType())
    return false;
  std::optional<Shape> x = shapeOf(a), y = shapeOf(b);
  if (!x || !y)
    return true;
  if (x->rank() != y->rank() || layoutOf(a) != layoutOf(b))
    return false;
  for (int64_t i = 0; i < x->rank(); ++i)
    if (!(*x)[i].compatibleWith((*y)[i]))
      return false;
  return true;
}

bool nn::areCompatible(Type a, Type b) {
  if (auto x = dyn_cast<TensorType>(a))
    if (auto y = dyn_cast<TensorType>(b))
      return areCompatibleTensors(x, y);
  if (auto x = dyn_cast<SequenceType>(a))
    if (auto y = dyn_cast<SequenceType>(b))
      return areCompatible(x.getElementType(), y.getElementType());
  if (auto x = dyn_cast<OptionalType>(a))
    if (auto y = dyn_cast<OptionalType>(b))
      return areCompatible(x.getContentType(), y.getContentType());
  if (auto x = dyn_cast<MapType>(a))
    if (auto y = dyn_cast<MapType>(b))
      return x.getKeyType() == y.getKeyType() && areCompatible(x.getValueType(), y.getValueType());
  return a == b;
}

//===----------------------------------------------------------------------===//
// Shapes and layouts
//===----------------------------------------------------------------------===//

/// The names of sizes; null when there are none.
static DimsAttr dimsOf(RankedTensorType type) {
  if (auto blocked = dyn_cast_if_present<BlockedAttr>(type.getEncoding()))
    return blocked.getDims();
  return dyn_cast_if_present<DimsAttr>(type.getEncoding());
}

Layout nn::layoutOf(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  auto blocked = tensor ? dyn_cast_if_present<BlockedAttr>(tensor.getEncoding()) : BlockedAttr();
  return {blocked ? blocked.getSize() : 0};
}

bool nn::hasBlocks(Operation *op) {
  auto isBlocked = [](Type type) { return layoutOf(type).isBlocked(); };
  return llvm::any_of(op->getOperandTypes(), isBlocked) ||
         llvm::any_of(op->getResultTypes(), isBlocked);
}

std::optional<Shape> nn::shapeOf(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return std::nullopt;
  DimsAttr encoding = dimsOf(tensor);
  DimVector dims;
  for (int64_t i = 0; i < tensor.getRank(); ++i) {
    if (!tensor.isDynamicDim(i))
      dims.push_back(Dim(tensor.getDimSize(i)));
    else
      dims.push_back(encoding ? Dim(encoding.getExprs()[i]) : Dim());
  }
  return Shape(std::move(dims));
}

RankedTensorType nn::tensorType(const Shape &shape, Type elementType, Layout layout) {
  SmallVector<int64_t> sizes;
  SmallVector<AffineExpr> exprs;
  for (const Dim &d : shape.dims()) {
    sizes.push_back(d.isStatic() ? d.size() : ShapedType::kDynamic);
    exprs.push_back(d.expr());
  }
  DimsAttr dims;
  if (llvm::any_of(exprs, [](AffineExpr expr) { return static_cast<bool>(expr); }))
    dims = DimsAttr::get(elementType.getContext(), exprs);
  Attribute encoding = dims;
  if (layout.isBlocked())
    encoding = BlockedAttr::get(elementType.getContext(), layout.block, dims);
  return RankedTensorType::get(sizes, elementType, encoding);
}

bool nn::isNone(Value value) { return isa<NoneType>(value.getType()); }

//===----------------------------------------------------------------------===//
// Names of nodes
//===----------------------------------------------------------------------===//

std::string nn::nodeName(Location loc) {
  if (auto name = dyn_cast<NameLoc>(loc))
    return name.getName().str();
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    std::string text;
    for (Location part : fused.getLocations())
      text += (text.empty() ? "" : "+") + nodeName(part);
    return text;
  }
  return "?";
}

Location nn::fusedLocation(ArrayRef<Location> locations) {
  constexpr size_t kMaxNodes = 64;
  llvm::SmallSetVector<Location, 8> nodes;
  for (Location location : locations) {
    auto fused = dyn_cast<FusedLoc>(location);
    for (Location node : fused ? fused.getLocations() : ArrayRef(location))
      if (nodes.size() < kMaxNodes)
        nodes.insert(node);
  }
  return FusedLoc::get(nodes.getArrayRef(), /*metadata=*/{}, locations.front().getContext());
}

std::string nn::nodeContext(StringRef nodeName, StringRef opName) {
  return ("node '" + nodeName + "' (" + opName + ")").str();
}

std::string nn::nodeContext(Operation *op) {
  return nodeContext(nodeName(op->getLoc()), op->getName().getStringRef());
}
