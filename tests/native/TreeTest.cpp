//===- TreeTest.cpp - decision trees, compiled ----------------------------===//
#include "backends/native/kernels/PackTreeMasks.h"
#include "backends/native/kernels/PackTrees.h"
#include "tests/native/GraphCheck.h"

#include <random>

using namespace quern;
using namespace quern::native;

namespace {
constexpr int64_t kFeatures = 3;

/// How a forest is drawn.
struct ForestKind {
  DType dtype = DType::Float32;
  int64_t trees = 1;
  int64_t targets = 1;
  /// Of all nodes; 0: any, for each.
  uint8_t test = 3;
  /// Whether what is no number takes either way, from node to node.
  bool mixed = false;
  int votes = 1;
};

/// Draws trees whose thresholds and weights are small integers.
class Forest {
public:
  Forest(const ForestKind &kind, unsigned seed) : kind(kind), random(seed) {
    for (int64_t tree = 0; tree < kind.trees; ++tree)
      roots.push_back(grow(static_cast<int>(tree % 7)));
  }

  /// One tree of so many levels below each other, which asks for features of any number: the second
  /// way of each node is a leaf.
  void growChain(int levels, int features) {
    roots.push_back(static_cast<int32_t>(tests.size()));
    for (int level = 0; level < levels; ++level) {
      auto place = static_cast<int32_t>(tests.size());
      int32_t leaf = grow(0);
      nodes.insert(nodes.end(), {draw(features), level + 1 < levels ? place + 1 : grow(0), leaf});
      tests.push_back(kind.test);
      if (kind.mixed && level % 2)
        tests.back() ^= reference::kTreeUnordered;
      thresholds.push_back(static_cast<float>(draw(9) - 5));
    }
  }
  /// One more root of what is there.
  void addRoot(int32_t place) { roots.push_back(place); }
  void setThreshold(size_t node, float value) { thresholds[node] = value; }

  /// The ensemble on rows of `input`, a type.
  Graph on(const std::string &input) const { return on(input, {kind.targets}); }
  /// As many ensembles of the same tables, for as many targets as these say.
  Graph on(const std::string &input, const std::vector<int64_t> &targetCounts) const {
    Graph graph;
    auto vector = [](const auto &list) {
      return Tensor::of({static_cast<int64_t>(list.size())}, list);
    };
    auto floats = [&](const std::vector<float> &list) {
      return kind.dtype == DType::Float32 ? vector(list)
                                          : vector(std::vector<double>(list.begin(), list.end()));
    };
    GraphValue x = graph.input(input);
    std::vector<GraphValue> operands = {
        x,
        graph.weight(Tensor::of({static_cast<int64_t>(tests.size()), 3}, nodes)),
        graph.weight(vector(tests)),
        graph.weight(floats(thresholds)),
        graph.weight(vector(roots)),
        graph.weight(vector(leaves)),
        graph.weight(vector(targets)),
        graph.weight(floats(weights))};
    for (int64_t count : targetCounts)
      graph.output(graph.op("nn.tree_ensemble sum", operands,
                            "target_count = " + std::to_string(count) + " : i64"));
    return graph;
  }

private:
  int draw(int count) { return static_cast<int>(random() % static_cast<unsigned>(count)); }

  int32_t grow(int depth) {
    if (depth == 0 || draw(6) == 0) {
      for (int vote = 0; vote < kind.votes; ++vote) {
        targets.push_back(draw(static_cast<int>(kind.targets)));
        weights.push_back(static_cast<float>(draw(9) - 4));
      }
      leaves.push_back(static_cast<int32_t>(targets.size()));
      return -static_cast<int32_t>(leaves.size()) + 1;
    }
    auto place = static_cast<int32_t>(tests.size());
    nodes.insert(nodes.end(), {draw(kFeatures), 0, 0});
    tests.push_back(kind.test ? kind.test : static_cast<uint8_t>(draw(16)));
    if (kind.mixed && draw(2) == 0)
      tests.back() ^= reference::kTreeUnordered;
    thresholds.push_back(static_cast<float>(draw(7) - 3));
    int32_t first = grow(depth - 1), second = grow(depth - 1);
    nodes[3 * place + 1] = first;
    nodes[3 * place + 2] = second;
    return place;
  }

