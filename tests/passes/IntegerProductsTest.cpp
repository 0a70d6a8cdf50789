//===- IntegerProductsTest.cpp - narrow products give the same integers ---===//
//
// Drawn graphs of quantized products, before and after SinkDequantize and FormIntegerProducts, on
// the interpreter. Integer products keep their integers; of dequantized floats, which are rounded
// before they are quantized again, some differ by a step.
//
//===----------------------------------------------------------------------===//
#include "backends/interpreter/Interpreter.h"
#include "ir/NNDialect.h"
#include "ir/Signature.h"
#include "passes/GraphLog.h"
#include "passes/Passes.h"
#include "passes/ProductPolicy.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringExtras.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

using namespace quern;

namespace {
/// A graph as text, with what is drawn for it.
class DrawnGraph {
public:
  explicit DrawnGraph(uint32_t seed) : random(seed) {}

  int64_t below(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(random); }
  bool coin() { return below(2) == 0; }

  /// An nn.constant of bytes, drawn by `draw`.
  template <typename Draw> std::string bytes(const std::string &type, int64_t count, Draw draw) {
    std::string hex;
    for (int64_t i = 0; i < count; ++i)
      hex += llvm::toHex(llvm::ArrayRef<uint8_t>({static_cast<uint8_t>(draw())}));
    return add(fmt::format("nn.constant dense<\"0x{}\"> : tensor<{}>", hex, type));
  }
  std::string floats(const std::string &type, int64_t count) {
    std::string list;
    for (int64_t i = 0; i < count; ++i)
      list += fmt::format("{}{:.9e}", i ? ", " : "",
                          std::uniform_real_distribution<float>(0.001F, 0.1F)(random));
    return add(fmt::format("nn.constant dense<{}> : tensor<{}>",
                           type == "f32" ? list : "[" + list + "]", type));
  }
  std::string integers(int64_t count) {
    std::string list;
    for (int64_t i = 0; i < count; ++i)
      list += fmt::format("{}{}", i ? ", " : "", below(4001) - 2000);
    return add(fmt::format("nn.constant dense<[{}]> : tensor<{}xi32>", list, count));
  }
  /// A zero point: at an end, in the middle, anywhere; or none.
  std::string zeroPoint(const std::string &type, std::string &typeOfIt) {
    typeOfIt = coin() ? "none" : "tensor<" + type + ">";
    if (typeOfIt == "none")
      return add("nn.none");
    int64_t ends[] = {0, 255, 128, 127, below(256)};
    int64_t at = ends[below(5)];
    return bytes(type, 1, [&] { return at; });
  }
  std::string add(const std::string &op) {
    body += fmt::format("  %{} = {}\n", count, op);
    return fmt::format("%{}", count++);
  }

  std::string body;

private:
  std::mt19937 random;
  int count = 0;
};

/// A drawn graph, and the types of its input.
struct Drawn {
  std::string text;
  DType input = DType::UInt8;
  Tensor::Dims dims = {};
};

Drawn finish(const DrawnGraph &graph, const std::string &inputType, const std::string &result,
             const std::string &resultType) {
  return {fmt::format("func.func @main(%x: {}) -> {} {{\n{}  return {} : {}\n}}", inputType,
                      resultType, graph.body, result, resultType)};
}

/// The weights of a product: int8, or uint8 around their zero points.
struct Weights {
  std::string value, type, zero, zeroType;
};

Weights drawWeights(DrawnGraph &graph, const std::string &dims, int64_t count, int64_t channels) {
  if (graph.coin()) {
    Weights weights{graph.bytes(dims + "xi8", count, [&] { return graph.below(256); }),
                    dims + "xi8", graph.add("nn.none"), "none"};
    return weights;
  }
  // Within reach of int8, whichever of these zero points is subtracted.
  std::string value = graph.bytes(dims + "xui8", count, [&] { return 20 + graph.below(200); });
  bool isOne = graph.coin();
  std::string zeroType = isOne ? "ui8" : fmt::format("{}xui8", channels);
  std::string zero =
      graph.bytes(zeroType, isOne ? 1 : channels, [&] { return 100 + graph.below(40); });
  return {value, dims + "xui8", zero, "tensor<" + zeroType + ">"};
}

struct ConvShape {
  int64_t groups, channels, outputs, height, kernel, pad, stride, result;
  std::string attributes;

