//===- RunTimeSizesTest.cpp - values whose size only a run can tell -------===//
//
// They live in slots, on both backends: counted against the limit while they are
// needed, and given to the caller in storage of their own.
//
//===----------------------------------------------------------------------===//
#include "backends/interpreter/Interpreter.h"
#include "ir/Signature.h"
#include "passes/SpecializeInputs.h"
#include "tests/native/GraphCheck.h"

#include <algorithm>

using namespace quern;
using namespace quern::native;

namespace {
Expected<std::vector<Tensor>> runNative(const Graph &graph, const std::vector<Tensor> &inputs,
                                        const Limits &limits, int optLevel = 3) {
  CompileOptions compile;
  compile.optLevel = optLevel;
  compile.limits = limits;
  QUERN_ASSIGN(std::shared_ptr<Executable> executable, compileForTest(graph, compile));
  Session session(executable, {.threads = 1, .limits = limits});
  return session.run(inputs);
}

std::string reshapeAttributes() { return "allowzero = false"; }

/// x: 1000 floats, to be 10x1000 as the input `shape` says, round after round.
struct Chain {
  explicit Chain(int rounds) {
    GraphValue shape = graph.input("2xi64");
    GraphValue value = graph.input("1000xf32");
    for (int i = 0; i < rounds; ++i) {
      value = graph.op("nn.expand", {value, shape}, "", "?x?xf32");
      value = graph.op("nn.reshape", {value, shape}, reshapeAttributes(), "?x?xf32");
      value = graph.op("nn.neg", {value}, "", "?x?xf32");
    }
    graph.output(value);
    inputs = {Tensor::ofInts({10, 1000}), integerTensor(DType::Float32, {1000}, 1)};
  }
  /// Of one value.
  static constexpr int64_t kBytes = 10 * 1000 * 4;
  Graph graph;
  std::vector<Tensor> inputs;
};

Limits activationLimit(int64_t bytes) {
  Limits limits;
  limits.maxActivationBytes = bytes;
  return limits;
}
} // namespace

TEST(RunTimeSizesTest, OnlyLiveValuesCount) {
  Chain chain(10);
  // An operand and a result, and what a kernel needs besides.
  int64_t needed = 2 * Chain::kBytes + 4096;
  auto wanted = runInterpreted(chain.graph, chain.inputs, activationLimit(needed));
  ASSERT_TRUE(wanted) << wanted.status().message();
  for (int level : {0, 3}) {
    auto found = runNative(chain.graph, chain.inputs, activationLimit(needed), level);
    ASSERT_TRUE(found) << found.status().message();
    expectSameTensors(*found, *wanted, {});
  }
}

TEST(RunTimeSizesTest, TooManyLiveBytesNameTheNode) {
  Chain chain(2);
  int64_t limit = 2 * Chain::kBytes - 1;
  std::string what = "activations need 80000 bytes, the limit is 79999";
  auto interpreted = runInterpreted(chain.graph, chain.inputs, activationLimit(limit));
  EXPECT_EQ(interpreted.status().code(), StatusCode::ResourceLimit);
  EXPECT_EQ(interpreted.status().message(), "node 'v3' (nn.reshape): " + what);
  for (int level : {0, 3}) {
    auto found = runNative(chain.graph, chain.inputs, activationLimit(limit), level);
    EXPECT_EQ(found.status().code(), StatusCode::ResourceLimit);
    EXPECT_EQ(found.status().message(), "node 'v2 and what follows' (stage): " + what);
  }
}

TEST(RunTimeSizesTest, ResultsBeyondTheLimitAreNeverMade) {
  Chain chain(1);
  chain.inputs[0] = Tensor::ofInts({1'000'000'000'000, 1000});
  for (auto &result : {runInterpreted(chain.graph, chain.inputs, activationLimit(1 << 20)),
                       runNative(chain.graph, chain.inputs, activationLimit(1 << 20))}) {
    EXPECT_EQ(result.status().code(), StatusCode::ResourceLimit);
    EXPECT_NE(result.status().message().find("v2"), std::string::npos) << result.status().message();
  }
}

