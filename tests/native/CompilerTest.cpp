//===- CompilerTest.cpp - phases, levels and threads of the compiler ------===//
#include "backends/native/aot/AotPlans.h"
#include "backends/native/kernels/RangeKernel.h"
#include "quern/Progress.h"
#include "tests/native/GraphCheck.h"

#include "mlir/Parser/Parser.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>
#include <regex>

using namespace quern;
using namespace quern::native;
using namespace quern::plan;
using passes::Phase;

namespace {
std::string convAttributes(const char *strides, const char *pads, int group) {
  return std::string("strides = array<i64: ") + strides +
         ">, dilations = array<i64: 1, 1>, pads = array<i64: " + pads +
         ">, group = " + std::to_string(group) + "";
}

/// conv, relu, depthwise conv, add, pool, gemm.
Graph smallCnn(const std::string &batch) {
  Graph graph;
  GraphValue x = graph.input(batch + "x3x64x64xf32");
  auto conv = [&](const GraphValue &input, const char *weights, const char *bias,
                  const std::string &attributes) {
    return graph.op("nn.conv", {input, graph.weight(weights), graph.weight(bias)}, attributes);
  };
  GraphValue first = graph.op(
      "nn.relu", {conv(x, "32x3x3x3xf32", "32xf32", convAttributes("2, 2", "1, 1, 1, 1", 1))});
  GraphValue deep = conv(first, "32x1x3x3xf32", "32xf32", convAttributes("1, 1", "1, 1, 1, 1", 32));
  GraphValue point = conv(graph.op("nn.relu", {deep}), "32x32x1x1xf32", "32xf32",
                          convAttributes("1, 1", "0, 0, 0, 0", 1));
  GraphValue sum = graph.op("nn.add", {point, first});
  GraphValue flat = graph.op("nn.flatten", {graph.op("nn.global_pool mean", {sum})}, "axis = 1");
  graph.output(graph.op("nn.gemm", {flat, graph.weight("32x10xf32"), graph.weight("10xf32")},
                        "alpha = 1.0 : f64, beta = 1.0 : f64, trans_a = false, trans_b = false"));
  graph.output(sum);
  return graph;
}

/// Inputs whose sums depend on the order of the additions.
std::vector<Tensor> fractionalInputs(const Tensor::Dims &dims) {
  Tensor tensor = Tensor::allocate(DType::Float32, dims).take();
  std::mt19937 random(5);
  std::normal_distribution<float> values(0, 1);
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    tensor.mutableData<float>()[i] = values(random);
  return {tensor};
}

std::string textOf(const Graph &graph, Phase phase, const CompileOptions &options = {}) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = graph.parse(context);
  if (!module)
    return "the graph does not parse";
  auto text = compileToPhase(*module, phase, options);
  return text ? *text : text.status().message();
}

/// A kernel's text begins with a comment that names the ops it computes.
std::string withoutComments(const std::string &text) {
  static const std::regex comment("//[^\n]*");
  return std::regex_replace(text, comment, "");
}

bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}
} // namespace

TEST(CompilerTest, ResultsDoNotDependOnThreads) {
  CompileOptions options;
  options.threads = 5; // cut into tasks for as many
  auto executable = compileForTest(smallCnn("2"), options);
  ASSERT_TRUE(executable) << executable.status().message();
  std::vector<Tensor> inputs = fractionalInputs({2, 3, 64, 64});
  auto one = runCompiled(*executable, inputs, 1);
  ASSERT_TRUE(one) << one.status().message();
  int64_t parallelSteps = 0;
  for (const ProfileRow &step : one->steps)
    parallelSteps += step.tasks > 1;
  EXPECT_GT(parallelSteps, 0);
  for (int threads : {2, 5}) {
    auto many = runCompiled(*executable, inputs, threads);
    ASSERT_TRUE(many) << many.status().message();
    for (size_t i = 0; i < one->results.size(); ++i)
      EXPECT_EQ(std::memcmp(one->results[i].rawData(), many->results[i].rawData(),
                            static_cast<size_t>(one->results[i].numBytes())),
                0)
          << threads << " threads, result " << i;
  }
}

