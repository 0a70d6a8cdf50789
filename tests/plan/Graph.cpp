//===- Graph.cpp - graphs that tests write op by op -----------------------===//
#include "tests/plan/Graph.h"

#include "backends/interpreter/Interpreter.h"
#include "ir/NNDialect.h"
#include "ir/Signature.h"
#include "ir/Types.h"
#include "passes/Passes.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <gtest/gtest.h>

#include <random>
#include <string_view>

using namespace quern;
using namespace quern::test;

//===----------------------------------------------------------------------===//
// Writing graphs
//===----------------------------------------------------------------------===//

static std::string elementOf(const std::string &tensorType) {
  size_t begin = tensorType.rfind('x');
  begin = begin == std::string::npos ? tensorType.find('<') : begin;
  return tensorType.substr(begin + 1, tensorType.find_first_of(",>", begin) - begin - 1);
}

static std::string typeOfTensor(const Tensor &tensor) {
  std::string type = "tensor<";
  for (int64_t size : tensor.dims())
    type += std::to_string(size) + "x";
  switch (tensor.dtype()) {
  case DType::Float64:
    return type + "f64>";
  case DType::Int64:
    return type + "i64>";
  case DType::Int32:
    return type + "i32>";
  case DType::Int2:
    return type + "i2>";
  case DType::UInt2:
    return type + "ui2>";
  case DType::Int4:
    return type + "i4>";
  case DType::UInt4:
    return type + "ui4>";
  case DType::Int8:
    return type + "i8>";
  case DType::UInt8:
    return type + "ui8>";
  case DType::UInt32:
    return type + "ui32>";
  case DType::Bool:
    return type + "i1>";
  case DType::Float16:
    return type + "f16>";
  case DType::BFloat16:
    return type + "bf16>";
  default:
    return type + "f32>";
  }
}

GraphValue Graph::input(const std::string &type) {
  GraphValue value{fresh(), "tensor<" + type + ">"};
  arguments += (arguments.empty() ? "" : ", ") + value.name + ": " + value.type;
  return value;
}

GraphValue Graph::weight(const Tensor &values) {
  GraphValue value{fresh(), typeOfTensor(values)};
  std::string blob = "weight" + value.name.substr(1);
  weights[blob] = values;
  body += "  " + value.name + " = nn.weight \"" + blob + "\", 0 : " + value.type + "\n";
  return value;
}

GraphValue Graph::ints(const std::vector<int64_t> &values) {
  return weight(Tensor::ofInts(values));
}

GraphValue Graph::weight(const std::string &type) {
  Tensor::Dims dims;
  std::string rest = type;
  for (size_t x; (x = rest.find('x')) != std::string::npos; rest = rest.substr(x + 1))
    dims.push_back(std::stoll(rest.substr(0, x)));
  static const std::map<std::string, DType> kTypes = {
      {"f64", DType::Float64}, {"i64", DType::Int64},    {"i32", DType::Int32},
      {"i8", DType::Int8},     {"ui8", DType::UInt8},    {"ui32", DType::UInt32},
      {"f16", DType::Float16}, {"bf16", DType::BFloat16}};
  auto known = kTypes.find(rest);
  DType dtype = known == kTypes.end() ? DType::Float32 : known->second;
  return weight(integerTensor(dtype, dims, 1000 + static_cast<unsigned>(nextValue)));
}

GraphValue Graph::constant(const std::string &value, const std::string &type) {
  GraphValue result{fresh(), "tensor<" + type + ">"};
  body += "  " + result.name + " = nn.constant " + value + " : " + result.type + "\n";
  return result;
}

GraphValue Graph::none() {
  GraphValue value{fresh(), "none"};
  body += "  " + value.name + " = nn.none\n";
  return value;
}

