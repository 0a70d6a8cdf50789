//===- ImportElementwiseTest.cpp - ops on single elements -----------------===//
#include "tests/frontend/Interpret.h"
#include "tests/frontend/ModelBuilder.h"
#include "tests/frontend/RunModel.h"

#include <cmath>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

static constexpr StatusCode kInvalid = StatusCode::InvalidModel;

/// y = op(a, b) with the given element types.
static ModelBuilder binary(const std::string &op, DType a, DType b, int64_t opset = 13) {
  ModelBuilder m(opset);
  m.input("a", {2, 3}, a).input("b", {3}, b).node(op, {"a", "b"}, {"y"}).output("y");
  return m;
}

/// Whether ONNX has a row's op on elements of this type. Rows of logic are of bools and of bits,
/// which are other ops in ONNX: And, and BitwiseAnd.
static bool isInDomain(const nn::ElementwiseInfo &row, DType dtype) {
  bool isLogic = row.domain == (nn::kSignedClass | nn::kUnsignedClass | nn::kBoolClass);
  return isLogic ? dtype == DType::Bool : (row.domain & nn::elementClassOf(dtype)) != 0;
}

TEST(ImportElementwise, EveryRowOfTheTable) {
  int rows = 0;
  for (const nn::ElementwiseInfo *info : nn::elementwiseTable()) {
    if (info->onnxName.empty())
      continue;
    ++rows;
    for (DType dtype : {DType::Float32, DType::Int32, DType::UInt8, DType::Bool}) {
      SCOPED_TRACE(info->onnxName.str() + " of " + std::string(dtypeName(dtype)));
      ModelBuilder b(20);
      std::vector<std::string> operands;
      for (unsigned i = 0; i < info->arity; ++i) {
        operands.push_back("x" + std::to_string(i));
        b.input(operands.back(), {2, -1}, info->arity == 3 && i == 0 ? DType::Bool : dtype);
      }
      Imported m(b.node(info->onnxName.str(), operands, {"y"}).output("y"));
      EXPECT_EQ(m.module.isOk(), isInDomain(*info, dtype)) << m.text();
      if (!m.module) {
        EXPECT_EQ(m.module.status().code(), StatusCode::InvalidModel) << m.text();
        continue;
      }
      int found = 0;
      (*m.module)->walk([&](mlir::Operation *op) {
        if (op->getName().getStringRef() != info->opName)
          return;
        ++found;
        DType result = info->result == nn::ResultElement::Bool ? DType::Bool : dtype;
        EXPECT_EQ(nn::dtypeOf(nn::elementTypeOf(op->getResult(0))), result);
      });
      EXPECT_EQ(found, 1) << m.text();
    }
  }
  EXPECT_GT(rows, 40);
}

/// What op(x) is on the numbers that tell apart: two numbers, -infinity, infinity, NaN.
static std::vector<bool> testNumbers(ModelBuilder model) {
  auto y = run(model, {Tensor::of<float>({5}, {0, -2.5, -INFINITY, INFINITY, NAN})});
  std::vector<bool> found;
  for (int64_t i = 0; !y.empty() && i < y[0].numElements(); ++i)
    found.push_back(y[0].data<bool>()[i]);
  return found;
}

TEST(ImportElementwise, TellsNumbersApart) {
  auto test = [](const std::string &op) {
    ModelBuilder b(13);
    b.input("x", {5}).node(op, {"x"}, {"y"}).output("y");
    return b;
  };
  EXPECT_EQ(testNumbers(test("IsNaN")), (std::vector<bool>{false, false, false, false, true}));
  auto isInf = [&](int64_t negative, int64_t positive) {
    return testNumbers(
        test("IsInf").attr("detect_negative", negative).attr("detect_positive", positive));
  };
  EXPECT_EQ(testNumbers(test("IsInf")), (std::vector<bool>{false, false, true, true, false}));
  EXPECT_EQ(isInf(1, 0), (std::vector<bool>{false, false, true, false, false}));
  EXPECT_EQ(isInf(0, 1), (std::vector<bool>{false, false, false, true, false}));
  EXPECT_EQ(isInf(0, 0), (std::vector<bool>{false, false, false, false, false}));
  for (const char *op : {"IsNaN", "IsInf"}) {
    ModelBuilder ints(13);
    ints.input("x", {5}, DType::Int32).node(op, {"x"}, {"y"}).output("y");
    expectError(ints, kInvalid, {"input 0 must hold floats, found int32"});
  }
}

