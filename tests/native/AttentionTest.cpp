//===- AttentionTest.cpp - attention in blocks, compiled ------------------===//
//
// Compared with the reference kernel, which computes whole rows in double.
//
//===----------------------------------------------------------------------===//
#include "backends/native/KernelStore.h"
#include "backends/native/LinkedKernels.h"
#include "backends/native/kernels/AttentionKernel.h"
#include "backends/native/kernels/RecurrentKernel.h"
#include "tests/native/GraphCheck.h"
#include "tests/native/RunnableTargets.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <set>

using namespace quern;
using namespace quern::native;

namespace {
using Dims = std::vector<int64_t>;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Attention {
  int64_t batch = 1, heads = 2, keyHeads = 2, queries = 5, keys = 7, size = 16, valueSize = 16;
  /// Of the mask; empty: there is none.
  Dims mask = {};
  double scale = 0.25, softcap = 0;
  bool causal = false, zeroMaskedRows = false, hasScale = false;
  /// Of the condition; empty: there is none.
  Dims condition = {};
  double hiddenScore = -kInfinity;
  /// "f16", "bf16"; empty: scores are not rounded.
  std::string scoreType = "";
  bool roundSums = false;
  std::optional<int64_t> offset = std::nullopt;
  /// [batch, heads, length, size] in this order in memory.
  Dims queryPerm = {0, 1, 2, 3}, keyPerm = {0, 1, 2, 3}, valuePerm = {0, 1, 2, 3},
       resultPerm = {0, 1, 2, 3};
  /// "bf16": of query, key and value, with sums of float32.
  std::string dtype = "f32";
  bool open = false;

  bool isNarrow() const { return dtype == "bf16"; }

  /// The dims of an operand that is read as `sizes` by `perm`.
  static Dims stored(const Dims &sizes, const Dims &perm) {
    Dims dims(4);
    for (size_t i = 0; i < 4; ++i)
      dims[static_cast<size_t>(perm[i])] = sizes[i];
    return dims;
  }
  std::vector<Dims> inputDims() const {
    std::vector<Dims> dims = {stored({batch, heads, queries, size}, queryPerm),
                              stored({batch, keyHeads, keys, size}, keyPerm),
                              stored({batch, keyHeads, keys, valueSize}, valuePerm)};
    if (!mask.empty())
      dims.push_back(mask);
    if (hasScale)
      dims.push_back({1});
    if (!condition.empty())
      dims.push_back(condition);
    return dims;
  }
  /// A number in MLIR's text, which may be infinite.
  static std::string bitsOf(double number) {
    return fmt::format("0x{:016X}", std::bit_cast<uint64_t>(number));
  }
  std::string attributes() const {
    auto perm = [](const Dims &dims) {
      return fmt::format("array<i64: {}>", fmt::join(dims, ", "));
    };
    return fmt::format("query_perm = {}, key_perm = {}, value_perm = {}, result_perm = {}, "
                       "scale_factor = {:e} : f64, softcap = {:e} : f64, causal = {}, "
                       "zero_masked_rows = {}, hidden_score = {} : f64, round_sums = {}{}",
                       perm(queryPerm), perm(keyPerm), perm(valuePerm), perm(resultPerm), scale,
                       softcap, causal, zeroMaskedRows, bitsOf(hiddenScore), roundSums,
                       scoreType.empty() ? "" : ", score_type = " + scoreType);
  }
  Graph graph() const {
    Graph graph;
    GraphValue none = graph.none();
    std::vector<GraphValue> inputs;
    for (const Dims &dims : inputDims()) {
      bool isOperand = inputs.size() < 3;
      const Dims &perm = inputs.empty() ? queryPerm : inputs.size() == 1 ? keyPerm : valuePerm;
      std::string type;
      for (size_t i = 0; i < dims.size(); ++i) {
        // Heads and their sizes stay known.
        bool isOpen = open && (isOperand ? perm[0] == static_cast<int64_t>(i) ||
                                               perm[2] == static_cast<int64_t>(i)
                                         : dims.size() > 1);
        type += isOpen ? "?x" : fmt::format("{}x", dims[i]);
      }
      bool isCondition = !condition.empty() && inputs.size() + 1 == inputDims().size();
      std::string element = isNarrow() && !isOperand ? "f32" : dtype;
      inputs.push_back(graph.input(type + (isCondition ? "i1" : element)));
    }
    size_t next = 3;
    auto take = [&](bool exists) { return exists ? inputs[next++] : none; };
    GraphValue maskValue = take(!mask.empty()), scaleValue = take(hasScale),
               conditionValue = take(!condition.empty());
    GraphValue place = offset ? graph.constant(fmt::format("dense<{}>", *offset), "i64") : none;
    graph.output(
        graph.op("nn.attention",
                 {inputs[0], inputs[1], inputs[2], maskValue, scaleValue, place, conditionValue},
                 attributes(), isNarrow() ? "*xf32" : ""));
    return graph;
  }
  std::vector<Tensor> inputs(unsigned seed = 1) const {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> uniform(-1, 1);
    std::vector<Tensor> tensors;
    for (const Dims &dims : inputDims()) {
      if (!condition.empty() && tensors.size() + 1 == inputDims().size()) {
        Tensor allowed = Tensor::allocate(DType::Bool, dims).take();
        for (int64_t i = 0; i < allowed.numElements(); ++i)
          allowed.mutableData<bool>()[i] = uniform(random) < 0.4;
        tensors.push_back(allowed);
        continue;
      }
      bool isFactor = tensors.size() < 3;
      Tensor tensor = Tensor::allocate(dtype == "f64"           ? DType::Float64
                                       : isNarrow() && isFactor ? DType::BFloat16
                                                                : DType::Float32,
                                       dims)
                          .take();
      for (int64_t i = 0; i < tensor.numElements(); ++i) {
        double value = uniform(random);
        if (tensors.size() == 3 && !mask.empty() && value > 0.3)
          value = -kInfinity;
        if (tensor.dtype() == DType::BFloat16)
          tensor.mutableData<BFloat16>()[i] = BFloat16(static_cast<float>(value));
        else if (tensor.dtype() == DType::Float32)
          tensor.mutableData<float>()[i] = static_cast<float>(value);
        else
          tensor.mutableData<double>()[i] = value;
      }
      tensors.push_back(tensor);
    }
    return tensors;
  }
};

double at(const Tensor &tensor, int64_t i) {
  return tensor.dtype() == DType::Float32 ? tensor.data<float>()[i] : tensor.data<double>()[i];
}

void expectClose(const Tensor &found, const Tensor &wanted, double tolerance) {
  ASSERT_EQ(found.dims(), wanted.dims());
  for (int64_t i = 0; i < wanted.numElements(); ++i) {
    double a = at(found, i), b = at(wanted, i);
    ASSERT_TRUE(std::isnan(b) ? std::isnan(a) : std::abs(a - b) <= tolerance)
        << "element " << i << " is " << a << ", wanted " << b;
  }
}

/// Kernels that all tests share: few serve all sizes.
std::shared_ptr<LinkedKernels> kernelsFor(const std::string &target) {
  static std::map<std::string, std::shared_ptr<LinkedKernels>> kernels;
  std::shared_ptr<LinkedKernels> &known = kernels[target];
  if (!known)
    known = std::make_shared<LinkedKernels>(
        std::make_shared<KernelStore>(resolveTarget(target).take()));
  return known;
}

/// Compiled, as it is and beside inaccessible pages, on these inputs or random ones.
void expectLikeReference(const Attention &attention, std::vector<Tensor> inputs = {},
                         NativeOptions options = {}) {
  Graph graph = attention.graph();
  SCOPED_TRACE(graph.text());
  if (inputs.empty())
    inputs = attention.inputs();
  options.kernels = kernelsFor(options.targetCpu);
  auto executable = compileForTest(graph, options);
  ASSERT_TRUE(executable) << executable.status().message();
  auto run = runCompiled(*executable, inputs);
  ASSERT_TRUE(run) << run.status().message();
  auto wanted = runInterpreted(graph, inputs);
  ASSERT_TRUE(wanted) << wanted.status().message();
  // Weights of values below 1 in magnitude are rounded to bfloat16, and so is what they sum up to.
  double tolerance = attention.isNarrow() ? 0x1p-8 : attention.dtype == "f32" ? 1e-5 : 1e-13;
  expectClose(run->results[0], (*wanted)[0], tolerance);
  for (const ProfileRow &step : run->steps)
    EXPECT_FALSE(step.reference) << step.nodes;
  for (auto side : {GuardedMemory::Side::Begin, GuardedMemory::Side::End}) {
    auto guarded = runGuarded(**executable, inputs, side);
    ASSERT_TRUE(guarded) << guarded.status().message();
    expectClose((*guarded)[0], (*wanted)[0], tolerance);
  }
}
} // namespace