  explicit ConvShape(DrawnGraph &graph) {
    groups = 1 + graph.below(3);
    channels = groups * (1 + graph.below(4));
    outputs = groups * (1 + graph.below(4));
    height = 3 + graph.below(5);
    kernel = 1 + graph.below(3);
    pad = graph.below(kernel);
    stride = 1 + graph.below(2);
    result = (height + 2 * pad - kernel) / stride + 1;
    attributes = fmt::format("strides = array<i64: {0}, {0}>, dilations = array<i64: 1, 1>, pads = "
                             "array<i64: {1}, {1}, {1}, {1}>, group = {2} : i64",
                             stride, pad, groups);
  }
  std::string weightDims() const {
    return fmt::format("{}x{}x{}x{}", outputs, channels / groups, kernel, kernel);
  }
  int64_t weightCount() const { return outputs * channels / groups * kernel * kernel; }
  Tensor::Dims inputDims() const { return {1, channels, height, height}; }
  std::string resultDims() const { return fmt::format("1x{}x{}x{}", outputs, result, result); }
};

/// What QLinearConv is imported as.
Drawn drawQLinearConv(uint32_t seed) {
  DrawnGraph graph(seed);
  ConvShape shape(graph);
  std::string byte = graph.coin() ? "i8" : "ui8", zeroType, outZeroType;
  std::string input = fmt::format("tensor<1x{0}x{1}x{1}x{2}>", shape.channels, shape.height, byte);
  std::string zero = graph.zeroPoint(byte, zeroType);
  Weights w = drawWeights(graph, shape.weightDims(), shape.weightCount(), shape.outputs);
  bool hasBias = graph.coin();
  std::string bias = hasBias ? graph.integers(shape.outputs) : graph.add("nn.none");
  std::string biasType = hasBias ? fmt::format("tensor<{}xi32>", shape.outputs) : "none";
  std::string dims = shape.resultDims(), wide = "tensor<" + dims + "xi32>",
              real = "tensor<" + dims + "xf32>", out = graph.coin() ? "i8" : "ui8";
  std::string sums = graph.add(fmt::format(
      "nn.conv_integer %x, {}, {}, {}, {} {{{}}} : ({}, tensor<{}>, {}, {}, {}) -> {}", w.value,
      zero, w.zero, bias, shape.attributes, input, w.type, zeroType, w.zeroType, biasType, wide));
  std::string floats =
      graph.add(fmt::format("nn.cast {} {{to = f32}} : ({}) -> {}", sums, wide, real));
  std::string scaleType = fmt::format("{}x1x1xf32", shape.outputs);
  std::string flat = graph.floats(fmt::format("{}xf32", shape.outputs), shape.outputs);
  std::string axes = graph.add("nn.constant dense<[1, 2]> : tensor<2xi64>");
  std::string scale =
      graph.add(fmt::format("nn.unsqueeze {}, {} : (tensor<{}xf32>, tensor<2xi64>) -> tensor<{}>",
                            flat, axes, shape.outputs, scaleType));
  std::string scaled = graph.add(
      fmt::format("nn.mul {}, {} : ({}, tensor<{}>) -> {}", floats, scale, real, scaleType, real));
  std::string one = graph.add("nn.constant dense<1.0> : tensor<f32>");
  std::string outZero = graph.zeroPoint(out, outZeroType);
  std::string result =
      graph.add(fmt::format("nn.quantize {}, {}, {} {{to = {}, precision = f32}} : ({}, "
                            "tensor<f32>, {}) -> tensor<{}x{}>",
                            scaled, one, outZero, out, real, outZeroType, dims, out));
  Drawn drawn = finish(graph, input, result, "tensor<" + dims + "x" + out + ">");
  drawn.input = byte == "i8" ? DType::Int8 : DType::UInt8;
  drawn.dims = shape.inputDims();
  return drawn;
}

/// What MatMulInteger is imported as.
Drawn drawMatMulInteger(uint32_t seed) {
  DrawnGraph graph(seed);
  int64_t m = 1 + graph.below(4), k = 1 + graph.below(70), n = 1 + graph.below(9);
  std::string byte = graph.coin() ? "i8" : "ui8", zeroType;
  std::string zero;
  if (graph.coin()) {
    zeroType = fmt::format("tensor<{}x{}>", m, byte);
    zero = graph.bytes(fmt::format("{}x{}", m, byte), m, [&] { return graph.below(256); });
  } else {
    zero = graph.zeroPoint(byte, zeroType);
  }
  Weights w = drawWeights(graph, fmt::format("{}x{}", k, n), k * n, n);
  std::string input = fmt::format("tensor<2x{}x{}x{}>", m, k, byte);
  std::string type = fmt::format("tensor<2x{}x{}xi32>", m, n);
  std::string result =
      graph.add(fmt::format("nn.matmul_integer %x, {}, {}, {} : ({}, tensor<{}>, {}, {}) -> {}",
                            w.value, zero, w.zero, input, w.type, zeroType, w.zeroType, type));
  Drawn drawn = finish(graph, input, result, type);
  drawn.input = byte == "i8" ? DType::Int8 : DType::UInt8;
  drawn.dims = {2, m, k};
  return drawn;
}

/// QuantizeLinear, DequantizeLinear, Conv, perhaps Relu, QuantizeLinear.
Drawn drawQdqConv(uint32_t seed) {
  DrawnGraph graph(seed);
  ConvShape shape(graph);
  std::string byte = graph.coin() ? "i8" : "ui8", zeroType, outZeroType;
  std::string sizes = fmt::format("1x{0}x{1}x{1}x", shape.channels, shape.height);
  std::string input = "tensor<" + sizes + byte + ">", real = "tensor<" + sizes + "f32>";
  std::string scale = graph.floats("f32", 1), zero = graph.zeroPoint(byte, zeroType);
  std::string x =
      graph.add(fmt::format("nn.dequantize %x, {}, {} {{to = f32}} : ({}, tensor<f32>, {}) -> {}",
                            scale, zero, input, zeroType, real));
  Weights w = drawWeights(graph, shape.weightDims(), shape.weightCount(), shape.outputs);
  bool isPerChannel = graph.coin();
  std::string weightScaleType = isPerChannel ? fmt::format("{}xf32", shape.outputs) : "f32";
  std::string weightScale = graph.floats(weightScaleType, isPerChannel ? shape.outputs : 1);
  std::string weights = "tensor<" + shape.weightDims() + "xf32>";
  std::string y = graph.add(
      fmt::format("nn.dequantize {}, {}, {} {{to = f32}} : (tensor<{}>, tensor<{}>, {}) -> {}",
                  w.value, weightScale, w.zero, w.type, weightScaleType, w.zeroType, weights));
  std::string none = graph.add("nn.none"), dims = shape.resultDims();
  std::string type = "tensor<" + dims + "xf32>", out = graph.coin() ? "i8" : "ui8";
  std::string vector = fmt::format("{}xf32", shape.outputs), bias = none, biasType = "none";
  int64_t kind = graph.below(3);
  if (kind == 1)
    bias = graph.floats(vector, shape.outputs);
  if (kind == 2) { // integers of the scale of the sums
    std::string sums =
        graph.add(fmt::format("nn.mul {}, {} : (tensor<f32>, tensor<{}>) -> tensor<{}>", scale,
                              weightScale, weightScaleType, weightScaleType));
    bias = graph.add(fmt::format(
        "nn.dequantize {}, {}, {} {{to = f32}} : (tensor<{}xi32>, tensor<{}>, none) -> tensor<{}>",
        graph.integers(shape.outputs), sums, none, shape.outputs, weightScaleType, vector));
  }
  if (kind > 0)
    biasType = "tensor<" + vector + ">";
  std::string value = graph.add(fmt::format("nn.conv {}, {}, {} {{{}}} : ({}, {}, {}) -> {}", x, y,
                                            bias, shape.attributes, real, weights, biasType, type));
  if (graph.coin())
    value = graph.add(fmt::format("nn.relu {} : ({}) -> {}", value, type, type));
  std::string outScale = graph.add("nn.constant dense<0.53> : tensor<f32>");
  std::string outZero = graph.zeroPoint(out, outZeroType);
  std::string result =
      graph.add(fmt::format("nn.quantize {}, {}, {} {{to = {}, precision = f32}} : ({}, "
                            "tensor<f32>, {}) -> tensor<{}x{}>",
                            value, outScale, outZero, out, type, outZeroType, dims, out));
  Drawn drawn = finish(graph, input, result, "tensor<" + dims + "x" + out + ">");
  drawn.input = byte == "i8" ? DType::Int8 : DType::UInt8;
  drawn.dims = shape.inputDims();
  return drawn;
}

class IntegerProducts : public testing::Test {
protected:
  IntegerProducts() { context.loadDialect<nn::NNDialect, mlir::func::FuncDialect>(); }

