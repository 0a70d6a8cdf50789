//===- PoolTest.cpp - windowed and global pooling -------------------------===//
#include "tests/reference/KernelCall.h"

#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::reference;

namespace {

using Ints = std::vector<int64_t>;

struct Pool {
  Ints kernel = {2, 2};
  Ints strides = {1, 1};
  Ints dilations = {1, 1};
  Ints pads = {0, 0, 0, 0};
  bool ceilMode = false;
  bool countIncludePad = false;
  int64_t storageOrder = 0;
  AutoPad autoPad = AutoPad::NotSet;
  int64_t block = 0;

  Attributes attributes() const {
    return makeAttributes({{"kernel", kernel},
                           {"strides", strides},
                           {"dilations", dilations},
                           {"pads", pads},
                           {"ceil_mode", int64_t(ceilMode)},
                           {"count_include_pad", int64_t(countIncludePad)},
                           {"storage_order", storageOrder},
                           {"auto_pad", int64_t(autoPad)},
                           {"input_block", block}});
  }
};

/// 1, 2, ... n.
Tensor counting(const Tensor::Dims &dims) {
  std::vector<float> values(CheckedSize::product(dims).value());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(i + 1);
  return Tensor::of<float>(dims, values);
}

Tensor maxPool(const Tensor &input, const Pool &pool) {
  return evaluate("nn.max_pool", {input}, pool.attributes());
}

Tensor averagePool(const Tensor &input, const Pool &pool) {
  return evaluate("nn.average_pool", {input}, pool.attributes());
}

/// Elements and indices of max_pool_with_indices on floats.
void expectIndices(const Tensor &input, const Pool &pool, const Tensor::Dims &dims,
                   const std::vector<float> &values, const Ints &indices) {
  auto results = evaluateAll("nn.max_pool_with_indices", {input}, pool.attributes(),
                             {DType::Float32, DType::Int64});
  ASSERT_TRUE(results) << results.status().message();
  expectTensor((*results)[0], dims, values);
  expectTensor((*results)[1], dims, indices);
}

} // namespace

TEST(MaxPool, SlidesItsWindow) {
  Tensor input = counting({1, 1, 4, 4});
  expectTensor<float>(maxPool(input, {}), {1, 1, 3, 3}, {6, 7, 8, 10, 11, 12, 14, 15, 16});
  expectTensor<float>(maxPool(input, {.strides = {2, 2}}), {1, 1, 2, 2}, {6, 8, 14, 16});
  expectTensor<float>(maxPool(input, {.dilations = {2, 2}}), {1, 1, 2, 2}, {11, 12, 15, 16});
  expectTensor<float>(maxPool(input, {.kernel = {3, 3}, .strides = {2, 2}, .ceilMode = true}),
                      {1, 1, 2, 2}, {11, 12, 15, 16});
  expectTensor<float>(
      maxPool(input, {.kernel = {3, 1}, .strides = {3, 2}, .autoPad = AutoPad::SameLower}),
      {1, 1, 2, 2}, {5, 7, 13, 15});
}

TEST(MaxPool, IgnoresThePadding) {
  Tensor negative = Tensor::of<float>({1, 1, 1, 3}, {-3, -1, -2});
  expectTensor<float>(maxPool(negative, {.kernel = {1, 2}, .pads = {0, 1, 0, 1}}), {1, 1, 1, 4},
                      {-3, -1, -1, -2});
  Tensor bytes = Tensor::of<int8_t>({1, 1, 1, 2}, {-128, -5});
  expectTensor<int8_t>(maxPool(bytes, {.kernel = {1, 2}, .pads = {0, 1, 0, 1}}), {1, 1, 1, 3},
                       {-128, -5, -5});
}

TEST(MaxPool, KeepsNaN) {
  Tensor input = Tensor::of<float>({1, 1, 1, 5}, {1, NAN, 3, -INFINITY, -INFINITY});
  expectTensor<float>(maxPool(input, {.kernel = {1, 2}}), {1, 1, 1, 4}, {NAN, NAN, 3, -INFINITY});
}

