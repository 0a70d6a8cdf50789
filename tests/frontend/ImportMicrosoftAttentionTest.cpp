//===- ImportMicrosoftAttentionTest.cpp - attention of ONNX Runtime -------===//
//
// In most cases the queries are 0 and log 3, the keys 0 and 1, the values 10 and 20: the
// first query weighs the keys 1 to 1, the second 1 to 3.
//
//===----------------------------------------------------------------------===//
#include "tests/frontend/Interpret.h"
#include "tests/frontend/RunModel.h"

#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

using Ints = std::vector<int64_t>;
static constexpr StatusCode kInvalid = StatusCode::InvalidModel;
static constexpr StatusCode kUnsupported = StatusCode::Unsupported;
static const float kThird = std::log(3.0f);

static Tensor floats(const Tensor::Dims &dims, const std::vector<float> &values) {
  return Tensor::of<float>(dims, values);
}

/// A node of ONNX Runtime's, with all outputs as outputs of the graph.
static ModelBuilder microsoft(const std::string &op, const std::vector<std::string> &inputs,
                              const std::vector<std::string> &outputs = {"y"}) {
  ModelBuilder b(17);
  b.node(op, inputs, outputs).domain("com.microsoft");
  for (const std::string &output : outputs)
    b.output(output);
  return b;
}

//===----------------------------------------------------------------------===//
// MultiHeadAttention
//===----------------------------------------------------------------------===//

/// y = MultiHeadAttention(q, k, v, more...) with one head.
static ModelBuilder multiHead(const std::vector<std::string> &more = {},
                              const std::vector<std::string> &outputs = {"y"}) {
  std::vector<std::string> inputs = {"q", "k", "v"};
  inputs.insert(inputs.end(), more.begin(), more.end());
  ModelBuilder b = microsoft("MultiHeadAttention", inputs, outputs);
  b.attr("num_heads", int64_t{1});
  return b;
}
static ModelBuilder packedMultiHead(const std::vector<std::string> &more = {},
                                    const std::vector<std::string> &outputs = {"y"},
                                    const Ints &dims = {1, 2, 1}) {
  ModelBuilder b = multiHead(more, outputs);
  b.input("q", dims).input("k", dims).input("v", dims);
  return b;
}
static std::vector<Tensor> packedOperands(std::initializer_list<Tensor> more = {}) {
  std::vector<Tensor> operands = {floats({1, 2, 1}, {0, kThird}), floats({1, 2, 1}, {0, 1}),
                                  floats({1, 2, 1}, {10, 20})};
  operands.insert(operands.end(), more);
  return operands;
}

TEST(ImportMultiHeadAttention, TakesOperandsInManyForms) {
  for (const Ints &dims : {Ints{1, 2, 1}, Ints{-1, -2, -3}})
    expectFloats(run(packedMultiHead({}, {"y"}, dims), packedOperands()).at(0), {1, 2, 1},
                 {15, 17.5});
  ModelBuilder all = microsoft("MultiHeadAttention", {"q"});
  all.attr("num_heads", int64_t{1}).input("q", {1, 2, 1, 3, 1});
  expectFloats(run(all, {floats({1, 2, 1, 3, 1}, {0, 0, 10, kThird, 1, 20})}).at(0), {1, 2, 1},
               {15, 17.5});
  ModelBuilder both = microsoft("MultiHeadAttention", {"q", "k"});
  both.attr("num_heads", int64_t{1}).input("q", {1, 2, 1}).input("k", {1, 2, 1, 2, 1});
  expectFloats(run(both, {packedOperands()[0], floats({1, 2, 1, 2, 1}, {0, 10, 1, 20})}).at(0),
               {1, 2, 1}, {15, 17.5});
  ModelBuilder heads = multiHead();
  heads.input("q", {1, 2, 1}).input("k", {1, 1, 2, 1}).input("v", {1, 1, 2, 1});
  expectFloats(run(heads, {packedOperands()[0], floats({1, 1, 2, 1}, {0, 1}),
                           floats({1, 1, 2, 1}, {10, 20})})
                   .at(0),
               {1, 2, 1}, {15, 17.5});
}