GraphValue Graph::op(const std::string &name, const std::vector<GraphValue> &operands,
                     const std::string &attributes, const std::string &type) {
  std::string names, types;
  for (const GraphValue &operand : operands) {
    names += (names.empty() ? "" : ", ") + operand.name;
    types += (types.empty() ? "" : ", ") + operand.type;
  }
  GraphValue value{fresh(), type.empty() ? "tensor<*x" + elementOf(operands[0].type) + ">"
                                         : "tensor<" + type + ">"};
  body += "  " + value.name + " = " + name + " " + names;
  if (!attributes.empty())
    body += " {" + attributes + "}";
  body += " : (" + types + ") -> " + value.type + " loc(\"" + value.name.substr(1) + "\")\n";
  return value;
}

std::vector<GraphValue> Graph::multi(const std::string &name,
                                     const std::vector<GraphValue> &operands,
                                     const std::string &attributes, size_t count,
                                     const std::vector<std::string> &elements) {
  std::string names, types, resultTypes;
  for (const GraphValue &operand : operands) {
    names += (names.empty() ? "" : ", ") + operand.name;
    types += (types.empty() ? "" : ", ") + operand.type;
  }
  std::string all = fresh();
  std::vector<GraphValue> values;
  for (size_t i = 0; i < count; ++i) {
    std::string element = i < elements.size() ? elements[i] : elementOf(operands[0].type);
    std::string type = "tensor<*x" + element + ">";
    resultTypes += (i ? ", " : "") + type;
    values.push_back({all + "#" + std::to_string(i), type});
  }
  body += "  " + all + ":" + std::to_string(count) + " = " + name + " " + names + " {" +
          attributes + "} : (" + types + ") -> (" + resultTypes + ") loc(\"" + all.substr(1) +
          "\")\n";
  return values;
}

void Graph::output(const GraphValue &value, const std::string &label) {
  results += (results.empty() ? "" : ", ") + value.name;
  resultTypes += (resultTypes.empty() ? "" : ", ") + value.type;
  outputLabels.push_back(label);
}

std::string Graph::text() const {
  return "func.func @main(" + arguments + ") -> (" + resultTypes + ") {\n" + body + "  return " +
         results + " : " + resultTypes + "\n}\n";
}

mlir::OwningOpRef<mlir::ModuleOp> Graph::parse(mlir::MLIRContext &context) const {
  nn::loadDialects(context);
  nn::WeightStore &store = context.getLoadedDialect<nn::NNDialect>()->getWeights();
  for (auto &[name, tensor] : weights)
    store.addBlob(name, tensor.rawData(), tensor.numBytes(), std::make_shared<Tensor>(tensor));
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text(), &context);
  if (!module)
    return module;
  mlir::PassManager pm(&context);
  pm.addNestedPass<mlir::func::FuncOp>(passes::createInferShapesPass());
  return mlir::succeeded(pm.run(*module)) ? std::move(module) : nullptr;
}

//===----------------------------------------------------------------------===//
// What they take and give
//===----------------------------------------------------------------------===//

Tensor test::integerTensor(DType dtype, const Tensor::Dims &dims, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> values(-3, 3);
  Tensor tensor = Tensor::allocate(dtype, dims).take();
  for (int64_t i = 0; i < tensor.numElements(); ++i) {
    int value = values(random);
    if (dtype == DType::Float32)
      tensor.mutableData<float>()[i] = static_cast<float>(value);
    else if (dtype == DType::Float64)
      tensor.mutableData<double>()[i] = value;
    else if (dtype == DType::Float16)
      tensor.mutableData<Float16>()[i] = Float16(static_cast<float>(value));
    else if (dtype == DType::BFloat16)
      tensor.mutableData<BFloat16>()[i] = BFloat16(static_cast<float>(value));
    else if (dtype == DType::Int64)
      tensor.mutableData<int64_t>()[i] = value;
    else if (dtype == DType::Int32)
      tensor.mutableData<int32_t>()[i] = value;
    else if (dtype == DType::UInt32)
      tensor.mutableData<uint32_t>()[i] = static_cast<uint32_t>(value);
    else if (dtype == DType::Int8 || dtype == DType::UInt8)
      static_cast<uint8_t *>(tensor.mutableRawData())[i] = static_cast<uint8_t>(value);
    else if (dtype == DType::Bool)
      tensor.mutableData<bool>()[i] = value > 0;
    else if (dtype == DType::String)
      tensor.mutableData<std::string>()[i] = "text " + std::to_string(value);
    else
      ADD_FAILURE() << "no integers of type " << dtypeName(dtype);
  }
  return tensor;
}

