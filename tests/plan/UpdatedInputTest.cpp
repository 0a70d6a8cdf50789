//===- UpdatedInputTest.cpp - caches that a run updates in place ----------===//
#include "tests/plan/FakeBackend.h"

#include <cstring>

using namespace quern;
using namespace quern::test;

namespace {
/// A step of decoding: keys written to a cache of [2 sequences, 8 places, 16] from a place
/// on that each sequence tells, and a product with the whole cache.
struct Decoder {
  Graph graph;
  GraphValue cache = graph.input("2x8x16xf32"), keys = graph.input("2x3x16xf32");
  GraphValue first = graph.input("2x1x1xi64"), queries = graph.input("2x16x1xf32");
  GraphValue updated;

  Decoder() {
    GraphValue count = graph.constant("dense<[[[0], [1], [2]]]>", "1x3x1xi64");
    GraphValue sizes = graph.constant("dense<[2, 3, 16]>", "3xi64");
    GraphValue places =
        graph.op("nn.expand", {graph.op("nn.add", {first, count}), sizes}, "", "2x3x16xi64");
    updated = graph.op("nn.scatter_elements none", {cache, places, keys}, "axis = 1", "2x8x16xf32");
    graph.output(updated);
    graph.output(graph.op("nn.matmul", {updated, queries}));
  }

  std::vector<Tensor> inputs() const {
    return {integerTensor(DType::Float32, {2, 8, 16}, 1),
            integerTensor(DType::Float32, {2, 3, 16}, 2), Tensor::of<int64_t>({2, 1, 1}, {5, 0}),
            integerTensor(DType::Float32, {2, 16, 1}, 3)};
  }
};

bool sameBits(const Tensor &a, const Tensor &b) {
  return a.dims() == b.dims() && std::memcmp(a.rawData(), b.rawData(), a.numBytes()) == 0;
}
} // namespace

TEST(UpdatedInputTest, TheCacheIsTheOutput) {
  Decoder decoder;
  auto executable = FakeBackend().compile(decoder.graph);
  ASSERT_TRUE(executable) << executable.status().message();
  std::vector<Tensor> inputs = decoder.inputs();
  auto apart = Session(*executable, {.threads = 1}).run(inputs);
  ASSERT_TRUE(apart) << apart.status().message();
  ASSERT_FALSE(sameBits((*apart)[0], inputs[0]));
  for (int threads : {1, 2}) {
    inputs = decoder.inputs();
    Session session(*executable, {.threads = threads});
    std::vector<Tensor> outputs{inputs[0], Tensor()};
    Status status = session.run(inputs, outputs);
    ASSERT_TRUE(status.isOk()) << status.message();
    EXPECT_TRUE(sameBits(inputs[0], (*apart)[0])) << "updated in place";
    EXPECT_TRUE(sameBits(outputs[1], (*apart)[1]));
  }
}

TEST(UpdatedInputTest, NotWhileTheInputIsStillNeeded) {
  Decoder decoder;
  decoder.graph.output(decoder.graph.op("nn.sub", {decoder.updated, decoder.cache}));
  auto executable = FakeBackend().compile(decoder.graph);
  ASSERT_TRUE(executable) << executable.status().message();
  std::vector<Tensor> inputs = decoder.inputs(), outputs{inputs[0], Tensor(), Tensor()};
  Session session(*executable, {.threads = 1});
  Status status = session.run(inputs, outputs);
  EXPECT_EQ(status.code(), StatusCode::InvalidInput);
  EXPECT_TRUE(sameBits(inputs[0], decoder.inputs()[0])) << "nothing has run";
}
