//===- BodyGraph.h - graphs with branches and loops -----------------------===//
//
// The same modules run on the interpreter and compiled, for several sizes each.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/interpreter/Interpreter.h"
#include "ir/Signature.h"
#include "passes/Passes.h"
#include "runtime/plan/Executor.h"
#include "runtime/running/Arena.h"
#include "runtime/values/PortOverlap.h"
#include "tests/native/GraphCheck.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <algorithm>

namespace quern::native {

/// A module of a test: its text, or what it compiles to.
class BodyGraph {
public:
  explicit BodyGraph(std::string text) : text(std::move(text)) {}

  Expected<nn::OwnedModule> parse() const {
    nn::OwnedModule owned = nn::OwnedModule::create();
    owned.module = mlir::parseSourceString<mlir::ModuleOp>(text, owned.context.get());
    if (!owned.module)
      return invalidModel("the test's module does not parse");
    mlir::PassManager pm(owned.context.get());
    pm.addNestedPass<mlir::func::FuncOp>(passes::createInferShapesPass());
    if (mlir::failed(pm.run(*owned.module)))
      return invalidModel("the test's module has wrong shapes");
    return owned;
  }

  Expected<std::vector<Tensor>> interpret(const std::vector<Tensor> &inputs) const {
    QUERN_ASSIGN(nn::OwnedModule owned, parse());
    return interpreter::interpret(nn::findMain(*owned.module), inputs, {});
  }

  /// What the compiled module gives, on one executable for all calls.
  Expected<GraphRun> run(const std::vector<Tensor> &inputs) {
    if (!executable) {
      QUERN_ASSIGN(nn::OwnedModule owned, parse());
      QUERN_ASSIGN(executable, compileForJit(std::move(owned), {}));
    }
    return runCompiled(executable, inputs);
  }

  GraphRun expectExact(const std::vector<Tensor> &inputs) {
    auto wanted = interpret(inputs);
    EXPECT_TRUE(wanted) << wanted.status().message();
    auto found = run(inputs);
    EXPECT_TRUE(found) << found.status().message();
    if (!wanted || !found)
      return {};
    expectSameTensors(found->results, *wanted, {});
    return found.take();
  }

  /// The same with a budget of its own, for inputs of these types.
  Status runWithin(Budget &budget, const std::vector<Tensor> &inputs,
                   std::vector<Tensor> &outputs) {
    QUERN_ASSIGN(nn::OwnedModule owned, parse());
    QUERN_ASSIGN(executable, compileForJit(std::move(owned), {}));
    std::vector<Tensor::Dims> dims;
    for (const Tensor &input : inputs)
      dims.push_back(input.dims());
    QUERN_ASSIGN(std::shared_ptr<const Plan> plan, executable->findPlan(dims));
    QUERN_ASSIGN(Arena arena,
                 Arena::allocate(runBytes(*plan, 1), budget.limits().maxActivationBytes));
    OutputMemory memory;
    for (size_t i = 0; i < outputs.size(); ++i)
      if (!plan->outputs[i].dynamic)
        QUERN_TRY(bindOutput(plan->outputs[i], outputs, i, memory, budget.limits()));
    TaskPool pool(1, true);
    return Executor(plan).run(inputs, outputs,
                              {.pool = pool, .budget = budget, .arena = arena.data()});
  }

private:
  std::string text;
  std::shared_ptr<Executable> executable;
};

inline Tensor floats(const Tensor::Dims &dims, unsigned seed = 1) {
  return integerTensor(DType::Float32, dims, seed);
}
inline Tensor number(int64_t value) { return Tensor::of<int64_t>({}, {value}); }
inline Tensor flag(bool value) { return Tensor::of<bool>({}, {value}); }

/// The rows of plans that steps run, or of the plan itself.
inline std::vector<ProfileRow> rowsOf(const GraphRun &run, bool nested) {
  std::vector<ProfileRow> rows;
  for (const ProfileRow &row : run.steps)
    if ((row.depth > 0) == nested)
      rows.push_back(row);
  return rows;
}
inline int64_t stagesOf(const GraphRun &run) {
  return std::count_if(run.steps.begin(), run.steps.end(),
                       [](const ProfileRow &row) { return row.kernel == "stage"; });
}

/// As many stages, for several sizes.
inline void expectStages(BodyGraph model, int64_t stages, const std::string &label) {
  for (int64_t rows : {2, 3})
    for (bool condition : {true, false}) {
      GraphRun run = model.expectExact({flag(condition), floats({rows, 4}), number(rows)});
      EXPECT_EQ(stagesOf(run), stages) << label;
    }
}

} // namespace quern::native
