//===- GuardPageTest.cpp - kernels beside inaccessible pages --------------===//
//
// All tests of kernels and graphs run beside inaccessible pages (GuardedMemory).
// Here: that such an access does end the test, and tensors of a caller whose
// sizes leave a tail everywhere, through the public interface.
//
//===----------------------------------------------------------------------===//
#include "tests/native/GraphCheck.h"

#include <numeric>

using namespace quern;
using namespace quern::native;

using Side = GuardedMemory::Side;

TEST(GuardedMemoryTest, OutsideIsInaccessible) {
  GuardedMemory atEnd(12, Side::End), atBegin(12, Side::Begin);
  EXPECT_DEATH((void)*const_cast<volatile std::byte *>(atEnd.data() + 12), "");
  EXPECT_DEATH((void)*const_cast<volatile std::byte *>(atBegin.data() - 1), "");
  EXPECT_TRUE(atEnd.isIntact());
  atEnd.data()[-1] = std::byte{0};
  EXPECT_FALSE(atEnd.isIntact());
  atBegin.data()[12] = std::byte{0};
  EXPECT_FALSE(atBegin.isIntact());
}

TEST(GuardedMemoryTest, EndsKernelsThatReadTooFar) {
  Graph graph;
  graph.output(graph.op("nn.neg", {graph.input("35xf32")}));
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  // One element less than the kernel reads.
  GuardedMemory tooShort(34 * sizeof(float), Side::End);
  Tensor input = Tensor::borrow(DType::Float32, {35}, tooShort.data());
  EXPECT_DEATH((void)runCompiled(*executable, {input}, 1), "");
}

TEST(GuardedMemoryTest, CopiesHoldTheElements) {
  Tensor tensor = integerTensor(DType::Float32, {3, 5}, 1);
  for (Side side : {Side::Begin, Side::End})
    expectSameTensors({GuardedMemory::copyOf(tensor, side)}, {tensor}, {});
}

namespace {
/// The graph's tensors are borrowed from guarded memory, as a caller's may be.
void expectExactOnBorrowed(const Graph &graph) {
  std::vector<Tensor> inputs = integerInputs(graph);
  auto wanted = runInterpreted(graph, inputs);
  ASSERT_TRUE(wanted) << wanted.status().message();
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  Session session(*executable, {.threads = 2});
  for (Side side : {Side::Begin, Side::End}) {
    std::vector<Tensor> guardedInputs, outputs;
    for (const Tensor &input : inputs)
      guardedInputs.push_back(GuardedMemory::copyOf(input, side));
    for (const Tensor &w : *wanted)
      outputs.push_back(GuardedMemory::copyOf(Tensor::allocate(w.dtype(), w.dims()).take(), side));
    Status status = session.run(guardedInputs, outputs);
    ASSERT_TRUE(status.isOk()) << status.message();
    expectSameTensors(outputs, *wanted, graph.labels());
  }
}
} // namespace

TEST(GuardPageTest, MapsAndMoves) {
  Graph graph;
  for (const char *type : {"1xf32", "3x5xf32", "17xf64", "7x33xi64", "1021xi1"}) {
    GraphValue x = graph.input(type);
    graph.output(graph.op("nn.where", {graph.input("1xi1"), x, x}, "",
                          "*x" + std::string(type + std::string(type).rfind('x') + 1)),
                 std::string(type) + " where");
  }
  for (const char *type : {"3x5xf32", "17x33xf32", "5x67xf64"}) {
    GraphValue x = graph.input(type);
    std::string label = type;
    graph.output(graph.op("nn.relu", {x}), label + " relu");
    graph.output(graph.op("nn.transpose", {x}, "perm = array<i64: 1, 0>"), label + " transpose");
    graph.output(graph.op("nn.concat", {x, x, x}, "axis = 1"), label + " concat");
    graph.output(graph.op("nn.mul", {x, graph.input(label.substr(0, label.find('x')) + "x1x" +
                                                    label.substr(label.rfind('x') + 1))}),
                 label + " per row");
  }
  expectExactOnBorrowed(graph);
}

TEST(GuardPageTest, Products) {
  Graph graph;
  for (auto [m, k, n] :
       {std::array<int, 3>{1, 1, 1}, {3, 5, 7}, {13, 17, 33}, {14, 3, 65}, {1, 9, 31}}) {
    std::string a = std::to_string(m) + "x" + std::to_string(k) + "xf32";
    std::string b = std::to_string(k) + "x" + std::to_string(n) + "xf32";
    graph.output(graph.op("nn.matmul", {graph.input(a), graph.weight(b)}), a + " * weight " + b);
    graph.output(graph.op("nn.matmul", {graph.input(a), graph.input(b)}), a + " * input " + b);
  }
  expectExactOnBorrowed(graph);
}

TEST(GuardPageTest, Windows) {
  Graph graph;
  for (int channels : {1, 3, 16, 17})
    for (int width : {3, 7, 19}) {
      std::string c = std::to_string(channels), w = std::to_string(width);
      GraphValue x = graph.input("1x" + c + "x5x" + w + "xf32");
      std::string window = "strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = "
                           "array<i64: 1, 1, 1, 1>";
      std::string label = c + " channels, width " + w;
      for (int outputs : {5, 16})
        graph.output(graph.op("nn.conv",
                              {x, graph.weight(std::to_string(outputs) + "x" + c + "x3x3xf32"),
                               graph.none()},
                              window + ", group = 1"),
                     label + " conv");
      graph.output(graph.op("nn.conv", {x, graph.weight(c + "x1x3x3xf32"), graph.none()},
                            window + ", group = " + c),
                   label + " depthwise");
      graph.output(
          graph.op("nn.max_pool", {x}, window + ", kernel = array<i64: 3, 3>, ceil_mode = false"),
          label + " max_pool");
    }
  expectExactOnBorrowed(graph);
}

TEST(GuardPageTest, Reductions) {
  Graph graph;
  for (const char *type : {"1x1xf32", "3x5xf32", "7x33xf32", "33x3xf64"})
    for (int64_t axis : {0, 1})
      for (std::string kind : {"sum", "max"})
        graph.output(graph.op("nn.reduce " + kind,
                              {graph.input(type), graph.weight(Tensor::ofInts({axis}))},
                              "keepdims = false, noop_with_empty_axes = false"),
                     kind + " of " + type + " along " + std::to_string(axis));
  expectExactOnBorrowed(graph);
}
