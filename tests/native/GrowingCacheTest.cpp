//===- GrowingCacheTest.cpp - outputs that begin where an input does ------===//
#include "tests/native/GraphCheck.h"

#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

using namespace quern;
using namespace quern::native;

namespace {
constexpr int64_t kHeads = 16, kSize = 64; // a row is a page

/// present = concat(past, rows), and what reads both.
Graph decoder(const char *pastType = "?x1x16x64xf32") {
  Graph graph;
  GraphValue past = graph.input(pastType);
  GraphValue rows = graph.op("nn.relu", {graph.input("?x1x16x64xf32")});
  GraphValue present = graph.op("nn.concat", {past, rows}, "axis = 0");
  graph.output(present);
  graph.output(
      graph.op("nn.transpose", {graph.op("nn.abs", {present})}, "perm = array<i64: 1, 2, 0, 3>"));
  graph.output(graph.op("nn.neg", {past}));
  return graph;
}

/// Memory for rows of the cache, each a page.
class Room {
public:
  explicit Room(int64_t rows) : bytes(static_cast<size_t>(rows * kRow)) {
    memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }
  ~Room() { munmap(memory, bytes); }
  Room(const Room &) = delete;
  Room &operator=(const Room &) = delete;

  Tensor rows(int64_t count) {
    return Tensor::borrow(DType::Float32, {count, 1, kHeads, kSize}, memory);
  }
  void protect(int64_t count, int access) {
    if (count > 0)
      ASSERT_EQ(mprotect(memory, static_cast<size_t>(count * kRow), access), 0);
  }

  static constexpr int64_t kRow = kHeads * kSize * int64_t{sizeof(float)};

private:
  size_t bytes;
  void *memory;
};

/// Runs with the past at the beginning of the present, where it must not be written.
void expectGrowsInPlace(const Graph &graph, const std::shared_ptr<Executable> &executable,
                        int64_t past, int64_t more, int threads) {
  std::vector<Tensor> inputs = {integerTensor(DType::Float32, {past, 1, kHeads, kSize}, 1),
                                integerTensor(DType::Float32, {more, 1, kHeads, kSize}, 2)};
  auto wanted = runInterpreted(graph, inputs);
  ASSERT_TRUE(wanted) << wanted.status().message();
  Room room(past + more + 1);
  std::memcpy(room.rows(past).mutableRawData(), inputs[0].rawData(),
              static_cast<size_t>(inputs[0].numBytes()));
  inputs[0] = room.rows(past);
  std::vector<Tensor> outputs = {room.rows(past + more), Tensor(), Tensor()};
  Session session(executable, {.threads = threads});
  room.protect(past, PROT_READ);
  Status status = session.run(inputs, outputs);
  room.protect(past, PROT_READ | PROT_WRITE);
  ASSERT_TRUE(status.isOk()) << status.message();
  EXPECT_EQ(outputs[0].rawData(), inputs[0].rawData());
  expectSameTensors(outputs, *wanted, {"in place"});
}
} // namespace

TEST(GrowingCacheTest, OnlyWhatIsNewIsWritten) {
  if (sysconf(_SC_PAGESIZE) != Room::kRow)
    GTEST_SKIP() << "pages of another size than rows";
  Graph graph = decoder();
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  for (int threads : {1, 2})
    for (int64_t past : {0, 1, 2, 7, 8, 100})
      for (int64_t more : {1, 3})
        expectGrowsInPlace(graph, *executable, past, more, threads);
}

TEST(GrowingCacheTest, ElsewhereItIsCopied) {
  Graph graph = decoder();
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  for (int64_t past : {0, 1, 9})
    expectExactAt(graph, *executable, {{past, 1, kHeads, kSize}, {2, 1, kHeads, kSize}});
}

TEST(GrowingCacheTest, OtherOverlapsAreRefused) {
  Graph graph = decoder();
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  Session session(*executable, {.threads = 1});
  Room room(8);
  // The rows lie in the present, or the past in the middle of it.
  std::vector<Tensor> inputs = {room.rows(2), room.rows(1)};
  std::vector<Tensor> outputs = {room.rows(3), Tensor(), Tensor()};
  EXPECT_EQ(session.run(inputs, outputs).code(), StatusCode::InvalidInput);
  Room other(1);
  inputs = {Tensor::borrow(DType::Float32, {2, 1, kHeads, kSize},
                           static_cast<const char *>(room.rows(1).rawData()) + Room::kRow),
            other.rows(1)};
  EXPECT_EQ(session.run(inputs, outputs).code(), StatusCode::InvalidInput);
}

// Along another dimension the past is not the beginning.
TEST(GrowingCacheTest, AnotherDimensionIsCopied) {
  Graph graph;
  GraphValue past = graph.input("2x?x4xf32"), rows = graph.input("2x1x4xf32");
  graph.output(graph.op("nn.concat", {past, rows}, "axis = 1"));
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  std::vector<float> memory(100);
  std::vector<Tensor> inputs = {Tensor::borrow(DType::Float32, {2, 3, 4}, memory.data()),
                                integerTensor(DType::Float32, {2, 1, 4}, 1)};
  std::vector<Tensor> outputs = {Tensor::borrow(DType::Float32, {2, 4, 4}, memory.data())};
  Session session(*executable, {.threads = 1});
  EXPECT_EQ(session.run(inputs, outputs).code(), StatusCode::InvalidInput);
  // The outermost that is not 1 is.
  expectExactAt(graph, *executable, {{2, 3, 4}, {2, 1, 4}});
}
