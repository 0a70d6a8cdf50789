//===- GatherTest.cpp - indices that only a run knows ---------------------===//
#include "runtime/running/Session.h"
#include "tests/native/GraphCheck.h"

#include <map>

using namespace quern;
using namespace quern::native;

namespace {
constexpr int64_t kRows = 100, kIndices = 3000;

/// The embedding of many indices, and what follows.
Graph embedding(const std::string &indexType, const std::string &table) {
  Graph graph;
  GraphValue indices = graph.input(indexType);
  GraphValue rows = graph.op("nn.gather", {graph.weight(table), indices}, "axis = 0", "*xf32");
  graph.output(graph.op("nn.neg", {rows}));
  return graph;
}

Tensor indexTensor(DType dtype, int64_t count) {
  Tensor tensor = Tensor::allocate(dtype, {count}).take();
  for (int64_t i = 0; i < count; ++i) {
    int64_t index = i * 7 % (2 * kRows) - kRows;
    if (dtype == DType::Int32)
      tensor.mutableData<int32_t>()[i] = static_cast<int32_t>(index);
    else
      tensor.mutableData<int64_t>()[i] = index;
  }
  return tensor;
}

void setIndex(Tensor &tensor, int64_t at, int64_t index) {
  if (tensor.dtype() == DType::Int32)
    tensor.mutableData<int32_t>()[at] = static_cast<int32_t>(index);
  else
    tensor.mutableData<int64_t>()[at] = index;
}
} // namespace

TEST(GatherTest, AxesOfRunningSumsAreChecked) {
  Graph graph;
  GraphValue x = graph.input("3x4xf32"), axis = graph.input("i64");
  graph.output(graph.op("nn.cumulate sum", {x, axis}, "exclusive = false, reverse = true"));
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  Session session(*executable);
  std::vector<float> counting = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  for (int64_t number : {0, -1, 2, -3}) {
    std::vector inputs = {Tensor::of<float>({3, 4}, counting), Tensor::of<int64_t>({}, {number})};
    auto wanted = runInterpreted(graph, inputs), found = session.run(inputs);
    ASSERT_EQ(found.status().code(), wanted.status().code()) << number;
    if (found)
      expectSameTensors(*found, *wanted, {"sums"});
    for (const Status &status : {wanted.status(), found.status()})
      if (number == 2 || number == -3) {
        EXPECT_EQ(status.code(), StatusCode::InvalidInput);
        EXPECT_NE(status.message().find("v2"), std::string::npos) << status.message();
        EXPECT_NE(status.message().find("out of range"), std::string::npos) << status.message();
      }
  }
}

// Both backends refuse an index out of range and name the node, on any number of
// threads; the same session then goes on with indices in range.
TEST(GatherTest, IndicesAreChecked) {
  for (DType dtype : {DType::Int64, DType::Int32}) {
    Graph graph = embedding(dtype == DType::Int32 ? "3000xi32" : "3000xi64", "100x40xf32");
    Tensor good = indexTensor(dtype, kIndices);
    auto wanted = runInterpreted(graph, {good});
    ASSERT_TRUE(wanted) << wanted.status().message();
    auto executable = compileForTest(graph);
    ASSERT_TRUE(executable) << executable.status().message();
    for (int threads : {1, 4}) {
      Session session(*executable, {.threads = threads, .profile = true});
      for (int64_t index : {kRows, -kRows - 1, int64_t{1} << 30, -(int64_t{1} << 31)})
        for (int64_t at : {int64_t{0}, kIndices / 2, kIndices - 1}) {
          Tensor bad = good.clone().take();
          setIndex(bad, at, index);
          auto interpreted = runInterpreted(graph, {bad});
          auto found = session.run(std::vector{bad});
          EXPECT_EQ(interpreted.status().code(), StatusCode::InvalidInput);
          EXPECT_EQ(found.status().code(), StatusCode::InvalidInput) << index << " at " << at;
          for (const Status &status : {interpreted.status(), found.status()}) {
            EXPECT_NE(status.message().find("v2"), std::string::npos) << status.message();
            EXPECT_NE(status.message().find("out of range"), std::string::npos) << status.message();
          }
        }
      auto found = session.run(std::vector{good});
      ASSERT_TRUE(found) << found.status().message();
      expectSameTensors(*found, *wanted, {"rows"});
      for (const ProfileRow &row : session.profile())
        EXPECT_FALSE(row.reference) << row.kernel;
    }
  }
}

