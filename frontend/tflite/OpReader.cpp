//===- OpReader.cpp - what the import of one op works with ----------------===//
#include "frontend/tflite/OpReader.h"

#include "frontend/compose/Composition.h"
#include "ir/QuantOps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::tflite;
using mlir::Value;

//===----------------------------------------------------------------------===//
// Scales
//===----------------------------------------------------------------------===//

/// Integers that stand for real numbers. Others (indices, sizes) may have scales, too: converters
/// leave them there.
static bool canBeQuantized(DType dtype) {
  return dtype == DType::Int8 || dtype == DType::UInt8 || dtype == DType::Int16 ||
         dtype == DType::Int32 || dtype == DType::Int64 || dtype == DType::Int4 ||
         dtype == DType::Int2 || dtype == DType::UInt4;
}

Expected<std::optional<Scales>> tflite::readScales(const file::Tensor &tensor) {
  const file::Quantization *quantization = tensor.quantization();
  if (!quantization || !canBeQuantized(dtypeOf(tensor.type())))
    return std::optional<Scales>();
  if (quantization->details_type() != 0)
    return unsupported("quantization that is blockwise or custom");
  if (!quantization->scale() || quantization->scale()->size() == 0)
    return std::optional<Scales>();
  Scales scales{{quantization->scale()->begin(), quantization->scale()->end()}, {}};
  if (quantization->zero_point())
    scales.zeroPoint.assign(quantization->zero_point()->begin(), quantization->zero_point()->end());
  if (scales.zeroPoint.empty())
    scales.zeroPoint = {0};
  if (!std::ranges::all_of(scales.scale, [](float s) { return std::isfinite(s) && s > 0; }))
    return invalidModel("a scale is not a positive number");
  if (scales.zeroPoint.size() != 1 && scales.zeroPoint.size() != scales.scale.size())
    return invalidModel(
        fmt::format("{} scales with {} zero points", scales.scale.size(), scales.zeroPoint.size()));
  scales.dimension = quantization->dimension();
  size_t rank = tensor.shape() ? tensor.shape()->size() : 0;
  if (scales.scale.size() == 1)
    scales.dimension = 0;
  else if (scales.dimension < 0 || static_cast<size_t>(scales.dimension) >= rank ||
           tensor.shape()->Get(static_cast<flatbuffers::uoffset_t>(scales.dimension)) !=
               static_cast<int64_t>(scales.scale.size()))
    return invalidModel(
        fmt::format("{} scales do not fit dimension {}", scales.scale.size(), scales.dimension));
  // All are the same: one that stands for all of them serves more ops.
  if (std::ranges::all_of(scales.zeroPoint, [&](int64_t z) { return z == scales.zeroPoint[0]; }))
    scales.zeroPoint.resize(1);
  return std::optional(std::move(scales));
}

Value OpReader::scaleConstant(const Scales &scales) {
  auto count = static_cast<int64_t>(scales.scale.size());
  return constant(
      Tensor::of<float>(count == 1 ? Tensor::Dims{} : Tensor::Dims{count}, scales.scale));
}

Value OpReader::zeroConstant(const Scales &scales, DType dtype) {
  if (scales.zeroPoint.size() == 1 && scales.zeroPoint[0] == 0)
    return none();
  std::vector<int32_t> points(scales.zeroPoint.begin(), scales.zeroPoint.end());
  points.resize(scales.scale.size(), points[0]);
  auto count = static_cast<int64_t>(points.size());
  Value wide =
      constant(Tensor::of<int32_t>(count == 1 ? Tensor::Dims{} : Tensor::Dims{count}, points));
  return convert(*this, wide, dtype);
}

/// Integers of 64 bits are biases, [M], beside activations of 16: nn.dequantize has none of them.
Value OpReader::dequantized(Value value, const Scales &scales) {
  if (frontend::dtypeOf(value) == DType::Int64)
    return create<nn::MulOp>(createCast(value, DType::Float32), scaleConstant(scales));
  return create<nn::DequantizeOp>(value, scaleConstant(scales),
                                  zeroConstant(scales, frontend::dtypeOf(value)),
                                  builder().getF32Type(), scales.dimension);
}

std::optional<Scales> OpReader::scalesOf(int i) const {
  return hasInput(i) ? *readScales(inputTensor(i)) : std::nullopt;
}