//===----------------------------------------------------------------------===//
// What the caller gets is the caller's
//===----------------------------------------------------------------------===//

namespace {
/// Everything that could be another tensor's storage.
Graph aliasingGraph() {
  Graph graph;
  GraphValue x = graph.input("2x3xf32"), shape = graph.input("1xi64"), axis = graph.input("1xi64");
  GraphValue weight = graph.weight("2x3xf32"), thin = graph.weight("1x6xf32");
  GraphValue constant = graph.constant("dense<[[1.0, 2.0], [3.0, 4.0]]>", "2x2xf32");
  auto reshape = [&](const GraphValue &value) {
    return graph.op("nn.reshape", {value, shape}, reshapeAttributes(), "?xf32");
  };
  GraphValue computed = graph.op("nn.neg", {reshape(x)}, "", "?xf32");
  graph.output(x, "an input");
  graph.output(x, "an input twice");
  graph.output(weight, "a weight");
  graph.output(weight, "a weight twice");
  graph.output(constant, "a constant");
  graph.output(reshape(x), "a reshaped input");
  graph.output(reshape(weight), "a reshaped weight");
  graph.output(reshape(constant), "a reshaped constant");
  graph.output(graph.op("nn.squeeze", {thin, axis}, "", "?xf32"), "a squeezed weight");
  graph.output(computed, "a value");
  graph.output(computed, "a value twice");
  graph.output(reshape(computed), "a reshaped value");
  graph.output(graph.constant("dense<[\"a\", \"b\"]>", "2x!nn.string"), "strings");
  return graph;
}

std::vector<Tensor> aliasingInputs() {
  return {integerTensor(DType::Float32, {2, 3}, 7), Tensor::ofInts({-1}), Tensor::ofInts({0})};
}

/// Runs, spoils the outputs, and runs again.
template <typename Run>
void expectOwnOutputs(const Run &run, const std::vector<std::string> &labels) {
  std::vector<Tensor> inputs = aliasingInputs(), pristine;
  auto first = run(inputs);
  ASSERT_TRUE(first) << first.status().message();
  for (const Tensor &result : *first)
    pristine.push_back(result.clone().take());
  for (size_t i = 0; i < first->size(); ++i) {
    Tensor &result = (*first)[i];
    EXPECT_TRUE(result.isSoleOwner()) << labels[i];
    if (result.dtype() == DType::String)
      std::fill_n(result.mutableData<std::string>(), result.numElements(), "spoilt");
    else
      std::fill_n(result.mutableData<float>(), result.numElements(), -77.0f);
    for (size_t j = i + 1; j < first->size(); ++j)
      expectSameTensors({(*first)[j]}, {pristine[j]}, {labels[j] + " after " + labels[i]});
  }
  expectSameTensors(inputs, aliasingInputs(), {"inputs"});
  auto second = run(inputs);
  ASSERT_TRUE(second) << second.status().message();
  expectSameTensors(*second, pristine, labels);
}
} // namespace

TEST(RunTimeSizesTest, NativeOutputsAreTheCallers) {
  Graph graph = aliasingGraph();
  for (int level : {0, 3}) {
    CompileOptions options;
    options.optLevel = level;
    auto executable = compileForTest(graph, options);
    ASSERT_TRUE(executable) << executable.status().message();
    Session session(*executable, {.threads = 1});
    expectOwnOutputs([&](const std::vector<Tensor> &inputs) { return session.run(inputs); },
                     graph.labels());
  }
}

TEST(RunTimeSizesTest, InterpretedOutputsAreTheCallers) {
  Graph graph = aliasingGraph();
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = graph.parse(context);
  ASSERT_TRUE(module);
  auto program = interpreter::ReferenceProgram::create(nn::findMain(*module).getBody().front());
  ASSERT_TRUE(program) << program.status().message();
  expectOwnOutputs([&](const std::vector<Tensor> &inputs) { return program->run(inputs); },
                   graph.labels());
}