  ForestKind kind;
  std::mt19937 random;
  std::vector<int32_t> nodes, roots, leaves = {0}, targets;
  std::vector<uint8_t> tests;
  std::vector<float> thresholds, weights;
};

std::string rowsType(const char *rows, DType dtype) {
  return std::string(rows) + "x3x" + (dtype == DType::Float64 ? "f64" : "f32");
}
} // namespace

// Rows and trees in whole groups and not, and every kind of test.
TEST(TreeTest, ForestsAreLikeInterpreted) {
  constexpr const char *kRows[] = {"1", "9", "130"};
  constexpr int64_t kTrees[] = {8, 21, 1};
  unsigned drawn = 0;
  for (DType dtype : {DType::Float32, DType::Float64})
    for (int test : {0, 1, 3, 6, 11, 13}) {
      ForestKind kind{.dtype = dtype, .test = static_cast<uint8_t>(test)};
      kind.trees = kTrees[drawn / 2 % 3];
      kind.targets = kind.trees % 3 + 1;
      kind.votes = test % 3;
      expectExact(Forest(kind, drawn).on(rowsType(kRows[drawn % 3], dtype)));
      ++drawn;
    }
}

TEST(TreeTest, AnyNumberOfRowsIsOneKernel) {
  Graph graph = Forest({.trees = 30, .targets = 2}, 5).on("?x3xf32");
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  for (int64_t rows : {0, 1, 5, 8, 15, 16, 25, 64, 71, 300})
    expectExactAt(graph, *executable, {{rows, kFeatures}});
}

/// The kernels of a run of rows with NaN among them, which is compared with the interpreter.
static std::vector<std::string> expectSameWithNaN(const Graph &graph, int64_t rows,
                                                  DType dtype = DType::Float32) {
  Tensor x = integerTensor(dtype, {rows, kFeatures}, 1);
  auto put = [&](auto *elements) {
    for (int64_t i = 0; i < x.numElements(); i += 4)
      elements[i] = std::numeric_limits<float>::quiet_NaN();
  };
  if (dtype == DType::Float64)
    put(x.mutableData<double>());
  else
    put(x.mutableData<float>());
  std::vector<std::string> kernels;
  auto wanted = runInterpreted(graph, {x});
  auto executable = compileForTest(graph);
  EXPECT_TRUE(wanted && executable);
  auto found = runCompiled(*executable, {x});
  EXPECT_TRUE(found) << found.status().message();
  expectSameTensors(found->results, *wanted, graph.labels());
  for (const ProfileRow &row : found->steps)
    kernels.push_back(row.kernel);
  return kernels;
}

TEST(TreeTest, NaNTakesTheWayThatItsTestSays) {
  expectSameWithNaN(Forest({.trees = 20, .test = 0}, 9).on("9x3xf32"), 9);
}

// In narrow and in wide records, of thresholds that are no numbers or infinite, too. Of two targets
// leaves are no bits of masks.
TEST(TreeTest, NaNMayTakeTheWayThatItsNodeSays) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kValues[] = {kNaN, -kNaN, kInfinity, -kInfinity};
  unsigned drawn = 0;
  for (DType dtype : {DType::Float32, DType::Float64})
    for (uint8_t test : {0, 1, 3, 13}) {
      ForestKind kind{.dtype = dtype, .trees = 20, .targets = 2, .test = test, .mixed = true};
      Forest forest(kind, drawn++);
      for (size_t i = 0; i < std::size(kValues); ++i)
        forest.setThreshold(3 * i, kValues[i]);
      for (const char *rows : {"1", "77"})
        EXPECT_EQ(expectSameWithNaN(forest.on(rowsType(rows, dtype)), std::stoi(rows), dtype).at(0),
                  "trees");
    }
}