TEST(ImportMultiHeadAttention, BiasMasksAndPast) {
  ModelBuilder biased = packedMultiHead({"b"});
  biased.input("b", {3});
  // Keys 1 and 2 weigh as 0 and 1.
  auto y = run(biased, packedOperands({floats({3}, {0, 1, 100})}));
  expectFloats(y.at(0), {1, 2, 1}, {115, 117.5});
  ModelBuilder lengths = packedMultiHead({"", "m"});
  lengths.input("m", {1}, DType::Int32);
  auto first = run(lengths, packedOperands({Tensor::of<int32_t>({1}, {1})}));
  expectFloats(first.at(0), {1, 2, 1}, {10, 10});
  ModelBuilder masked = packedMultiHead({"", "m", "a"});
  masked.input("m", {1, 2}, DType::Int32).input("a", {1, 1, 2, 2});
  masked.attr("mask_filter_value", -kThird);
  // The mask weighs the first key 1/3; the bias the second 3.
  auto z = run(masked, packedOperands({Tensor::of<int32_t>({1, 2}, {0, 1}),
                                       floats({1, 1, 2, 2}, {0, 0, 0, kThird})}));
  expectFloats(z.at(0), {1, 2, 1}, {17.5, (10 / 3.0 + 9 * 20) / (1 / 3.0 + 9)});
  ModelBuilder past = packedMultiHead({"", "", "", "pk", "pv"}, {"y", "k2", "v2"});
  past.input("pk", {1, 1, 1, 1}).input("pv", {1, 1, 1, 1}).attr("unidirectional", int64_t{1});
  auto all = run(past, packedOperands({floats({1, 1, 1, 1}, {1}), floats({1, 1, 1, 1}, {40})}));
  ASSERT_EQ(all.size(), 3u);
  expectFloats(all[0], {1, 2, 1}, {25, (3 * 40 + 10 + 3 * 20) / 7.0});
  expectFloats(all[1], {1, 1, 3, 1}, {1, 0, 1});
  expectFloats(all[2], {1, 1, 3, 1}, {40, 10, 20});
}

TEST(ImportMultiHeadAttention, Refusals) {
  ModelBuilder keyless = microsoft("MultiHeadAttention", {"q"});
  keyless.attr("num_heads", int64_t{1}).input("q", {1, 2, 1});
  expectError(keyless, kInvalid, {"'y_node'", "input 1, the keys, is missing"});
  ModelBuilder indices = packedMultiHead({"", "m"});
  expectError(indices.input("m", {5}, DType::Int32), kUnsupported,
              {"a mask of 5 elements for a batch of 1"});
  ModelBuilder decoder = packedMultiHead({"", "", "", "", "", "n"});
  expectError(decoder.input("n", {1}, DType::Int32), kUnsupported, {"input 8"});
}

//===----------------------------------------------------------------------===//
// Attention and QAttention
//===----------------------------------------------------------------------===//

/// y = Attention(x, w, b, more...), whose projections are those of the other cases.
static ModelBuilder attention(const std::vector<std::string> &more = {},
                              const std::vector<std::string> &outputs = {"y"}) {
  std::vector<std::string> inputs = {"x", "w", "b"};
  inputs.insert(inputs.end(), more.begin(), more.end());
  ModelBuilder b = microsoft("Attention", inputs, outputs);
  b.attr("num_heads", int64_t{1}).input("x", {1, 2, 1});
  b.initializer("w", floats({1, 3}, {1, 1 / kThird, 10 / kThird}));
  b.initializer("b", floats({3}, {0, 0, 10}));
  return b;
}

