//===- KernelReuseTest.cpp - new sizes find their kernels -----------------===//
#include "backends/native/lowering/Lowering.h"
#include "backends/plan/LowerGraph.h"
#include "ir/NNDialect.h"
#include "ir/Signature.h"
#include "ir/Types.h"
#include "passes/InferShapes.h"
#include "passes/SpecializeInputs.h"
#include "tests/native/GraphCheck.h"

#include "mlir/Pass/PassManager.h"

#include <cstring>
#include <random>
#include <set>

using namespace quern;
using namespace quern::native;

namespace {
Tensor randomTensor(const Tensor::Dims &dims, unsigned seed) {
  Tensor tensor = Tensor::allocate(DType::Float32, dims).take();
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    tensor.mutableData<float>()[i] = uniform(random);
  return tensor;
}

/// An executable whose kernels can be counted.
struct Counted {
  explicit Counted(const Graph &graph) {
    NativeOptions options;
    options.optLevel = 2;
    auto cache = std::make_shared<KernelStore>(resolveTarget("host").take());
    options.kernels = kernels = std::make_shared<LinkedKernels>(cache);
    executable = compileForTest(graph, options).take();
  }
  size_t count() { return kernels->store().size(); }

  std::shared_ptr<LinkedKernels> kernels;
  std::shared_ptr<Executable> executable;
};
} // namespace

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

// One product with 1 to 64 rows: few kernels, and each row has the same bits
// wherever it is, for the sums go along k in one order.
TEST(KernelReuseTest, RowsOfAProduct) {
  constexpr int64_t kRows = 64, kDepth = 50, kColumns = 150;
  for (const char *op : {"nn.matmul", "nn.gemm"}) {
    Graph graph;
    GraphValue a = graph.input("?x50xf32"), b = graph.weight(randomTensor({kDepth, kColumns}, 1));
    std::vector<GraphValue> operands = {a, b};
    std::string attributes;
    if (op == std::string("nn.gemm")) {
      operands.push_back(graph.weight(randomTensor({kColumns}, 2)));
      attributes = "alpha = 1.0 : f64, beta = 1.0 : f64, trans_a = false, trans_b = false";
    }
    graph.output(graph.op(op, operands, attributes));
    Counted counted(graph);
    Tensor input = randomTensor({kRows, kDepth}, 3);
    auto whole = runCompiled(counted.executable, {input});
    ASSERT_TRUE(whole) << whole.status().message();
    for (int64_t m = 1; m < kRows; ++m) {
      // The last rows of the input.
      Tensor part = Tensor::borrow(DType::Float32, {m, kDepth},
                                   input.mutableData<float>() + (kRows - m) * kDepth);
      auto found = runCompiled(counted.executable, {part});
      ASSERT_TRUE(found) << found.status().message();
      EXPECT_EQ(std::memcmp(found->results[0].rawData(),
                            whole->results[0].data<float>() + (kRows - m) * kColumns,
                            static_cast<size_t>(found->results[0].numBytes())),
                0)
          << op << " with " << m << " rows";
    }
    EXPECT_LE(counted.count(), 2u) << op;
  }
}

//===----------------------------------------------------------------------===//
// Sequence lengths
//===----------------------------------------------------------------------===//