/// 448 is the largest number of a type without infinities.
TEST(ImportElementwise, NothingIsInfiniteWithoutInfinities) {
  ModelBuilder b(20);
  b.input("x", {2}, DType::Float8E4M3FN).node("IsInf", {"x"}, {"y"}).output("y");
  Tensor x = Tensor::allocate(DType::Float8E4M3FN, {2}).take();
  auto *bytes = static_cast<uint8_t *>(x.mutableRawData());
  bytes[0] = 0x7e;
  bytes[1] = 0xfe;
  auto y = run(b, {x});
  ASSERT_EQ(y.size(), 1u);
  EXPECT_FALSE(y[0].data<bool>()[0]);
  EXPECT_FALSE(y[0].data<bool>()[1]);
}

TEST(ImportElementwise, ReciprocalAndPRelu) {
  ModelBuilder b(16);
  b.input("x", {4}).input("slope", {1}).node("Reciprocal", {"x"}, {"r"}).output("r");
  b.node("PRelu", {"x", "slope"}, {"p"}).output("p");
  auto y = run(b, {Tensor::of<float>({4}, {2, -0.5f, 0, NAN}), Tensor::of<float>({1}, {0.25f})});
  ASSERT_EQ(y.size(), 2u);
  EXPECT_EQ(floatAt(y[0], 0), 0.5f);
  EXPECT_EQ(floatAt(y[0], 1), -2);
  EXPECT_EQ(floatAt(y[0], 2), INFINITY);
  EXPECT_TRUE(std::isnan(floatAt(y[0], 3)));
  EXPECT_EQ(floatAt(y[1], 0), 2);
  EXPECT_EQ(floatAt(y[1], 1), -0.125f);
  EXPECT_EQ(floatAt(y[1], 2), 0);
  EXPECT_TRUE(std::isnan(floatAt(y[1], 3)));
  ModelBuilder ints(16);
  ints.input("x", {4}, DType::Int32).node("Reciprocal", {"x"}, {"y"}).output("y");
  expectError(ints, kInvalid, {"input 0 must hold floats, found int32"});
}

TEST(ImportElementwise, ComparesTheOtherWayAround) {
  for (bool orEqual : {false, true}) {
    ModelBuilder b = binary(orEqual ? "GreaterOrEqual" : "Greater", DType::Float32, DType::Float32);
    auto y = run(
        b, {Tensor::of<float>({2, 3}, {1, 2, 3, NAN, 5, 0}), Tensor::of<float>({3}, {1, 3, NAN})});
    ASSERT_EQ(y.size(), 1u);
    const bool *found = y[0].data<bool>();
    EXPECT_EQ(std::vector<bool>(found, found + 6),
              (std::vector<bool>{orEqual, false, false, false, true, false}));
  }
}

TEST(ImportElementwise, LogicIsOfBoolsOrOfBits) {
  expectError(binary("And", DType::Int32, DType::Int32), kInvalid,
              {"'y_node' (And, opset 13)", "input 0 must hold bool, found int32"});
  expectError(binary("BitwiseAnd", DType::Bool, DType::Bool, 18), kInvalid,
              {"input 0 must hold integers, found bool"});
  ModelBuilder b(13);
  b.input("a", {4}, DType::Bool).input("b", {4}, DType::Bool);
  b.node("And", {"a", "b"}, {"and"}).node("Or", {"a", "b"}, {"or"});
  b.node("Xor", {"a", "b"}, {"xor"}).node("Not", {"a"}, {"not"});
  b.output("and").output("or").output("xor").output("not");
  auto y = run(b, {Tensor::of<bool>({4}, {false, false, true, true}),
                   Tensor::of<bool>({4}, {false, true, false, true})});
  ASSERT_EQ(y.size(), 4u);
  auto found = [&](size_t i) {
    return std::vector<bool>(y[i].data<bool>(), y[i].data<bool>() + 4);
  };
  EXPECT_EQ(found(0), (std::vector<bool>{false, false, false, true}));
  EXPECT_EQ(found(1), (std::vector<bool>{false, true, true, true}));
  EXPECT_EQ(found(2), (std::vector<bool>{false, true, true, false}));
  EXPECT_EQ(found(3), (std::vector<bool>{true, true, false, false}));
}

