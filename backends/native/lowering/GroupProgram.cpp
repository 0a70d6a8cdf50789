//===- GroupProgram.cpp - the scalar program of a fusion group ------------===//
#include "backends/native/lowering/GroupProgram.h"

#include "backends/native/emit/ElementTypes.h"
#include "backends/native/lowering/Lowering.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/Constants.h"
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "ir/QuantOps.h"
#include "ir/Types.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"

#include <cmath>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

static bool isHalf(DType dtype) { return dtype == DType::Float16 || dtype == DType::BFloat16; }

/// Types that programs compute with or, the halves, load and store.
static bool isProgramType(DType dtype) {
  return isArithmetic(dtype) || isHalf(dtype) || dtype == DType::Bool;
}

namespace {
/// Translates the ops that the results of a group depend on.
class ProgramWriter {
public:
  ProgramWriter(Operation *group, Operation *anchor) : group(group), anchor(anchor) {}

  ReasonOr<GroupProgram, Misfit> write(ValueRange results);
  /// Makes `value` the next input.
  void read(Value value) { addInput(value, dtypeOfValue(value)); }

private:
  void collect(Value value);
  void addInput(Value inner, DType dtype);
  void addTable(Value table);
  void writeLookup(nn::ByteLookupOp op);
  std::optional<Reason> writeOp(Operation *op);
  Operation *misfitAt(Operation *op) const;
  std::optional<Reason> writeConstant(nn::ConstantOp op);
  std::optional<Reason> writeCast(nn::CastOp op);
  /// `value` becomes bytes.
  void noteZeroPoint(int value);
  void noteFraction(int value);
  void writeElementwise(nn::ElementwiseOpInterface op);
  int append(ScalarProgram::Op op);
  /// Value number `value` converted to `to`.
  int convert(int value, DType to);

  Operation *group, *anchor;
  GroupProgram result;
  llvm::SmallSetVector<Operation *, 16> needed;
  /// Numbers of inner values, and of the outer values that inputs stand for.
  llvm::SmallDenseMap<Value, int, 16> numbers, inputNumbers;
  /// Those of tables, which are inputs of their own, whatever else reads them.
  llvm::SmallDenseMap<Value, int, 2> tableNumbers;
};
} // namespace

/// The values that a group computes: the operands of its yield, or a bare op's results.
static SmallVector<Value> innerResults(Operation *group) {
  if (auto op = dyn_cast<nn::GroupOp>(group))
    return SmallVector<Value>(op.getBody().front().getTerminator()->getOperands());
  return SmallVector<Value>(group->getResults());
}

/// Collects, operands first, the ops between the inputs and `value`.
void ProgramWriter::collect(Value value) {
  Operation *op = value.getDefiningOp();
  bool isInside = op && (op == group || op->getParentOp() == group);
  if (op == anchor && anchor) {
    addInput(value, dtypeOfValue(value));
    return;
  }
  if (!isInside) {
    addInput(value, dtypeOfValue(value));
    return;
  }
  if (needed.contains(op))
    return;
  for (OpOperand &operand : op->getOpOperands())
    if (nn::isTable(op, operand.getOperandNumber()))
      addTable(operand.get());
    else
      collect(operand.get());
  needed.insert(op);
}

void ProgramWriter::addTable(Value table) {
  if (!tableNumbers.try_emplace(table, result.inputs.size()).second)
    return;
  result.inputs.push_back(nn::outerValue(group, table));
  result.program.inputs.push_back(dtypeOfValue(table));
}

void ProgramWriter::addInput(Value inner, DType dtype) {
  Value outer = nn::outerValue(group, inner);
  auto [at, isNew] = inputNumbers.try_emplace(outer, result.inputs.size());
  if (isNew) {
    result.inputs.push_back(outer);
    result.program.inputs.push_back(dtype);
  }
  numbers[inner] = at->second;
}

int ProgramWriter::append(ScalarProgram::Op op) {
  ScalarProgram &program = result.program;
  program.ops.push_back(std::move(op));
  return static_cast<int>(program.inputs.size() + program.ops.size()) - 1;
}

int ProgramWriter::convert(int value, DType to) {
  DType from = result.program.typeOf(value);
  if (from == to)
    return value;
  ScalarProgram::Op cast;
  cast.name = "nn.cast";
  cast.args = {value};
  cast.operandType = from;
  cast.resultType = to;
  return append(std::move(cast));
}

