//===- ImportAttentionTest.cpp - attention and rotary embeddings ----------===//
#include "tests/frontend/Interpret.h"
#include "tests/frontend/RunModel.h"

#include <cmath>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

using Ints = std::vector<int64_t>;
static constexpr StatusCode kInvalid = StatusCode::InvalidModel;

static Tensor floats(const Tensor::Dims &dims, const std::vector<float> &values) {
  return Tensor::of<float>(dims, values);
}

// Queries, keys and values of one head of size 1: the second query weighs the keys 1 to 3.
static Tensor queries() { return floats({1, 1, 2, 1}, {0, std::log(3.0f)}); }
static Tensor keys() { return floats({1, 1, 2, 1}, {0, 1}); }
static Tensor values() { return floats({1, 1, 2, 1}, {10, 20}); }

/// y = Attention(q, k, v, more...) of the operands above.
static ModelBuilder attention(int64_t opset, const std::vector<std::string> &more = {},
                              const std::vector<std::string> &outputs = {"y"},
                              const Ints &dims = {1, 1, 2, 1}) {
  ModelBuilder b(opset);
  b.input("q", dims).input("k", dims).input("v", dims);
  std::vector<std::string> inputs = {"q", "k", "v"};
  inputs.insert(inputs.end(), more.begin(), more.end());
  b.node("Attention", inputs, outputs);
  for (const std::string &output : outputs)
    if (!output.empty())
      b.output(output);
  return b;
}

TEST(ImportAttention, WeighsValuesBySoftmax) {
  for (const Ints &dims : {Ints{1, 1, 2, 1}, Ints{-1, -2, -3, -4}}) {
    auto y = run(attention(23, {}, {"y"}, dims), {queries(), keys(), values()});
    ASSERT_EQ(y.size(), 1u);
    expectFloats(y[0], {1, 1, 2, 1}, {15, 17.5});
  }
  // Scores times 2: 1 to 9.
  auto scaled = run(attention(23).attr("scale", 2.0f), {queries(), keys(), values()});
  expectFloats(scaled.at(0), {1, 1, 2, 1}, {15, 19});
}

TEST(ImportAttention, CausalAfterThePast) {
  auto y = run(attention(23).attr("is_causal", int64_t{1}), {queries(), keys(), values()});
  expectFloats(y.at(0), {1, 1, 2, 1}, {10, 17.5});
  ModelBuilder b = attention(23, {"", "pk", "pv"}, {"y", "k2", "v2"});
  b.attr("is_causal", int64_t{1}).input("pk", {1, 1, 1, 1}).input("pv", {1, 1, 1, 1});
  auto all =
      run(b, {queries(), keys(), values(), floats({1, 1, 1, 1}, {1}), floats({1, 1, 1, 1}, {40})});
  ASSERT_EQ(all.size(), 3u);
  // Weights 1 1; 3 1 3.
  expectFloats(all[0], {1, 1, 2, 1}, {25, (3 * 40 + 10 + 3 * 20) / 7.0});
  expectFloats(all[1], {1, 1, 3, 1}, {1, 0, 1});
  expectFloats(all[2], {1, 1, 3, 1}, {40, 10, 20});
  ModelBuilder alone = attention(23, {"", "pk"});
  expectError(alone.input("pk", {1, 1, 1, 1}), kInvalid, {"'y_node'", "past_key and past_value"});
}

TEST(ImportAttention, MasksByBoolAndByFloat) {
  ModelBuilder bools = attention(23, {"m"});
  bools.input("m", {2, 2}, DType::Bool);
  Tensor mask = Tensor::of<bool>({2, 2}, {false, true, false, false});
  // A query without keys gives 0.
  auto y = run(bools, {queries(), keys(), values(), mask});
  expectFloats(y.at(0), {1, 1, 2, 1}, {20, 0});
  ModelBuilder added = attention(23, {"m"});
  added.input("m", {2, 2});
  auto z = run(added, {queries(), keys(), values(), floats({2, 2}, {0, std::log(3.0f), 0, 0})});
  expectFloats(z.at(0), {1, 1, 2, 1}, {17.5, 17.5});
  // The keys that a mask lacks take no part.
  for (int64_t size : {int64_t{1}, int64_t{-1}}) {
    ModelBuilder brief = attention(24, {"m"});
    brief.input("m", {2, size});
    auto first = run(brief, {queries(), keys(), values(), floats({2, 1}, {0, 0})});
    expectFloats(first.at(0), {1, 1, 2, 1}, {10, 10});
  }
  ModelBuilder wide = attention(23, {"m"});
  expectError(wide.input("m", {2, 3}), kInvalid, {"'y_node'", "for 3 keys, there are 2"});
}