// Tails of tiles, of vectors and of blocks; one of everything.
TEST(AttentionTest, Sizes) {
  for (int64_t queries : {1, 2, 7, 13, 97})
    for (int64_t keys : {1, 16, 17, 130, 261})
      for (auto [size, valueSize] : {std::pair<int64_t, int64_t>{64, 64}, {1, 1}, {20, 80}}) {
        expectLikeReference(
            {.queries = queries, .keys = keys, .size = size, .valueSize = valueSize});
        if (testing::Test::HasFailure())
          return;
      }
}

// Several tasks of a head, and last tiles of keys that are full to different parts.
TEST(AttentionTest, ManyRows) {
  for (int64_t keys : {33, 69, 96, 160, 161})
    expectLikeReference({.heads = 1, .keyHeads = 1, .queries = 400, .keys = keys});
}

TEST(AttentionTest, SizesOfHeads) {
  for (int64_t size : {1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33, 48, 63, 65, 80, 96, 100, 127, 128})
    for (int64_t valueSize : {size, 129 - size})
      expectLikeReference({.queries = 9, .keys = 140, .size = size, .valueSize = valueSize});
}

TEST(AttentionTest, EveryTarget) {
  for (const std::string &target : runnableTargets())
    for (int64_t queries : {1, 21}) {
      SCOPED_TRACE(target);
      NativeOptions options;
      options.targetCpu = target;
      expectLikeReference({.queries = queries, .keys = 150, .size = 24, .valueSize = 40}, {},
                          options);
      expectLikeReference({.queries = queries,
                           .keys = 150,
                           .mask = {2, 1, 150},
                           .softcap = 2,
                           .causal = true,
                           .offset = 3},
                          {}, options);
    }
}