namespace {
constexpr int64_t kHidden = 64, kHeads = 4, kHeadSize = kHidden / kHeads;

/// One encoder layer, of primitive ops, on [batch, length, hidden] with a mask.
class Encoder {
public:
  Encoder() {
    GraphValue x = graph.input("1x?x64xf32"), mask = graph.input("1x?xf32");
    GraphValue hidden = norm(x);
    GraphValue attention = project(attend(hidden, mask), kHidden, kHidden);
    hidden = norm(graph.op("nn.add", {hidden, attention}));
    GraphValue wide = gelu(project(hidden, kHidden, 2 * kHidden));
    hidden = norm(graph.op("nn.add", {project(wide, 2 * kHidden, kHidden), hidden}));
    graph.output(hidden);
    // All but the first token, and a token put before all.
    graph.output(graph.op("nn.slice", {hidden, graph.ints({1}), graph.ints({1 << 30}),
                                       graph.ints({1}), graph.ints({1})}));
    graph.output(graph.op("nn.concat", {graph.weight("1x1x64xf32"), hidden}, "axis = 1"));
    graph.output(
        graph.op("nn.tanh", {graph.op("nn.gather", {hidden, graph.ints({0})}, "axis = 1")}));
  }
  Graph graph;

private:
  GraphValue reshape(GraphValue value, const std::vector<int64_t> &shape) {
    return graph.op("nn.reshape", {value, graph.ints(shape)}, "allowzero = false");
  }
  GraphValue transpose(GraphValue value, const std::string &perm) {
    return graph.op("nn.transpose", {value}, "perm = array<i64: " + perm + ">");
  }
  GraphValue scalar(const std::string &value) {
    return graph.constant("dense<" + value + ">", "f32");
  }
  GraphValue project(GraphValue value, int64_t from, int64_t to) {
    GraphValue weight = graph.weight(randomTensor({from, to}, 1));
    return graph.op("nn.add",
                    {graph.op("nn.matmul", {value, weight}), graph.weight(randomTensor({to}, 2))});
  }
  GraphValue mean(GraphValue value) {
    return graph.op("nn.reduce mean", {value, graph.ints({-1})},
                    "keepdims = true, noop_with_empty_axes = false");
  }
  GraphValue norm(GraphValue value) {
    GraphValue centred = graph.op("nn.sub", {value, mean(value)});
    GraphValue variance = mean(graph.op("nn.mul", {centred, centred}));
    GraphValue deviation = graph.op("nn.sqrt", {graph.op("nn.add", {variance, scalar("1.0e-05")})});
    GraphValue normal = graph.op("nn.div", {centred, deviation});
    GraphValue scaled = graph.op("nn.mul", {normal, graph.weight(randomTensor({kHidden}, 3))});
    return graph.op("nn.add", {scaled, graph.weight(randomTensor({kHidden}, 4))});
  }
  GraphValue gelu(GraphValue value) {
    GraphValue erf = graph.op("nn.erf", {graph.op("nn.div", {value, scalar("1.41421354")})});
    GraphValue factor = graph.op("nn.add", {erf, scalar("1.0")});
    return graph.op("nn.mul", {graph.op("nn.mul", {value, factor}), scalar("0.5")});
  }
  GraphValue attend(GraphValue hidden, GraphValue mask) {
    auto heads = [&](const std::string &perm) {
      return transpose(reshape(project(hidden, kHidden, kHidden), {0, -1, kHeads, kHeadSize}),
                       perm);
    };
    GraphValue scores = graph.op("nn.matmul", {heads("0, 2, 1, 3"), heads("0, 2, 3, 1")});
    GraphValue hidden4 = reshape(mask, {0, 1, 1, -1});
    GraphValue penalty = graph.op(
        "nn.mul", {graph.op("nn.sub", {scalar("1.0"), hidden4}, "", "*xf32"), scalar("-10000.0")});
    scores = graph.op("nn.add", {graph.op("nn.div", {scores, scalar("4.0")}), penalty});
    GraphValue weights = graph.op("nn.softmax", {scores}, "trailing = false, axis = -1");
    GraphValue context = graph.op("nn.matmul", {weights, heads("0, 2, 1, 3")});
    return reshape(transpose(context, "0, 2, 1, 3"), {0, -1, kHidden});
  }
};
} // namespace