TEST(ImportMicrosoftAttention, ProjectsMasksAndAppends) {
  Tensor x = floats({1, 2, 1}, {0, kThird});
  expectFloats(run(attention(), {x}).at(0), {1, 2, 1}, {15, 17.5});
  ModelBuilder causal = attention();
  expectFloats(run(causal.attr("unidirectional", int64_t{1}), {x}).at(0), {1, 2, 1}, {10, 17.5});
  for (int64_t size : {int64_t{2}, int64_t{-1}}) {
    ModelBuilder range = attention({"m"});
    range.input("m", {size}, DType::Int32);
    // Up to 2, from 1 on.
    expectFloats(run(range, {x, Tensor::of<int32_t>({2}, {2, 1})}).at(0), {1, 2, 1}, {20, 20});
  }
  ModelBuilder ends = attention({"m"});
  ends.input("m", {-1}, DType::Int32);
  expectFloats(run(ends, {x, Tensor::of<int32_t>({1}, {1})}).at(0), {1, 2, 1}, {10, 10});
  expectRunError(ends, {x, Tensor::of<int32_t>({5}, {2, 0, 2, 0, 2})}, "node 'y_node'", "reshape");
  ModelBuilder matrix = attention({"m"});
  matrix.input("m", {1, 2, 2}, DType::Int32);
  expectFloats(run(matrix, {x, Tensor::of<int32_t>({1, 2, 2}, {0, 1, 1, 0})}).at(0), {1, 2, 1},
               {20, 10});
  ModelBuilder past = attention({"", "p"}, {"y", "all"});
  past.input("p", {2, 1, 1, 1, 1});
  auto outputs = run(past, {x, floats({2, 1, 1, 1, 1}, {1, 40})});
  ASSERT_EQ(outputs.size(), 2u);
  expectFloats(outputs[0], {1, 2, 1}, {70 / 3.0, (3 * 40 + 10 + 3 * 20) / 7.0});
  expectFloats(outputs[1], {2, 1, 1, 3, 1}, {1, 0, 1, 40, 10, 20});
}

TEST(ImportMicrosoftAttention, BiasMayBeLeftOut) {
  for (const char *bias : {"", "b"}) {
    ModelBuilder plain = microsoft("Attention", {"x", "w", bias}, {"y", "all"});
    plain.attr("num_heads", int64_t{1}).input("x", {1, 2, 1});
    plain.initializer("w", floats({1, 3}, {1, 1 / kThird, 10 / kThird}));
    plain.initializer("b", floats({3}, {0, 0, 0}));
    auto outputs = run(plain, {floats({1, 2, 1}, {0, kThird})});
    ASSERT_EQ(outputs.size(), 2u);
    expectFloats(outputs[0], {1, 2, 1}, {5, 7.5});
    expectFloats(outputs[1], {2, 1, 1, 2, 1}, {0, 1, 0, 10});
  }
}

TEST(ImportMicrosoftAttention, Refusals) {
  ModelBuilder heads = microsoft("Attention", {"x", "w"});
  heads.attr("num_heads", std::numeric_limits<int64_t>::max()).input("x", {1, 2, 1});
  heads.initializer("w", floats({1, 3}, {1, 1, 1}));
  expectError(heads, kInvalid,
              {"'num_heads': expected 1 to 2147483648, found 9223372036854775807"});
  ModelBuilder rotary = attention();
  expectError(rotary.attr("do_rotary", int64_t{1}), kUnsupported, {"'y_node'", "'do_rotary'"});
  ModelBuilder sizes = attention();
  expectError(sizes.attr("qkv_hidden_sizes", Ints{1, 2}), kInvalid, {"2 entries, expected 3"});
}

TEST(ImportQAttention, ScalesExactProducts) {
  ModelBuilder b = microsoft("QAttention", {"x", "w", "b", "xs", "ws", "", "xz"});
  b.attr("num_heads", int64_t{1}).input("x", {1, 2, 1}, DType::UInt8);
  b.initializer("w", Tensor::of<int8_t>({1, 3}, {1, 1, 1}));
  b.initializer("b", floats({3}, {0, 0, 10}));
  b.initializer("xs", floats({}, {kThird / 2}));
  b.initializer("ws", floats({3}, {1, 1 / kThird, 10 / kThird}));
  b.initializer("xz", Tensor::of<uint8_t>({}, {1}));
  expectFloats(run(b, {Tensor::of<uint8_t>({1, 2, 1}, {1, 3})}).at(0), {1, 2, 1}, {15, 17.5});
  ModelBuilder wide = microsoft("QAttention", {"x", "x2", "x", "x", "x"});
  wide.attr("num_heads", int64_t{1}).input("x", {1, 2, 1}).input("x2", {1, 3}, DType::Int8);
  expectError(wide, kInvalid, {"input 0 must hold bytes, found float32"});
}