TEST(CompilerTest, ResultsDoNotDependOnTaskSizes) {
  std::vector<Tensor> inputs = fractionalInputs({1, 3, 64, 64});
  std::vector<Tensor> results;
  for (int threads : {1, 2, 7}) {
    CompileOptions options;
    options.threads = threads;
    auto executable = compileForTest(smallCnn("1"), options);
    ASSERT_TRUE(executable) << executable.status().message();
    auto run = runCompiled(*executable, inputs, 1);
    ASSERT_TRUE(run) << run.status().message();
    results.push_back(run->results[0]);
  }
  for (const Tensor &result : results)
    EXPECT_EQ(
        std::memcmp(result.rawData(), results[0].rawData(), static_cast<size_t>(result.numBytes())),
        0);
}

TEST(CompilerTest, LevelsAgreeWithTheInterpreter) {
  Graph graph = smallCnn("1");
  std::vector<Tensor> inputs = fractionalInputs({1, 3, 64, 64});
  auto wanted = runInterpreted(graph, inputs);
  ASSERT_TRUE(wanted) << wanted.status().message();
  for (int level : {0, 1, 2, 3}) {
    CompileOptions options;
    options.optLevel = level;
    auto executable = compileForTest(graph, options);
    ASSERT_TRUE(executable) << executable.status().message();
    auto run = runCompiled(*executable, inputs);
    ASSERT_TRUE(run) << run.status().message();
    for (size_t r = 0; r < wanted->size(); ++r)
      for (int64_t i = 0; i < (*wanted)[r].numElements(); ++i) {
        float w = (*wanted)[r].data<float>()[i];
        ASSERT_NEAR(run->results[r].data<float>()[i], w, 1e-4 * (1 + std::abs(w)))
            << "level " << level << " result " << r << " element " << i;
      }
  }
}

// More input shapes than the executable keeps plans for.
TEST(CompilerTest, ManyInputShapes) {
  Graph graph;
  GraphValue x = graph.input("?x8xf32");
  graph.output(graph.op("nn.relu", {graph.op("nn.matmul", {x, graph.weight("8x5xf32")})}));
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  Session session(*executable);
  for (int64_t round = 0; round < 2; ++round)
    for (int64_t rows = 1; rows <= 20; ++rows) {
      std::vector<Tensor> inputs = integerInputs(graph, {{rows, 8}});
      auto wanted = runInterpreted(graph, inputs);
      auto found = session.run(inputs);
      ASSERT_TRUE(wanted && found);
      expectSameTensors(*found, *wanted, {"rows " + std::to_string(rows)});
    }
}

TEST(CompilerTest, SequencesFlowThroughStages) {
  nn::OwnedModule owned = nn::OwnedModule::create();
  owned.module = mlir::parseSourceString<mlir::ModuleOp>(R"(
    func.func @main(%s: !nn.sequence<tensor<?xf32>> {nn.name = "s"}, %p: tensor<i64> {nn.name = "p"})
        -> (tensor<?xf32>, !nn.sequence<tensor<?xf32>>) {
      %0 = nn.sequence_at %s, %p : (!nn.sequence<tensor<?xf32>>, tensor<i64>) -> tensor<?xf32>
      %1 = nn.add %0, %0 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
      %2 = nn.sequence_splice %s, %p, %1 {removed = 1 : i64}
          : (!nn.sequence<tensor<?xf32>>, tensor<i64>, tensor<?xf32>) -> !nn.sequence<tensor<?xf32>>
      return %1, %2 : tensor<?xf32>, !nn.sequence<tensor<?xf32>>
    })",
                                                         owned.context.get());
  ASSERT_TRUE(owned.module);
  auto executable = compileForJit(std::move(owned), {});
  ASSERT_TRUE(executable) << executable.status().message();
  Session session(*executable, {.threads = 1});
  ValueType element = ValueType::tensor(DType::Float32, PortShape({PortDim()}));
  AnyValue sequence =
      AnyValue::sequence(element, {Tensor::of<float>({1}, {1}), Tensor::of<float>({2}, {2, 3})})
          .take();
  for (int64_t position : {0, 1, 0}) {
    auto results =
        session.run(std::vector<AnyValue>{sequence, Tensor::of<int64_t>({}, {position})});
    ASSERT_TRUE(results) << results.status().message();
    const Tensor &sum = *(*results)[0].asTensor();
    EXPECT_EQ(sum.dims(), (Tensor::Dims{position + 1}));
    EXPECT_EQ(sum.data<float>()[0], position == 0 ? 2 : 4);
    const auto &elements = (*results)[1].asSequence()->elements;
    ASSERT_EQ(elements.size(), 2u);
    EXPECT_EQ(elements[static_cast<size_t>(position)].asTensor()->data<float>()[0],
              sum.data<float>()[0]);
  }
  auto outside = session.run(std::vector<AnyValue>{sequence, Tensor::of<int64_t>({}, {2})});
  EXPECT_NE(outside.status().message().find("position 2 is outside of a sequence of 2 values"),
            std::string::npos);
}