TEST(ImportElementwise, BroadcastsAndParams) {
  EXPECT_EQ(Imported(binary("Add", DType::Float32, DType::Float32)).outputType(),
            "tensor<2x3xf32>");
  EXPECT_EQ(Imported(binary("Less", DType::Int32, DType::Int32)).outputType(), "tensor<2x3xi1>");
  ModelBuilder b;
  b.input("x", {2}).node("LeakyRelu", {"x"}, {"y"}).attr("alpha", 0.25f).output("y");
  Imported m(b);
  ASSERT_TRUE(m.find<nn::LeakyReluOp>()) << m.text();
  EXPECT_EQ(m.find<nn::LeakyReluOp>().getAlpha().convertToDouble(), 0.25);
}

TEST(ImportElementwise, OperandTypesMustAgree) {
  expectError(binary("Add", DType::Float32, DType::Int32), kInvalid, {"'y_node' (Add, opset 13)"});
}

TEST(ImportElementwise, ClipInBothForms) {
  ModelBuilder v1(1);
  v1.input("x", {2}).node("Clip", {"x"}, {"y"}).attr("max", 6.0f).output("y");
  Imported oneSided(v1);
  EXPECT_EQ(oneSided.count<nn::MinOp>(), 1) << oneSided.text();
  EXPECT_EQ(oneSided.count<nn::MaxOp>(), 0);
  ModelBuilder v11(11);
  v11.input("x", {2}).input("lo", {}).node("Clip", {"x", "lo"}, {"y"}).output("y");
  Imported lower(v11);
  EXPECT_EQ(lower.count<nn::MinOp>(), 0) << lower.text();
  EXPECT_EQ(lower.count<nn::MaxOp>(), 1);
}

TEST(ImportElementwise, Chains) {
  ModelBuilder b(8);
  b.input("x", {2}).output("y").output("z").output("one");
  b.node("Sum", {"x", "x", "x"}, {"y"}).node("Mean", {"x", "x"}, {"z"}).node("Max", {"x"}, {"one"});
  Imported m(b);
  EXPECT_EQ(m.count<nn::AddOp>(), 3) << m.text();
  EXPECT_EQ(m.count<nn::DivOp>(), 1);
  EXPECT_EQ(m.count<nn::MaxOp>(), 0);
}

TEST(ImportElementwise, PowConvertsTheExponent) {
  EXPECT_EQ(Imported(binary("Pow", DType::Float32, DType::Int64)).outputType(), "tensor<2x3xf32>");
  Imported fraction(binary("Pow", DType::Int32, DType::Float32));
  EXPECT_EQ(fraction.outputType(), "tensor<2x3xi32>");
  EXPECT_EQ(fraction.count<nn::CastOp>(), 3);
  expectError(binary("Pow", DType::Float32, DType::Int64, 11), kInvalid, {"before opset 12"});
}

TEST(ImportElementwise, ModAndBitShift) {
  EXPECT_EQ(Imported(binary("Mod", DType::Int32, DType::Int32)).outputType(), "tensor<2x3xi32>");
  EXPECT_EQ(
      Imported(binary("Mod", DType::Float32, DType::Float32).attr("fmod", int64_t{1})).outputType(),
      "tensor<2x3xf32>");
  expectError(binary("Mod", DType::Float32, DType::Float32), kInvalid, {"'fmod' = 1"});
  auto shift = binary("BitShift", DType::UInt8, DType::UInt8);
  expectError(shift, kInvalid, {"attribute 'direction' is missing"});
  EXPECT_EQ(Imported(shift.attr("direction", "LEFT")).outputType(), "tensor<2x3xui8>");
}

