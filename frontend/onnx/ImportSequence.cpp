//===- ImportSequence.cpp - sequences and optionals -----------------------===//
#include "frontend/onnx/NodeReader.h"
#include "frontend/onnx/OpsetTable.h"
#include "frontend/onnx/ValueTypes.h"
#include "ir/ControlFlow.h"
#include "ir/SequenceOps.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::onnx;
using mlir::Type;
using mlir::Value;

//===----------------------------------------------------------------------===//
// Operands and results
//===----------------------------------------------------------------------===//

static std::string describe(Type type) { return nn::valueTypeOf(type).describe(); }

/// The type of operand `i` as a sequence; null, with an error, when it is none.
static nn::SequenceType sequenceInput(NodeReader &node, int i) {
  Type type = node.input(i).getType();
  auto sequence = mlir::dyn_cast<nn::SequenceType>(type);
  if (!sequence)
    node.invalid(fmt::format("input {} must be a sequence, found {}", i, describe(type)));
  return sequence;
}

/// An error unless operand `i` is a tensor, or left out.
static void requireTensor(NodeReader &node, int i) {
  if (Type type = node.input(i).getType(); nn::isNestedType(type))
    node.invalid(fmt::format("input {} must be a tensor, found {}", i, describe(type)));
}

/// Builds an op that says the type of its result.
template <typename Op, typename... Args>
static Value createTyped(NodeReader &node, Type type, Args &&...args) {
  return node.builder().create<Op>(node.loc(), type, std::forward<Args>(args)...);
}

static Value emptySequence(NodeReader &node, Type element) {
  auto type = nn::SequenceType::get(element.getContext(), element);
  return createTyped<nn::SequenceOp>(node, type, mlir::ValueRange());
}

/// The type of a sequence of values of both types; null, with an error, when there is none.
static nn::SequenceType sequenceOfBoth(NodeReader &node, Type a, Type b) {
  if (Type wide = nn::joinTypes(a, b))
    return nn::SequenceType::get(wide.getContext(), wide);
  node.invalid(fmt::format("a sequence cannot hold both {} and {}", describe(a), describe(b)));
  return {};
}

//===----------------------------------------------------------------------===//
// Sequences
//===----------------------------------------------------------------------===//

static void importSequenceConstruct(NodeReader &node) {
  Type element = node.input(0).getType();
  for (Value value : node.allInputs()) {
    nn::SequenceType both = sequenceOfBoth(node, element, value.getType());
    if (!both)
      return;
    element = both.getElementType();
  }
  auto type = nn::SequenceType::get(element.getContext(), element);
  node.setOutput(0, createTyped<nn::SequenceOp>(node, type, node.allInputs()));
}

static void importSequenceEmpty(NodeReader &node) {
  int64_t number = node.getInt("dtype", static_cast<int64_t>(DType::Float32));
  Type element;
  if (number > 0 && number <= static_cast<int64_t>(DType::Int4))
    element = nn::elementTypeOf(node.builder().getContext(), static_cast<DType>(number));
  if (!element)
    return node.invalid(fmt::format("attribute 'dtype' is {}, which is no element type", number));
  node.setOutput(0, emptySequence(node, mlir::UnrankedTensorType::get(element)));
}

static void importSequenceInsert(NodeReader &node) {
  // Values that hold each other twice would grow exponentially; ONNX has none.
  requireTensor(node, 1);
  requireTensor(node, 2);
  nn::SequenceType sequence = sequenceInput(node, 0);
  if (node.failed())
    return;
  Type value = node.input(1).getType();
  // An empty one of tensors of any shape says nothing of what it will hold.
  bool isEmpty = false;
  if (auto made = node.input(0).getDefiningOp<nn::SequenceOp>())
    isEmpty = made.getValues().empty() && nn::areCompatible(sequence.getElementType(), value);
  nn::SequenceType type = isEmpty ? nn::SequenceType::get(value.getContext(), value)
                                  : sequenceOfBoth(node, sequence.getElementType(), value);
  if (type)
    node.setOutput(0, createTyped<nn::SequenceSpliceOp>(node, type, node.input(0), node.input(2),
                                                        node.input(1), /*removed=*/0));
}

static void importSequenceErase(NodeReader &node) {
  requireTensor(node, 1);
  nn::SequenceType type = sequenceInput(node, 0);
  if (!node.failed())
    node.setOutput(0, createTyped<nn::SequenceSpliceOp>(node, type, node.input(0), node.input(1),
                                                        mlir::ValueRange(), /*removed=*/1));
}

static void importSequenceAt(NodeReader &node) {
  requireTensor(node, 1);
  sequenceInput(node, 0);
  if (!node.failed())
    node.setOutput(0, node.create<nn::SequenceAtOp>(node.input(0), node.input(1)));
}