TEST(ImportAttention, WindowsAndLengthsOfCaches) {
  auto left =
      run(attention(25).attr("left_window_size", int64_t{0}), {queries(), keys(), values()});
  expectFloats(left.at(0), {1, 1, 2, 1}, {15, 20});
  auto right =
      run(attention(25).attr("right_window_size", int64_t{0}), {queries(), keys(), values()});
  expectFloats(right.at(0), {1, 1, 2, 1}, {10, 17.5});
  expectError(attention(24).attr("left_window_size", int64_t{0}), StatusCode::Unsupported,
              {"'left_window_size'"});
  expectError(attention(25).attr("left_window_size", int64_t{-2}), kInvalid, {"window sizes"});
  ModelBuilder b = attention(24, {"", "", "", "n"});
  b.attr("is_causal", int64_t{1}).input("n", {1}, DType::Int64);
  // Of one key, the first query sees none and the second that one.
  auto one = run(b, {queries(), keys(), values(), Tensor::ofInts({1})});
  expectFloats(one.at(0), {1, 1, 2, 1}, {0, 10});
  auto two = run(b, {queries(), keys(), values(), Tensor::ofInts({2})});
  expectFloats(two.at(0), {1, 1, 2, 1}, {10, 17.5});
}

TEST(ImportAttention, GivesScoresOfEachStage) {
  double capped = 0.5 * std::tanh(std::log(3.0) / 0.5), infinity = INFINITY;
  double weight = std::exp(capped) / (1 + std::exp(capped));
  const std::vector<double> wanted[] = {{0, 0, 0, std::log(3.0)},
                                        {0, 0, 0, capped},
                                        {0, -infinity, 0, capped},
                                        {1, 0, 1 - weight, weight}};
  for (int64_t mode = 0; mode < 4; ++mode) {
    ModelBuilder b = attention(23, {}, {"y", "", "", "qk"});
    b.attr("is_causal", int64_t{1}).attr("softcap", 0.5f).attr("qk_matmul_output_mode", mode);
    auto outputs = run(b, {queries(), keys(), values()});
    ASSERT_EQ(outputs.size(), 2u);
    for (int64_t i = 0; i < 4; ++i) {
      double found = floatAt(outputs[1], i), want = wanted[mode][static_cast<size_t>(i)];
      EXPECT_TRUE(found == want || std::abs(found - want) < 1e-6) << mode << ' ' << i;
    }
  }
  expectError(attention(23).attr("qk_matmul_output_mode", int64_t{4}), kInvalid, {"not in [0, 3]"});
  expectError(attention(23).attr("softmax_precision", int64_t{7}), kInvalid, {"no float type"});
}

TEST(ImportAttention, GroupsOfHeadsShareKeys) {
  for (int64_t batch : {int64_t{1}, int64_t{-1}}) {
    ModelBuilder b(23);
    b.input("q", {batch, 2, 2}).input("k", {batch, 2, 1}).input("v", {batch, 2, 1}).output("y");
    b.node("Attention", {"q", "k", "v"}, {"y"});
    b.attr("q_num_heads", int64_t{2}).attr("kv_num_heads", int64_t{1});
    float third = std::log(3.0f);
    auto y = run(b, {floats({1, 2, 2}, {0, third, third, 0}), floats({1, 2, 1}, {0, 1}),
                     floats({1, 2, 1}, {10, 20})});
    expectFloats(y.at(0), {1, 2, 2}, {15, 17.5, 17.5, 15});
  }
  ModelBuilder uneven(23);
  uneven.input("q", {1, 3, 2, 1}).input("k", {1, 2, 2, 1}).output("y");
  uneven.node("Attention", {"q", "k", "k"}, {"y"});
  expectError(uneven, kInvalid, {"3 heads of queries are no multiple of 2 heads of keys"});
  ModelBuilder packed(23);
  packed.input("q", {1, 2, 3}).node("Attention", {"q", "q", "q"}, {"y"}).output("y");
  expectError(packed, kInvalid, {"'q_num_heads': expected at least 1"});
  packed.attr("q_num_heads", int64_t{2}).attr("kv_num_heads", int64_t{2});
  expectError(packed, kInvalid, {"a size of 3 is no multiple of 2"});
  ModelBuilder mixed(23);
  mixed.input("q", {1, 1, 2, 1}).input("k", {1, 2, 1}).output("y");
  mixed.node("Attention", {"q", "k", "k"}, {"y"});
  expectError(mixed, kInvalid, {"input 1 has rank 3, input 0 has 4"});
}

/// A graph attribute of the node added last: y = op(x, c).
static void addModifier(ModelBuilder &b, const std::string &name, const std::string &op,
                        float constant) {
  proto::GraphProto &graph = *b.attribute(name, proto::AttributeProto::GRAPH).mutable_g();
  graph.set_name(name);
  graph.add_input()->set_name("x");
  graph.add_output()->set_name("z");
  proto::TensorProto &c = *graph.add_initializer();
  c.set_name("c");
  c.set_data_type(proto::TensorProto::FLOAT);
  c.add_float_data(constant);
  proto::NodeProto &node = *graph.add_node();
  node.set_op_type(op);
  for (const char *input : {"x", "c"})
    node.add_input(input);
  node.add_output("z");
}

