//===- ImportQuantTest.cpp - quantized ops, imported and interpreted ------===//
//
// The expected numbers are computed by hand from ONNX's formulas.
//
//===----------------------------------------------------------------------===//
#include "tests/frontend/ModelBuilder.h"

#include "backends/interpreter/Interpreter.h"
#include "ir/Signature.h"
#include "tests/reference/KernelCall.h"

#include <limits>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;
using reference::expectTensor;
using Ints = std::vector<int64_t>;

static constexpr StatusCode kInvalid = StatusCode::InvalidModel;
static constexpr float kInf = std::numeric_limits<float>::infinity();
static constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

static std::string nameOfInput(size_t i) { return "x" + std::to_string(i); }

/// A model of one node; an absent tensor is an operand left out. The first operand has no
/// sizes when `isOpen`.
static ModelBuilder nodeModel(const std::string &op, int64_t opset,
                              const std::vector<Tensor> &operands, int outputs = 1,
                              bool isOpen = false) {
  ModelBuilder b(opset);
  std::vector<std::string> inputs, results;
  for (size_t i = 0; i < operands.size(); ++i) {
    inputs.push_back(operands[i].isPresent() ? nameOfInput(i) : "");
    if (!operands[i].isPresent())
      continue;
    Tensor::Dims dims = operands[i].dims();
    for (size_t d = 0; isOpen && i == 0 && d < dims.size(); ++d)
      dims[d] = -1 - static_cast<int64_t>(d);
    b.input(nameOfInput(i), dims, operands[i].dtype());
  }
  for (int i = 0; i < outputs; ++i) {
    results.push_back("y" + std::to_string(i));
    b.output(results.back());
  }
  b.node(op, inputs, results);
  return b;
}

/// What the model gives; a test failure and nothing on error.
static std::vector<Tensor> run(const ModelBuilder &builder, const std::vector<Tensor> &operands) {
  Imported imported(builder);
  EXPECT_TRUE(imported.module) << imported.text();
  if (!imported.module)
    return {};
  std::vector<Tensor> inputs;
  for (const Tensor &operand : operands)
    if (operand.isPresent())
      inputs.push_back(operand);
  auto results = interpreter::interpret(nn::findMain(**imported.module), inputs);
  EXPECT_TRUE(results) << results.status().message();
  return results ? results.take() : std::vector<Tensor>();
}

/// The only result of a node without attributes.
static Tensor runNode(const std::string &op, int64_t opset, const std::vector<Tensor> &operands) {
  std::vector<Tensor> results = run(nodeModel(op, opset, operands), operands);
  return results.empty() ? Tensor() : results[0];
}

static Tensor floats(const Tensor::Dims &dims, const std::vector<float> &values) {
  return Tensor::of<float>(dims, values);
}
static Tensor bytes(const Tensor::Dims &dims, const std::vector<uint8_t> &values) {
  return Tensor::of<uint8_t>(dims, values);
}
static Tensor number(float value) { return floats({}, {value}); }

//===----------------------------------------------------------------------===//
// QuantizeLinear
//===----------------------------------------------------------------------===//

TEST(QuantizeLinear, RoundsHalvesToEvenAndSaturates) {
  Tensor x = floats({10}, {0.5, 1.5, 2.5, -0.5, -1.5, 1000, -1000, kInf, -kInf, kNaN});
  for (int64_t opset : {10, 13, 19, 21, 23, 25}) {
    Tensor y = runNode("QuantizeLinear", opset, {x, number(1), Tensor::of<int8_t>({}, {3})});
    expectTensor<int8_t>(y, {10}, {3, 5, 5, 3, 1, 127, -128, 127, -128, 0});
  }
}

TEST(QuantizeLinear, WithoutAZeroPointIsUint8) {
  Tensor x = floats({4}, {-1, 300, 2.4f, 0.25});
  expectTensor<uint8_t>(runNode("QuantizeLinear", 13, {x, number(0.5)}), {4}, {0, 255, 5, 0});
}