TEST(ImportElementwise, CastsToTypesOfFewBits) {
  auto cast = [](int64_t opset, DType to, const char *attribute, int64_t value) {
    ModelBuilder b(opset);
    b.input("x", {2}).node("Cast", {"x"}, {"y"}).attr("to", static_cast<int64_t>(to)).output("y");
    return attribute ? b.attr(attribute, value) : b;
  };
  Imported wraps(cast(19, DType::Float8E5M2, "saturate", 0));
  EXPECT_EQ(wraps.outputType(), "tensor<2xf8E5M2>");
  EXPECT_FALSE(wraps.find<nn::CastOp>().getSaturate());
  Imported power(cast(28, DType::Float8E8M0, nullptr, 0));
  EXPECT_EQ(power.outputType(), "tensor<2x!nn.float<float8e8m0>>");
  EXPECT_EQ(power.find<nn::CastOp>().getRounding(), CastRounding::Up);
  // The low bits of what is out of range.
  EXPECT_EQ(Imported(cast(25, DType::Int2, nullptr, 0)).count<nn::CastOp>(), 2);
  expectError(cast(13, DType::Complex64, nullptr, 0), StatusCode::Unsupported,
              {"(Cast, opset 13)", "element type complex64"});
}

TEST(ImportElementwise, Casts) {
  ModelBuilder b(15);
  b.input("x", {2}).input("like", {}, DType::Int8).output("y").output("z");
  b.node("Cast", {"x"}, {"y"}).attr("to", int64_t{7}).node("CastLike", {"x", "like"}, {"z"});
  Imported m(b);
  EXPECT_EQ(m.outputType(0), "tensor<2xi64>");
  EXPECT_EQ(m.outputType(1), "tensor<2xi8>");
  // How to round to float8e8m0 says nothing about others.
  ModelBuilder rounds(24);
  rounds.input("x", {2}).node("Cast", {"x"}, {"y"}).attr("to", int64_t{10}).output("y");
  EXPECT_EQ(Imported(rounds.attr("round_mode", "nearest")).outputType(), "tensor<2xf16>");
  ModelBuilder unknown;
  unknown.input("x", {2}).node("Cast", {"x"}, {"y"}).attr("to", int64_t{50}).output("y");
  expectError(unknown, kInvalid, {"'to': unknown type 50"});
}

/// y = op(a, b) on vectors.
template <typename T>
static ModelBuilder onVectors(const std::string &op, int64_t opset, int64_t size) {
  ModelBuilder m(opset);
  m.input("a", {size}, dtypeOf<T>()).input("b", {size}, dtypeOf<T>());
  m.node(op, {"a", "b"}, {"y"}).output("y");
  return m;
}

/// Runs x shifted by counts, for which the result is known.
template <typename T>
static void expectShifts(const char *direction, const std::vector<T> &x,
                         const std::vector<T> &counts, const std::vector<T> &wanted) {
  auto size = static_cast<int64_t>(x.size());
  ModelBuilder m = onVectors<T>("BitShift", 28, size);
  m.attr("direction", direction);
  expectRuns<T>(m, {Tensor::of<T>({size}, x), Tensor::of<T>({size}, counts)}, {size}, wanted);
}

TEST(ImportElementwise, SignedShiftsExtendTheSign) {
  expectShifts<int8_t>("RIGHT", {-7, 7, -7, 7, -128, 5}, {1, 1, 8, 8, 7, -1},
                       {-4, 3, -1, 0, -1, 0});
  expectShifts<int8_t>("LEFT", {-7, 65, 1, 1, -1}, {1, 1, 7, 8, -1}, {-14, -126, -128, 0, 0});
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  expectShifts<int64_t>("RIGHT", {kLeast, kLeast, -1}, {63, 64, kLeast}, {-1, -1, -1});
  expectShifts<int64_t>("LEFT", {1, 3, 1}, {63, 63, 64}, {kLeast, kLeast, 0});
  expectShifts<uint8_t>("RIGHT", {255, 255}, {1, 8}, {127, 0});
  ModelBuilder old = onVectors<int8_t>("BitShift", 27, 2);
  expectError(old.attr("direction", "LEFT"), kInvalid, {"'y_node' (BitShift, opset 27)"});
  ModelBuilder mixed(28);
  mixed.input("a", {2}, DType::Int8).input("b", {2}, DType::UInt8).output("y");
  mixed.node("BitShift", {"a", "b"}, {"y"}).attr("direction", "LEFT");
  expectError(mixed, kInvalid, {"'y_node'", "input 1 is uint8, expected int8"});
}