// Indices count even where no element is copied.
TEST(GatherTest, IndicesOfEmptyRowsAreChecked) {
  for (const char *table : {"100x0xf32", "0x5xf32"}) {
    Graph graph = embedding("2xi64", table);
    auto executable = compileForTest(graph);
    ASSERT_TRUE(executable) << executable.status().message();
    Session session(*executable, {.threads = 1});
    Tensor bad = Tensor::ofInts({0, kRows});
    EXPECT_EQ(runInterpreted(graph, {bad}).status().code(), StatusCode::InvalidInput) << table;
    EXPECT_EQ(session.run(std::vector{bad}).status().code(), StatusCode::InvalidInput) << table;
  }
}

//===----------------------------------------------------------------------===//
// Other moves by index
//===----------------------------------------------------------------------===//

namespace {
/// One of the ops, with 40 x 8 indices as its second operand.
struct IndexedOp {
  const char *name, *attributes, *data, *indices, *updates;
};
const IndexedOp kIndexedOps[] = {
    {"nn.gather_elements", "axis = 0 : i64", "100x8xf32", "40x8xi64", nullptr},
    {"nn.gather_nd", "batch_dims = 0 : i64", "100x100x3xf32", "160x2xi64", nullptr},
    {"nn.scatter_elements add", "axis = 0 : i64", "100x8xf32", "40x8xi64", "40x8xf32"},
    {"nn.scatter_nd none", "", "100x100x3xf32", "160x2xi64", "160x3xf32"},
};

Graph graphOf(const IndexedOp &op) {
  Graph graph;
  std::vector<GraphValue> operands = {graph.op("nn.neg", {graph.input(op.data)}),
                                      graph.input(op.indices)};
  if (op.updates)
    operands.push_back(graph.input(op.updates));
  graph.output(graph.op("nn.abs", {graph.op(op.name, operands, op.attributes)}));
  return graph;
}
} // namespace

TEST(GatherTest, IndicesOfOtherMovesAreChecked) {
  for (const IndexedOp &op : kIndexedOps) {
    Graph graph = graphOf(op);
    std::vector<Tensor> inputs = integerInputs(graph);
    auto wanted = runInterpreted(graph, inputs);
    ASSERT_TRUE(wanted) << wanted.status().message();
    auto executable = compileForTest(graph);
    ASSERT_TRUE(executable) << executable.status().message();
    for (int threads : {1, 4}) {
      Session session(*executable, {.threads = threads, .profile = true});
      for (int64_t index : {int64_t{100}, int64_t{-101}, INT64_MAX, INT64_MIN})
        for (int64_t at : {0, 160, 319}) {
          std::vector<Tensor> bad = inputs;
          bad[1] = inputs[1].clone().take();
          bad[1].mutableData<int64_t>()[at] = index;
          for (const Status &status :
               {runInterpreted(graph, bad).status(), session.run(bad).status()}) {
            EXPECT_EQ(status.code(), StatusCode::InvalidInput) << op.name << ": " << index;
            EXPECT_NE(status.message().find("out of range"), std::string::npos) << status.message();
            EXPECT_NE(status.message().find("node 'v"), std::string::npos) << status.message();
          }
        }
      auto found = session.run(inputs);
      ASSERT_TRUE(found) << found.status().message();
      expectSameTensors(*found, *wanted, {op.name});
      for (const ProfileRow &row : session.profile())
        EXPECT_FALSE(row.reference) << row.kernel;
    }
  }
}

namespace {
/// How often each kernel runs.
std::map<std::string, int> kernelsOf(const GraphRun &run) {
  std::map<std::string, int> counts;
  for (const ProfileRow &row : run.steps)
    ++counts[row.kernel];
  return counts;
}
} // namespace