std::optional<Scales> OpReader::outputScales(int i) const {
  return hasOutput(i) ? *readScales(outputTensor(i)) : std::nullopt;
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

static bool isComplex(DType dtype) {
  return dtype == DType::Complex64 || dtype == DType::Complex128;
}

Value OpReader::stored(int i) {
  if (!hasInput(i))
    return none();
  Value value = graph.values[static_cast<size_t>(op.inputs()->Get(i))];
  if (!value) {
    invalid(fmt::format("input {} is computed by no op before it", i));
    return none();
  }
  return value;
}

Value OpReader::real(int i) {
  Value value = stored(i);
  std::optional<Scales> scales = scalesOf(i);
  if (hasInput(i) && isComplex(dtypeOf(inputTensor(i).type())))
    inputDType(i); // an error
  return scales && !failed() ? dequantized(value, *scales) : value;
}

DType OpReader::knownDType(const file::Tensor &tensor) {
  DType dtype = dtypeOf(tensor.type());
  if (dtype != DType::Undefined && dtype != DType::String && !isComplex(dtype))
    return dtype;
  unsupported(fmt::format("elements of type {}", file::EnumNameTensorType(tensor.type())));
  return DType::Float32;
}

DType OpReader::inputDType(int i) {
  return hasInput(i) ? knownDType(inputTensor(i)) : DType::Undefined;
}

DType OpReader::outputDType(int i) {
  return hasOutput(i) ? knownDType(outputTensor(i)) : DType::Float32;
}

int64_t OpReader::rankOf(int i) {
  std::optional<nn::Shape> shape = inputShape(i);
  if (!shape)
    unsupported(fmt::format("input {} of unknown rank", i));
  return shape ? shape->rank() : 0;
}

/// More than any op has dimensions or results: elements, not sizes.
static constexpr int64_t kMostIntegers = 4096;

std::optional<std::vector<int64_t>> OpReader::constants(int i) {
  std::optional<Tensor> tensor;
  if (hasInput(i))
    tensor = nn::constantTensor(stored(i));
  if (!tensor || tensor->numElements() > kMostIntegers)
    return std::nullopt;
  if (tensor->dtype() == DType::Int64)
    return std::vector(tensor->data<int64_t>(), tensor->data<int64_t>() + tensor->numElements());
  if (tensor->dtype() == DType::Int32)
    return std::vector<int64_t>(tensor->data<int32_t>(),
                                tensor->data<int32_t>() + tensor->numElements());
  return std::nullopt;
}

std::vector<int64_t> OpReader::requireConstants(int i, const char *what) {
  std::optional<std::vector<int64_t>> found = constants(i);
  if (!found)
    unsupported(fmt::format("{} that a run computes", what));
  return found.value_or(std::vector<int64_t>());
}

Value OpReader::sizes(int i) {
  Value value = stored(i);
  if (std::optional<std::vector<int64_t>> known = constants(i))
    return intsConstant(*known);
  value = convert(*this, value, DType::Int64);
  std::optional<nn::Shape> shape = nn::shapeOf(value);
  bool isVector = shape && shape->rank() == 1;
  return isVector || failed() ? value : create<nn::ReshapeOp>(value, intsConstant({-1}), false);
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

/// The sizes that the file says; -1 for those that may change.
static std::vector<int64_t> declaredDims(const file::Tensor &tensor) {
  const auto *shape = tensor.shape(), *open = tensor.shape_signature();
  if (shape && open && open->size() == shape->size())
    shape = open;
  return shape ? std::vector<int64_t>(shape->begin(), shape->end()) : std::vector<int64_t>();
}

std::vector<int64_t> OpReader::outputDims(int i) const {
  return hasOutput(i) ? declaredDims(outputTensor(i)) : std::vector<int64_t>();
}

void OpReader::setStored(int i, Value value) {
  if (!failed() && hasOutput(i))
    graph.values[static_cast<size_t>(op.outputs()->Get(i))] = value;
}

void OpReader::setReal(int i, Value value) {
  DType wanted = outputDType(i);
  if (failed() || !hasOutput(i))
    return;
  std::optional<Scales> scales = outputScales(i);
  bool isReal = isFloat(frontend::dtypeOf(value));
  if (!scales || !isReal)
    return setStored(i, convert(*this, value, wanted));
  mlir::Type elements = nn::elementTypeOf(builder().getContext(), wanted);
  setStored(i, create<nn::QuantizeOp>(value, scaleConstant(*scales), zeroConstant(*scales, wanted),
                                      elements, builder().getF32Type(), scales->dimension));
}

bool OpReader::areAlike(int i, llvm::ArrayRef<int> inputs) const {
  return hasOutput(i) && llvm::all_of(inputs, [&](int input) {
           return hasInput(input) && scalesOf(input) == outputScales(i) &&
                  inputTensor(input).type() == outputTensor(i).type();
         });
}

void OpReader::setMoved(int i, llvm::ArrayRef<int> inputs,
                        const std::function<Value(llvm::ArrayRef<Value>)> &move) {
  if (!hasOutput(i))
    return;
  bool isStored = areAlike(i, inputs);
  llvm::SmallVector<Value> values;
  for (int input : inputs)
    values.push_back(isStored ? stored(input) : real(input));
  if (failed())
    return;
  Value moved = move(values);
  isStored ? setStored(i, moved) : setReal(i, moved);
}

bool OpReader::isOfBytes() {
  DType dtype = inputDType(0);
  return (dtype == DType::Int8 || dtype == DType::UInt8) && scalesOf(0) && areAlike(0, {0}) &&
         scalesOf(0)->scale.size() == 1;
}

Value OpReader::bytes() {
  return create<nn::DequantizeOp>(stored(0), scalarConstant(1, DType::Float32), none(),
                                  builder().getF32Type(), /*axis=*/int64_t{0});
}

double OpReader::byteOf(double real) const {
  std::optional<Scales> scales = outputScales(0);
  return std::round(real / static_cast<double>(scales->scale[0])) +
         static_cast<double>(scales->zeroPoint[0]);
}

/// nn.quantize rounds halves to even. By a scale that is a little less than 1 they are beyond the
/// middle; what is not a half is further from it, for it is a multiple of a small part of 1.
void OpReader::setBytes(Value value) {
  constexpr double kBelowOne = 1 - 1.0 / (1 << 20);
  if (failed())
    return;
  mlir::Type elements = nn::elementTypeOf(builder().getContext(), outputDType(0));
  setStored(0, create<nn::QuantizeOp>(value, scalarConstant(kBelowOne, DType::Float32), none(),
                                      elements, builder().getF32Type(), /*axis=*/int64_t{0}));
}

Value OpReader::storedZero(int i) {
  std::optional<Scales> scales = scalesOf(i);
  int32_t zero = scales ? static_cast<int32_t>(scales->zeroPoint[0]) : 0;
  return convert(*this, constant(Tensor::of<int32_t>({}, {zero})), inputDType(i));
}

//===----------------------------------------------------------------------===//
// Subgraphs and variables
//===----------------------------------------------------------------------===//

ModelCalls::Results OpReader::call(int64_t subgraph, llvm::ArrayRef<Value> arguments) {
  if (failed())
    return {};
  if (subgraph < 0 || subgraph >= static_cast<int64_t>(graph.view.graphCount())) {
    invalid(fmt::format("subgraph {} is not there, of {}", subgraph, graph.view.graphCount()));
    return {};
  }
  auto results = graph.calls.call(static_cast<uint32_t>(subgraph), arguments);
  if (results)
    return results.take();
  fail(results.status());
  return {};
}

std::vector<int64_t> OpReader::resultDims(int64_t subgraph, size_t result) const {
  ModelView view = graph.view.of(static_cast<uint32_t>(subgraph));
  auto at = static_cast<flatbuffers::uoffset_t>(result);
  return declaredDims(view.tensor(view.graph().outputs()->Get(at)));
}

void OpReader::setHandle(int i, std::string variable) {
  if (!failed() && op.outputs()->Get(static_cast<flatbuffers::uoffset_t>(i)) >= 0)
    graph.handles[op.outputs()->Get(static_cast<flatbuffers::uoffset_t>(i))] = std::move(variable);
}

std::string OpReader::variableOf(int i) {
  auto found = graph.handles.find(op.inputs()->Get(static_cast<flatbuffers::uoffset_t>(i)));
  if (found != graph.handles.end())
    return found->second;
  unsupported("a variable that is passed from subgraph to subgraph");
  return "";
}

std::span<const uint8_t> OpReader::customOptions() const {
  const auto *found = op.custom_options();
  return found ? std::span(found->data(), found->size()) : std::span<const uint8_t>();
}

bool OpReader::isValid(const std::function<bool(flatbuffers::Verifier &)> &verify) const {
  std::span<const std::byte> bytes = graph.file.source.bytes;
  size_t reached = std::min<size_t>(bytes.size(), FLATBUFFERS_MAX_BUFFER_SIZE - 1);
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t *>(bytes.data()), reached);
  return verify(verifier);
}

static Value createClip(GraphBuilder &graph, Value value, double low, double high) {
  Value raised = graph.create<nn::MaxOp>(value, constantLike(graph, low, value));
  return graph.create<nn::MinOp>(raised, constantLike(graph, high, value));
}

Value tflite::createFusedOfBytes(OpReader &op, Value value, file::Activation activation) {
  switch (activation) {
  case file::Activation::Relu:
    return op.create<nn::MaxOp>(value, constantLike(op, op.byteOf(0), value));
  case file::Activation::ReluN1To1:
    return createClip(op, value, op.byteOf(-1), op.byteOf(1));
  case file::Activation::Relu6:
    return createClip(op, value, op.byteOf(0), op.byteOf(6));
  default:
    return createFused(op, value, activation);
  }
}

Value tflite::createFused(GraphBuilder &graph, Value value, file::Activation activation) {
  switch (activation) {
  case file::Activation::None:
    return value;
  case file::Activation::Relu:
    return graph.create<nn::ReluOp>(value);
  case file::Activation::ReluN1To1:
    return createClip(graph, value, -1, 1);
  case file::Activation::Relu6:
    return createClip(graph, value, 0, 6);
  case file::Activation::Tanh:
    return graph.create<nn::TanhOp>(value);
  case file::Activation::SignBit:
    break;
  }
  graph.unsupported(fmt::format("activation {}", static_cast<int>(activation)));
  return value;
}
