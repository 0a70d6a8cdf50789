//===- RecurrentOps.cpp - rules of recurrent networks ---------------------===//
#include "ir/RecurrentOps.h"
#include "ir/TypeRules.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

//===----------------------------------------------------------------------===//
// Enumerations in IR
//===----------------------------------------------------------------------===//

template <typename E> static constexpr int64_t kCount = std::size(kEnumNames<E>);

template <typename E> static ParseResult parseName(OpAsmParser &parser, int64_t &number) {
  StringRef name;
  SMLoc where = parser.getCurrentLocation();
  if (parser.parseKeyword(&name))
    return failure();
  std::optional<E> value = enumNamed<E>(name);
  if (!value)
    return parser.emitError(where)
           << "must be one of " << llvm::join(ArrayRef(kEnumNames<E>), ", ") << ", found " << name;
  number = static_cast<int64_t>(*value);
  return success();
}

template <typename E> static ParseResult parseNumber(OpAsmParser &parser, IntegerAttr &attr) {
  int64_t number = 0;
  if (parseName<E>(parser, number))
    return failure();
  attr = parser.getBuilder().getI64IntegerAttr(number);
  return success();
}

/// The name of a number, which in IR that does not verify may be any.
template <typename E> static StringRef nameOfNumber(int64_t number) {
  return number >= 0 && number < kCount<E> ? StringRef(kEnumNames<E>[number]) : "unknown";
}

static ParseResult parseCellKind(OpAsmParser &parser, IntegerAttr &attr) {
  return parseNumber<CellKind>(parser, attr);
}
static void printCellKind(OpAsmPrinter &printer, Operation *, IntegerAttr attr) {
  printer << nameOfNumber<CellKind>(attr.getInt());
}
static ParseResult parseDirection(OpAsmParser &parser, IntegerAttr &attr) {
  return parseNumber<RecurrentDirection>(parser, attr);
}
static void printDirection(OpAsmPrinter &printer, Operation *, IntegerAttr attr) {
  printer << nameOfNumber<RecurrentDirection>(attr.getInt());
}

static ParseResult parseActivations(OpAsmParser &parser, DenseI64ArrayAttr &attr) {
  SmallVector<int64_t> numbers;
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
        return parseName<CellActivation>(parser, numbers.emplace_back());
      }))
    return failure();
  attr = parser.getBuilder().getDenseI64ArrayAttr(numbers);
  return success();
}
static void printActivations(OpAsmPrinter &printer, Operation *, DenseI64ArrayAttr attr) {
  printer << "[";
  llvm::interleaveComma(attr.asArrayRef(), printer.getStream(),
                        [&](int64_t number) { printer << nameOfNumber<CellActivation>(number); });
  printer << "]";
}

//===----------------------------------------------------------------------===//
// The shape rule
//===----------------------------------------------------------------------===//

static LogicalResult verifyChoices(RecurrentOp op) {
  if (op.getCell() < 0 || op.getCell() >= kCount<CellKind> || op.getDirection() < 0 ||
      op.getDirection() >= kCount<RecurrentDirection>)
    return op.emitOpError("is of an unknown cell or direction");
  int64_t wanted = activationsOf(op.cellKind()) * directionsOf(op.directionKind());
  auto found = static_cast<int64_t>(op.getActivations().size());
  if (found != wanted || static_cast<int64_t>(op.getAlpha().size()) != wanted ||
      static_cast<int64_t>(op.getBeta().size()) != wanted)
    return op.emitOpError("needs ")
           << wanted << " activations, with alpha and beta each, found " << found;
  for (int64_t activation : op.getActivations())
    if (activation < 0 || activation >= kCount<CellActivation>)
      return op.emitOpError("is of an unknown activation");
  bool isLstm = op.cellKind() == CellKind::Lstm;
  if (!isLstm && (!isNone(op.getInitialC()) || !isNone(op.getPeepholes())))
    return op.emitOpError("has a cell state or peepholes, but is no LSTM");
  if (!isNone(op.getBias()) && (op.cellKind() != CellKind::Gru || !op.getLinearBeforeReset()))
    return op.emitOpError("has a bias, but is no GRU that is linear before its reset");
  if (op.getCellClip() && !(isLstm && op.getCellClip()->convertToDouble() >= 0))
    return op.emitOpError("has a negative bound of c, or is no LSTM");
  if (static_cast<int64_t>(op.getNumResults()) != (isLstm ? 3 : 2))
    return op.emitOpError("must have ")
           << (isLstm ? 3 : 2) << " results, found " << op.getNumResults();
  return success();
}