TEST(MaxPool, TakesManyPositionsAndOtherRanks) {
  // More positions than one tile, one of which crosses rows.
  Tensor input = counting({2, 2, 10, 30});
  Tensor result = maxPool(input, {.kernel = {1, 1}});
  expectTensor(result, input.dims(), elementsOf<float>(input));
  expectTensor<float>(maxPool(counting({1, 1, 5}),
                              {.kernel = {3}, .strides = {2}, .dilations = {1}, .pads = {0, 0}}),
                      {1, 1, 2}, {3, 5});
  expectTensor<float>(maxPool(counting({1, 2, 2, 2, 2}), {.kernel = {2, 2, 2},
                                                          .strides = {1, 1, 1},
                                                          .dilations = {1, 1, 1},
                                                          .pads = {0, 0, 0, 0, 0, 0}}),
                      {1, 2, 1, 1, 1}, {8, 16});
}

TEST(MaxPool, TellsWhereTheMaximumIs) {
  Tensor input = Tensor::of<float>({1, 2, 2, 3}, {1, 5, 5, 5, 2, 0, -1, -2, -3, -4, -5, -6});
  expectIndices(input, {}, {1, 2, 1, 2}, {5, 5, -1, -2}, {1, 1, 6, 7});
  // Column-major within each channel.
  expectIndices(input, {.storageOrder = 1}, {1, 2, 1, 2}, {5, 5, -1, -2}, {2, 2, 6, 8});
  expectIndices(input, {.kernel = {1, 2}, .strides = {1, 3}, .pads = {0, 1, 0, 0}}, {1, 2, 2, 1},
                {1, 5, -1, -4}, {0, 3, 6, 9});
  // Also where all elements are the lowest of their type.
  Tensor low = Tensor::of<float>({1, 1, 1, 2}, {-INFINITY, NAN});
  expectIndices(low, {.kernel = {1, 1}}, {1, 1, 1, 2}, {-INFINITY, NAN}, {0, 1});
}

TEST(AveragePool, DividesByTheElementsItCovers) {
  Tensor input = counting({1, 1, 2, 3});
  expectTensor<float>(averagePool(input, {}), {1, 1, 1, 2}, {3, 4});
  Pool padded{.pads = {1, 1, 0, 0}};
  expectTensor<float>(averagePool(input, padded), {1, 1, 2, 3}, {1, 1.5f, 2.5f, 2.5f, 3, 4});
  padded.countIncludePad = true;
  expectTensor<float>(averagePool(input, padded), {1, 1, 2, 3}, {0.25f, 0.75f, 1.25f, 1.25f, 3, 4});
}

TEST(AveragePool, DoesNotCountTheOverhangOfCeilMode) {
  Tensor input = counting({1, 1, 1, 4});
  Pool pool{.kernel = {1, 3}, .strides = {1, 2}, .ceilMode = true};
  expectTensor<float>(averagePool(input, pool), {1, 1, 1, 2}, {2, 3.5f});
  pool.countIncludePad = true;
  expectTensor<float>(averagePool(input, pool), {1, 1, 1, 2}, {2, 3.5f});
  pool.pads = {0, 1, 0, 1};
  expectTensor<float>(averagePool(input, pool), {1, 1, 1, 3}, {1, 3, 2});
  // A window that would start in the end padding is not there at all.
  pool.pads = {0, 0, 0, 2};
  expectTensor<float>(averagePool(input, pool), {1, 1, 1, 2}, {2, 7.0f / 3});
}

TEST(AveragePool, KnowsDilations) {
  expectTensor<float>(averagePool(counting({1, 1, 1, 5}),
                                  {.kernel = {1, 2}, .dilations = {1, 3}, .pads = {0, 1, 0, 0}}),
                      {1, 1, 1, 3}, {3, 2.5f, 3.5f});
}

TEST(AveragePool, GivesZeroForNothing) {
  expectTensor<float>(averagePool(counting({1, 1, 1, 1}),
                                  {.kernel = {1, 1}, .strides = {1, 1}, .pads = {0, 1, 0, 1}}),
                      {1, 1, 1, 3}, {0, 1, 0});
}