  /// How many elements differ, of how many; those that do by one step at most.
  void compare(const Drawn &drawn, uint32_t seed, int64_t most) {
    auto module = mlir::parseSourceString<mlir::ModuleOp>(drawn.text, &context);
    ASSERT_TRUE(module) << drawn.text;
    Tensor input = Tensor::allocate(drawn.input, drawn.dims).take();
    std::mt19937 random(seed);
    for (int64_t i = 0; i < input.numElements(); ++i)
      static_cast<uint8_t *>(input.mutableRawData())[i] = static_cast<uint8_t>(random());
    Tensor before = run(*module, input);
    mlir::PassManager pm(&context);
    passes::FoldConstantsPassOptions keep;
    keep.keepDequantized = true;
    pm.addNestedPass<mlir::func::FuncOp>(passes::createSinkDequantizePass());
    pm.addNestedPass<mlir::func::FuncOp>(passes::createFoldConstantsPass(nullptr, keep));
    pm.addNestedPass<mlir::func::FuncOp>(passes::createFormIntegerProductsPass(
        std::make_shared<passes::AllProducts>(), /*log=*/nullptr));
    pm.addNestedPass<mlir::func::FuncOp>(passes::createFoldConstantsPass(nullptr, keep));
    ASSERT_TRUE(mlir::succeeded(pm.run(*module)));
    module->walk([&](mlir::Operation *op) {
      if (mlir::isa<nn::ConvOp, nn::MatMulOp>(op)) {
        EXPECT_TRUE(nn::elementTypeOf(op->getOperand(0)).isUnsignedInteger(8)) << drawn.text;
        EXPECT_TRUE(nn::elementTypeOf(op->getOperand(1)).isSignlessInteger(8)) << drawn.text;
      }
      EXPECT_FALSE((mlir::isa<nn::ConvIntegerOp, nn::MatMulIntegerOp>(op))) << drawn.text;
    });
    Tensor after = run(*module, input);
    ASSERT_EQ(before.describe(), after.describe());
    for (int64_t i = 0; i < before.numElements(); ++i) {
      int64_t difference = std::abs(numberAt(before, i) - numberAt(after, i));
      differing += difference != 0;
      ASSERT_LE(difference, most) << "element " << i << " of " << drawn.text;
    }
    elements += before.numElements();
  }

