//===- ImportRecurrentTest.cpp - RNN, GRU and LSTM over all opsets --------===//
#include "ir/RecurrentOps.h"
#include "tests/frontend/Interpret.h"
#include "tests/frontend/ModelBuilder.h"
#include "tests/frontend/RunModel.h"

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

static constexpr StatusCode kInvalid = StatusCode::InvalidModel;
static constexpr StatusCode kUnsupported = StatusCode::Unsupported;

namespace {
/// y, h (and c) = op(x [2, 3, 4], w, r) of 5 hidden units.
ModelBuilder recurrent(const std::string &op, int64_t opset, int64_t directions = 1) {
  int64_t gates = op == "LSTM" ? 4 : op == "GRU" ? 3 : 1;
  ModelBuilder b(opset);
  b.input("x", {2, 3, 4}).input("w", {directions, gates * 5, 4});
  b.input("r", {directions, gates * 5, 5}).output("y").output("h");
  std::vector<std::string> outputs = {"y", "h"};
  if (op == "LSTM") {
    outputs.push_back("c");
    b.output("c");
  }
  b.node(op, {"x", "w", "r"}, outputs).attr("hidden_size", int64_t{5});
  return b;
}

void addStrings(ModelBuilder &b, const std::string &name, const std::vector<std::string> &values) {
  auto &attribute = b.attribute(name, proto::AttributeProto::STRINGS);
  for (const std::string &value : values)
    attribute.add_strings(value);
}

void addFloats(ModelBuilder &b, const std::string &name, const std::vector<float> &values) {
  auto &attribute = b.attribute(name, proto::AttributeProto::FLOATS);
  for (float value : values)
    attribute.add_floats(value);
}

Tensor halves(const Tensor::Dims &dims, std::initializer_list<float> values) {
  std::vector<Float16> elements;
  for (float value : values)
    elements.emplace_back(value);
  return Tensor::of<Float16>(dims, elements);
}

/// The identity for every gate.
ModelBuilder &withIdentity(ModelBuilder &b, size_t count) {
  addStrings(b, "activations", std::vector<std::string>(count, "affine"));
  addFloats(b, "activation_alpha", std::vector<float>(count, 1));
  addFloats(b, "activation_beta", std::vector<float>(count, 0));
  return b;
}
} // namespace

TEST(ImportRecurrent, ShapesOfEveryCell) {
  for (const char *op : {"RNN", "GRU", "LSTM"}) {
    Imported one(recurrent(op, 7));
    EXPECT_EQ(one.outputType(0), "tensor<2x1x3x5xf32>") << op << one.text();
    EXPECT_EQ(one.outputType(1), "tensor<1x3x5xf32>") << op;
    Imported two(recurrent(op, 22, 2).attr("direction", "bidirectional"));
    EXPECT_EQ(two.outputType(0), "tensor<2x2x3x5xf32>") << op << two.text();
    EXPECT_EQ(two.count<nn::MatMulOp>(), 1) << "one product for both directions";
    Imported batchFirst(recurrent(op, 14).attr("layout", int64_t{1}));
    EXPECT_EQ(batchFirst.outputType(0), "tensor<2x3x1x5xf32>") << op << batchFirst.text();
    EXPECT_EQ(batchFirst.outputType(1), "tensor<2x1x5xf32>") << op;
  }
  EXPECT_EQ(Imported(recurrent("LSTM", 7)).outputType(2), "tensor<1x3x5xf32>");
}

TEST(ImportRecurrent, SymbolicSizes) {
  ModelBuilder b(14);
  b.input("x", {-1, 3, 4}).input("w", {1, 20, 4}).input("r", {1, 20, 5}).output("y");
  b.node("LSTM", {"x", "w", "r"}, {"y"});
  EXPECT_EQ(Imported(b).outputType(), "tensor<?x1x3x5xf32, #nn.dims<\"N\", \"\", \"\", \"\">>");
}

TEST(ImportRecurrent, Attributes) {
  auto lstm = recurrent("LSTM", 14, 2).attr("direction", "bidirectional");
  lstm.attr("clip", 1.5f).attr("input_forget", int64_t{1});
  addStrings(lstm, "activations", {"Relu", "hardsigmoid", "Tanh", "Elu", "ScaledTanh", "Affine"});
  addFloats(lstm, "activation_alpha", {0.25, 0.5, 0.75});
  addFloats(lstm, "activation_beta", {0.125, 0.25});
  Imported imported(lstm);
  auto op = imported.find<nn::RecurrentOp>();
  ASSERT_TRUE(op) << imported.text();
  EXPECT_EQ(op.cellKind(), CellKind::Lstm);
  EXPECT_EQ(op.directionKind(), RecurrentDirection::Bidirectional);
  EXPECT_TRUE(op.getInputForget());
  EXPECT_EQ(op.getClip()->convertToDouble(), 1.5);
  // Parameters go to the activations that have some, in order; then come defaults.
  EXPECT_EQ(op.getAlpha(), (llvm::ArrayRef<double>{0, 0.25, 0, 0.5, 0.75, 1}));
  EXPECT_EQ(op.getBeta(), (llvm::ArrayRef<double>{0, 0.125, 0, 0, 0.25, 0}));
  expectContains(imported.text(), "nn.recurrent lstm bidirectional [Relu, HardSigmoid, Tanh, Elu, "
                                  "ScaledTanh, Affine]");
  Imported gru(recurrent("GRU", 14).attr("direction", "reverse"));
  auto cell = gru.find<nn::RecurrentOp>();
  ASSERT_TRUE(cell) << gru.text();
  EXPECT_FALSE(cell.getClip().has_value());
  EXPECT_EQ(cell.directionKind(), RecurrentDirection::Reverse);
  EXPECT_EQ(cell.getActivations(),
            (llvm::ArrayRef<int64_t>{static_cast<int64_t>(CellActivation::Sigmoid),
                                     static_cast<int64_t>(CellActivation::Tanh)}));
}