TEST(Pools, GiveTheSameInBlockedLayouts) {
  Tensor input = counting({2, 6, 5, 4});
  Attributes four = makeAttributes({{"output_block", int64_t{4}}});
  Tensor packed = evaluate("nn.pack", {input}, four);
  Pool pool{.kernel = {3, 2}, .strides = {2, 1}, .pads = {1, 0, 1, 1}};
  Attributes plain = pool.attributes();
  pool.block = 4;
  for (const char *op : {"nn.average_pool", "nn.max_pool"}) {
    SCOPED_TRACE(op);
    Tensor expected = evaluate(op, {input}, plain);
    Tensor found = evaluate("nn.unpack", {evaluate(op, {packed}, pool.attributes())},
                            makeAttributes({{"channels", int64_t{6}}}));
    expectTensor(found, expected.dims(), elementsOf<float>(expected));
  }
}

static Tensor globalPool(const Tensor &input, const std::string &kind) {
  return evaluate("nn.global_pool", {input},
                  makeAttributes({{"kind", numberOf<ReduceKind>(kind)}}));
}

TEST(GlobalPools, ReduceEachChannel) {
  Tensor input = counting({1, 2, 2, 2});
  expectTensor<float>(globalPool(input, "mean"), {1, 2, 1, 1}, {2.5f, 6.5f});
  expectTensor<float>(globalPool(input, "max"), {1, 2, 1, 1}, {4, 8});
  expectTensor<float>(globalPool(counting({1, 2, 3}), "max"), {1, 2, 1}, {3, 6});
  expectTensor<float>(globalPool(counting({1, 1, 0}), "mean"), {1, 1, 1}, {NAN});
  expectTensor<float>(globalPool(counting({1, 1, 0}), "max"), {1, 1, 1}, {-INFINITY});
}

TEST(GlobalPools, GiveTheSameInBlockedLayouts) {
  Tensor input = counting({2, 6, 5, 4});
  Tensor packed = evaluate("nn.pack", {input}, makeAttributes({{"output_block", int64_t{4}}}));
  for (const char *kind : {"mean", "max"}) {
    Attributes blocked = makeAttributes({{"kind", numberOf<ReduceKind>(kind)},
                                         {"input_block", int64_t{4}},
                                         {"output_block", int64_t{4}}});
    Tensor expected = globalPool(input, kind);
    Tensor found = evaluate("nn.unpack", {evaluate("nn.global_pool", {packed}, blocked)},
                            makeAttributes({{"channels", int64_t{6}}}));
    expectTensor(found, expected.dims(), elementsOf<float>(expected));
  }
}

TEST(Pools, TakeEmptyTensors) {
  Tensor none = counting({0, 2, 3, 3});
  expectTensor<float>(maxPool(none, {}), {0, 2, 2, 2}, {});
  expectTensor<float>(averagePool(none, {}), {0, 2, 2, 2}, {});
  expectIndices(none, {}, {0, 2, 2, 2}, {}, {});
}

TEST(Pools, RefuseWhatDoesNotFit) {
  Tensor input = counting({1, 1, 2, 2});
  auto message = [](const Tensor &x, const Pool &pool) {
    return evaluateError("nn.max_pool", {x}, pool.attributes()).message();
  };
  EXPECT_EQ(message(input, {.kernel = {3, 3}}),
            "a window of 3 elements does not fit into a padded input of 2");
  EXPECT_EQ(message(input, {.kernel = {0, 1}}), "kernel sizes must be positive, found 0");
  EXPECT_EQ(message(input, {.pads = {-1, 0, 0, 0}}), "pads must not be negative, found -1");
  EXPECT_EQ(message(input, {.block = 4}),
            "input needs blocks of 4 channels, found float32 1x1x2x2");
  EXPECT_EQ(message(counting({2, 2}), {}),
            "input needs batch, channels and spatial dimensions, found float32 2x2");
  EXPECT_EQ(message(Tensor::of<bool>({1, 1, 2, 2}, {true, false, true, false}), {}),
            "element type bool is not supported");
  int64_t huge = int64_t{1} << 62;
  EXPECT_EQ(message(input, {.kernel = {huge, huge}}),
            "the kernel 4611686018427387904x4611686018427387904 has too many elements");
}