// The graph is optimised once, on sizes that are not known; each length is lowered
// from that. After the first twenty lengths no kernel is new.
TEST(KernelReuseTest, SequenceLengths) {
  Encoder encoder;
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = encoder.graph.parse(context);
  ASSERT_TRUE(module) << encoder.graph.text();
  mlir::PassManager pm(&context);
  passes::PipelineOptions options;
  passes::buildGraphPipeline(pm, options);
  ASSERT_TRUE(mlir::succeeded(pm.run(*module)));
  mlir::func::FuncOp main = nn::findMain(*module);

  plan::OptimizedGraph optimized(main);
  std::vector<int64_t> lengths;
  for (int64_t length = 1; length <= 512; ++length)
    lengths.push_back(length);
  std::shuffle(lengths.begin(), lengths.end(), std::mt19937(7));
  for (const char *name : {"host", "haswell", "baseline"}) {
    Target target = resolveTarget(name).take();
    NativeLowering lowering(target, /*threads=*/2);
    std::set<std::string> keys;
    size_t steps = 0;
    for (size_t i = 0; i < lengths.size(); ++i) {
      int64_t length = lengths[i];
      plan::ShapeEnvironment values(optimized);
      values.setSizes(main.getArgument(0), {1, length, kHidden});
      values.setSizes(main.getArgument(1), {1, length});
      ASSERT_TRUE(values.inferSizes().isOk());
      auto graph = plan::lowerGraph(optimized, plan::GraphPart::wholeOf(main), lowering,
                                    std::move(values), plan::UnknownSizes::Reference, Limits());
      ASSERT_TRUE(graph) << graph.status().message();
      for (const plan::LoweredOp &op : graph->ops) {
        EXPECT_EQ(op.reason, std::nullopt) << op.nodes.str();
        for (const plan::LoweredStep &step : op.steps) {
          ++steps;
          bool isNew = keys.insert(step.kernel.key).second;
          EXPECT_FALSE(isNew && i >= 20)
              << step.kernel.name << " of " << op.nodes.str() << " for length " << length << " on "
              << name << ": " << step.kernel.source->text();
        }
      }
    }
    EXPECT_GT(steps, 512u * 12);
    EXPECT_LE(keys.size(), 40u) << name;
  }
}

//===----------------------------------------------------------------------===//
// Moves by index, selections, running sums
//===----------------------------------------------------------------------===//

// Sizes of any kind, 1 among them, make no more kernels than the first one.
TEST(KernelReuseTest, IndexedMoves) {
  auto expectNoMore = [](const Graph &graph, const std::vector<std::vector<Tensor::Dims>> &sizes) {
    Counted counted(graph);
    expectExactAt(graph, counted.executable, sizes[0]);
    size_t first = counted.count();
    for (const auto &dims : sizes)
      expectExactAt(graph, counted.executable, dims);
    EXPECT_EQ(counted.count(), first) << graph.text();
  };
  for (const char *axis : {"axis = 0 : i64", "axis = 1 : i64"}) {
    Graph gather, scatter;
    gather.output(
        gather.op("nn.gather_elements", {gather.input("?x?xf32"), gather.input("?x?xi64")}, axis));
    expectNoMore(gather, {{{5, 6}, {4, 3}}, {{50, 60}, {50, 60}}, {{5, 60}, {1, 1}}});
    scatter.output(scatter.op(
        "nn.scatter_elements add",
        {scatter.input("?x?xf32"), scatter.input("?x?xi64"), scatter.input("?x?xf32")}, axis));
    expectNoMore(
        scatter,
        {{{5, 6}, {4, 3}, {4, 3}}, {{50, 60}, {50, 60}, {50, 60}}, {{5, 60}, {1, 1}, {1, 1}}});
  }
  Graph slices;
  slices.output(slices.op("nn.gather_nd", {slices.input("?x?xf32"), slices.input("?x1xi64")},
                          "batch_dims = 0 : i64"));
  expectNoMore(slices, {{{5, 6}, {4, 1}}, {{50, 1}, {1, 1}}, {{5, 6000}, {7, 1}}});
}

TEST(KernelReuseTest, SelectionsAndRunningSums) {
  for (int64_t axis : {0, 1}) {
    Graph graph;
    GraphValue x = graph.input("?x?xf32"), k = graph.constant("dense<4>", "1xi64");
    std::string along = "axis = " + std::to_string(axis) + " : i64";
    for (const GraphValue &best :
         graph.multi("nn.topk", {x, k}, along + ", largest = true", 2, {"f32", "i64"}))
      graph.output(best);
    graph.output(graph.op("nn.cumulate sum",
                          {x, graph.constant("dense<" + std::to_string(axis) + ">", "i64")},
                          "exclusive = false, reverse = true"));
    Counted counted(graph);
    expectExactAt(graph, counted.executable, {{5, 6}});
    size_t first = counted.count();
    for (const Tensor::Dims &dims :
         {Tensor::Dims{4, 4}, Tensor::Dims{70, 90}, Tensor::Dims{6, 500}})
      expectExactAt(graph, counted.executable, {dims});
    EXPECT_EQ(counted.count(), first);
  }
}
