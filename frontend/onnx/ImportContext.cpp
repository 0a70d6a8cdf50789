//===- ImportContext.cpp - what the import of one node works with ---------===//
#include "frontend/onnx/ImportContext.h"

#include "frontend/onnx/ValueTypes.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Operation;
using mlir::Type;
using mlir::Value;
using proto::AttributeProto;

NodeImport::NodeImport(GraphImport &graph, Scope &scope, const proto::NodeProto &node,
                       mlir::Location loc, int64_t opset)
    : graphImport(graph), names(scope), node(node), location(loc), opsetVersion(opset) {
  for (const std::string &name : node.input()) {
    Value value = name.empty() ? Value() : scope.find(name);
    inputs.push_back(value ? value : graph.none);
  }
  // Empty names at the end are operands left out: so the count has one meaning.
  while (!inputs.empty() && nn::isNone(inputs.back()))
    inputs.pop_back();
}

DType NodeImport::inputDType(int i) const {
  auto tensor = mlir::dyn_cast<mlir::TensorType>(input(i).getType());
  return tensor ? nn::dtypeOf(tensor.getElementType()) : DType::Undefined;
}

void NodeImport::setOutput(int i, Value value) {
  if (hasOutput(i) && !failed())
    names.values[node.output(i)] = value;
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

const AttributeProto *NodeImport::find(std::string_view name, AttributeProto::AttributeType type,
                                       bool required) {
  ignoreAttribute(name);
  for (const AttributeProto &attribute : node.attribute()) {
    if (attribute.name() != name)
      continue;
    if (attribute.type() == type)
      return &attribute;
    invalid(fmt::format("attribute '{}': expected {}, found {}", name,
                        AttributeProto::AttributeType_Name(type),
                        AttributeProto::AttributeType_Name(attribute.type())));
    return nullptr;
  }
  if (required)
    invalid(fmt::format("required attribute '{}' is missing", name));
  return nullptr;
}

bool NodeImport::hasAttribute(std::string_view name) {
  return llvm::any_of(node.attribute(),
                      [&](const AttributeProto &attribute) { return attribute.name() == name; });
}

int64_t NodeImport::getInt(std::string_view name, std::optional<int64_t> otherwise) {
  const AttributeProto *found = find(name, AttributeProto::INT, !otherwise);
  return found ? found->i() : otherwise.value_or(0);
}

double NodeImport::getFloat(std::string_view name, std::optional<double> otherwise) {
  const AttributeProto *found = find(name, AttributeProto::FLOAT, !otherwise);
  return found ? found->f() : static_cast<float>(otherwise.value_or(0));
}

double NodeImport::getNumber(std::string_view name, double otherwise) {
  for (const AttributeProto &attribute : node.attribute())
    if (attribute.name() == name && attribute.type() == AttributeProto::INT)
      return static_cast<double>(getInt(name));
  return getFloat(name, otherwise);
}

std::string NodeImport::getString(std::string_view name, std::optional<std::string> otherwise) {
  const AttributeProto *found = find(name, AttributeProto::STRING, !otherwise);
  return found ? found->s() : otherwise.value_or("");
}

std::vector<int64_t> NodeImport::getInts(std::string_view name) {
  const AttributeProto *found = find(name, AttributeProto::INTS, /*required=*/false);
  return found ? std::vector<int64_t>(found->ints().begin(), found->ints().end())
               : std::vector<int64_t>();
}

std::vector<float> NodeImport::getFloats(std::string_view name) {
  const AttributeProto *found = find(name, AttributeProto::FLOATS, /*required=*/false);
  return found ? std::vector<float>(found->floats().begin(), found->floats().end())
               : std::vector<float>();
}

std::vector<std::string> NodeImport::getStrings(std::string_view name) {
  const AttributeProto *found = find(name, AttributeProto::STRINGS, /*required=*/false);
  return found ? std::vector<std::string>(found->strings().begin(), found->strings().end())
               : std::vector<std::string>();
}

const proto::TensorProto *NodeImport::getTensor(std::string_view name) {
  const AttributeProto *found = find(name, AttributeProto::TENSOR, /*required=*/false);
  return found ? &found->t() : nullptr;
}

ValueType NodeImport::getType(std::string_view name) {
  const AttributeProto *found = find(name, AttributeProto::TYPE_PROTO, /*required=*/true);
  if (!found)
    return {};
  if (found->tp().value_case() == proto::TypeProto::VALUE_NOT_SET)
    invalid(fmt::format("attribute '{}' is no type", name));
  Status status = checkType(found->tp(), graphImport.limits);
  if (!status.isOk())
    fail(status.withContext(fmt::format("attribute '{}'", name)));
  return failed() ? ValueType() : quern::onnx::valueTypeOf(found->tp());
}

const proto::GraphProto *NodeImport::getGraph(std::string_view name) {
  const AttributeProto *found = find(name, AttributeProto::GRAPH, /*required=*/true);
  return found ? &found->g() : nullptr;
}

std::optional<std::string> NodeImport::unreadAttribute() const {
  for (const AttributeProto &attribute : node.attribute())
    if (!readAttributes.count(attribute.name()))
      return attribute.name();
  return std::nullopt;
}

void NodeImport::fail(Status error) {
  if (firstError.isOk())
    firstError = std::move(error);
}

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

/// Of float64: no op takes that for sums of smaller types that were asked for.
Type NodeImport::uninferredType() { return mlir::UnrankedTensorType::get(builder().getF64Type()); }

void NodeImport::inferTypes(Operation *op) {
  if (failed())
    return;
  graphImport.diagnostics.clear();
  auto types = mlir::cast<nn::GraphOpInterface>(op).inferResultTypes(nn::TypeFacts());
  if (mlir::failed(types))
    return invalid(graphImport.diagnostics);
  if (types->size() != op->getNumResults())
    return invalid(fmt::format("has {} outputs, expected {}", op->getNumResults(), types->size()));
  for (auto [result, type] : llvm::zip(op->getResults(), *types))
    result.setType(type.type());
}

Value NodeImport::inferred(Operation *op) {
  inferTypes(op);
  return op->getResult(0);
}

mlir::ResultRange NodeImport::createMulti(mlir::OperationState &state, size_t results) {
  state.types.assign(results, uninferredType());
  Operation *op = builder().create(state);
  inferTypes(op);
  return op->getResults();
}

Value NodeImport::createElementwise(const nn::ElementwiseInfo &row, mlir::ValueRange operands,
                                    llvm::ArrayRef<double> params) {
  mlir::OperationState state(loc(), row.opName);
  state.addOperands(operands);
  for (auto [param, value] : llvm::zip(row.params, params))
    state.addAttribute(param.name, builder().getF64FloatAttr(value));
  state.addTypes(uninferredType());
  return inferred(builder().create(state));
}

Value NodeImport::constant(const Tensor &tensor) {
  if (Status status = graphImport.countConstant(tensor.numBytes()); !status.isOk())
    fail(std::move(status));
  return nn::createConstant(builder(), loc(), tensor);
}

Value NodeImport::intsConstant(const std::vector<int64_t> &values) {
  return constant(Tensor::ofInts(values));
}

Value NodeImport::createCast(Value value, DType dtype) {
  return create<nn::CastOp>(value, nn::elementTypeOf(builder().getContext(), dtype));
}

template <typename T> static Tensor scalarOf(double value) {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>)
    return Tensor::of<T>({}, {T(static_cast<float>(value))});
  else
    return Tensor::of<T>({}, {static_cast<T>(value)});
}