/// y = FlexAttention(q, k, v) of the operands above.
static ModelBuilder flexAttention() {
  ModelBuilder b(26);
  b.input("q", {1, 1, 2, 1}).input("k", {1, 1, 2, 1}).input("v", {1, 1, 2, 1}).output("y");
  return b.node("FlexAttention", {"q", "k", "v"}, {"y"}).domain("ai.onnx.preview");
}

TEST(ImportFlexAttention, RunsGraphsOnScoresAndProbabilities) {
  auto plain = run(flexAttention(), {queries(), keys(), values()});
  expectFloats(plain.at(0), {1, 1, 2, 1}, {15, 17.5});
  ModelBuilder b = flexAttention();
  addModifier(b, "score_mod", "Mul", 2);
  addModifier(b, "prob_mod", "Add", 1);
  // Weights 1 1 and 1 9, and all values once more.
  auto y = run(b, {queries(), keys(), values()});
  expectFloats(y.at(0), {1, 1, 2, 1}, {45, 49});
  ModelBuilder two = flexAttention();
  addModifier(two, "score_mod", "Mul", 2);
  two.graph().mutable_node(0)->mutable_attribute(0)->mutable_g()->add_input()->set_name("more");
  expectError(two, kInvalid, {"'y_node'", "'score_mod'", "2 inputs and 1 outputs"});
  ModelBuilder other = flexAttention();
  addModifier(other, "prob_mod", "Less", 2);
  expectError(other, kInvalid, {"'prob_mod'", "another type"});
}

/// y = RotaryEmbedding(x, cos 0, sin 1): the angle of a quarter turn.
static ModelBuilder quarterTurn(const Ints &dims, int64_t angles) {
  ModelBuilder b(23);
  b.input("x", dims).output("y");
  std::vector<float> zeros(static_cast<size_t>(angles), 0), ones(static_cast<size_t>(angles), 1);
  b.initializer("cos", floats({1, 1, angles}, zeros));
  b.initializer("sin", floats({1, 1, angles}, ones));
  return b.node("RotaryEmbedding", {"x", "cos", "sin"}, {"y"});
}

TEST(ImportRotaryEmbedding, RotatesHalvesOrNeighbours) {
  Tensor x = floats({1, 1, 1, 4}, {1, 2, 3, 4});
  for (const Ints &dims : {Ints{1, 1, 1, 4}, Ints{-1, -2, -3, -4}}) {
    expectRuns<float>(quarterTurn(dims, 2), {x}, {1, 1, 1, 4}, {-3, -4, 1, 2});
    ModelBuilder pairs = quarterTurn(dims, 2);
    expectRuns<float>(pairs.attr("interleaved", int64_t{1}), {x}, {1, 1, 1, 4}, {-2, 1, -4, 3});
    ModelBuilder part = quarterTurn(dims, 1);
    expectRuns<float>(part.attr("rotary_embedding_dim", int64_t{2}), {x}, {1, 1, 1, 4},
                      {-2, 1, 3, 4});
  }
  ModelBuilder packed = quarterTurn({1, 1, 4}, 1);
  packed.attr("num_heads", int64_t{2});
  expectRuns<float>(packed, {floats({1, 1, 4}, {1, 2, 3, 4})}, {1, 1, 4}, {-2, 1, -4, 3});
  expectError(quarterTurn({1, 1, 4}, 1), kInvalid, {"'num_heads' is required"});
  expectError(quarterTurn({1, 1, 1, 4}, 1), kInvalid,
              {"4 elements of a head cannot be rotated by 1 angles"});
}

TEST(ImportRotaryEmbedding, PositionsChooseAngles) {
  ModelBuilder b(23);
  b.input("x", {1, 1, 2, 2}).input("p", {1, 2}, DType::Int64).output("y");
  b.initializer("cos", floats({2, 1}, {1, 0}));
  b.initializer("sin", floats({2, 1}, {0, 1}));
  b.node("RotaryEmbedding", {"x", "cos", "sin", "p"}, {"y"});
  Tensor x = floats({1, 1, 2, 2}, {1, 2, 3, 4}), p = Tensor::of<int64_t>({1, 2}, {1, 0});
  expectRuns<float>(b, {x, p}, {1, 1, 2, 2}, {-2, 1, 3, 4});
  // ONNX Runtime's: one position is the first of all.
  ModelBuilder first(17);
  first.input("x", {1, 2, 2}).input("p", {1}, DType::Int64).output("y");
  first.initializer("cos", floats({3, 1}, {0, 1, 0}));
  first.initializer("sin", floats({3, 1}, {0, 0, 1}));
  first.node("RotaryEmbedding", {"x", "p", "cos", "sin"}, {"y"}).domain("com.microsoft");
  expectRuns<float>(first, {floats({1, 2, 2}, {1, 2, 3, 4}), Tensor::ofInts({1})}, {1, 2, 2},
                    {1, 2, -4, 3});
}