// Groups of bfloat16 that are full or not, on instructions that multiply them and on others.
TEST(AttentionTest, NarrowFactors) {
  for (const std::string &target : runnableTargets()) {
    NativeOptions options;
    options.targetCpu = target;
    for (bool transposed : {false, true})
      for (int64_t queries : {1, 14})
        for (int64_t keys : {1, 16, 133, 260})
          for (auto [size, valueSize] :
               {std::pair<int64_t, int64_t>{64, 64}, {1, 1}, {17, 80}, {32, 33}}) {
            SCOPED_TRACE(target);
            Attention attention{
                .queries = queries, .keys = keys, .size = size, .valueSize = valueSize};
            attention.dtype = "bf16";
            if (transposed)
              attention.keyPerm = {0, 1, 3, 2};
            expectLikeReference(attention, {}, options);
            if (testing::Test::HasFailure())
              return;
          }
  }
}

TEST(AttentionTest, NarrowFactorsWithAllElse) {
  for (bool open : {false, true}) {
    Attention attention{.heads = 4,
                        .keys = 150,
                        .mask = {4, 1, 150},
                        .softcap = 2,
                        .causal = true,
                        .hasScale = true,
                        .condition = {5, 150},
                        .hiddenScore = -1e30,
                        .offset = 60};
    attention.dtype = "bf16";
    attention.open = open;
    expectLikeReference(attention);
    attention.queryPerm = attention.resultPerm = {0, 2, 1, 3};
    attention.valuePerm = {0, 2, 1, 3};
    expectLikeReference(attention);
  }
}

TEST(AttentionTest, SharedHeads) {
  for (int64_t keyHeads : {1, 2, 3, 6})
    expectLikeReference({.batch = 2, .heads = 6, .keyHeads = keyHeads});
}

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

TEST(AttentionTest, SoftCapAndScale) {
  for (auto [scale, cap] : {std::pair(0.125, 0.0), {-2.0, 1.5}, {0.0, 30.0}}) {
    Attention attention{.queries = 8, .keys = 40, .scale = scale, .softcap = cap};
    expectLikeReference(attention);
    attention.hasScale = true;
    expectLikeReference(attention);
  }
}

