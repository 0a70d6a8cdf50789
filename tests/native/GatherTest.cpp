//===- GatherTest.cpp - indices that only a run knows ---------------------===//
#include "quern/Session.h"
#include "tests/native/GraphCheck.h"

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
      auto session = Session::create(*executable, {.threads = threads, .profile = true});
      ASSERT_TRUE(session) << session.status().message();
      for (int64_t index : {kRows, -kRows - 1, int64_t{1} << 30, -(int64_t{1} << 31)})
        for (int64_t at : {int64_t{0}, kIndices / 2, kIndices - 1}) {
          Tensor bad = good.clone().take();
          setIndex(bad, at, index);
          auto interpreted = runInterpreted(graph, {bad});
          auto found = session->run(std::vector{bad});
          EXPECT_EQ(interpreted.status().code(), StatusCode::InvalidInput);
          EXPECT_EQ(found.status().code(), StatusCode::InvalidInput) << index << " at " << at;
          for (const Status &status : {interpreted.status(), found.status()}) {
            EXPECT_NE(status.message().find("v2"), std::string::npos) << status.message();
            EXPECT_NE(status.message().find("out of range"), std::string::npos) << status.message();
          }
        }
      auto found = session->run(std::vector{good});
      ASSERT_TRUE(found) << found.status().message();
      expectSameTensors(*found, *wanted, {"rows"});
      for (const ProfileRow &row : session->profile())
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
    auto session = Session::create(*executable, {.threads = 1});
    Tensor bad = Tensor::ofInts({0, kRows});
    EXPECT_EQ(runInterpreted(graph, {bad}).status().code(), StatusCode::InvalidInput) << table;
    EXPECT_EQ(session->run(std::vector{bad}).status().code(), StatusCode::InvalidInput) << table;
  }
}