std::vector<Tensor> test::integerInputs(const Graph &graph, const std::vector<Tensor::Dims> &dims) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = graph.parse(context);
  std::vector<Tensor> inputs;
  for (mlir::Type type : nn::findMain(*module).getArgumentTypes()) {
    auto tensor = mlir::cast<mlir::RankedTensorType>(type);
    size_t i = inputs.size();
    inputs.push_back(integerTensor(nn::dtypeOf(tensor.getElementType()),
                                   i < dims.size() ? dims[i] : Tensor::Dims(tensor.getShape()),
                                   static_cast<unsigned>(i)));
  }
  return inputs;
}

Tensor test::normalTensor(const Tensor::Dims &dims, float deviation, unsigned seed) {
  Tensor tensor = Tensor::allocate(DType::Float32, dims).take();
  std::mt19937 random(seed);
  std::normal_distribution<float> draw(0, deviation);
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    tensor.mutableData<float>()[i] = draw(random);
  return tensor;
}

Expected<std::vector<Tensor>>
test::runInterpreted(const Graph &graph, const std::vector<Tensor> &inputs, const Limits &limits) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = graph.parse(context);
  if (!module)
    return invalidModel("the test's graph does not parse:\n" + graph.text());
  interpreter::RunOptions options;
  options.limits = limits;
  return interpreter::interpret(nn::findMain(*module), inputs, options);
}

/// The first element that differs; -1 when none does. 0 equals -0.
template <typename T> static int64_t firstDifference(const Tensor &a, const Tensor &b) {
  for (int64_t i = 0; i < a.numElements(); ++i)
    if (!(a.data<T>()[i] == b.data<T>()[i]))
      return i;
  return -1;
}

static std::string_view bytesOf(const Tensor &tensor) {
  return {static_cast<const char *>(tensor.rawData()), static_cast<size_t>(tensor.numBytes())};
}

static int64_t firstDifference(const Tensor &found, const Tensor &wanted) {
  switch (wanted.dtype()) {
  case DType::Float32:
    return firstDifference<float>(found, wanted);
  case DType::Float64:
    return firstDifference<double>(found, wanted);
  case DType::String:
    return firstDifference<std::string>(found, wanted);
  default:
    return bytesOf(found) == bytesOf(wanted) ? -1 : 0;
  }
}

static std::string elementText(const Tensor &tensor, int64_t i) {
  if (tensor.dtype() == DType::Float32)
    return std::to_string(tensor.data<float>()[i]);
  if (tensor.dtype() == DType::Float64)
    return std::to_string(tensor.data<double>()[i]);
  return "something else";
}

void test::expectSameTensors(const std::vector<Tensor> &found, const std::vector<Tensor> &wanted,
                             const std::vector<std::string> &labels) {
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) {
    std::string which = "result " + std::to_string(i) + " " + (i < labels.size() ? labels[i] : "");
    EXPECT_EQ(found[i].describe(), wanted[i].describe()) << which;
    if (found[i].describe() != wanted[i].describe())
      continue;
    int64_t at = firstDifference(found[i], wanted[i]);
    EXPECT_EQ(at, -1) << which << ": element " << at << " of " << wanted[i].describe() << " is "
                      << elementText(found[i], at) << " instead of " << elementText(wanted[i], at);
  }
}