TEST(QuantizeLinear, TypesOf16Bits) {
  Tensor x = floats({3}, {40000, -40000, 1e9});
  for (DType dtype : {DType::Int16, DType::UInt16}) {
    ModelBuilder b = nodeModel("QuantizeLinear", 21, {x, number(1)});
    b.attr("output_dtype", static_cast<int64_t>(dtype));
    std::vector<Tensor> y = run(b, {x, number(1)});
    ASSERT_EQ(y.size(), 1u);
    if (dtype == DType::Int16)
      expectTensor<int16_t>(y[0], {3}, {32767, -32768, 32767});
    else
      expectTensor<uint16_t>(y[0], {3}, {40000, 0, 65535});
  }
  Tensor zero = Tensor::of<uint16_t>({}, {30001});
  expectTensor<uint16_t>(runNode("QuantizeLinear", 21, {x, number(2), zero}), {3},
                         {50001, 10001, 65535});
}

// 335 3/7 is 335.5 in float16, half of the way to 336.
TEST(QuantizeLinear, DividesInTheTypeOfTheScale) {
  std::vector<Tensor> operands = {Tensor::of<Float16>({1}, {Float16(2348)}),
                                  Tensor::of<Float16>({}, {Float16(7)}),
                                  Tensor::of<uint16_t>({}, {1})};
  expectTensor<uint16_t>(runNode("QuantizeLinear", 21, operands), {1}, {337});
  ModelBuilder precise = nodeModel("QuantizeLinear", 23, operands);
  precise.attr("precision", static_cast<int64_t>(DType::Float32));
  std::vector<Tensor> y = run(precise, operands);
  ASSERT_EQ(y.size(), 1u);
  expectTensor<uint16_t>(y[0], {1}, {336});
  operands[1] = number(7);
  expectTensor<uint16_t>(runNode("QuantizeLinear", 23, operands), {1}, {336});
}

TEST(QuantizeLinear, Integers) {
  Tensor x = Tensor::of<int32_t>({3}, {-5, 5, 7});
  expectTensor<uint8_t>(runNode("QuantizeLinear", 10, {x, number(2), bytes({}, {10})}), {3},
                        {8, 12, 14});
  Tensor scale = Tensor::of<int32_t>({}, {2});
  expectTensor<uint8_t>(runNode("QuantizeLinear", 19, {x, scale, bytes({}, {10})}), {3},
                        {8, 12, 14});
}

TEST(QuantizeLinear, AxesFromBothEnds) {
  Tensor x = floats({2, 3}, {2, 2, 2, 3, 3, 3});
  std::vector<Tensor> columns = {x, floats({3}, {1, 2, 0.5}), bytes({3}, {0, 10, 20})};
  std::vector<Tensor> rows = {x, floats({2}, {1, 3}), bytes({2}, {0, 10})};
  for (bool isOpen : {false, true})
    for (int64_t axis : {-2, -1, 0, 1}) {
      bool isRow = axis == 0 || axis == -2;
      const std::vector<Tensor> &operands = isRow ? rows : columns;
      ModelBuilder b = nodeModel("QuantizeLinear", 13, operands, 1, isOpen);
      std::vector<Tensor> y = run(b.attr("axis", axis), operands);
      ASSERT_EQ(y.size(), 1u);
      std::vector<uint8_t> wanted = {2, 11, 24, 3, 12, 26};
      if (isRow)
        wanted = {2, 2, 2, 11, 11, 11};
      expectTensor<uint8_t>(y[0], {2, 3}, wanted);
    }
  // Axis 1 is the default; an entry is enough for any axis.
  expectTensor<uint8_t>(runNode("QuantizeLinear", 13, columns), {2, 3}, {2, 11, 24, 3, 12, 26});
  std::vector<Tensor> one = {floats({2}, {1, 2}), floats({1}, {0.5}), bytes({1}, {1})};
  expectTensor<uint8_t>(runNode("QuantizeLinear", 10, one), {2}, {3, 5});
  one[0] = number(1);
  expectTensor<uint8_t>(runNode("QuantizeLinear", 13, one), {}, {3});
}

