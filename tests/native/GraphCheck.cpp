//===- GraphCheck.cpp - whole graphs, compiled against interpreted --------===//
#include "tests/native/GraphCheck.h"

#include "runtime/plan/Executor.h"

using namespace quern;
using namespace quern::native;

Expected<std::shared_ptr<Executable>> native::compileForTest(const Graph &graph,
                                                             const NativeOptions &options) {
  nn::OwnedModule source = nn::OwnedModule::create();
  source.module = graph.parse(*source.context);
  if (!source.module)
    return invalidModel("the test's graph does not parse:\n" + graph.text());
  return compileForJit(std::move(source), options);
}

Expected<GraphRun> native::runCompiled(std::shared_ptr<const Executable> executable,
                                       const std::vector<Tensor> &inputs, int threads) {
  RunnerOptions options;
  options.threads = threads;
  options.profile = true;
  Session session(std::move(executable), options);
  GraphRun run;
  QUERN_ASSIGN(run.results, session.run(inputs));
  run.steps = session.profile();
  return run;
}

Expected<std::vector<Tensor>> native::runGuarded(const Executable &executable,
                                                 const std::vector<Tensor> &inputs,
                                                 GuardedMemory::Side side) {
  std::vector<Tensor> guardedInputs, outputs;
  std::vector<Tensor::Dims> dims;
  for (const Tensor &input : inputs) {
    guardedInputs.push_back(GuardedMemory::copyOf(input, side));
    dims.push_back(input.dims());
  }
  QUERN_ASSIGN(std::shared_ptr<const Plan> plan, executable.findPlan(dims));
  auto guarded = std::make_shared<Plan>(*plan);
  for (Tensor &weight : guarded->weights)
    weight = GuardedMemory::copyOf(weight, side);
  for (const PlanPort &port : plan->outputs) {
    outputs.emplace_back();
    if (port.dynamic)
      continue;
    QUERN_ASSIGN(Tensor plain, Tensor::allocate(port.dtype, port.dims));
    outputs.back() = GuardedMemory::copyOf(plain, side);
  }
  constexpr int kThreads = 2;
  GuardedMemory arena(runBytes(*plan, kThreads).value(), side);
  TaskPool pool(kThreads, /*flushSubnormals=*/true);
  Executor executor(guarded);
  Budget budget{Limits()};
  QUERN_TRY(executor.run(guardedInputs, outputs,
                         {.pool = pool, .budget = budget, .arena = arena.data()}));
  EXPECT_TRUE(arena.isIntact());
  return outputs;
}

GraphRun native::expectExact(const Graph &graph, const GraphCheck &check) {
  std::vector<Tensor> inputs = check.inputs.empty() ? integerInputs(graph) : check.inputs;
  auto wanted = runInterpreted(graph, inputs);
  EXPECT_TRUE(wanted) << wanted.status().message();
  auto executable = compileForTest(graph, check.options);
  EXPECT_TRUE(executable) << executable.status().message();
  if (!wanted || !executable)
    return {};
  auto run = runCompiled(*executable, inputs);
  EXPECT_TRUE(run) << run.status().message();
  if (!run)
    return {};
  expectSameTensors(run->results, *wanted, graph.labels());
  for (GuardedMemory::Side side : {GuardedMemory::Side::Begin, GuardedMemory::Side::End}) {
    auto guarded = runGuarded(**executable, inputs, side);
    EXPECT_TRUE(guarded) << guarded.status().message();
    if (guarded)
      expectSameTensors(*guarded, *wanted, graph.labels());
  }
  for (const ProfileRow &step : run->steps)
    EXPECT_TRUE(check.allowReference || !step.reference)
        << step.nodes << " (" << step.kernel << ") has no native code";
  return run.take();
}

void native::expectExactAt(const Graph &graph, const std::shared_ptr<Executable> &executable,
                           const std::vector<Tensor::Dims> &dims) {
  std::vector<Tensor> inputs = integerInputs(graph, dims);
  auto wanted = runInterpreted(graph, inputs);
  ASSERT_TRUE(wanted) << wanted.status().message();
  auto run = runCompiled(executable, inputs);
  ASSERT_TRUE(run) << run.status().message();
  expectSameTensors(run->results, *wanted, graph.labels());
}
