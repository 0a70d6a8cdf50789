//===- AttentionMaskTest.cpp - what attention does not see ----------------===//
#include "tests/native/AttentionGraph.h"

#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::native;

using Dims = Tensor::Dims;

TEST(AttentionTest, EveryMask) {
  for (const Dims &mask : {Dims{2, 3, 5, 131},
                           {1, 3, 5, 131},
                           {2, 1, 5, 131},
                           {2, 3, 1, 131},
                           {2, 1, 1, 131},
                           {5, 131},
                           {131},
                           {2, 3, 5, 1},
                           {1, 1, 1, 1},
                           {1},
                           {3, 1, 1}})
    for (bool zero : {false, true}) {
      Attention attention{.batch = 2, .heads = 3, .keyHeads = 3, .keys = 131, .mask = mask};
      attention.zeroMaskedRows = zero;
      expectLikeReference(attention);
    }
}

// Rows that a condition hides wholly, too.
TEST(AttentionTest, EveryCondition) {
  for (const Dims &condition : {Dims{2, 3, 5, 131},
                                {2, 1, 5, 131},
                                {2, 3, 1, 131},
                                {5, 131},
                                {131},
                                {2, 3, 5, 1},
                                {1, 1, 1, 1},
                                {3, 1, 1}})
    for (double hidden : {-double(kInfinity), -1e30, 0.25}) {
      Attention attention{.batch = 2, .heads = 3, .keyHeads = 3, .keys = 131};
      attention.condition = condition;
      attention.hiddenScore = hidden;
      expectLikeReference(attention);
      attention.mask = {5, 131};
      expectLikeReference(attention);
      attention.causal = true;
      attention.offset = 60;
      expectLikeReference(attention);
    }
}

// Infinities and NaN in keys that are hidden never reach a row.
TEST(AttentionTest, HiddenGarbage) {
  for (double hidden : {-double(kInfinity), -1e30}) {
    Attention attention{.queries = 20, .keys = 300, .condition = {300}};
    attention.hiddenScore = hidden;
    std::vector<Tensor> inputs = attention.inputs();
    const bool *allowed = inputs[3].data<bool>();
    for (int64_t head = 0; head < 2; ++head)
      for (int64_t key = 0; key < 300; ++key)
        if (!allowed[key])
          inputs[1].mutableData<float>()[(head * 300 + key) * 16 + key % 16] =
              key % 3 == 0   ? kInfinity
              : key % 3 == 1 ? -kInfinity
                             : std::numeric_limits<float>::quiet_NaN();
    Tensor wanted = runInterpreted(attention.graph(), inputs).take()[0];
    for (int64_t i = 0; i < wanted.numElements(); ++i)
      ASSERT_TRUE(std::isfinite(wanted.data<float>()[i]));
    expectLikeReference(attention, inputs);
  }
}

// Of integers, so that sums are the same in any order. Scores of 2048 and more lose bits of
// float16, and those above 65504 are infinite.
TEST(AttentionTest, RoundedScores) {
  for (const char *type : {"f16", "bf16"})
    for (bool roundSums : {false, true})
      for (double cap : {0.0, 30.0}) {
        Attention attention{.queries = 9, .keys = 140, .size = 8, .mask = {140}, .softcap = cap};
        attention.scale = 1.0 / 3;
        attention.scoreType = type;
        attention.roundSums = roundSums;
        std::vector<Tensor> inputs = attention.inputs();
        for (int operand : {0, 1})
          for (int64_t i = 0; i < inputs[operand].numElements(); ++i) {
            float &element = inputs[operand].mutableData<float>()[i];
            element = std::round(element * 40);
          }
        expectLikeReference(attention, inputs);
      }
}

// The mask has what query and key lack, as in the products that this stands for; also where only
// a run tells.
TEST(AttentionTest, MasksThatBroadcastTheScores) {
  Attention attention{.heads = 1, .keyHeads = 1, .queries = 1, .keys = 1, .mask = {3, 2, 4, 9}};
  for (auto [operands, masks] : {std::pair("1x1x1x", "3x2x4x9x"),
                                 {"1x1x1x", "?x?x?x?x"},
                                 {"?x?x?x", "?x?x?x?x"},
                                 {"?x?x?x", "3x2x4x9x"}}) {
    Graph graph;
    GraphValue none = graph.none();
    std::string type = operands;
    GraphValue q = graph.input(type + "16xf32"), k = graph.input(type + "16xf32"),
               v = graph.input(type.starts_with('?') ? "?x?x?x8xf32" : "1x1x9x8xf32"),
               mask = graph.input(std::string(masks) + "f32");
    graph.output(
        graph.op("nn.attention", {q, k, v, mask, none, none, none}, attention.attributes()));
    auto executable = compileForTest(graph);
    ASSERT_TRUE(executable) << executable.status().message();
    std::vector<Tensor> inputs =
        integerInputs(graph, {{1, 1, 1, 16}, {1, 1, 1, 16}, {1, 1, 9, 8}, {3, 2, 4, 9}});
    auto run = runCompiled(*executable, inputs);
    auto wanted = runInterpreted(graph, inputs);
    ASSERT_TRUE(run && wanted) << operands << masks << run.status().message();
    expectClose(run->results[0], (*wanted)[0], 1e-4);
    EXPECT_FALSE(run->steps.front().reference) << operands << masks;
  }
}

TEST(AttentionTest, CausalWithPast) {
  for (int64_t queries : {1, 5, 130})
    for (int64_t past : {-200, -3, 0, 1, 120, 128, 400}) {
      Attention attention{.queries = queries, .keys = 300, .causal = true, .offset = past};
      expectLikeReference(attention);
      attention.zeroMaskedRows = true;
      expectLikeReference(attention);
    }
  expectLikeReference({.queries = 9, .keys = 9, .causal = true});
  for (int64_t offset : {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()})
    expectLikeReference({.causal = true, .offset = offset});
}