TEST(ImportRecurrent, BiasesOfInputAndRecurrenceAddUp) {
  ModelBuilder b(14);
  b.input("x", {2, 1, 1}).input("w", {1, 1, 1}).input("r", {1, 1, 1}).input("b", {1, 2});
  b.node("RNN", {"x", "w", "r", "b"}, {"y"}).output("y");
  withIdentity(b, 1);
  // h = 2 x + 10 + 100 + 3 h
  expectRuns<float>(b,
                    {Tensor::of<float>({2, 1, 1}, {1, 2}), Tensor::of<float>({1, 1, 1}, {2}),
                     Tensor::of<float>({1, 1, 1}, {3}), Tensor::of<float>({1, 2}, {10, 100})},
                    {2, 1, 1, 1}, {112, 450});
}

TEST(ImportRecurrent, ResetComesBeforeOrAfterTheRecurrentBias) {
  ModelBuilder b(14);
  b.input("x", {1, 1, 1}).input("w", {1, 3, 1}).input("r", {1, 3, 1}).input("b", {1, 6});
  b.input("h", {1, 1, 1}).node("GRU", {"x", "w", "r", "b", "", "h"}, {"y"}).output("y");
  withIdentity(b, 2);
  std::vector<Tensor> inputs = {
      Tensor::of<float>({1, 1, 1}, {1}), Tensor::of<float>({1, 3, 1}, {1, 2, 3}),
      Tensor::of<float>({1, 3, 1}, {1, 1, 1}), Tensor::of<float>({1, 6}, {1, 0, 0, 1, 1, 5}),
      Tensor::of<float>({1, 1, 1}, {2})};
  // z = 1 + 2 + 2 = 5, r = 2 + 2 + 1 = 5, h~ = 3 + 5 * 2 + 5 = 18, h = -4 * 18 + 5 * 2
  expectRuns<float>(b, inputs, {1, 1, 1, 1}, {-62});
  // h~ = 3 + 5 * (2 + 5) = 38
  b.attr("linear_before_reset", int64_t{1});
  expectRuns<float>(b, inputs, {1, 1, 1, 1}, {-142});
}

TEST(ImportRecurrent, HalfTypesAreComputedWider) {
  ModelBuilder b(14);
  b.input("x", {2, 1, 1}, DType::Float16).input("w", {1, 1, 1}, DType::Float16);
  b.input("r", {1, 1, 1}, DType::Float16).node("RNN", {"x", "w", "r"}, {"y"}).output("y");
  withIdentity(b, 1);
  Imported imported(b);
  EXPECT_EQ(imported.outputType(), "tensor<2x1x1x1xf16>") << imported.text();
  auto y = run(b, {halves({2, 1, 1}, {2048, 1}), halves({1, 1, 1}, {1.5}), halves({1, 1, 1}, {1})});
  ASSERT_EQ(y.size(), 1u);
  expectFloats(y[0], {2, 1, 1, 1}, {3072, 3074}); // 3073.5 rounded once
}

TEST(ImportRecurrent, OperandsOfTheBatchFirst) {
  ModelBuilder b(14);
  b.input("x", {2, 3, 1}).input("w", {1, 1, 1}).input("r", {1, 1, 1}).input("l", {2}, DType::Int32);
  b.input("h", {2, 1, 1}).node("RNN", {"x", "w", "r", "", "l", "h"}, {"y", "last"});
  b.attr("layout", int64_t{1}).output("y").output("last");
  withIdentity(b, 1);
  auto outputs = run(b, {Tensor::of<float>({2, 3, 1}, {1, 2, 3, 4, 5, 6}),
                         Tensor::of<float>({1, 1, 1}, {1}), Tensor::of<float>({1, 1, 1}, {1}),
                         Tensor::of<int32_t>({2}, {3, 2}), Tensor::of<float>({2, 1, 1}, {10, 20})});
  ASSERT_EQ(outputs.size(), 2u);
  expectFloats(outputs[0], {2, 3, 1, 1}, {11, 13, 16, 24, 29, 0});
  expectFloats(outputs[1], {2, 1, 1}, {16, 29});
}