TEST(TreeTest, TestsAreCommonButForTheWayOfNaN) {
  auto common = [](std::vector<uint8_t> tests) { return commonTest(tests); };
  EXPECT_EQ(common({}), -1);
  EXPECT_EQ(common({3, 3, 12}), 3);
  EXPECT_EQ(common({11, 4}), 11);
  EXPECT_EQ(common({3, 11}), 3 | kTreeOwnUnordered);
  EXPECT_EQ(common({11, 11, 3}), 3 | kTreeOwnUnordered);
  EXPECT_EQ(common({0, 8}), 0 | kTreeOwnUnordered);
  EXPECT_EQ(common({3, 11, 1}), -1);
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

// One target and vote, any order of numbers, any way of what is no number; rows in whole groups and
// not. One row walks.
TEST(TreeTest, LeavesAreBitsOfMasks) {
  bool hasMasks = resolveTarget("host")->has(Isa::Avx512);
  unsigned drawn = 0;
  for (int test : {1, 2, 3, 5, 11, 12}) {
    ForestKind kind{.trees = 8 + drawn, .test = static_cast<uint8_t>(test), .mixed = true};
    int64_t rows = drawn % 2 ? 96 : 77;
    Graph graph = Forest(kind, drawn++).on("?x3xf32");
    std::string kernel = expectSameWithNaN(graph, rows).at(0);
    EXPECT_EQ(kernel.starts_with("tree_masks"), hasMasks) << test;
    EXPECT_EQ(expectSameWithNaN(graph, 1).at(0), "trees");
  }
  expectExact(Forest({.trees = 20}, 1).on("77x3xf32"));
}

// Masks of two words, of which nodes clear leaves of the first, the second and both; and any number
// of rows in the last group.
TEST(TreeTest, MasksMayHaveTwoWords) {
  bool hasMasks = resolveTarget("host")->has(Isa::Avx512);
  for (uint8_t test : {3, 12}) {
    Forest forest({.trees = 7, .test = test, .mixed = true}, test);
    for (int levels : {31, 32, 33, 47, 62, 63})
      forest.growChain(levels, kFeatures);
    Graph graph = forest.on("?x3xf32");
    for (int64_t rows : {100, 64, 79, 80, 81, 95}) {
      std::string kernel = expectSameWithNaN(graph, rows).at(0);
      EXPECT_EQ(kernel == "tree_masks64", hasMasks) << rows;
    }
  }
}

TEST(TreeTest, MasksAreForFewLeaves) {
  std::vector<uint8_t> tests(70, 3);
  std::vector<int32_t> nodes, roots = {0}, leaves(72);
  for (int32_t node = 0; node < 70; ++node)
    nodes.insert(nodes.end(), {0, node < 69 ? node + 1 : -1, -2 - node});
  auto masksOf = [&](size_t count) {
    nodes[3 * count - 2] = -1;
    return TreeMasks::of({.nodes = std::span(nodes).first(3 * count),
                          .tests = std::span(tests).first(count),
                          .roots = roots,
                          .leaves = leaves});
  };
  EXPECT_FALSE(masksOf(64));
  ASSERT_TRUE(masksOf(63));
  EXPECT_EQ(masksOf(63)->leaves, 64);
  EXPECT_EQ(masksOf(31)->leaves, 32);
  tests[5] = 1;
  EXPECT_FALSE(masksOf(31)) << "tests differ";
}

TEST(TreeTest, FeaturesThatAreMissingAreRefused) {
  Graph graph = Forest({.trees = 20}, 9).on("?x?xf32");
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  for (int64_t features : {0, 2}) {
    Tensor x = integerTensor(DType::Float32, {9, features}, 1);
    auto interpreted = runInterpreted(graph, {x});
    auto found = runCompiled(*executable, {x});
    EXPECT_EQ(interpreted.status().code(), StatusCode::InvalidInput);
    EXPECT_EQ(found.status().code(), StatusCode::InvalidInput) << features;
  }
}

TEST(TreeTest, ThresholdsMayBeNoNumbers) {
  for (DType dtype : {DType::Float32, DType::Float64})
    for (uint8_t test : {3, 11, 9}) {
      Forest forest({.dtype = dtype, .trees = 20, .test = test}, 3);
      constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
      constexpr float kInfinity = std::numeric_limits<float>::infinity();
      constexpr float kValues[] = {kNaN, -kNaN, kInfinity, -kInfinity};
      for (size_t i = 0; i < std::size(kValues); ++i)
        forest.setThreshold(2 * i, kValues[i]);
      for (const char *rows : {"3", "40"})
        expectExact(forest.on(rowsType(rows, dtype)));
    }
}

TEST(TreeTest, TreesMayBeChains) {
  Forest forest({.trees = 3, .test = 1}, 2);
  forest.growChain(200, kFeatures);
  for (const char *rows : {"3", "40"})
    expectExact(forest.on(rowsType(rows, DType::Float32)));
}

TEST(TreeTest, RootsMayShareNodes) {
  Forest forest({.trees = 7, .votes = 2}, 6);
  for (int32_t place : {4, 4, 1, 0, -1})
    forest.addRoot(place);
  for (const char *rows : {"3", "40"})
    expectExact(forest.on(rowsType(rows, DType::Float32)));
}

// Rows that have more features than walks read of them stay where they are.
TEST(TreeTest, RowsMayHaveManyFeatures) {
  for (int features : {40, 5000}) {
    for (bool mixed : {false, true}) {
      Forest forest({.trees = 0, .mixed = mixed}, 8);
      for (int tree = 0; tree < 3; ++tree)
        forest.growChain(5, features);
      for (const char *rows : {"3x", "19x", "24x"})
        expectExact(forest.on(rows + std::to_string(features) + "xf32"));
    }
  }
}

TEST(TreeTest, RecordsAreNarrowWhereAllFits) {
  constexpr int64_t kMany = int64_t{1} << 28;
  auto isWide = [](DType dtype, int test, int64_t nodes, int64_t leaves, int64_t features) {
    return TreeLayout::choose(dtype, test, nodes, leaves, 16, features).isWide;
  };
  EXPECT_FALSE(isWide(DType::Float32, 3, 1000, 1001, 30));
  EXPECT_TRUE(isWide(DType::Float64, 3, 1000, 1001, 30));
  EXPECT_TRUE(isWide(DType::Float32, -1, 1000, 1001, 30));
  // 2 * 1000 + 16 + 1 records take 11 bits.
  EXPECT_FALSE(isWide(DType::Float32, 3, 1000, 1001, int64_t{1} << 21));
  EXPECT_TRUE(isWide(DType::Float32, 3, 1000, 1001, (int64_t{1} << 21) + 1));
  EXPECT_TRUE(isWide(DType::Float32, 3, 1000, 1001, kMany));
  // One bit is the way of what is no number.
  EXPECT_FALSE(isWide(DType::Float32, 3 | kTreeOwnUnordered, 1000, 1001, int64_t{1} << 20));
  EXPECT_TRUE(isWide(DType::Float32, 3 | kTreeOwnUnordered, 1000, 1001, (int64_t{1} << 20) + 1));
  EXPECT_FALSE(isWide(DType::Float32, 3, 1000, TreeLayout::kMostNarrowLeaves - 1, 2));
  EXPECT_TRUE(isWide(DType::Float32, 3, 1000, TreeLayout::kMostNarrowLeaves, 2));
}

TEST(TreeTest, FeaturesAreCountedWhateverTheirNumber) {
  constexpr int32_t kMost = std::numeric_limits<int32_t>::max();
  std::vector<int32_t> nodes = {4, -1, -2, kMost, -1, -2, -7, 0, 0};
  EXPECT_EQ(featuresOf(nodes), int64_t{kMost} + 1);
  EXPECT_EQ(featuresOf({}), 0);
}

// Plans share what is packed: trees that have more targets than there are must not be taken for
// those that do not.
TEST(TreeTest, TargetsAreCheckedForEachNumberOfThem) {
  Forest forest({.trees = 60, .targets = 3}, 4);
  expectExact(forest.on("9x3xf32", {3, 5}));
  for (std::vector<int64_t> counts : {std::vector<int64_t>{3, 2}, {2, 3}}) {
    Graph graph = forest.on("9x3xf32", counts);
    Status status = compileForTest(graph).status();
    EXPECT_EQ(status.code(), StatusCode::InvalidInput);
    EXPECT_NE(status.message().find("target 2 is not in [0, 2)"), std::string::npos)
        << status.message();
  }
}

TEST(TreeTest, NormalizedTestsHaveNoGreater) {
  EXPECT_EQ(normalizedTest(3), 3);
  EXPECT_EQ(normalizedTest(4), 11);
  EXPECT_EQ(normalizedTest(6 | 8), 1);
  EXPECT_EQ(normalizedTest(13), 2);
}