TEST(QuantizeLinear, Unranked) {
  Tensor x = floats({2, 3}, {2, 2, 2, 3, 3, 3});
  for (int64_t axis : {1, -1}) {
    ModelBuilder b(13);
    b.unrankedInput("x").input("s", {3}).node("QuantizeLinear", {"x", "s"}, {"y"}).output("y");
    std::vector<Tensor> y = run(b.attr("axis", axis), {x, floats({3}, {1, 2, 0.5})});
    ASSERT_EQ(y.size(), 1u);
    expectTensor<uint8_t>(y[0], {2, 3}, {2, 1, 4, 3, 2, 6});
    if (axis < 0)
      continue;
    Imported imported(b);
    ASSERT_TRUE(imported.module) << imported.text();
    std::vector<Tensor> vectors = {floats({3}, {2, 2, 2}), floats({3}, {1, 2, 0.5})};
    auto none = interpreter::interpret(nn::findMain(**imported.module), vectors);
    ASSERT_FALSE(none);
    EXPECT_NE(none.status().message().find("axis 1 is out of range for rank 1"), std::string::npos)
        << none.status().message();
  }
}

TEST(DequantizeLinear, Unranked) {
  Tensor x = bytes({2, 3}, {2, 2, 2, 3, 3, 3});
  for (bool isBlocked : {false, true}) {
    // The scales' rank is unknown, too.
    Tensor scales = isBlocked ? floats({2, 2}, {1, 2, 0.5, 4}) : floats({2}, {1, 2});
    ModelBuilder b(21);
    b.graph().add_input()->set_name("x");
    b.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
        static_cast<int>(DType::UInt8));
    b.unrankedInput("s").node("DequantizeLinear", {"x", "s"}, {"y"}).output("y");
    b.attr("axis", int64_t{isBlocked ? 1 : 0});
    if (isBlocked)
      b.attr("block_size", int64_t{2});
    std::vector<Tensor> y = run(b, {x, scales});
    ASSERT_EQ(y.size(), 1u);
    std::vector<float> wanted = {2, 2, 2, 6, 6, 6};
    if (isBlocked)
      wanted = {2, 2, 4, 1.5, 1.5, 12};
    expectTensor<float>(y[0], {2, 3}, wanted);
  }
}

TEST(QuantizeLinear, Blocks) {
  std::vector<Tensor> operands = {floats({2, 5}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}),
                                  floats({2, 3}, {1, 2, 0.5, 1, 1, 2}),
                                  bytes({2, 3}, {0, 1, 2, 3, 4, 5})};
  for (bool isOpen : {false, true})
    for (int64_t axis : {1, -1}) {
      ModelBuilder b = nodeModel("QuantizeLinear", 21, operands, 1, isOpen);
      std::vector<Tensor> y = run(b.attr("axis", axis).attr("block_size", int64_t{2}), operands);
      ASSERT_EQ(y.size(), 1u);
      expectTensor<uint8_t>(y[0], {2, 5}, {1, 2, 3, 3, 12, 9, 10, 12, 13, 10});
    }
  std::vector<Tensor> rows = {floats({3, 2}, {1, 2, 3, 4, 5, 6}), floats({2, 2}, {1, 0.5, 5, 2})};
  ModelBuilder b = nodeModel("QuantizeLinear", 21, rows);
  std::vector<Tensor> y = run(b.attr("axis", int64_t{0}).attr("block_size", int64_t{2}), rows);
  ASSERT_EQ(y.size(), 1u);
  expectTensor<uint8_t>(y[0], {3, 2}, {1, 4, 3, 8, 1, 3});
}