TEST(CompilerTest, TextOfEachPhase) {
  Graph graph;
  GraphValue x = graph.input("1x16x8x8xf32");
  GraphValue conv = graph.op("nn.conv", {x, graph.weight("16x16x1x1xf32"), graph.none()},
                             convAttributes("1, 1", "0, 0, 0, 0", 1));
  graph.output(graph.op("nn.relu", {graph.op("nn.relu", {conv})}));

  std::string imported = textOf(graph, Phase::Imported);
  EXPECT_TRUE(contains(imported, "nn.conv")) << imported;
  EXPECT_FALSE(contains(imported, "nn.pack"));
  EXPECT_TRUE(contains(imported, "v3")) << "locations are printed";

  std::string simplified = textOf(graph, Phase::Simplified);
  EXPECT_TRUE(contains(simplified, "nn.conv")) << simplified;
  EXPECT_FALSE(contains(simplified, "nn.pack"));
  EXPECT_FALSE(contains(simplified, "nn.group"));

  std::string laidOut = textOf(graph, Phase::LaidOut);
  EXPECT_TRUE(contains(laidOut, "nn.pack")) << laidOut;
  EXPECT_TRUE(contains(laidOut, "#nn.blocked<"));
  EXPECT_FALSE(contains(laidOut, "nn.group"));

  EXPECT_TRUE(contains(textOf(graph, Phase::Fused), "nn.group"));

  std::string kernels = textOf(graph, Phase::Kernels);
  EXPECT_TRUE(contains(kernels, "scf.for")) << kernels;
  EXPECT_TRUE(contains(kernels, "dot_"));
  EXPECT_FALSE(contains(withoutComments(kernels), "nn."));

  std::string llvmDialect = textOf(graph, Phase::Llvm);
  EXPECT_TRUE(contains(llvmDialect, "llvm.func")) << llvmDialect;
  EXPECT_FALSE(contains(llvmDialect, "scf."));
  EXPECT_FALSE(contains(llvmDialect, "vector."));

  CompileOptions haswell;
  haswell.targetCpu = "haswell";
  std::string assembly = textOf(graph, Phase::Object, haswell);
  EXPECT_TRUE(contains(assembly, "vfmadd")) << assembly;
  EXPECT_TRUE(contains(assembly, "ymm"));
  EXPECT_FALSE(contains(assembly, "zmm"));
}

TEST(CompilerTest, DumpsPhasesAndKernels) {
  std::filesystem::path directory =
      std::filesystem::path(testing::TempDir()) / "quern-compiler-test-dump";
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  Graph graph;
  graph.output(graph.op("nn.relu", {graph.input("3xf32")}));
  CompileOptions options;
  options.dumpPhasesTo = directory.string();
  auto executable = compileForTest(graph, options);
  ASSERT_TRUE(executable) << executable.status().message();
  int64_t phases = 0, modules = 0, assemblies = 0;
  for (const auto &entry : std::filesystem::recursive_directory_iterator(directory)) {
    bool isKernel = entry.path().parent_path().filename() == "kernels";
    phases += !isKernel && entry.path().extension() == ".mlir";
    modules += isKernel && entry.path().extension() == ".mlir";
    assemblies += isKernel && entry.path().extension() == ".s";
  }
  EXPECT_EQ(phases, 4);
  EXPECT_EQ(modules, 1);
  EXPECT_EQ(assemblies, 1);
  std::filesystem::remove_all(directory);
}

TEST(CompilerTest, PlansGiveReasonsForReferenceSteps) {
  Graph graph;
  GraphValue x = graph.input("2x3xf32");
  graph.output(graph.op("nn.relu", {x}));
  graph.output(graph.op("nn.det", {graph.input("3x3xf32")}));
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = graph.parse(context);
  ASSERT_TRUE(module);
  auto compiled = compilePlans(*module, {});
  ASSERT_TRUE(compiled) << compiled.status().message();
  const plan::UnlinkedPlan &unlinked = compiled->plans.front().plan;
  ASSERT_EQ(unlinked.steps.size(), 2u);
  int64_t refused = 0;
  for (const plan::PlannedStep &step : unlinked.steps) {
    EXPECT_EQ(step.kernel.has_value(), !step.reason);
    refused += step.reason && step.reason->code == ReasonCode::NoKernel &&
               contains(step.reason->text, "no native code for determinants");
  }
  EXPECT_EQ(refused, 1);
}

