//===- RecurrentTest.cpp - RNN, GRU and LSTM, compiled --------------------===//
//
// Gates that are 0 or 1 and clipped sums keep states small integers, so that results are
// exact.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/Recurrent.h"
#include "tests/native/GraphCheck.h"
#include "tests/native/RunnableTargets.h"
#include "tests/native/TileEmulator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>
#include <random>

using namespace quern;
using namespace quern::native;

namespace {
struct Cell {
  CellKind kind = CellKind::Lstm;
  std::string direction = "forward";
  int64_t steps = 3, batch = 2, hidden = 5;
  bool linear = false, inputForget = false, constant = true;
  bool bias = false, lengths = false, initialH = false, initialC = false, peepholes = false;
  bool cellClip = false;
  std::string dtype = "f32";
  /// Of the recurrence, if another.
  std::string factors = "";
  /// What the second direction has instead of the identity.
  std::string otherActivation = "Affine";

  int64_t directions() const { return direction == "bidirectional" ? 2 : 1; }
  std::string type(std::vector<int64_t> dims, const std::string &element = "") const {
    return fmt::format("{}x{}", fmt::join(dims, "x"), element.empty() ? dtype : element);
  }
  /// f is a step function, which clipped integers make 0 or 1; others are the identity.
  std::string activations() const {
    std::vector<std::string> names;
    for (int64_t d = 0; d < directions(); ++d) {
      names.push_back(kind == CellKind::Rnn ? "Affine" : "HardSigmoid");
      for (int64_t i = 1; i < activationsOf(kind); ++i)
        names.push_back(d == 0 ? "Affine" : otherActivation);
    }
    return fmt::format("{}", fmt::join(names, ", "));
  }
  std::string attributes() const {
    size_t count = static_cast<size_t>(directions() * activationsOf(kind));
    auto list = [&](const char *value) {
      return fmt::format("array<f64: {}>", fmt::join(std::vector<std::string>(count, value), ", "));
    };
    return fmt::format("alpha = {}, beta = {}, clip = 3.0 : f64, input_forget = {}, "
                       "linear_before_reset = {}{}",
                       list("1.0"), list("0.0"), inputForget, linear,
                       cellClip ? ", cell_clip = 2.0 : f64" : "");
  }
  /// The graph of the cell on a graph input [steps, batch, all gates].
  Graph graph() const {
    Graph graph;
    int64_t rows = gatesOf(kind) * hidden, d = directions();
    GraphValue none = graph.none(), input = graph.input(type({steps, batch, d * rows}));
    auto weight = [&](bool exists, std::vector<int64_t> dims, const std::string &element = "") {
      return !exists    ? none
             : constant ? graph.weight(type(dims, element))
                        : graph.input(type(dims, element));
    };
    std::vector<int64_t> ends;
    for (int64_t b = 0; b < batch; ++b)
      ends.push_back((b + 1) % (steps + 1));
    std::vector<GraphValue> operands = {
        input,
        weight(true, {d, rows, hidden}, factors),
        weight(bias, {d, hidden}),
        lengths ? graph.constant(fmt::format("dense<[{}]>", fmt::join(ends, ", ")),
                                 fmt::format("{}xi32", batch))
                : none,
        weight(initialH, {d, batch, hidden}),
        weight(initialC, {d, batch, hidden}),
        weight(peepholes, {d, 3 * hidden})};
    auto results =
        graph.multi(fmt::format("nn.recurrent {} {} [{}]", nameOf(kind), direction, activations()),
                    operands, attributes(), kind == CellKind::Lstm ? 3 : 2);
    for (const GraphValue &result : results)
      graph.output(result);
    return graph;
  }
};

/// Every kind with every optional operand that it may have, or with none.
std::vector<Cell> cells() {
  std::vector<Cell> all;
  for (bool with : {false, true}) {
    all.push_back({.kind = CellKind::Rnn, .lengths = with, .initialH = with});
    all.push_back({.kind = CellKind::Gru, .lengths = with, .initialH = with});
    all.push_back(
        {.kind = CellKind::Gru, .linear = true, .bias = with, .lengths = with, .initialH = with});
    all.push_back({.kind = CellKind::Lstm,
                   .inputForget = with,
                   .lengths = with,
                   .initialH = with,
                   .initialC = with,
                   .peepholes = with,
                   .cellClip = with});
  }
  return all;
}
} // namespace