std::optional<Reason> ProgramWriter::writeConstant(nn::ConstantOp op) {
  std::optional<Tensor> tensor = nn::constantTensor(op.getResult());
  if (!tensor || tensor->numElements() != 1)
    return Reason{ReasonCode::Shape, "the group holds a constant that is no scalar"};
  ScalarProgram::Op constant;
  constant.name = "constant";
  constant.operandType = constant.resultType = tensor->dtype();
  auto dense = cast<DenseElementsAttr>(op.getValue());
  if (isFloat(tensor->dtype())) {
    APFloat value = *dense.value_begin<APFloat>();
    bool inexact = false;
    value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &inexact);
    constant.floatValue = value.convertToDouble();
    if (isHalf(tensor->dtype()))
      constant.resultType = DType::Float32;
  } else if (tensor->dtype() == DType::Bool) {
    constant.intValue = *dense.value_begin<bool>();
  } else {
    APInt value = *dense.value_begin<APInt>();
    constant.intValue = isSignedInteger(tensor->dtype())
                            ? value.getSExtValue()
                            : static_cast<int64_t>(value.getZExtValue());
  }
  numbers[op.getResult()] = append(std::move(constant));
  return std::nullopt;
}

std::optional<Reason> ProgramWriter::writeCast(nn::CastOp op) {
  int value = numbers[op.getInput()];
  DType from = result.program.typeOf(value), to = dtypeOfValue(op.getResult());
  bool needsTwoRoundings =
      isHalf(to) && from != DType::Float32 &&
      (from == DType::Float64 || (to == DType::BFloat16 && dtypeBits(from) > 16));
  if (needsTwoRoundings)
    return Reason{ReasonCode::Rounding, "a cast from " + std::string(dtypeName(from)) + " to " +
                                            std::string(dtypeName(to)) + " would round twice"};
  if (isHalf(from) || isHalf(to))
    value = convert(value, DType::Float32);
  if (to == DType::UInt8 || to == DType::Int8) {
    noteZeroPoint(value);
    noteFraction(value);
  }
  numbers[op.getResult()] = convert(value, to);
  return std::nullopt;
}

/// Code may add a zero point to integers if it is known to be one.
void ProgramWriter::noteZeroPoint(int value) {
  ScalarProgram &program = result.program;
  int op = value - static_cast<int>(program.inputs.size());
  if (op < 0 || program.ops[op].name != "nn.add")
    return;
  int zero = program.ops[op].args[1];
  if (zero >= static_cast<int>(result.inputs.size()) ||
      llvm::is_contained(program.wholeInputs, zero) || program.inputs[zero] != DType::Float32)
    return;
  std::optional<double> number = nn::onlyReal(result.inputs[zero]);
  if (number && *number == std::nearbyint(*number) && *number >= INT8_MIN && *number <= UINT8_MAX)
    program.wholeInputs.push_back(zero);
}

static bool areFractions(Value value) {
  std::optional<Tensor> tensor = nn::constantTensor(value);
  if (!tensor || tensor->dtype() != DType::Float32)
    return false;
  auto numbers = ArrayRef(tensor->data<float>(), static_cast<size_t>(tensor->numElements()));
  return llvm::all_of(numbers, [](float number) { return std::abs(number) < 1; });
}

/// Code need not bound sums before they become integers again if their scales are small. `value` is
/// what becomes a byte: the rounded sums, or those moved by a zero point.
void ProgramWriter::noteFraction(int value) {
  ScalarProgram &program = result.program;
  auto opOf = [&](int number, StringRef name) -> const ScalarProgram::Op * {
    int op = number - static_cast<int>(program.inputs.size());
    return op >= 0 && program.ops[op].name == name ? &program.ops[op] : nullptr;
  };
  if (const ScalarProgram::Op *add = opOf(value, "nn.add"))
    value = add->args[0];
  const ScalarProgram::Op *round = opOf(value, "nn.round");
  const ScalarProgram::Op *mul = round ? opOf(round->args[0], "nn.mul") : nullptr;
  for (int factor : mul ? ArrayRef(mul->args) : ArrayRef<int>())
    if (factor < static_cast<int>(result.inputs.size()) &&
        !llvm::is_contained(program.fractions, factor) && areFractions(result.inputs[factor]))
      program.fractions.push_back(factor);
}

void ProgramWriter::writeElementwise(nn::ElementwiseOpInterface op) {
  ScalarProgram::Op row;
  row.name = op.info().opName;
  for (Value operand : op->getOperands()) {
    int value = numbers[operand];
    if (isHalf(result.program.typeOf(value)))
      value = convert(value, DType::Float32);
    row.args.push_back(value);
  }
  DType declared = dtypeOfValue(op->getResult(0));
  row.operandType = result.program.typeOf(row.args.back());
  // As the code has them, so that equal code has equal specs.
  for (double p : op.getParams())
    row.params.push_back(row.operandType == DType::Float32 ? static_cast<float>(p) : p);
  row.resultType = isHalf(declared) ? DType::Float32 : declared;
  int value = append(std::move(row));
  numbers[op->getResult(0)] = convert(value, declared);
}

