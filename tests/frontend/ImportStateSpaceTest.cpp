//===- ImportStateSpaceTest.cpp - linear attention and its convolution ----===//
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

static ModelBuilder causalConv(const Ints &x, const Ints &w, const std::vector<std::string> &more) {
  ModelBuilder b(27);
  b.input("x", x).input("w", w).output("y").output("s");
  std::vector<std::string> inputs = {"x", "w"};
  inputs.insert(inputs.end(), more.begin(), more.end());
  return b.node("CausalConvWithState", inputs, {"y", "s"});
}

TEST(ImportCausalConv, SeesEarlierPositions) {
  Tensor x = floats({1, 2, 3}, {1, 2, 3, 4, 5, 6}), w = floats({2, 1, 2}, {1, 10, 2, 1});
  for (int64_t channels : {int64_t{2}, int64_t{-2}}) {
    auto outputs = run(causalConv({1, channels, 3}, {channels, 1, 2}, {}), {x, w});
    ASSERT_EQ(outputs.size(), 2u);
    expectFloats(outputs[0], {1, 2, 3}, {10, 21, 32, 4, 13, 16});
    expectFloats(outputs[1], {1, 2, 1}, {3, 6});
  }
  ModelBuilder b = causalConv({1, 2, 3}, {2, 1, 2}, {"b", "p"});
  b.input("b", {2}).input("p", {1, 2, 1}).attr("activation", "silu");
  auto outputs = run(b, {x, w, floats({2}, {-10, 0}), floats({1, 2, 1}, {1, 0})});
  auto silu = [](double v) { return v / (1 + std::exp(-v)); };
  expectFloats(outputs.at(0), {1, 2, 3},
               {silu(1), silu(11), silu(22), silu(4), silu(13), silu(16)});
}

TEST(ImportCausalConv, Refusals) {
  expectError(causalConv({1, 2}, {2, 1, 2}, {}), kInvalid, {"'y_node'", "input 0 has rank 2"});
  ModelBuilder odd = causalConv({1, 2, 3}, {2, 1, 2}, {});
  expectError(odd.attr("activation", "relu"), kInvalid, {"'activation'", "found 'relu'"});
}

/// Linear attention of two times, one head of keys of size 1 and values of size 2.
static ModelBuilder linearAttention(const char *rule, const std::vector<std::string> &more,
                                    int64_t batch = 1) {
  ModelBuilder b(27);
  b.input("q", {batch, 2, 1}).input("k", {batch, 2, 1}).input("v", {batch, 2, 2});
  std::vector<std::string> inputs = {"q", "k", "v"};
  inputs.insert(inputs.end(), more.begin(), more.end());
  b.node("LinearAttention", inputs, {"y", "s"}).output("y").output("s");
  b.attr("q_num_heads", int64_t{1}).attr("kv_num_heads", int64_t{1});
  b.attr("update_rule", rule);
  return b;
}

static Tensor linearQueries() { return floats({1, 2, 1}, {1, 2}); }
static Tensor linearKeys() { return floats({1, 2, 1}, {3, 1}); }
static Tensor linearValues() { return floats({1, 2, 2}, {1, 2, 4, 5}); }

TEST(ImportLinearAttention, SumsKeysTimesValues) {
  for (int64_t batch : {int64_t{1}, int64_t{-1}}) {
    // States 3 6 and 7 11.
    auto outputs =
        run(linearAttention("linear", {}, batch), {linearQueries(), linearKeys(), linearValues()});
    ASSERT_EQ(outputs.size(), 2u);
    expectFloats(outputs[0], {1, 2, 2}, {3, 6, 14, 22});
    expectFloats(outputs[1], {1, 1, 1, 2}, {7, 11});
  }
  ModelBuilder b = linearAttention("linear", {"p"});
  b.input("p", {1, 1, 1, 2}).attr("scale", 0.5f);
  auto outputs =
      run(b, {linearQueries(), linearKeys(), linearValues(), floats({1, 1, 1, 2}, {1, 1})});
  expectFloats(outputs.at(0), {1, 2, 2}, {2, 3.5, 8, 12});
}

TEST(ImportLinearAttention, DecaysAndCorrects) {
  // The state is halved, then what it says of the key is taken off the value.
  ModelBuilder b = linearAttention("gated_delta", {"", "g", "r"});
  b.input("g", {1, 2, 1}).input("r", {1, 2, 1});
  float half = std::log(0.5f);
  auto outputs = run(b, {linearQueries(), linearKeys(), linearValues(),
                         floats({1, 2, 1}, {half, half}), floats({1, 2, 1}, {1, 0.5f})});
  ASSERT_EQ(outputs.size(), 2u);
  // 3 6; 1.5 3 and half of 4 - 1.5, 5 - 3.
  expectFloats(outputs[1], {1, 1, 1, 2}, {2.75, 4});
  expectFloats(outputs[0], {1, 2, 2}, {3, 6, 5.5, 8});
}

TEST(ImportLinearAttention, QueriesShareHeads) {
  ModelBuilder b(27);
  b.input("q", {1, 1, 2}).input("k", {1, 1, 1}).input("v", {1, 1, 1}).output("y");
  b.node("LinearAttention", {"q", "k", "v"}, {"y"}).attr("update_rule", "linear");
  b.attr("q_num_heads", int64_t{2}).attr("kv_num_heads", int64_t{1});
  auto y = run(b, {floats({1, 1, 2}, {1, 5}), floats({1, 1, 1}, {2}), floats({1, 1, 1}, {3})});
  expectFloats(y.at(0), {1, 1, 2}, {6, 30});
}

TEST(ImportLinearAttention, Refusals) {
  expectError(linearAttention("gated", {}), kInvalid,
              {"'y_node'", "update rule gated needs input 4"});
  expectError(linearAttention("quadratic", {}), kInvalid, {"'quadratic' is unknown"});
  ModelBuilder heads(27);
  heads.input("q", {1, 1, 3}).node("LinearAttention", {"q", "q", "q"}, {"y"}).output("y");
  heads.attr("q_num_heads", int64_t{3}).attr("kv_num_heads", int64_t{2});
  expectError(heads.attr("update_rule", "linear"), kInvalid, {"a positive multiple"});
}