  /// Why the only product of a graph is not formed.
  std::string refusalOf(const std::string &arguments, const std::string &body,
                        std::shared_ptr<const passes::ProductPolicy> policy =
                            std::make_shared<passes::AllProducts>()) {
    std::string text = "func.func @main(" + arguments +
                       ") -> tensor<*xi32> {\n  %none = nn.none\n" + body +
                       " loc(\"product\")\n  return %y : tensor<*xi32>\n}";
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    EXPECT_TRUE(module) << text;
    passes::GraphLog log;
    mlir::PassManager pm(&context);
    pm.addNestedPass<mlir::func::FuncOp>(
        passes::createFormIntegerProductsPass(std::move(policy), &log));
    EXPECT_TRUE(module && mlir::succeeded(pm.run(*module)));
    std::vector<Refusal> refusals = log.refusals();
    EXPECT_EQ(refusals.size(), 1u);
    return refusals.empty() ? "" : refusals.front().reason.text;
  }

  int64_t differing = 0, elements = 0;

private:
  static int64_t numberAt(const Tensor &tensor, int64_t i) {
    if (tensor.dtype() == DType::Int32)
      return tensor.data<int32_t>()[i];
    return tensor.dtype() == DType::Int8 ? int64_t{tensor.data<int8_t>()[i]}
                                         : int64_t{tensor.data<uint8_t>()[i]};
  }
  static Tensor run(mlir::ModuleOp module, const Tensor &input) {
    auto results = interpreter::interpret(nn::findMain(module), {&input, 1});
    EXPECT_TRUE(results) << results.status().message();
    return results ? results->front() : Tensor();
  }