Value NodeImport::scalarConstant(double value, DType dtype) {
  switch (dtype) {
  case DType::Float16:
    return constant(scalarOf<Float16>(value));
  case DType::BFloat16:
    return constant(scalarOf<BFloat16>(value));
  case DType::Float64:
    return constant(scalarOf<double>(value));
  case DType::Int32:
    return constant(scalarOf<int32_t>(value));
  case DType::Int64:
    return constant(scalarOf<int64_t>(value));
  case DType::Float32:
    break;
  default:
    unsupported(fmt::format("element type {}", dtypeName(dtype)));
  }
  return constant(scalarOf<float>(value));
}

Value NodeImport::sizeOf(Value tensor, int64_t dimension) {
  if (std::optional<nn::Shape> shape = nn::shapeOf(tensor)) {
    int64_t at = dimension < 0 ? dimension + shape->rank() : dimension;
    if (at >= 0 && at < shape->rank() && (*shape)[at].isStatic())
      return intsConstant({(*shape)[at].size()});
  }
  mlir::IntegerAttr end;
  if (dimension != -1)
    end = builder().getI64IntegerAttr(dimension + 1);
  return create<nn::ShapeOp>(tensor, builder().getI64IntegerAttr(dimension), end);
}

Value NodeImport::createCount(Value count) {
  if (std::optional<nn::Shape> shape = nn::shapeOf(count); !shape || shape->rank() != 0)
    count = create<nn::SqueezeOp>(count, intsConstant({0}));
  return create<nn::RangeOp>(scalarConstant(0, DType::Int64), count,
                             scalarConstant(1, DType::Int64));
}