//===----------------------------------------------------------------------===//
// Time and work
//===----------------------------------------------------------------------===//

TEST(Compiler, TimeLimit) {
  CompileOptions options;
  options.limits.deadline = Deadline::after(std::chrono::nanoseconds(0));
  auto executable = compileForTest(smallCnn("1"), options);
  ASSERT_FALSE(executable);
  EXPECT_EQ(executable.status().code(), StatusCode::ResourceLimit);
  EXPECT_EQ(executable.status().message(), "time limit of 0ms exceeded while optimising the graph");
}

TEST(Compiler, TimeLimitOfPlanningAndOfKernels) {
  auto executable = compileForTest(smallCnn("?"));
  ASSERT_TRUE(executable) << executable.status().message();
  std::vector<Tensor::Dims> dims = {{2, 3, 64, 64}};
  auto plan = (*executable)->findPlan(dims, Deadline::after(std::chrono::nanoseconds(0)));
  EXPECT_EQ(plan.status().code(), StatusCode::ResourceLimit);

  auto target = resolveTarget("host");
  ASSERT_TRUE(target);
  KernelStore cache(*target, {.threads = 1});
  KernelSpec spec = kernelOf(RangeSpec());
  EXPECT_EQ(cache.compile({&spec}, Deadline::after(std::chrono::nanoseconds(0))).message(),
            "kernel range_float32: time limit of 0ms exceeded while compiling");
}

// The deadline of compiling is none of plans that are made later.
TEST(Compiler, PlansAtNewShapesAfterTheDeadline) {
  CompileOptions options;
  options.limits.deadline = Deadline::after(std::chrono::seconds(600));
  auto executable = compileForTest(smallCnn("?"), options);
  ASSERT_TRUE(executable) << executable.status().message();
  std::vector<Tensor::Dims> dims = {{2, 3, 64, 64}};
  EXPECT_TRUE((*executable)->findPlan(dims));
}

// What is too much work to fold is computed by the run, with the same result.
TEST(Compiler, RunsWhatItDoesNotFold) {
  Graph graph;
  GraphValue x = graph.input("1x4xf32");
  auto filled = [&](const std::string &number, const std::string &shape) {
    return graph.op("nn.expand", {graph.constant("dense<" + number + ">", "f32"),
                                  graph.constant("dense<" + shape + ">", "2xi64")});
  };
  GraphValue ones = filled("1.0", "[4, 30]"), more = filled("2.0", "[30, 5]");
  graph.output(graph.op("nn.matmul", {x, graph.op("nn.matmul", {ones, more})}));
  for (int64_t work : {int64_t{0}, int64_t{900}, int64_t{1} << 28}) {
    GraphCheck check;
    check.options.limits.maxFoldedWork = work;
    check.allowReference = true;
    expectExact(graph, check);
  }
}

namespace {
/// Counts how often passes ask whether to go on; ends them at a number.
class PassWatcher : public ProgressWatcher {
public:
  explicit PassWatcher(int most) : most(most) {}
  bool goOn(std::string_view doing) override {
    asked += doing == "optimising the graph";
    return asked < most;
  }
  int asked = 0;

private:
  int most;
};

Graph chainOf(int ops) {
  Graph graph;
  GraphValue x = graph.input("?x3xf32");
  for (int i = 0; i < ops; ++i)
    x = graph.op(i % 2 ? "nn.neg" : "nn.sin", {x});
  graph.output(x);
  return graph;
}
} // namespace

// Passes look at the clock while they walk and rewrite, not only when all of them are done.
TEST(CompilerTest, PassesEndBeforeTheyAreDone) {
  Graph graph = chainOf(2000);
  PassWatcher whole(1 << 30);
  {
    ProgressScope scope(whole);
    EXPECT_TRUE(compileForTest(graph));
  }
  EXPECT_GT(whole.asked, 300);
  PassWatcher ended(5);
  ProgressScope scope(ended);
  EXPECT_EQ(compileForTest(graph).status().code(), StatusCode::Cancelled);
  EXPECT_EQ(ended.asked, 5);
}
