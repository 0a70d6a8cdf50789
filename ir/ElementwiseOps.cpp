//===- ElementwiseOps.cpp - rows of elementwise ops -----------------------===//
#include "ir/NNDialect.h"
#include "ir/Types.h"

#include <cmath>

using namespace mlir;
using namespace quern;
using namespace quern::nn;

namespace {
enum ElementClasses { kFloatClass = 1, kSignedClass = 2, kUnsignedClass = 4, kBoolClass = 8 };

template <typename T> T load(Scalar s) {
  if constexpr (std::is_same_v<T, double>)
    return s.f;
  else if constexpr (std::is_same_v<T, int64_t>)
    return s.i;
  else
    return static_cast<T>(s.u);
}

Scalar store(double v) { return {.f = v}; }
Scalar store(int64_t v) { return {.i = v}; }
Scalar store(uint64_t v) { return {.u = v}; }
Scalar store(bool v) { return {.u = v}; }

/// Adapts `Op::evalScalar<T>` to the untyped signature.
template <typename Op, unsigned arity, typename T>
Scalar evalAs(const Scalar *args, const double *params) {
  T values[arity];
  for (unsigned i = 0; i < arity; ++i)
    values[i] = load<T>(args[i]);
  return store(Op::evalScalar(values, params));
}

template <typename Op, unsigned arity, unsigned classes> ScalarFunctions makeScalarFunctions() {
  ScalarFunctions f;
  if constexpr (classes & kFloatClass)
    f.onFloat = evalAs<Op, arity, double>;
  if constexpr (classes & kSignedClass)
    f.onSigned = evalAs<Op, arity, int64_t>;
  if constexpr (classes & kUnsignedClass)
    f.onUnsigned = evalAs<Op, arity, uint64_t>;
  if constexpr (classes & kBoolClass)
    f.onBool = evalAs<Op, arity, bool>;
  return f;
}
} // namespace

FailureOr<SmallVector<Type>> nn::detail::inferElementwiseTypes(Operation *op,
                                                               const ElementwiseInfo &info) {
  // The last operand is a data operand also in `where`, whose first is bool.
  Type last = op->getOperand(op->getNumOperands() - 1).getType();
  Type elementType = info.result == ResultElement::Bool
                         ? Type(IntegerType::get(op->getContext(), 1))
                         : cast<TensorType>(last).getElementType();
  std::optional<Shape> shape;
  for (Value operand : op->getOperands()) {
    std::optional<Shape> next = shapeOf(operand.getType());
    if (!next)
      return SmallVector<Type>{UnrankedTensorType::get(elementType)};
    if (!shape) {
      shape = next;
      continue;
    }
    auto broadcast = broadcastShapes(*shape, *next);
    if (!broadcast)
      return op->emitOpError(broadcast.status().message());
    shape = broadcast.take();
  }
  return SmallVector<Type>{tensorType(*shape, elementType)};
}

#define GET_OP_CLASSES
#include "ir/NNOps.cpp.inc"

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
#include "ir/NNOps.cpp.inc"
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
