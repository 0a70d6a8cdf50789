//===- ImportQLinearTest.cpp - ONNX Runtime's quantized ops ---------------===//
//
// The expected numbers are computed by hand from the formulas of ONNX Runtime's ops.
//
//===----------------------------------------------------------------------===//
#include "tests/frontend/RunModel.h"
#include "tests/reference/KernelCall.h"

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;
using reference::expectTensor;
using Ints = std::vector<int64_t>;

static constexpr StatusCode kInvalid = StatusCode::InvalidModel;
static constexpr StatusCode kUnsupported = StatusCode::Unsupported;

static Tensor floats(const Tensor::Dims &dims, const std::vector<float> &values) {
  return Tensor::of<float>(dims, values);
}
static Tensor bytes(const Tensor::Dims &dims, const std::vector<uint8_t> &values) {
  return Tensor::of<uint8_t>(dims, values);
}
static Tensor number(float value) { return floats({}, {value}); }
static Tensor zero(uint8_t value) { return bytes({}, {value}); }

namespace {
/// A model of one node; an absent tensor is an operand left out.
struct Node {
  ModelBuilder model{17};
  std::vector<Tensor> inputs;

  Node(const std::string &op, const std::vector<Tensor> &operands) {
    std::vector<std::string> names;
    for (const Tensor &operand : operands) {
      names.push_back(operand.isPresent() ? "x" + std::to_string(names.size()) : "");
      if (!operand.isPresent())
        continue;
      model.input(names.back(), operand.dims(), operand.dtype());
      inputs.push_back(operand);
    }
    model.output("y").node(op, names, {"y"}).domain("com.microsoft");
  }
  template <typename T> Node &attr(const char *name, T value) {
    model.attr(name, value);
    return *this;
  }
  Tensor result() const {
    std::vector<Tensor> results = run(model, inputs);
    return results.empty() ? Tensor() : results[0];
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Elementwise ops
//===----------------------------------------------------------------------===//

/// Numbers 0, 5, 120 and -25, 0, 25.
static std::vector<Tensor> twoFactors(float scale) {
  return {bytes({3}, {10, 20, 250}),
          number(0.5),
          zero(10),
          bytes({3}, {0, 100, 200}),
          number(0.25),
          zero(100),
          number(scale),
          zero(5)};
}

TEST(QLinearAdd, SumsOfNumbers) {
  expectTensor<uint8_t>(Node("QLinearAdd", twoFactors(1)).result(), {3}, {0, 10, 150});
  // Bytes are numbers of their own without zero points.
  std::vector<Tensor> operands = {Tensor::of<int8_t>({2, 1}, {-3, 100}),
                                  number(1),
                                  Tensor(),
                                  Tensor::of<int8_t>({2}, {1, 50}),
                                  number(2),
                                  Tensor(),
                                  number(1)};
  expectTensor<int8_t>(Node("QLinearAdd", operands).result(), {2, 2}, {-1, 97, 102, 127});
}

/// Of a quantized GPT-2: the real results are 96.5 and 161.5 but for 2e-6, and the zero points are
/// gathered with one rounding less than by a product for each.
TEST(QLinearAdd, RoundsAsOnnxRuntimeBesideAHalf) {
  std::vector<Tensor> operands = {bytes({2}, {95, 163}),
                                  number(0.0343205631F),
                                  zero(129),
                                  bytes({2}, {211, 61}),
                                  number(0.000573505589F),
                                  zero(136),
                                  number(0.0345811173F),
                                  zero(129)};
  expectTensor<uint8_t>(Node("QLinearAdd", operands).result(), {2}, {97, 162});
}

TEST(QLinearMul, ProductsOfNumbers) {
  expectTensor<uint8_t>(Node("QLinearMul", twoFactors(20)).result(), {3}, {5, 5, 155});
}

TEST(QLinear, Errors) {
  std::vector<Tensor> operands = twoFactors(1);
  operands[3] = Tensor::of<int8_t>({3}, {0, 0, 0});
  expectError(Node("QLinearAdd", operands).model, kInvalid,
              {"(QLinearAdd, opset 1)", "the zero point is uint8, expected int8"});
  operands = twoFactors(1);
  operands[1] = floats({2}, {1, 1});
  operands[0] = floats({3}, {1, 1, 1});
  expectError(Node("QLinearMul", operands).model, kInvalid, {"operand 0 is float32"});
}

TEST(QLinearLeakyRelu, Values) {
  Node node("QLinearLeakyRelu",
            {bytes({3}, {0, 10, 30}), number(1), zero(10), number(0.5), zero(4)});
  expectTensor<uint8_t>(node.attr("alpha", 0.1f).result(), {3}, {2, 4, 44});
}

TEST(QLinearSigmoid, Values) {
  Node node("QLinearSigmoid",
            {bytes({3}, {8, 255, 0}), number(1), zero(8), number(1.0f / 256), zero(0)});
  expectTensor<uint8_t>(node.result(), {3}, {128, 255, 0});
}

TEST(QLinearSoftmax, OfRowsAndOfAllThatFollows) {
  std::vector<Tensor> operands = {bytes({1, 2, 2}, {9, 9, 9, 9}), number(0.5), zero(3),
                                  number(1.0f / 256), zero(0)};
  Node rows("QLinearSoftmax", operands), all("QLinearSoftmax", operands);
  expectTensor<uint8_t>(rows.attr("opset", int64_t{13}).result(), {1, 2, 2}, {128, 128, 128, 128});
  all.attr("opset", int64_t{12}).attr("axis", int64_t{1});
  expectTensor<uint8_t>(all.result(), {1, 2, 2}, {64, 64, 64, 64});
}

TEST(QLinearConcat, BringsAllToOneScale) {
  std::vector<Tensor> operands = {number(1), zero(0),         bytes({2}, {2, 4}), number(0.5),
                                  zero(0),   bytes({1}, {9}), number(2),          zero(8)};
  Node node("QLinearConcat", operands);
  expectTensor<uint8_t>(node.attr("axis", int64_t{0}).result(), {3}, {1, 2, 2});
  operands.pop_back();
  expectError(Node("QLinearConcat", operands).attr("axis", int64_t{0}).model, kInvalid,
              {"three operands for each tensor, found 7 in all"});
}

TEST(QLinearWhere, ChoosesNumbers) {
  Node node("QLinearWhere", {Tensor::of<bool>({2}, {true, false}), bytes({2}, {6, 7}), number(0.5),
                             zero(2), bytes({1}, {5}), number(2), zero(4), number(1), zero(10)});
  expectTensor<uint8_t>(node.result(), {2}, {12, 12});
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

TEST(QLinearAveragePool, ChannelsInFrontAndBehind) {
  for (bool last : {false, true}) {
    Tensor::Dims dims = last ? Tensor::Dims{1, 2, 2, 1} : Tensor::Dims{1, 1, 2, 2};
    Node node("QLinearAveragePool",
              {bytes(dims, {1, 3, 5, 7}), number(1), zero(1), number(0.5), zero(1)});
    node.attr("kernel_shape", Ints{2, 2}).attr("channels_last", int64_t{last});
    expectTensor<uint8_t>(node.result(), {1, 1, 1, 1}, {7});
  }
}

TEST(QLinearAveragePool, AddsTheZeroPointBeforeItRounds) {
  // 2.5 + 1 is 4 then, while 2.5 would become 2.
  Node node("QLinearAveragePool",
            {bytes({1, 1, 1, 2}, {2, 3}), number(1), zero(0), number(1), zero(1)});
  node.attr("kernel_shape", Ints{1, 2});
  expectTensor<uint8_t>(node.result(), {1, 1, 1, 1}, {4});
}

TEST(QLinearGlobalAveragePool, ChannelsBehind) {
  Node node("QLinearGlobalAveragePool",
            {bytes({1, 1, 2, 2}, {1, 10, 3, 20}), number(1), zero(0), number(1), zero(1)});
  expectTensor<uint8_t>(node.attr("channels_last", int64_t{1}).result(), {1, 1, 1, 2}, {3, 16});
}

TEST(QLinearConv, ChannelsBehind) {
  std::vector<Tensor> operands = {bytes({1, 1, 2, 2}, {1, 2, 3, 4}),
                                  number(1),
                                  zero(0),
                                  Tensor::of<int8_t>({1, 2, 1, 1}, {10, -1}),
                                  number(1),
                                  Tensor::of<int8_t>({}, {0}),
                                  number(1),
                                  zero(0)};
  Node node("QLinearConv", operands);
  expectTensor<uint8_t>(node.attr("channels_last", int64_t{1}).result(), {1, 1, 2, 1}, {8, 26});
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

TEST(QGemm, FloatsOrBytes) {
  std::vector<Tensor> operands = {bytes({1, 2}, {1, 2}),
                                  number(0.5),
                                  zero(0),
                                  bytes({2, 2}, {1, 2, 3, 4}),
                                  floats({2}, {1, 2}),
                                  bytes({2}, {0, 1}),
                                  Tensor::of<int32_t>({2}, {1, -1})};
  Node wide("QGemm", operands);
  wide.attr("transB", int64_t{1}).attr("alpha", 2.0f);
  expectTensor<float>(wide.result(), {1, 2}, {6, 14});
  operands.push_back(number(0.5));
  operands.push_back(zero(10));
  Node narrow("QGemm", operands);
  narrow.attr("transB", int64_t{1}).attr("alpha", 2.0f);
  expectTensor<uint8_t>(narrow.result(), {1, 2}, {22, 38});
  operands.pop_back();
  expectError(Node("QGemm", operands).model, kInvalid, {"must be given both, or none"});
}

TEST(MatMulIntegerToFloat, ScalesColumns) {
  Node node("MatMulIntegerToFloat",
            {bytes({1, 2}, {1, 2}), bytes({2, 2}, {1, 2, 3, 4}), number(0.5), floats({2}, {1, 2}),
             zero(1), Tensor(), floats({2}, {1, 1})});
  expectTensor<float>(node.result(), {1, 2}, {2.5, 5});
}

TEST(DynamicQuantizeMatMul, QuantizesTheFirstFactor) {
  Node node("DynamicQuantizeMatMul",
            {floats({1, 2}, {0, 255}), Tensor::of<int8_t>({2, 1}, {1, 2}), number(0.5)});
  expectTensor<float>(node.result(), {1, 1}, {255});
}

//===----------------------------------------------------------------------===//
// MatMulNBits
//===----------------------------------------------------------------------===//

static Tensor ones(int64_t count) {
  return floats({1, count}, std::vector<float>(static_cast<size_t>(count), 1));
}

/// Two columns of 18 values, in blocks of 16: ones; zeros and minus ones in turn.
static std::vector<Tensor> fourBits() {
  std::vector<uint8_t> packed(32, 0x99);
  std::fill(packed.begin() + 16, packed.end(), uint8_t{0x78});
  return {ones(18), bytes({2, 2, 8}, packed), floats({4}, {1, 10, 2, 1})};
}

static Tensor runBits(const std::vector<Tensor> &operands, int64_t bits, int64_t n, int64_t k) {
  Node node("MatMulNBits", operands);
  node.attr("bits", bits).attr("block_size", int64_t{16}).attr("N", n).attr("K", k);
  return node.result();
}

TEST(MatMulNBits, BlocksOfScalesAndZeroPoints) {
  std::vector<Tensor> operands = fourBits();
  expectTensor<float>(runBits(operands, 4, 2, 18), {1, 2}, {36, -17});
  operands.push_back(bytes({2, 1}, {0x98, 0x88})); // 8 and 9, 8 and 8
  expectTensor<float>(runBits(operands, 4, 2, 18), {1, 2}, {16, -17});
  operands[3] = floats({2, 2}, {8.5, 8, 8, 8});
  operands.push_back(Tensor());
  operands.push_back(floats({2}, {100, 0}));
  expectTensor<float>(runBits(operands, 4, 2, 18), {1, 2}, {128, -17});
  std::vector<Tensor> whole = {ones(16), bytes({1, 16}, std::vector<uint8_t>(16, 129)),
                               floats({1, 1}, {0.5})};
  expectTensor<float>(runBits(whole, 8, 1, 16), {1, 1}, {8});
}

TEST(MatMulNBits, PositionsMayNameTheirBlock) {
  std::vector<Tensor> operands = fourBits();
  operands.push_back(Tensor());
  std::vector<int32_t> blocks(18, 1); // all but the first
  blocks[0] = 0;
  operands.push_back(Tensor::of<int32_t>({18}, blocks));
  expectTensor<float>(runBits(operands, 4, 2, 18), {1, 2}, {171, -9});
}

TEST(MatMulNBits, Errors) {
  auto refused = [](const char *name, int64_t value, StatusCode code, const char *reason) {
    Node node("MatMulNBits", fourBits());
    for (auto [attribute, fitting] :
         std::map<std::string, int64_t>{{"bits", 4}, {"block_size", 16}, {"N", 2}, {"K", 18}})
      node.attr(attribute.c_str(), attribute == name ? value : fitting);
    expectError(node.model, code, {"(MatMulNBits, opset 1)", reason});
  };
  refused("bits", 3, kUnsupported, "attribute 'bits' = 3");
  refused("block_size", 24, kInvalid, "must be a power of two from 16, found 24");
  refused("K", 0, kInvalid, "attribute 'K' must be in [1, 2^31], found 0");
  refused("N", int64_t{1} << 62, kInvalid, "attribute 'N' must be in");
  refused("N", 3, kInvalid, "operand 1 is 2x2x8, expected as many elements as 3x2x8");
}