  mlir::MLIRContext context;
};
} // namespace

TEST_F(IntegerProducts, OfConvolutionsGiveTheSame) {
  for (uint32_t seed = 0; seed < 300 && !HasFailure(); ++seed)
    compare(drawQLinearConv(seed), seed, 0);
}

TEST_F(IntegerProducts, OfMatricesGiveTheSame) {
  for (uint32_t seed = 0; seed < 300 && !HasFailure(); ++seed)
    compare(drawMatMulInteger(seed), seed, 0);
}

// A tie that float32 rounds to the other side.
TEST_F(IntegerProducts, OfFloatsAreWithinAStep) {
  for (uint32_t seed = 0; seed < 300 && !HasFailure(); ++seed)
    compare(drawQdqConv(seed), seed, 1);
  EXPECT_LE(differing * 1000, elements) << differing << " of " << elements;
}

namespace {
/// A policy that says no.
struct NoProducts : passes::ProductPolicy {
  std::optional<Reason> refuse(const passes::ProductFacts &product) const override {
    facts = product;
    return Reason{ReasonCode::NoKernel, "no"};
  }
  mutable passes::ProductFacts facts;
};
} // namespace

static std::string matmul(const std::string &weights, const std::string &zero,
                          const std::string &types) {
  return "  %y = nn.matmul_integer %x, " + weights + ", %none, " + zero + " : (" + types +
         ") -> tensor<*xi32>";
}