TEST(QuantizeLinear, Errors) {
  auto model = [](int64_t opset, const Tensor &scale, const Tensor &zero = Tensor()) {
    return nodeModel("QuantizeLinear", opset, {floats({2, 3}, {0, 0, 0, 0, 0, 0}), scale, zero});
  };
  Tensor two = floats({2}, {1, 1}), matrix = floats({2, 2}, {1, 1, 1, 1});
  expectError(model(13, two), kInvalid, {"(QuantizeLinear, opset 13)", "does not fit: 2 to 2x3"});
  ModelBuilder axis = model(13, two);
  expectError(axis.attr("axis", int64_t{2}), kInvalid, {"axis 2 is not in [-2, 2)"});
  expectError(model(21, matrix), kInvalid, {"scales 2x2 need attribute 'block_size'"});
  ModelBuilder blocks = model(21, matrix);
  expectError(blocks.attr("block_size", int64_t{1}), kInvalid,
              {"2x3 in blocks of 1 along axis 1 needs 3 scales, found 2"});
  ModelBuilder rank = model(21, two);
  expectError(rank.attr("block_size", int64_t{2}), kInvalid,
              {"blocks of 2 need scales of the rank of the data, found 2 for 2x3"});
  ModelBuilder negative = model(21, matrix);
  expectError(negative.attr("block_size", int64_t{-2}), kInvalid, {"must not be negative"});
  expectError(model(13, number(1), number(0)), kInvalid, {"operand 2 is float32"});
  ModelBuilder types = model(21, number(1), bytes({}, {0}));
  expectError(types.attr("output_dtype", static_cast<int64_t>(DType::Int8)), kInvalid,
              {"the zero point is uint8, attribute 'output_dtype' says int8"});
  ModelBuilder wide = model(21, number(1));
  expectError(wide.attr("output_dtype", static_cast<int64_t>(DType::Int64)), kInvalid,
              {"attribute 'output_dtype': element type number 7"});
  expectError(model(10, two), kInvalid, {});
}

//===----------------------------------------------------------------------===//
// DequantizeLinear, DynamicQuantizeLinear
//===----------------------------------------------------------------------===//

TEST(DequantizeLinear, Types) {
  Tensor x = bytes({3}, {0, 128, 255});
  for (int64_t opset : {10, 13, 19, 21, 23, 25})
    expectTensor<float>(runNode("DequantizeLinear", opset, {x, number(0.5), bytes({}, {128})}), {3},
                        {-64, 0, 63.5});
  expectTensor<float>(runNode("DequantizeLinear", 13, {x, number(2)}), {3}, {0, 256, 510});
  Tensor words = Tensor::of<uint16_t>({2}, {0, 65535}), zero = Tensor::of<uint16_t>({}, {65535});
  expectTensor<float>(runNode("DequantizeLinear", 21, {words, number(1), zero}), {2}, {-65535, 0});
  Tensor wide = Tensor::of<int32_t>({2}, {-7, (1 << 24) + 2});
  expectTensor<float>(runNode("DequantizeLinear", 10, {wide, number(0.25)}), {2},
                      {-1.75, 4194304.5});
}

TEST(DequantizeLinear, TheScaleOrAnAttributeTellsTheType) {
  Tensor x = Tensor::of<int8_t>({2}, {-128, 3}), half = Tensor::of<Float16>({}, {Float16(0.5f)});
  Tensor y = runNode("DequantizeLinear", 19, {x, half});
  ASSERT_EQ(y.dtype(), DType::Float16);
  EXPECT_EQ(static_cast<float>(y.data<Float16>()[0]), -64);
  ModelBuilder b = nodeModel("DequantizeLinear", 23, {x, half});
  b.attr("output_dtype", static_cast<int64_t>(DType::Float32));
  std::vector<Tensor> wide = run(b, {x, half});
  ASSERT_EQ(wide.size(), 1u);
  expectTensor<float>(wide[0], {2}, {-64, 1.5});
}

TEST(DequantizeLinear, AxesAndBlocks) {
  std::vector<Tensor> rows = {Tensor::of<int8_t>({2, 2}, {1, 2, 3, 4}), floats({2}, {1, 0.5}),
                              Tensor::of<int8_t>({2}, {1, -2})};
  ModelBuilder b = nodeModel("DequantizeLinear", 13, rows);
  std::vector<Tensor> y = run(b.attr("axis", int64_t{-2}), rows);
  ASSERT_EQ(y.size(), 1u);
  expectTensor<float>(y[0], {2, 2}, {0, 1, 2.5, 3});
  rows[1] = floats({2, 1}, {1, 0.5});
  rows[2] = Tensor();
  ModelBuilder blocks = nodeModel("DequantizeLinear", 21, rows);
  y = run(blocks.attr("block_size", int64_t{4}), rows);
  ASSERT_EQ(y.size(), 1u);
  expectTensor<float>(y[0], {2, 2}, {1, 2, 1.5, 2});
}