// A scatter writes into its operand where nothing else reads that, and never otherwise.
TEST(GatherTest, ScattersTakeOverMemory) {
  enum Use { Dies, IsReadLater, IsUpdate, IsInput, IsIndex };
  for (Use use : {Dies, IsReadLater, IsUpdate, IsInput, IsIndex}) {
    Graph graph;
    GraphValue x = graph.input(use == IsIndex ? "5x6xi64" : "5x6xf32");
    GraphValue data = use == IsInput ? x : graph.op("nn.neg", {x});
    GraphValue updates =
        use == IsUpdate || use == IsIndex ? data : graph.op("nn.abs", {graph.input("5x6xf32")});
    GraphValue indices = use == IsIndex ? data : graph.input("5x6xi64");
    GraphValue sum =
        graph.op("nn.scatter_elements add", {data, indices, updates}, "axis = 0 : i64");
    sum = graph.op("nn.scatter_elements max", {sum, indices, updates}, "axis = 1 : i64");
    if (use == IsReadLater)
      sum = graph.op("nn.add", {sum, data});
    graph.output(graph.op("nn.neg", {sum}));
    std::map<std::string, int> kernels = kernelsOf(expectExact(graph));
    EXPECT_EQ(kernels["scatter"], 2) << use;
    EXPECT_EQ(kernels["copy_bytes"], use == Dies ? 0 : 1) << use;
  }
}

// Many updates of each element, whose sums depend on their order.
TEST(GatherTest, ScatterOrderIsThatOfTheUpdates) {
  for (const char *indices : {"1000x7xi64", "40x700xi64"})
    for (int axis : {0, 1}) {
      Graph graph;
      std::string updates(indices);
      updates.replace(updates.size() - 3, 3, "f32");
      graph.output(
          graph.op("nn.scatter_elements add",
                   {graph.input("1000x700xf32"), graph.input(indices), graph.input(updates)},
                   "axis = " + std::to_string(axis) + " : i64"));
      std::vector<Tensor> inputs = integerInputs(graph);
      for (int64_t i = 0; i < inputs[2].numElements(); ++i)
        inputs[2].mutableData<float>()[i] = 1.0f / static_cast<float>(i % 1013 + 1);
      auto wanted = runInterpreted(graph, inputs);
      ASSERT_TRUE(wanted) << wanted.status().message();
      auto executable = compileForTest(graph);
      ASSERT_TRUE(executable) << executable.status().message();
      for (int threads : {1, 2, 4}) {
        auto run = runCompiled(*executable, inputs, threads);
        ASSERT_TRUE(run) << run.status().message();
        expectSameTensors(run->results, *wanted, {indices});
      }
    }
}

// Nothing to move: indices count all the same, and no element is touched.
TEST(GatherTest, MovesOfNothing) {
  struct Case {
    IndexedOp op;
    bool isError;
  };
  for (const Case &c : {
           Case{{"nn.gather_elements", "axis = 0 : i64", "0x5xf32", "2x5xi64", nullptr}, true},
           Case{{"nn.gather_elements", "axis = 0 : i64", "4x0xf32", "2x0xi64", nullptr}, false},
           Case{{"nn.gather_nd", "batch_dims = 0 : i64", "9x0xf32", "2x1xi64", nullptr}, false},
           Case{{"nn.gather_nd", "batch_dims = 0 : i64", "0x3xf32", "2x1xi64", nullptr}, true},
           Case{{"nn.gather_nd", "batch_dims = 1 : i64", "0x3xf32", "0x1xi64", nullptr}, false},
           Case{{"nn.scatter_elements add", "axis = 0 : i64", "0x5xf32", "2x5xi64", "2x5xf32"},
                true},
           Case{{"nn.scatter_elements add", "axis = 0 : i64", "4x5xf32", "0x5xi64", "0x5xf32"},
                false},
           Case{{"nn.scatter_nd none", "", "0x5xf32", "2x1xi64", "2x5xf32"}, true},
           Case{{"nn.scatter_nd none", "", "9x5xf32", "0x1xi64", "0x5xf32"}, false},
       }) {
    Graph graph = graphOf(c.op);
    std::vector<Tensor> inputs = integerInputs(graph);
    if (!c.isError) {
      expectExact(graph);
      continue;
    }
    auto executable = compileForTest(graph);
    ASSERT_TRUE(executable) << executable.status().message();
    EXPECT_EQ(runInterpreted(graph, inputs).status().code(), StatusCode::InvalidInput) << c.op.name;
    EXPECT_EQ(runCompiled(*executable, inputs).status().code(), StatusCode::InvalidInput)
        << c.op.name;
  }
}