static void importSequenceLength(NodeReader &node) {
  if (sequenceInput(node, 0))
    node.setOutput(0, node.create<nn::SequenceLengthOp>(node.input(0)));
}

static void importConcatFromSequence(NodeReader &node) {
  int64_t axis = node.getInt("axis");
  bool newAxis = node.getBool("new_axis", false);
  if (sequenceInput(node, 0) && !node.failed())
    node.setOutput(0, node.create<nn::SequenceConcatOp>(node.input(0), axis, newAxis));
}

/// The type of slices along `axis`: what is not static is left open.
static Type sliceType(NodeReader &node, int64_t axis, bool keepsAxis) {
  Type element = nn::elementTypeOf(node.input(0));
  std::optional<nn::Shape> shape = node.inputShape(0);
  if (!shape)
    return mlir::UnrankedTensorType::get(element);
  if (axis < -shape->rank() || axis >= shape->rank()) {
    node.invalid(
        fmt::format("axis {} is no dimension of a tensor of rank {}", axis, shape->rank()));
    return node.input(0).getType();
  }
  nn::DimVector dims;
  for (const nn::Dim &dim : shape->dims())
    dims.push_back(dim.isStatic() ? dim : nn::Dim());
  auto at = dims.begin() + (axis < 0 ? axis + shape->rank() : axis);
  if (keepsAxis)
    *at = nn::Dim();
  else
    dims.erase(at);
  return nn::tensorType(nn::Shape(std::move(dims)), element);
}

static void importSplitToSequence(NodeReader &node) {
  int64_t axis = node.getInt("axis", 0);
  bool keepDims = node.getBool("keepdims", true);
  Type slice = sliceType(node, axis, keepDims || node.hasInput(1));
  if (node.failed())
    return;
  // The rule of the op checks its operands; it infers nothing.
  auto type = nn::SequenceType::get(slice.getContext(), slice);
  node.setOutput(0, createTyped<nn::SequenceSplitOp>(node, type, node.input(0), node.input(1), axis,
                                                     keepDims));
}

//===----------------------------------------------------------------------===//
// SequenceMap: a loop over positions
//===----------------------------------------------------------------------===//

namespace {
/// The loop that a SequenceMap becomes. Its body gets the values at the position of
/// the iteration, and puts what it makes of them at the end of sequences it carries.
class SequenceMapLoop {
public:
  explicit SequenceMapLoop(NodeReader &node) : node(node) {}

  void import(const proto::GraphProto &body);

private:
  void importBody(const proto::GraphProto &body);
  void readAtPosition();
  void appendResults();

  NodeReader &node;
  mlir::Region region;
  /// What the body yields.
  llvm::SmallVector<Value> made;
  /// The types of the sequences of these.
  llvm::SmallVector<nn::SequenceType> types;
};
} // namespace

/// Imports the body in a block with an argument for each of its inputs.
void SequenceMapLoop::importBody(const proto::GraphProto &body) {
  mlir::Block &block = region.emplaceBlock();
  for (Value input : node.allInputs()) {
    auto sequence = mlir::dyn_cast<nn::SequenceType>(input.getType());
    block.addArgument(sequence ? nn::containedType(sequence.getElementType()) : input.getType(),
                      node.loc());
  }
  if (body.input_size() != static_cast<int>(block.getNumArguments()))
    return node.invalid(fmt::format("the body has {} inputs, expected {}", body.input_size(),
                                    block.getNumArguments()));
  auto yielded = node.graph().importBody(body, node.scope(), block);
  if (!yielded)
    return node.fail(yielded.status());
  made = yielded.take();
  for (auto [i, value] : llvm::enumerate(made)) {
    if (nn::isNestedType(value.getType()))
      return node.invalid(fmt::format("output {} of the body must be a tensor, found {}", i,
                                      describe(value.getType())));
    // Each iteration may make a value of another size.
    Type any = nn::withoutShapes(value.getType());
    types.push_back(nn::SequenceType::get(any.getContext(), any));
  }
}

/// Puts the arguments of a loop in place of those of the body.
void SequenceMapLoop::readAtPosition() {
  mlir::Block &block = region.front();
  mlir::OpBuilder &builder = node.builder();
  mlir::OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&block);
  unsigned count = block.getNumArguments();
  Value position =
      block.addArgument(mlir::RankedTensorType::get({}, builder.getI64Type()), node.loc());
  block.addArgument(mlir::RankedTensorType::get({}, builder.getI1Type()), node.loc());
  for (nn::SequenceType type : types)
    block.addArgument(type, node.loc());
  for (unsigned i = 0; i < count; ++i) {
    Value input = node.allInputs()[i];
    Value seen = input;
    if (mlir::isa<nn::SequenceType>(input.getType()))
      seen = node.create<nn::SequenceAtOp>(input, position);
    block.getArgument(i).replaceAllUsesWith(seen);
    std::replace(made.begin(), made.end(), Value(block.getArgument(i)), seen);
  }
  block.eraseArguments(0, count);
}