TEST(RecurrentTest, EveryCell) {
  struct Sizes {
    const char *direction;
    int64_t batch, hidden;
  };
  for (Cell cell : cells())
    for (const Sizes &sizes : {Sizes{"forward", 1, 1}, Sizes{"reverse", 7, 5},
                               Sizes{"forward", 3, 16}, Sizes{"bidirectional", 13, 35}}) {
      cell.direction = sizes.direction;
      cell.batch = sizes.batch;
      cell.hidden = sizes.hidden;
      SCOPED_TRACE(cell.graph().text());
      expectExact(cell.graph());
      if (testing::Test::HasFailure())
        return;
    }
}

TEST(RecurrentTest, EveryTarget) {
  for (const std::string &target : runnableTargets())
    for (Cell cell : cells()) {
      cell.direction = "bidirectional";
      cell.batch = 9;
      cell.hidden = 20;
      SCOPED_TRACE(target + cell.graph().text());
      GraphCheck check;
      check.options.targetCpu = target;
      expectExact(cell.graph(), check);
    }
}

// Groups of hidden units that are full or not, on instructions that multiply them and on others:
// states are small integers, which rounding leaves as they are.
TEST(RecurrentTest, NarrowRecurrence) {
  for (const std::string &target : runnableTargets())
    for (Cell cell : cells())
      for (auto [batch, hidden] : {std::pair<int64_t, int64_t>{1, 1}, {7, 35}, {3, 32}}) {
        cell.factors = "bf16";
        cell.direction = hidden == 35 ? "bidirectional" : "reverse";
        cell.batch = batch;
        cell.hidden = hidden;
        SCOPED_TRACE(target + cell.graph().text());
        GraphCheck check;
        check.options.targetCpu = target;
        expectExact(cell.graph(), check);
      }
}

// Sequences that fill a part of a tile of matrices, one, one and a bit, and several tasks of them;
// on the CPU's own unit, or emulated.
TEST(RecurrentTest, TilesOfMatrices) {
  if (!TileEmulator::isPossible())
    GTEST_SKIP() << "this CPU has no AVX-512, which nothing emulates";
  TileEmulator emulator;
  for (Cell cell : cells())
    for (auto [batch, hidden] : {std::pair<int64_t, int64_t>{1, 32}, {16, 64}, {33, 32}, {70, 96}})
      for (const char *direction : {"forward", "bidirectional"}) {
        cell.factors = "bf16";
        cell.direction = direction;
        cell.batch = batch;
        cell.hidden = hidden;
        SCOPED_TRACE(cell.graph().text());
        expectExact(cell.graph());
        EXPECT_FALSE(TileEmulator::isConfigured());
        if (testing::Test::HasFailure())
          return;
      }
  Graph graph = Cell{.hidden = 64, .factors = "bf16"}.graph();
  auto run = runCompiled(compileForTest(graph).take(), integerInputs(graph));
  ASSERT_TRUE(run) << run.status().message();
  EXPECT_EQ(run->steps.back().kernel, "tiles_bf16_lstm");
}

// h = f(x + R h) with the identity as f: what meets the recurrence is rounded, what Y gets is not.
TEST(RecurrentTest, RoundsStatesForProductsOnly) {
  Graph graph;
  GraphValue none = graph.none(), input = graph.input("2x1x1xf32");
  Tensor one = Tensor::allocate(DType::BFloat16, {1, 1, 1}).take();
  one.mutableData<BFloat16>()[0] = BFloat16(1.0f);
  for (const GraphValue &result :
       graph.multi("nn.recurrent rnn forward [Affine]",
                   {input, graph.weight(one), none, none, none, none, none},
                   "alpha = array<f64: 1.0>, beta = array<f64: 0.0>, input_forget = false, "
                   "linear_before_reset = false",
                   2))
    graph.output(result);
  Tensor x = Tensor::allocate(DType::Float32, {2, 1, 1}).take();
  x.mutableData<float>()[0] = 1 + 0x1p-7f + 0x1p-10f; // between bfloat16, nearer to 1 + 2^-7
  x.mutableData<float>()[1] = 0;
  for (const Tensor &y : {runInterpreted(graph, {x}).take()[0],
                          runCompiled(*compileForTest(graph), {x})->results[0]}) {
    EXPECT_EQ(y.data<float>()[0], 1 + 0x1p-7f + 0x1p-10f);
    EXPECT_EQ(y.data<float>()[1], 1 + 0x1p-7f);
  }
}