TEST_F(IntegerProducts, RefusalsOfMatricesSayWhy) {
  std::string x = "%x: tensor<2x3xui8>", zeros = "tensor<2x3xui8>, ";
  EXPECT_EQ(refusalOf(x + ", %w: tensor<*xi8>",
                      matmul("%w", "%none", zeros + "tensor<*xi8>, none, none")),
            "the activations are no matrices, or of unknown rank");
  EXPECT_EQ(refusalOf(x + ", %w: tensor<3x2xi8>, %z: tensor<2xi8>",
                      matmul("%w", "%z", zeros + "tensor<3x2xi8>, none, tensor<2xi8>")),
            "an activation has several zero points");
  std::string w = "  %w = nn.constant dense<200> : tensor<3x1xui8>\n";
  EXPECT_EQ(refusalOf(x, w + matmul("%w", "%none", zeros + "tensor<3x1xui8>, none, none")),
            "weights less their zero points do not fit into int8");
  EXPECT_EQ(refusalOf(x + ", %z: tensor<ui8>",
                      w + matmul("%w", "%z", zeros + "tensor<3x1xui8>, none, tensor<ui8>")),
            "the zero points of the weights are no constants");
  w = "  %w = nn.constant dense<1> : tensor<3x2xi8>\n  %z = nn.constant dense<[[1], [2], [3]]> : "
      "tensor<3x1xi8>\n";
  EXPECT_EQ(refusalOf(x, w + matmul("%w", "%z", zeros + "tensor<3x2xi8>, none, tensor<3x1xi8>")),
            "the weights have zero points for something else than the channels of the result");
  w = "  %w = nn.constant dense<1> : tensor<4x3x2xi8>\n";
  EXPECT_EQ(refusalOf(x, w + matmul("%w", "%none", zeros + "tensor<4x3x2xi8>, none, none")),
            "the weights are no matrix");
  w = "  %w = nn.constant dense<1> : tensor<3x2xi8>\n";
  EXPECT_EQ(refusalOf("%x: tensor<*xui8>",
                      w + matmul("%w", "%none", "tensor<*xui8>, tensor<3x2xi8>, none, none")),
            "the activations are no matrices, or of unknown rank");
  auto policy = std::make_shared<NoProducts>();
  EXPECT_EQ(refusalOf(x, w + matmul("%w", "%none", zeros + "tensor<3x2xi8>, none, none"), policy),
            "no");
  EXPECT_FALSE(policy->facts.isConv());
  EXPECT_EQ(policy->facts.inputs, 3);
  EXPECT_EQ(policy->facts.outputs, 2);
  EXPECT_EQ(policy->facts.depth, 3);
  EXPECT_FALSE(policy->facts.isComputed);
  EXPECT_EQ(refusalOf(x + ", %w: tensor<3x2xi8>",
                      matmul("%w", "%none", zeros + "tensor<3x2xi8>, none, none"), policy),
            "no");
  EXPECT_TRUE(policy->facts.isComputed);
  EXPECT_EQ(policy->facts.depth, 3);
  EXPECT_EQ(policy->facts.rows, 2);
  EXPECT_TRUE(policy->facts.matchesSecond) << "as many as the second has columns";
}

TEST_F(IntegerProducts, RefusalsOfConvolutionsSayWhy) {
  std::string w = "  %w = nn.constant dense<1> : tensor<4x1x3xi8>\n";
  auto conv = [](const std::string &zero, const std::string &type,
                 const std::string &pads = "array<i64: 1, 1>") {
    return "  %y = nn.conv_integer %x, %w, " + zero +
           ", %none, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = " + pads +
           ", group = 2 : i64} : (tensor<1x2x8xui8>, tensor<4x1x3xi8>, " + type +
           ", none, none) -> tensor<*xi32>";
  };
  std::string x = "%x: tensor<1x2x8xui8>";
  EXPECT_EQ(refusalOf(x + ", %z: tensor<ui8>",
                      w + conv("%z", "tensor<ui8>",
                               "array<i64: 0, 0>, auto_pad = #nn<auto_pad SAME_UPPER>")),
            "what lies beyond the edges is no constant, and how much follows from sizes");
  auto policy = std::make_shared<NoProducts>();
  EXPECT_EQ(refusalOf(x, w + conv("%none", "none"), policy), "no");
  EXPECT_EQ(policy->facts.spatialRank, 1);
  EXPECT_EQ(policy->facts.groups, 2);
  EXPECT_EQ(policy->facts.inputs, 2);
  EXPECT_EQ(policy->facts.outputs, 4);
  EXPECT_EQ(policy->facts.depth, 3);
  EXPECT_FALSE(policy->facts.isDepthwise());
}