TEST(DequantizeLinear, Errors) {
  Tensor x = bytes({2}, {0, 0});
  expectError(nodeModel("DequantizeLinear", 13, {x, number(1), Tensor::of<int8_t>({}, {0})}),
              kInvalid, {"the zero point is int8, expected uint8"});
  expectError(nodeModel("DequantizeLinear", 13, {number(1), number(1)}), kInvalid,
              {"operand 0 is float32"});
}

/// A tensor of a type that C++ has not, by the bytes it has in memory.
static Tensor small(DType dtype, const Tensor::Dims &dims, const std::vector<int> &values) {
  Tensor tensor = Tensor::allocate(dtype, dims).take();
  std::copy(values.begin(), values.end(), static_cast<uint8_t *>(tensor.mutableRawData()));
  return tensor;
}

static void expectBytes(const Tensor &found, DType dtype, const std::vector<int> &wanted) {
  ASSERT_TRUE(found.isPresent());
  ASSERT_EQ(found.dtype(), dtype);
  ASSERT_EQ(found.numElements(), static_cast<int64_t>(wanted.size()));
  for (size_t i = 0; i < wanted.size(); ++i)
    EXPECT_EQ(static_cast<const uint8_t *>(found.rawData())[i], static_cast<uint8_t>(wanted[i]))
        << "element " << i;
}

TEST(QuantizeLinear, IntegersOfFewBitsSaturate) {
  Tensor x = floats({5}, {-100, -3, 0.5, 5, 100});
  auto to = [&](DType dtype, int zero) {
    return runNode("QuantizeLinear", 25, {x, number(2), small(dtype, {}, {zero})});
  };
  expectBytes(to(DType::Int4, 1), DType::Int4, {-8, -1, 1, 3, 7});
  expectBytes(to(DType::UInt4, 3), DType::UInt4, {0, 1, 3, 5, 15});
  expectBytes(to(DType::Int2, -1), DType::Int2, {-2, -2, -1, 1, 1});
  expectBytes(to(DType::UInt2, 2), DType::UInt2, {0, 0, 2, 3, 3});
}

TEST(QuantizeLinear, MiniFloatsRoundOnce) {
  Tensor x = floats({4}, {1, 2.5, 10000, -5});
  std::vector<Tensor> operands = {x, number(2)};
  ModelBuilder b = nodeModel("QuantizeLinear", 28, operands);
  std::vector<Tensor> y =
      run(b.attr("output_dtype", static_cast<int64_t>(DType::Float8E5M2)), operands);
  ASSERT_EQ(y.size(), 1u);
  // 0.5, 1.25, 5000 (5120 is nearest), -2.5
  expectBytes(y[0], DType::Float8E5M2, {0x38, 0x3d, 0x6d, 0xc1});
  operands.push_back(small(DType::Float8E4M3FN, {}, {0}));
  ModelBuilder wraps = nodeModel("QuantizeLinear", 19, operands);
  y = run(wraps.attr("saturate", int64_t{0}), operands);
  ASSERT_EQ(y.size(), 1u);
  expectBytes(y[0], DType::Float8E4M3FN, {0x30, 0x3a, 0x7f, 0xc2});
}

TEST(DequantizeLinear, TypesOfFewBits) {
  auto from = [&](DType dtype, const std::vector<int> &bytes, const Tensor &zero = Tensor()) {
    return runNode("DequantizeLinear", 28, {small(dtype, {3}, bytes), number(0.5), zero});
  };
  expectTensor<float>(from(DType::Int4, {-8, 0, 7}, small(DType::Int4, {}, {2})), {3},
                      {-5, -1, 2.5});
  expectTensor<float>(from(DType::UInt2, {0, 1, 3}, small(DType::UInt2, {}, {3})), {3},
                      {-1.5, -1, 0});
  expectTensor<float>(from(DType::Float8E4M3FN, {0x38, 0xc4, 1}), {3}, {0.5, -1.5, 0x1p-10});
  expectTensor<float>(from(DType::Float4E2M1, {1, 7, 15}), {3}, {0.25, 3, -3});
  Tensor power = small(DType::Float8E8M0, {}, {129}); // 4
  expectTensor<float>(
      runNode("DequantizeLinear", 28, {small(DType::Float6E2M3, {2}, {0x1f, 0x28}), power}), {2},
      {30, -4});
}