TEST(ImportRecurrent, QuantizedWeights) {
  ModelBuilder b(14);
  b.input("x", {1, 1, 1}).input("w", {1, 1, 4}, DType::UInt8).input("r", {1, 1, 4}, DType::Int8);
  b.input("h", {1, 1, 1}).input("c", {1, 1, 1}).input("ws", {1}).input("wz", {1}, DType::UInt8);
  b.input("rs", {1, 4}).input("rz", {1, 4}, DType::Int8);
  b.node("DynamicQuantizeLSTM", {"x", "w", "r", "", "", "h", "c", "", "ws", "wz", "rs", "rz"},
         {"y", "last", "state"});
  b.domain("com.microsoft").attr("hidden_size", int64_t{1}).output("state");
  withIdentity(b, 3);
  std::vector<Tensor> inputs = {Tensor::of<float>({1, 1, 1}, {1}),
                                Tensor::of<uint8_t>({1, 1, 4}, {10, 12, 14, 16}),
                                Tensor::of<int8_t>({1, 1, 4}, {2, 0, 1, 0}),
                                Tensor::of<float>({1, 1, 1}, {1}),
                                Tensor::of<float>({1, 1, 1}, {2}),
                                Tensor::of<float>({1}, {0.5}),
                                Tensor::of<uint8_t>({1}, {8}),
                                Tensor::of<float>({1, 4}, {1, 1, 1, 2}),
                                Tensor::of<int8_t>({1, 4}, {1, 0, 0, -1})};
  // W = 1 2 3 4, R = 1 0 1 2 (iofc): i = 2, f = 4, c~ = 6, c = 4 * 2 + 2 * 6
  expectRuns<float>(b, inputs, {1, 1, 1}, {20});
  ModelBuilder few(14);
  few.input("x", {1, 1, 1}).input("w", {1, 1, 4}, DType::Int8).input("r", {1, 1, 4}, DType::Int8);
  few.node("DynamicQuantizeLSTM", {"x", "w", "r"}, {"y"}).domain("com.microsoft").output("y");
  expectError(few, kInvalid, {"'y_node'", "required input 8 is missing"});
}

TEST(ImportRecurrent, ErrorsNameTheNode) {
  auto named = recurrent("LSTM", 14);
  addStrings(named, "activations", {"Sigmoid", "Tanh"});
  expectError(named, kInvalid, {"'y_node'", "attribute 'activations': needs 3 names, found 2"});
  auto unknown = recurrent("GRU", 14);
  addStrings(unknown, "activations", {"Sigmoid", "Snake"});
  expectError(unknown, kUnsupported, {"'y_node'", "activation 'Snake'"});
  auto scaled = recurrent("RNN", 14);
  addStrings(scaled, "activations", {"ScaledTanh"});
  addFloats(scaled, "activation_alpha", {0.5});
  expectError(scaled, kInvalid, {"'y_node'", "activation 'ScaledTanh' needs alpha and beta"});
  expectError(recurrent("RNN", 14).attr("direction", "sideways"), kUnsupported,
              {"direction 'sideways'"});
  expectError(recurrent("RNN", 14).attr("layout", int64_t{2}), kInvalid,
              {"attribute 'layout' must be 0 or 1, found 2"});
  expectError(recurrent("RNN", 13).attr("layout", int64_t{1}), kUnsupported,
              {"attribute 'layout' is unknown"});
  expectError(recurrent("RNN", 14).attr("clip", -1.0f), kInvalid,
              {"attribute 'clip' must not be negative, found -1"});
  expectError(recurrent("RNN", 14).attr("input_forget", int64_t{1}), kUnsupported,
              {"attribute 'input_forget' is unknown"});
  expectError(recurrent("RNN", 14, 2), kInvalid, {"W must have shape 1x5x4, found 2x5x4"});
  ModelBuilder sizes(14);
  sizes.input("x", {2, 3, 4}).input("w", {1, 20, 4}).input("r", {1, 20, 6}).output("y");
  sizes.node("LSTM", {"x", "w", "r"}, {"y"});
  expectError(sizes, kInvalid, {"'y_node'", "W must have shape 1x24x4, found 1x20x4"});
  ModelBuilder rank(14);
  rank.input("x", {2, 4}).input("w", {1, 20, 4}).input("r", {1, 20, 5}).output("y");
  rank.node("LSTM", {"x", "w", "r"}, {"y"});
  expectError(rank, kInvalid, {"X must have shape ?x?x?, found 2x4"});
  ModelBuilder types(14);
  types.input("x", {2, 3, 4}).input("w", {1, 20, 4}, DType::Float64).input("r", {1, 20, 5});
  types.node("LSTM", {"x", "w", "r"}, {"y"}).output("y");
  expectError(types, kInvalid, {"input 1 must hold float32, found float64"});
  ModelBuilder state(14);
  state.input("x", {2, 3, 4}).input("w", {1, 5, 4}).input("r", {1, 5, 5}).input("h", {1, 2, 5});
  state.node("RNN", {"x", "w", "r", "", "", "h"}, {"y"}).output("y");
  expectError(state, kInvalid, {"'y_node'", "dimension 1 of initial_h must be 3, found 2"});
}