//===----------------------------------------------------------------------===//
// GroupQueryAttention
//===----------------------------------------------------------------------===//

/// Two heads of queries, 0 and log 3, after a past of `capacity` keys.
static ModelBuilder grouped(int64_t capacity, const std::vector<std::string> &more = {}) {
  std::vector<std::string> inputs = {"q", "k", "v", "pk", "pv", "n", "t"};
  inputs.insert(inputs.end(), more.begin(), more.end());
  ModelBuilder b = microsoft("GroupQueryAttention", inputs, {"y", "k2", "v2"});
  b.attr("num_heads", int64_t{2}).attr("kv_num_heads", int64_t{1});
  b.input("q", {1, 1, 2}).input("k", {1, 1, 1}).input("v", {1, 1, 1});
  b.input("pk", {1, 1, capacity, 1}).input("pv", {1, 1, capacity, 1});
  b.input("n", {1}, DType::Int32).input("t", {}, DType::Int32);
  return b;
}
static std::vector<Tensor> groupedOperands(const std::vector<float> &pastKeys,
                                           const std::vector<float> &pastValues) {
  auto capacity = static_cast<int64_t>(pastKeys.size());
  return {floats({1, 1, 2}, {0, kThird}),
          floats({1, 1, 1}, {1}),
          floats({1, 1, 1}, {20}),
          floats({1, 1, capacity, 1}, pastKeys),
          floats({1, 1, capacity, 1}, pastValues),
          Tensor::of<int32_t>({1}, {1}),
          Tensor::of<int32_t>({}, {2})};
}

TEST(ImportGroupQueryAttention, WritesToItsCache) {
  // The cache grows, or has room.
  auto grown = run(grouped(1), groupedOperands({0}, {10}));
  ASSERT_EQ(grown.size(), 3u);
  expectFloats(grown[0], {1, 1, 2}, {15, 17.5});
  expectFloats(grown[1], {1, 1, 2, 1}, {0, 1});
  expectFloats(grown[2], {1, 1, 2, 1}, {10, 20});
  auto kept = run(grouped(3), groupedOperands({0, 7, 8}, {10, 7, 8}));
  ASSERT_EQ(kept.size(), 3u);
  expectFloats(kept[0], {1, 1, 2}, {15, 17.5});
  expectFloats(kept[1], {1, 1, 3, 1}, {0, 1, 8});
  // A run of all keys starts again.
  std::vector<Tensor> first = groupedOperands({7, 7}, {7, 7});
  first[5] = Tensor::of<int32_t>({1}, {0});
  first[6] = Tensor::of<int32_t>({}, {1});
  auto started = run(grouped(2), first);
  expectFloats(started.at(0), {1, 1, 2}, {20, 20});
  expectFloats(started.at(1), {1, 1, 2, 1}, {1, 7});
}

TEST(ImportGroupQueryAttention, WindowsSinksAndPackedOperands) {
  ModelBuilder window = grouped(1);
  window.attr("local_window_size", int64_t{1});
  expectFloats(run(window, groupedOperands({0}, {10})).at(0), {1, 1, 2}, {20, 20});
  ModelBuilder smooth = grouped(1);
  smooth.attr("smooth_softmax", int64_t{1});
  expectFloats(run(smooth, groupedOperands({0}, {10})).at(0), {1, 1, 2}, {10, 14});
  ModelBuilder packed = microsoft("GroupQueryAttention", {"q", "", "", "", "", "n", "t"});
  packed.attr("num_heads", int64_t{2}).attr("kv_num_heads", int64_t{1}).input("q", {1, 2, 4});
  packed.input("n", {1}, DType::Int32).input("t", {}, DType::Int32);
  auto y = run(packed, {floats({1, 2, 4}, {0, kThird, 0, 10, 0, kThird, 1, 20}),
                        Tensor::of<int32_t>({1}, {1}), Tensor::of<int32_t>({}, {2})});
  expectFloats(y.at(0), {1, 2, 2}, {10, 10, 15, 17.5});
}