// Heads beside each other, as splitting a row into heads leaves them, and keys as columns.
TEST(AttentionTest, OrdersOfDimensions) {
  const Dims split = {0, 2, 1, 3};
  for (const Dims &key :
       {Dims{0, 1, 2, 3}, split, Dims{0, 1, 3, 2}, Dims{0, 2, 3, 1}, Dims{1, 2, 3, 0}})
    for (int64_t queries : {1, 30}) {
      Attention attention{.batch = 2, .heads = 3, .keyHeads = 3, .queries = queries, .keys = 135};
      attention.size = 20;
      attention.keyPerm = key;
      // Only the last dimension of keys may be apart.
      if (key == Dims{1, 2, 3, 0})
        attention.keyPerm = {1, 2, 0, 3};
      attention.queryPerm = attention.valuePerm = attention.resultPerm = split;
      expectLikeReference(attention);
    }
  expectLikeReference({.queryPerm = {0, 1, 3, 2}});
}

TEST(AttentionTest, Float64) {
  expectLikeReference({.queries = 20, .keys = 150, .mask = {20, 150}, .dtype = "f64"});
}

TEST(AttentionTest, NothingToDo) {
  expectLikeReference({.keys = 0});
  expectLikeReference({.size = 0});
  expectLikeReference({.queries = 0});
  expectLikeReference({.batch = 0});
  expectLikeReference({.valueSize = 0});
}

// As of the composition: a row without a key is NaN, an infinite score makes its row NaN.
TEST(AttentionTest, NotFinite) {
  for (bool zero : {false, true}) {
    Attention attention{.queries = 6, .keys = 300, .mask = {6, 300}};
    attention.zeroMaskedRows = zero;
    std::vector<Tensor> inputs = attention.inputs();
    float *mask = inputs[3].mutableData<float>();
    std::fill_n(mask, 300, -kInfinity);             // nothing
    std::fill_n(mask + 300, 200, -kInfinity);       // nothing in the first block
    std::fill_n(mask + 600 + 100, 200, -kInfinity); // nothing in the last ones
    mask[900 + 299] = kInfinity;
    mask[1200 + 5] = std::numeric_limits<float>::quiet_NaN();
    std::fill_n(mask + 1500, 300, std::numeric_limits<float>::lowest());
    expectLikeReference(attention, inputs);
  }
}

// Scores that differ by more than the range of an exponential, and grow from block to block.
TEST(AttentionTest, SteepScores) {
  Attention attention{.queries = 3, .keys = 400, .mask = {400}};
  std::vector<Tensor> inputs = attention.inputs();
  for (int sign : {1, -1}) {
    for (int i = 0; i < 400; ++i)
      inputs[3].mutableData<float>()[i] = static_cast<float>(sign * i * 10);
    expectLikeReference(attention, inputs);
  }
}

// One kernel serves all lengths and batches.
TEST(AttentionTest, OpenSizes) {
  Attention attention{.mask = {1, 1, 5, 7}, .open = true};
  Graph graph = attention.graph();
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  for (auto [queries, keys] : {std::pair<int64_t, int64_t>{5, 7}, {1, 1}, {1, 200}, {150, 150}}) {
    attention.queries = queries;
    attention.keys = keys;
    attention.mask = {1, 1, queries, keys};
    std::vector<Tensor> inputs = attention.inputs();
    auto run = runCompiled(*executable, inputs);
    auto wanted = runInterpreted(graph, inputs);
    ASSERT_TRUE(run && wanted) << run.status().message();
    expectClose(run->results[0], (*wanted)[0], 1e-5);
  }
}

// Rows have the same bits in tasks of any size.
TEST(AttentionTest, ThreadsDoNotMatter) {
  Attention attention{.queries = 200, .keys = 333, .causal = true};
  Graph graph = attention.graph();
  std::vector<Tensor> inputs = attention.inputs(), results;
  for (int threads : {1, 2, 16}) {
    NativeOptions options;
    options.threads = threads;
    options.kernels = kernelsFor(options.targetCpu);
    auto executable = compileForTest(graph, options);
    ASSERT_TRUE(executable) << executable.status().message();
    auto run = runCompiled(*executable, inputs, threads);
    ASSERT_TRUE(run);
    results.push_back(run->results[0]);
    EXPECT_EQ(std::memcmp(results.back().rawData(), results.front().rawData(),
                          static_cast<size_t>(results.front().numBytes())),
              0)
        << threads;
  }
}