TEST(DynamicQuantizeLinear, ReachesFromTheSmallestToTheLargest) {
  auto results = [](const Tensor &x) {
    return run(nodeModel("DynamicQuantizeLinear", 11, {x}, 3), {x});
  };
  std::vector<Tensor> y = results(floats({6}, {0, 2, -3, -2.5, 1.34f, 0.5}));
  ASSERT_EQ(y.size(), 3u);
  expectTensor<uint8_t>(y[0], {6}, {153, 255, 0, 26, 221, 179});
  expectTensor<float>(y[1], {}, {5.0f / 255});
  expectTensor<uint8_t>(y[2], {}, {153});
  // All positive: 0 is within reach nevertheless.
  y = results(floats({1, 2}, {51, 255}));
  ASSERT_EQ(y.size(), 3u);
  expectTensor<uint8_t>(y[0], {1, 2}, {51, 255});
  expectTensor<uint8_t>(y[2], {}, {0});
  y = results(floats({2}, {0, 0}));
  ASSERT_EQ(y.size(), 3u);
  expectTensor<uint8_t>(y[0], {2}, {0, 0});
  expectTensor<float>(y[1], {}, {1});
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

TEST(MatMulInteger, ZeroPoints) {
  Tensor a = bytes({4, 3}, {11, 7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0});
  Tensor b = bytes({3, 2}, {1, 4, 2, 5, 3, 6});
  expectTensor<int32_t>(runNode("MatMulInteger", 10, {a, b, bytes({}, {12}), bytes({1}, {0})}),
                        {4, 2}, {-38, -83, -44, -98, -50, -113, -56, -128});
  expectTensor<int32_t>(runNode("MatMulInteger", 10, {a, b, Tensor(), bytes({}, {1})}), {4, 2},
                        {13, 76, 10, 64, 7, 52, 4, 40});
  // For each row of a and each column of b.
  std::vector<Tensor> operands = {bytes({2, 2}, {1, 2, 3, 4}),
                                  Tensor::of<int8_t>({2, 2}, {1, -2, 3, 4}), bytes({2}, {1, 3}),
                                  Tensor::of<int8_t>({2}, {1, -2})};
  expectTensor<int32_t>(runNode("MatMulInteger", 10, operands), {2, 2}, {2, 6, 2, 6});
}

// 255 * 255 * 33031 does not fit into 31 bits.
TEST(MatMulInteger, SumsWrap) {
  constexpr int64_t kDepth = 33031;
  Tensor a = bytes({1, kDepth}, std::vector<uint8_t>(kDepth, 255));
  Tensor b = bytes({kDepth, 1}, std::vector<uint8_t>(kDepth, 255));
  expectTensor<int32_t>(runNode("MatMulInteger", 10, {a, b}), {1, 1},
                        {static_cast<int32_t>(uint32_t{255 * 255} * uint32_t{kDepth})});
}

TEST(MatMulInteger, Errors) {
  Tensor a = bytes({2, 3}, {1, 2, 3, 4, 5, 6}), b = bytes({3, 2}, {1, 2, 3, 4, 5, 6});
  expectError(nodeModel("MatMulInteger", 10, {a, b, bytes({3}, {0, 0, 0})}), kInvalid,
              {"(MatMulInteger, opset 10)", "does not fit: 3x1 to 2x3"});
  expectError(nodeModel("MatMulInteger", 10, {a, b, Tensor::of<int8_t>({}, {0})}), kInvalid,
              {"the zero point is int8, expected uint8"});
  expectError(nodeModel("MatMulInteger", 10, {a, floats({3, 1}, {1, 2, 3})}), kInvalid,
              {"operand 1 is float32"});
}

TEST(QLinearMatMul, RequantizesRowsAndColumns) {
  std::vector<Tensor> operands = {bytes({2, 2}, {11, 12, 20, 10}),
                                  number(0.5),
                                  bytes({}, {10}),
                                  Tensor::of<int8_t>({2, 2}, {1, 2, 3, -4}),
                                  floats({2}, {1, 2}),
                                  Tensor::of<int8_t>({2}, {0, 0}),
                                  number(0.5),
                                  bytes({}, {100})};
  // Sums 7, -6, 10, 20; scales 1 and 2.
  expectTensor<uint8_t>(runNode("QLinearMatMul", 10, operands), {2, 2}, {107, 88, 110, 140});
  operands[1] = floats({2}, {0.5, 8});
  operands[2] = bytes({2}, {10, 10});
  expectTensor<uint8_t>(runNode("QLinearMatMul", 21, operands), {2, 2}, {107, 88, 255, 255});
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

TEST(ConvInteger, BeyondTheEdgesIsTheZeroPoint) {
  std::vector<Tensor> operands = {bytes({1, 1, 3, 3}, {2, 3, 4, 5, 6, 7, 8, 9, 10}),
                                  bytes({1, 1, 2, 2}, {1, 1, 1, 1}), bytes({}, {1})};
  ModelBuilder b = nodeModel("ConvInteger", 10, operands);
  std::vector<Tensor> y = run(b.attr("pads", Ints{1, 1, 1, 1}), operands);
  ASSERT_EQ(y.size(), 1u);
  expectTensor<int32_t>(y[0], {1, 1, 4, 4},
                        {1, 3, 5, 3, 5, 12, 16, 9, 11, 24, 28, 15, 7, 15, 17, 9});
  expectTensor<int32_t>(runNode("ConvInteger", 10, operands), {1, 1, 2, 2}, {12, 16, 24, 28});
}

TEST(ConvInteger, GroupsAndZeroPointsOfChannels) {
  std::vector<Tensor> operands = {bytes({1, 2, 2}, {1, 2, 3, 4}), bytes({2, 1, 1}, {5, 7}),
                                  bytes({1}, {1}), bytes({2}, {4, 5})};
  ModelBuilder b = nodeModel("ConvInteger", 10, operands);
  std::vector<Tensor> y = run(b.attr("group", int64_t{2}), operands);
  ASSERT_EQ(y.size(), 1u);
  expectTensor<int32_t>(y[0], {1, 2, 2}, {0, 1, 4, 6});
}

static std::vector<Tensor> convOperands() {
  return {bytes({1, 1, 1, 2}, {10, 20}),
          number(0.5),
          bytes({}, {10}),
          Tensor::of<int8_t>({2, 1, 1, 1}, {2, -3}),
          floats({2}, {1, 0.5}),
          Tensor::of<int8_t>({2}, {0, 0}),
          number(0.25),
          bytes({1}, {100}),
          Tensor::of<int32_t>({2}, {4, -8})};
}

TEST(QLinearConv, RequantizesChannels) {
  // Sums 4, 24, -8, -38; scales 2 and 1.
  std::vector<Tensor> operands = convOperands();
  expectTensor<uint8_t>(runNode("QLinearConv", 10, operands), {1, 2, 1, 2}, {108, 148, 92, 62});
  operands.pop_back();
  expectTensor<uint8_t>(runNode("QLinearConv", 10, operands), {1, 2, 1, 2}, {100, 140, 100, 70});
  operands[4] = number(1);
  operands[5] = Tensor::of<int8_t>({}, {-1}); // weights 3 and -2, scale 2
  expectTensor<uint8_t>(runNode("QLinearConv", 10, operands), {1, 2, 1, 2}, {100, 160, 100, 60});
}

TEST(QLinearConv, Errors) {
  std::vector<Tensor> operands = convOperands();
  operands[8] = floats({2}, {0, 0});
  expectError(nodeModel("QLinearConv", 10, operands), kInvalid, {"operand 8 is float32"});
  operands = convOperands();
  operands[4] = floats({3}, {1, 1, 1});
  expectError(nodeModel("QLinearConv", 10, operands), kInvalid, {"does not fit: 3x1x1 to 1x2x1x2"});
  operands = convOperands();
  operands[1] = floats({2}, {1, 1});
  operands[2] = bytes({1, 1}, {0});
  expectError(nodeModel("QLinearConv", 10, operands), kInvalid, {"must be a scalar, found 1x1"});
}