void ProgramWriter::writeLookup(nn::ByteLookupOp op) {
  ScalarProgram::Op row;
  row.name = "nn.byte_lookup";
  row.args = {numbers[op.getX()], tableNumbers[op.getTable()]};
  row.operandType = row.resultType = dtypeOfValue(op.getResult());
  numbers[op.getResult()] = append(std::move(row));
}

/// Where the group is to be cut for `op`: a constant goes with what reads it.
Operation *ProgramWriter::misfitAt(Operation *op) const {
  if (op == group)
    return nullptr;
  return isa<nn::ConstantOp>(op) ? firstReader(group, op->getResult(0)) : op;
}

std::optional<Reason> ProgramWriter::writeOp(Operation *op) {
  for (Value v : op->getResults())
    if (!isa<TensorType>(v.getType()) || !isProgramType(dtypeOfValue(v)))
      return Reason{ReasonCode::ElementType, "no native code for elements of this type"};
  if (auto constant = dyn_cast<nn::ConstantOp>(op))
    return writeConstant(constant);
  if (auto cast = dyn_cast<nn::CastOp>(op))
    return writeCast(cast);
  if (auto lookup = dyn_cast<nn::ByteLookupOp>(op)) {
    writeLookup(lookup);
    return std::nullopt;
  }
  auto row = dyn_cast<nn::ElementwiseOpInterface>(op);
  if (!row)
    return Reason{ReasonCode::Form, op->getName().getStringRef().str() + " is not elementwise"};
  writeElementwise(row);
  return std::nullopt;
}

Operation *native::firstReader(Operation *op, Value value) {
  auto group = dyn_cast<nn::GroupOp>(op);
  if (!group)
    return nullptr;
  auto reads = [&](Value operand) { return nn::outerValue(group, operand) == value; };
  for (Operation &inner : group.getBody().front().without_terminator())
    if (!nn::isAnchor(nn::fusionKindOf(&inner)) && llvm::any_of(inner.getOperands(), reads))
      return &inner;
  return nullptr;
}

ReasonOr<GroupProgram, Misfit> ProgramWriter::write(ValueRange results) {
  for (Value v : results)
    collect(v);
  for (auto [value, dtype] : llvm::zip_equal(result.inputs, result.program.inputs))
    if (!isProgramType(dtype))
      return Misfit(noCodeFor(dtype), firstReader(group, value));
  for (Operation *op : needed)
    if (std::optional<Reason> reason = writeOp(op))
      return Misfit(*reason, misfitAt(op));
  for (Value v : results)
    result.program.results.push_back(convert(numbers[v], dtypeOfValue(v)));
  return std::move(result);
}

ReasonOr<GroupProgram, Misfit> native::buildGroupProgram(Operation *group, Operation *anchor) {
  ProgramWriter writer(group, anchor);
  if (anchor)
    writer.read(anchor->getResult(0));
  return writer.write(innerResults(group));
}

/// The value from outside from which `value` is computed element by element, beside numbers.
static Value tensorBehind(Operation *group, Value value) {
  auto isNumber = [](Value operand) {
    std::optional<nn::Shape> shape = nn::shapeOf(operand.getType());
    return shape && llvm::all_of(shape->dims(), [](const nn::Dim &d) { return d.isStatic(1); });
  };
  while (Operation *op = value.getDefiningOp()) {
    if (op->getParentOp() != group)
      break;
    auto tensor = llvm::find_if(op->getOpOperands(), [&](OpOperand &operand) {
      return !nn::isTable(op, operand.getOperandNumber()) && !isNumber(operand.get());
    });
    if (tensor == op->getOpOperands().end())
      break;
    value = tensor->get();
  }
  return value;
}

ReasonOr<GroupProgram, Misfit> native::buildPrologue(Operation *group, Operation *anchor) {
  Value operand = anchor->getOperand(0);
  ProgramWriter writer(group, /*anchor=*/nullptr);
  writer.read(tensorBehind(group, operand));
  return writer.write(operand);
}

void native::addInputs(const GroupProgram &prologue, LoweredStep &step) {
  for (Value input : ArrayRef(prologue.inputs).drop_front())
    step.buffers.push_back(StepBuffer::of(input));
}