static LogicalResult verifyElements(RecurrentOp op) {
  if (failed(requireFloats(op, op.getInput(), "input")))
    return failure();
  Type type = elementTypeOf(op.getInput()), factors = elementTypeOf(op.getRecurrence());
  bool isNarrow = type.isF32() && (factors.isBF16() || factors.isF16());
  if (!isNarrow && failed(requireSameElements(op, op.getRecurrence(), "recurrence", op.getInput())))
    return failure();
  std::pair<Value, StringRef> floats[] = {{op.getBias(), "bias"},
                                          {op.getInitialH(), "initial_h"},
                                          {op.getInitialC(), "initial_c"},
                                          {op.getPeepholes(), "peepholes"}};
  for (auto [operand, name] : floats)
    if (failed(requireSameElements(op, operand, name, op.getInput())))
      return failure();
  if (!isNone(op.getLengths()) && !elementTypeOf(op.getLengths()).isSignlessInteger(32))
    return op.emitOpError("lengths must hold int32, found ") << elementTypeOf(op.getLengths());
  return success();
}

/// Fails unless an operand, where it is given and its shape is known, has these sizes.
static LogicalResult verifySizes(const ShapeFacts &facts, Operation *op, Value operand,
                                 StringRef name, ArrayRef<Dim> wanted) {
  std::optional<Shape> shape = facts.shapeOf(operand);
  if (!shape)
    return success();
  auto rank = static_cast<int64_t>(wanted.size());
  if (shape->rank() != rank)
    return op->emitOpError() << name << " must have rank " << rank << ", found " << shape->rank();
  for (int64_t i = 0; i < rank; ++i)
    if (failed(requireDim(op, (*shape)[i], wanted[i], "dimension " + Twine(i) + " of " + name)))
      return failure();
  return success();
}

InferredTypes RecurrentOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(verifyChoices(*this)) || failed(verifyElements(*this)))
    return failure();
  Dim steps, batch, hidden, directions(directionsOf(directionKind())), gates(gatesOf(cellKind()));
  if (std::optional<Shape> shape = facts.shapeOf(getInput()); shape && shape->rank() == 3) {
    steps = (*shape)[0];
    batch = (*shape)[1];
  }
  if (std::optional<Shape> shape = facts.shapeOf(getRecurrence()); shape && shape->rank() == 3)
    hidden = (*shape)[2];
  Dim ofInput = directions * gates * hidden;
  if (failed(verifySizes(facts, *this, getInput(), "input", {Dim(), Dim(), ofInput})) ||
      failed(verifySizes(facts, *this, getRecurrence(), "recurrence",
                         {directions, gates * hidden, hidden})) ||
      failed(verifySizes(facts, *this, getBias(), "bias", {directions, hidden})) ||
      failed(verifySizes(facts, *this, getLengths(), "lengths", {batch})) ||
      failed(verifySizes(facts, *this, getInitialH(), "initial_h", {directions, batch, hidden})) ||
      failed(verifySizes(facts, *this, getInitialC(), "initial_c", {directions, batch, hidden})) ||
      failed(verifySizes(facts, *this, getPeepholes(), "peepholes", {directions, Dim(3) * hidden})))
    return failure();
  Type elementType = elementTypeOf(getInput());
  InferredTypes results =
      rankedResult(*this, Shape({steps, directions, batch, hidden}), elementType);
  for (size_t i = 1; succeeded(results) && i < getNumResults(); ++i)
    results->push_back({elementType, Shape({directions, batch, hidden})});
  return results;
}

#define GET_OP_CLASSES
#include "ir/RecurrentOps.cpp.inc"

void NNDialect::registerRecurrentOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/RecurrentOps.cpp.inc"
      >();
}