TEST(RecurrentTest, WeightsThatAreInputs) {
  for (Cell cell : cells()) {
    cell.constant = false;
    cell.direction = "bidirectional";
    expectExact(cell.graph());
  }
}

TEST(RecurrentTest, Float64) {
  for (Cell cell : cells()) {
    cell.dtype = "f64";
    cell.hidden = 11;
    expectExact(cell.graph());
  }
}

// Directions that differ are a step each.
TEST(RecurrentTest, ActivationsOfEachDirection) {
  for (Cell cell : cells()) {
    cell.direction = "bidirectional";
    GraphRun same = expectExact(cell.graph());
    cell.otherActivation = "Relu";
    GraphRun other = expectExact(cell.graph());
    EXPECT_EQ(other.steps.size(), same.steps.size() + (cell.kind == CellKind::Rnn ? 0 : 1));
  }
}

TEST(RecurrentTest, NothingToDo) {
  for (Cell cell : cells()) {
    cell.steps = 0;
    cell.initialH = true;
    expectExact(cell.graph());
    cell.steps = 2;
    cell.batch = 0;
    cell.lengths = false;
    expectExact(cell.graph());
  }
}

TEST(RecurrentTest, LengthsAreChecked) {
  for (int length : {-1, 4}) {
    Graph graph;
    GraphValue none = graph.none(), input = graph.input("3x2x5xf32");
    GraphValue lengths = graph.constant(fmt::format("dense<[3, {}]>", length), "2xi32");
    auto results =
        graph.multi("nn.recurrent rnn reverse [Tanh]",
                    {input, graph.weight("1x5x5xf32"), none, lengths, none, none, none},
                    "alpha = array<f64: 0.0>, beta = array<f64: 0.0>, input_forget = false, "
                    "linear_before_reset = false",
                    2);
    graph.output(results[0]);
    auto executable = compileForTest(graph);
    ASSERT_TRUE(executable) << executable.status().message();
    auto run = runCompiled(*executable, integerInputs(graph));
    auto interpreted = runInterpreted(graph, integerInputs(graph));
    for (const Status &status : {run.status(), interpreted.status()}) {
      EXPECT_EQ(status.code(), StatusCode::InvalidInput);
      EXPECT_NE(status.message().find("out of range"), std::string::npos) << status.message();
      EXPECT_NE(status.message().find("node 'v"), std::string::npos) << status.message();
    }
  }
}

// The bits of a sequence depend neither on others nor on threads.
TEST(RecurrentTest, SequencesAreIndependent) {
  for (Cell cell : cells()) {
    cell.batch = 29;
    cell.hidden = 24;
    cell.direction = "bidirectional";
    Graph graph = cell.graph();
    auto executable = compileForTest(graph);
    ASSERT_TRUE(executable) << executable.status().message();
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::vector<Tensor> inputs = integerInputs(graph);
    for (int64_t i = 0; i < inputs[0].numElements(); ++i)
      inputs[0].mutableData<float>()[i] = uniform(random);
    auto one = runCompiled(*executable, inputs, /*threads=*/1);
    auto many = runCompiled(*executable, inputs, /*threads=*/4);
    ASSERT_TRUE(one && many);
    for (size_t i = 0; i < one->results.size(); ++i)
      EXPECT_EQ(std::memcmp(one->results[i].rawData(), many->results[i].rawData(),
                            static_cast<size_t>(one->results[i].numBytes())),
                0);
  }
}