void SequenceMapLoop::appendResults() {
  mlir::Block &block = region.front();
  mlir::OpBuilder &builder = node.builder();
  mlir::OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(&block);
  llvm::SmallVector<Value> next = {block.getArgument(1)};
  for (auto [i, value] : llvm::enumerate(made))
    next.push_back(createTyped<nn::SequenceSpliceOp>(node, types[i], block.getArgument(i + 2),
                                                     node.none(), value, /*removed=*/0));
  builder.create<nn::YieldOp>(node.loc(), next);
}

void SequenceMapLoop::import(const proto::GraphProto &body) {
  importBody(body);
  if (node.failed())
    return;
  readAtPosition();
  appendResults();
  mlir::OperationState state(node.loc(), nn::LoopOp::getOperationName());
  state.addOperands({node.create<nn::SequenceLengthOp>(node.input(0)), node.none()});
  for (nn::SequenceType type : types)
    state.addOperands(emptySequence(node, type.getElementType()));
  state.addRegion()->takeBody(region);
  mlir::ResultRange results = node.createMulti(state, types.size());
  if (node.outputCount() > static_cast<int>(results.size()))
    return node.invalid(
        fmt::format("has {} outputs, the body gives {}", node.outputCount(), results.size()));
  for (int i = 0; i < node.outputCount(); ++i)
    node.setOutput(i, results[static_cast<size_t>(i)]);
}

static void importSequenceMap(NodeReader &node) {
  const proto::GraphProto *body = node.getGraph("body");
  if (body && sequenceInput(node, 0))
    SequenceMapLoop(node).import(*body);
}

//===----------------------------------------------------------------------===//
// Optionals
//===----------------------------------------------------------------------===//

static void importOptional(NodeReader &node) {
  Type content;
  if (node.hasInput(0)) {
    content = node.input(0).getType();
    node.ignoreAttribute("type");
  } else {
    auto declared = node.getType("type");
    if (node.failed())
      return;
    content = nn::mlirTypeOf(node.builder().getContext(), declared);
  }
  auto type = nn::OptionalType::get(content.getContext(), content);
  node.setOutput(
      0, createTyped<nn::OptionalOp>(node, type, node.hasInput(0) ? node.input(0) : Value()));
}

/// What is no optional has an element.
static void importOptionalHasElement(NodeReader &node) {
  if (mlir::isa<nn::OptionalType>(node.input(0).getType()))
    return node.setOutput(0, node.create<nn::OptionalHasOp>(node.input(0)));
  node.setOutput(0, node.constant(Tensor::of<bool>({}, {node.hasInput(0)})));
}

static void importOptionalGetElement(NodeReader &node) {
  if (!mlir::isa<nn::OptionalType>(node.input(0).getType()))
    return node.setOutput(0, node.input(0));
  node.setOutput(0, node.create<nn::OptionalGetOp>(node.input(0)));
}

std::span<const OpsetRow> quern::onnx::sequenceImports() {
  constexpr bool kTakesAnyValue = true;
  static constexpr OpsetRow rows[] = {
      {"ConcatFromSequence", 11, kNewestOpset, 1, 1, 1, importConcatFromSequence, "",
       kTakesAnyValue},
      {"Optional", 15, kNewestOpset, 0, 1, 1, importOptional, "", kTakesAnyValue},
      {"OptionalGetElement", 15, kNewestOpset, 1, 1, 1, importOptionalGetElement, "",
       kTakesAnyValue},
      {"OptionalHasElement", 15, kNewestOpset, 0, 1, 1, importOptionalHasElement, "",
       kTakesAnyValue},
      {"SequenceAt", 11, kNewestOpset, 2, 2, 1, importSequenceAt, "", kTakesAnyValue},
      {"SequenceConstruct", 11, kNewestOpset, 1, kVariadic, 1, importSequenceConstruct},
      {"SequenceEmpty", 11, kNewestOpset, 0, 0, 1, importSequenceEmpty},
      {"SequenceErase", 11, kNewestOpset, 1, 2, 1, importSequenceErase, "", kTakesAnyValue},
      {"SequenceInsert", 11, kNewestOpset, 2, 3, 1, importSequenceInsert, "", kTakesAnyValue},
      {"SequenceLength", 11, kNewestOpset, 1, 1, 1, importSequenceLength, "", kTakesAnyValue},
      {"SequenceMap", 17, kNewestOpset, 1, kVariadic, kVariadic, importSequenceMap, "",
       kTakesAnyValue},
      {"SplitToSequence", 11, kNewestOpset, 1, 2, 1, importSplitToSequence},
  };
  return rows;
}