TEST(ImportGroupQueryAttention, RotatesAndRefuses) {
  // A quarter turn at position 1 makes (1, 0) of the key (0, -1).
  ModelBuilder b =
      microsoft("GroupQueryAttention", {"q", "k", "k", "p", "p", "n", "t", "c", "s"}, {"y", "k2"});
  b.attr("num_heads", int64_t{1}).attr("kv_num_heads", int64_t{1}).attr("do_rotary", int64_t{1});
  b.input("q", {1, 1, 2}).input("k", {1, 1, 2}).input("p", {1, 1, 1, 2});
  b.input("n", {1}, DType::Int32).input("t", {}, DType::Int32);
  b.initializer("c", floats({2, 1}, {1, 0}));
  b.initializer("s", floats({2, 1}, {0, 1}));
  auto outputs =
      run(b, {floats({1, 1, 2}, {0, 0}), floats({1, 1, 2}, {0, -1}), floats({1, 1, 1, 2}, {5, 6}),
              Tensor::of<int32_t>({1}, {1}), Tensor::of<int32_t>({}, {2})});
  ASSERT_EQ(outputs.size(), 2u);
  expectFloats(outputs[0], {1, 1, 2}, {2.5, 2.5});
  expectFloats(outputs[1], {1, 1, 2, 2}, {5, 6, 1, 0});
  ModelBuilder cache = grouped(1);
  expectError(cache.attr("k_quant_type", "PER_TENSOR"), kUnsupported,
              {"'y_node'", "'k_quant_type' = PER_TENSOR"});
  ModelBuilder heads = grouped(1);
  heads.graph().mutable_node(0)->mutable_attribute(1)->set_i(4);
  expectError(heads, kInvalid, {"num_heads is 2, no multiple of kv_num_heads, 4"});
}

//===----------------------------------------------------------------------===//
// EmbedLayerNormalization
//===----------------------------------------------------------------------===//

TEST(ImportEmbedLayerNormalization, NormalizesTheSumOfEmbeddings) {
  for (bool hasSegments : {false, true}) {
    ModelBuilder b = microsoft(
        "EmbedLayerNormalization",
        {"i", hasSegments ? "g" : "", "w", "p", hasSegments ? "t" : "", "scale", "bias", "m"},
        {"y", "count", "sum"});
    b.attr("epsilon", 0.0f).input("i", {1, 2}, DType::Int32);
    b.initializer("w", floats({2, 2}, {1, 2, 0, 3}));
    b.initializer("p", floats({3, 2}, {0, 1, 2, 3, 9, 9}));
    if (hasSegments) {
      b.initializer("g", Tensor::of<int32_t>({1, 2}, {0, 0}));
      b.initializer("t", floats({1, 2}, {5, 5}));
    }
    b.initializer("scale", floats({2}, {2, 3}));
    b.initializer("bias", floats({2}, {1, 10}));
    b.initializer("m", Tensor::of<int32_t>({1, 2}, {1, 0}));
    auto outputs = run(b, {Tensor::of<int32_t>({1, 2}, {0, 1})});
    ASSERT_EQ(outputs.size(), 3u);
    expectFloats(outputs[0], {1, 2, 2}, {-1, 13, -1, 13});
    EXPECT_EQ(outputs[1].data<int32_t>()[0], 1);
    double segment = hasSegments ? 5 : 0;
    expectFloats(outputs[2], {1, 2, 2}, {1 + segment, 3 + segment, 2 + segment, 6 + segment});
  }
  ModelBuilder without = microsoft("EmbedLayerNormalization", {"i", "", "i2"});
  without.input("i", {1, 2}, DType::Int32).input("i2", {2, 2});
  expectError(without, kInvalid, {"'y_node'", "input 3 is required but left out"});
}