TEST(ImportElementwise, ModOfFloatsHasTheSignOfTheDivisor) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  ModelBuilder m = onVectors<float>("Mod", 28, 7);
  Tensor a = Tensor::of<float>({7}, {-4.5f, 5, -6, 3, -3, kInf, 1});
  Tensor b = Tensor::of<float>({7}, {2, -3, 3, kInf, kInf, 2, 0});
  auto outputs = runModel(m, {a, b});
  ASSERT_TRUE(outputs) << outputs.status().message();
  const float *y = outputs->front().data<float>();
  const float wanted[] = {1.5f, -1, 0, 3, kInf};
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(y[i], wanted[i]) << i;
  EXPECT_FALSE(std::signbit(y[2]));
  EXPECT_TRUE(std::isnan(y[5]) && std::isnan(y[6]));
  expectError(onVectors<float>("Mod", 27, 2), kInvalid, {"'fmod' = 1 before opset 28"});
}

TEST(ImportElementwise, SwiGluMultipliesSwishByTheSecondInput) {
  auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  std::vector<Tensor> inputs = {Tensor::of<float>({2}, {1, -2}), Tensor::of<float>({2}, {3, 5})};
  ModelBuilder m = onVectors<float>("SwiGLU", 28, 2);
  expectFloats(run(m, inputs).at(0), {2}, {3 * sigmoid(1), -10 * sigmoid(-2)});
  m.attr("alpha", 2.0f);
  expectFloats(run(m, inputs).at(0), {2}, {3 * sigmoid(2), -10 * sigmoid(-4)});
  ModelBuilder unequal(28);
  unequal.input("a", {2, 3}).input("b", {3}).node("SwiGLU", {"a", "b"}, {"y"}).output("y");
  expectError(unequal, kInvalid, {"'y_node'", "inputs of different shapes"});
}

TEST(ImportElementwise, BitCastKeepsBits) {
  auto cast = [](DType from, DType to) {
    ModelBuilder b(26);
    b.input("x", {2}, from).node("BitCast", {"x"}, {"y"}).output("y");
    return b.attr("to", int64_t{static_cast<int64_t>(to)});
  };
  Tensor x = Tensor::of<float>({2}, {1, -2});
  expectRuns<int32_t>(cast(DType::Float32, DType::Int32), {x}, {2}, {0x3f800000, -0x40000000});
  Tensor bits = Tensor::of<uint16_t>({2}, {0x3c00, 0xc000});
  expectFloats(run(cast(DType::UInt16, DType::Float16), {bits}).at(0), {2}, {1, -2});
  Tensor bytes = Tensor::of<int8_t>({2}, {0, -1});
  expectRuns<uint8_t>(cast(DType::Int8, DType::UInt8), {bytes}, {2}, {0, 255});
  // Bools are bytes, of which all but 0 are true.
  auto bools = run(cast(DType::Int8, DType::Bool), {bytes});
  EXPECT_FALSE(bools.at(0).data<bool>()[0]);
  EXPECT_TRUE(bools.at(0).data<bool>()[1]);
  Tensor flags = Tensor::of<bool>({2}, {true, false});
  expectRuns<uint8_t>(cast(DType::Bool, DType::UInt8), {flags}, {2}, {1, 0});
  expectError(cast(DType::Float32, DType::Int64), kInvalid, {"'y_node'", "cannot read the bits"});
  expectError(cast(DType::Float32, DType::String), kInvalid, {"cannot read the bits"});
  // Two floats are as many bytes as a complex number, but not one of ONNX's elements.
  expectError(cast(DType::Float32, DType::Complex64), kInvalid,
              {"cannot read the bits of float32 as complex64"});
}
