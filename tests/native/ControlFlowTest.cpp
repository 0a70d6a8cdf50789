//===- ControlFlowTest.cpp - branches and loops as compiled plans ---------===//
//
// The same modules run on the interpreter and compiled, for several sizes each.
//
//===----------------------------------------------------------------------===//
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

using namespace quern;
using namespace quern::native;

namespace {
/// A module of a test: its text, or what it compiles to.
class Model {
public:
  explicit Model(std::string text) : text(std::move(text)) {}

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
    QUERN_ASSIGN(std::shared_ptr<const Plan> plan, executable->planFor(dims));
    QUERN_ASSIGN(Arena arena,
                 Arena::allocate(runBytes(*plan, 1), budget.limits().maxActivationBytes));
    for (size_t i = 0; i < outputs.size(); ++i)
      if (!plan->outputs[i].dynamic)
        QUERN_TRY(bindOutput(plan->outputs[i], outputs, i, budget.limits()));
    TaskPool pool(1, true);
    return Executor(plan).run(inputs, outputs,
                              {.pool = pool, .budget = budget, .arena = arena.data()});
  }

private:
  std::string text;
  std::shared_ptr<Executable> executable;
};

Tensor floats(const Tensor::Dims &dims, unsigned seed = 1) {
  return integerTensor(DType::Float32, dims, seed);
}
Tensor number(int64_t value) { return Tensor::of<int64_t>({}, {value}); }
Tensor flag(bool value) { return Tensor::of<bool>({}, {value}); }

/// The rows of plans that steps run, or of the plan itself.
std::vector<ProfileRow> rowsOf(const GraphRun &run, bool nested) {
  std::vector<ProfileRow> rows;
  for (const ProfileRow &row : run.steps)
    if ((row.depth > 0) == nested)
      rows.push_back(row);
  return rows;
}
int64_t stagesOf(const GraphRun &run) {
  return std::count_if(run.steps.begin(), run.steps.end(),
                       [](const ProfileRow &row) { return row.kernel == "stage"; });
}

/// Two branches on %c, %x (of any shape) and %n that yield `first` and `second`, whose
/// ops may be before them; the result is negated.
Model branches(const std::string &first, const std::string &second) {
  std::string yield = "\n nn.yield %r : tensor<*xf32>\n";
  return Model(R"mlir(
    func.func @main(%c: tensor<i1>, %x: tensor<?x4xf32>, %n: tensor<i64>) -> tensor<*xf32> {
      %none = nn.none
      %0 = nn.if %c {)mlir" +
               first + yield + "} else {" + second + yield + R"mlir(
      } : (tensor<i1>) -> tensor<*xf32>
      %1 = nn.neg %0 : (tensor<*xf32>) -> tensor<*xf32>
      return %1 : tensor<*xf32>
    })mlir");
}

/// A loop on %n, %c, %x and a scan on %x with these bodies; what they give is negated.
struct LoopText {
  std::string trips = "%n", condition = "%none", body, yielded;
};
Model loop(const LoopText &text) {
  return Model(R"mlir(
    func.func @main(%c: tensor<i1>, %x: tensor<?x4xf32>, %n: tensor<i64>) -> (tensor<*xf32>, tensor<*xf32>) {
      %none = nn.none
      %yes = nn.constant dense<true> : tensor<i1>
      %three = nn.constant dense<3> : tensor<i64>
      %shape = nn.shape %x {start = 0 : i64} : (tensor<?x4xf32>) -> tensor<2xi64>
      %zero = nn.constant dense<0> : tensor<i64>
      %rows = nn.gather %shape, %zero {axis = 0 : i64} : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
      %0:2 = nn.loop )mlir" +
               text.trips + ", " + text.condition + R"mlir(, %x {
      ^bb0(%i: tensor<i64>, %d: tensor<i1>, %v: tensor<?x4xf32>):)mlir" +
               text.body + "\n nn.yield " + text.yielded +
               R"mlir( : tensor<i1>, tensor<?x4xf32>, tensor<*xf32>
      } : (tensor<i64>, )mlir" +
               (text.condition == "%none" ? "none" : "tensor<i1>") +
               R"mlir(, tensor<?x4xf32>) -> (tensor<*xf32>, tensor<*xf32>)
      %1 = nn.neg %0#0 : (tensor<*xf32>) -> tensor<*xf32>
      %2 = nn.neg %0#1 : (tensor<*xf32>) -> tensor<*xf32>
      return %1, %2 : tensor<*xf32>, tensor<*xf32>
    })mlir");
}

/// As many stages, for several sizes.
void expectStages(Model model, int64_t stages, const std::string &label) {
  for (int64_t rows : {2, 3})
    for (bool condition : {true, false}) {
      GraphRun run = model.expectExact({flag(condition), floats({rows, 4}), number(rows)});
      EXPECT_EQ(stagesOf(run), stages) << label;
    }
}
} // namespace

TEST(NativeControlFlow, BranchesOfEqualSizesNeedNoStage) {
  std::string same = "%r = nn.relu %x : (tensor<?x4xf32>) -> tensor<*xf32>";
  std::string turned = R"mlir(
    %t = nn.transpose %x {perm = array<i64: 1, 0>} : (tensor<?x4xf32>) -> tensor<4x?xf32>
    %r = nn.transpose %t {perm = array<i64: 1, 0>} : (tensor<4x?xf32>) -> tensor<*xf32>)mlir";
  std::string longer = "%r = nn.concat %x, %x {axis = 0 : i64} : (tensor<?x4xf32>, "
                       "tensor<?x4xf32>) -> tensor<*xf32>";
  expectStages(branches(same, turned), 0, "equal");
  expectStages(branches(same, longer), 1, "different");
  // A branch in a branch, and a loop.
  std::string nested = "%r = nn.if %c {" + same + "\n nn.yield %r : tensor<*xf32>\n} else {" +
                       turned + "\n nn.yield %r : tensor<*xf32>\n} : (tensor<i1>) -> tensor<*xf32>";
  expectStages(branches(nested, same), 0, "nested");
  std::string looped = R"mlir(
    %r = nn.loop %n, %none, %x {
    ^bb0(%i: tensor<i64>, %d: tensor<i1>, %v: tensor<?x4xf32>):
      %w = nn.add %v, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
      nn.yield %d, %w : tensor<i1>, tensor<?x4xf32>
    } : (tensor<i64>, none, tensor<?x4xf32>) -> tensor<*xf32>)mlir";
  expectStages(branches(looped, same), 0, "a loop");
}

// A branch that breaks a rule for these sizes has no say.
TEST(NativeControlFlow, AFailingBranchHasNoSize) {
  std::string same = "%r = nn.relu %x : (tensor<?x4xf32>) -> tensor<*xf32>";
  std::string broken = R"mlir(
    %w = nn.constant dense<1.0> : tensor<7x4xf32>
    %r = nn.concat %x, %w {axis = 1 : i64} : (tensor<?x4xf32>, tensor<7x4xf32>) -> tensor<*xf32>)mlir";
  std::string failing = "%r = nn.fail \"never\" : tensor<*xf32> loc(\"bad\")";
  // What has no rank is not looked into.
  for (auto [wrong, stages] : {std::pair(broken, 0), std::pair(failing, 1)}) {
    Model model = branches(same, wrong);
    std::vector<Tensor> inputs = {flag(true), floats({3, 4}), number(1)};
    EXPECT_EQ(stagesOf(model.expectExact(inputs)), stages) << wrong;
    inputs[0] = flag(false);
    EXPECT_EQ(model.run(inputs).status().code(), StatusCode::InvalidInput) << wrong;
    EXPECT_EQ(model.interpret(inputs).status().code(), StatusCode::InvalidInput) << wrong;
  }
  auto found = branches(same, failing).run({flag(false), floats({3, 4}), number(1)});
  EXPECT_NE(found.status().message().find("(if): else: node 'bad' (nn.fail): never"),
            std::string::npos)
      << found.status().message();
}

TEST(NativeControlFlow, LoopsOfKnownLengthNeedNoStage) {
  std::string add = "%w = nn.add %v, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>\n"
                    "%s = nn.relu %w : (tensor<?x4xf32>) -> tensor<*xf32>";
  std::string grow = "%w = nn.concat %v, %x {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>) "
                     "-> tensor<?x4xf32>\n"
                     "%s = nn.relu %x : (tensor<?x4xf32>) -> tensor<*xf32>";
  std::string stop = add + "\n%k = nn.constant dense<1> : tensor<i64>\n"
                           "%e = nn.less %i, %k : (tensor<i64>, tensor<i64>) -> tensor<i1>";
  expectStages(loop({.trips = "%three", .body = add, .yielded = "%d, %w, %s"}), 0, "constant");
  expectStages(loop({.trips = "%rows", .body = add, .yielded = "%yes, %w, %s"}), 0, "by a shape");
  expectStages(loop({.trips = "%zero", .body = add, .yielded = "%d, %w, %s"}), 0, "none");
  expectStages(loop({.trips = "%three", .condition = "%yes", .body = add, .yielded = "%d, %w, %s"}),
               0, "a condition");
  expectStages(loop({.body = add, .yielded = "%d, %w, %s"}), 1, "by data");
  expectStages(loop({.trips = "%three", .condition = "%c", .body = add, .yielded = "%d, %w, %s"}),
               1, "perhaps none");
  expectStages(loop({.trips = "%three", .body = stop, .yielded = "%e, %w, %s"}), 1, "ends early");
  expectStages(loop({.trips = "%three", .body = grow, .yielded = "%d, %w, %s"}), 1, "grows");
}

// Carried values that change places are as large as before only if both are.
TEST(NativeControlFlow, CarriedValuesThatChangePlaces) {
  Model model(R"mlir(
    func.func @main(%n: tensor<i64>, %x: tensor<?xf32>, %y: tensor<?xf32>, %z: tensor<?xf32>) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>) {
      %none = nn.none
      %0:3 = nn.loop %n, %none, %x, %y, %z {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>, %a: tensor<?xf32>, %b: tensor<?xf32>, %d: tensor<?xf32>):
        nn.yield %c, %b, %a, %d : tensor<i1>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
      } : (tensor<i64>, none, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>)
      %1 = nn.neg %0#0 : (tensor<*xf32>) -> tensor<*xf32>
      %2 = nn.neg %0#1 : (tensor<*xf32>) -> tensor<*xf32>
      %3 = nn.neg %0#2 : (tensor<*xf32>) -> tensor<*xf32>
      return %1, %2, %3 : tensor<*xf32>, tensor<*xf32>, tensor<*xf32>
    })mlir");
  for (int64_t trips : {0, 1, 2}) {
    GraphRun equal = model.expectExact({number(trips), floats({3}), floats({3}, 2), floats({5})});
    EXPECT_EQ(stagesOf(equal), 0);
    GraphRun other = model.expectExact({number(trips), floats({3}), floats({4}, 2), floats({5})});
    EXPECT_EQ(stagesOf(other), 1);
  }
}

TEST(NativeControlFlow, ABranchSeesWhatIsAroundIt) {
  Model model(R"mlir(
    func.func @main(%c: tensor<i1>, %x: tensor<?x4xf32>) -> tensor<*xf32> {
      %w = nn.constant dense<[[1.0, 2.0], [0.0, 1.0], [3.0, 0.0], [1.0, 1.0]]> : tensor<4x2xf32>
      %y = nn.relu %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
      %0 = nn.if %c {
        %1 = nn.matmul %y, %w : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
        nn.yield %1 : tensor<?x2xf32>
      } else {
        %1 = nn.add %y, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
        nn.yield %1 : tensor<?x4xf32>
      } : (tensor<i1>) -> tensor<*xf32>
      %2 = nn.neg %0 : (tensor<*xf32>) -> tensor<*xf32>
      return %2 : tensor<*xf32>
    })mlir");
  for (int64_t rows : {3, 1, 7, 3})
    for (bool condition : {true, false}) {
      GraphRun run = model.expectExact({flag(condition), floats({rows, 4})});
      for (const ProfileRow &row : rowsOf(run, /*nested=*/true))
        EXPECT_FALSE(row.reference) << row.nodes;
    }
}

// What a branch is given has no names; its sizes must not be mixed up.
TEST(NativeControlFlow, ABranchOfUnknownRanksSeesSeveralValues) {
  Model model(R"mlir(
    func.func @main(%c: tensor<i1>, %x: tensor<?x4xf32>, %s: tensor<2x?x4xf32>) -> tensor<*xf32> {
      %axes = nn.constant dense<0> : tensor<1xi64>
      %0 = nn.if %c {
        nn.yield %x : tensor<?x4xf32>
      } else {
        %1 = nn.unsqueeze %x, %axes : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<1x?x4xf32>
        nn.yield %1 : tensor<1x?x4xf32>
      } : (tensor<i1>) -> tensor<*xf32>
      %2 = nn.if %c {
        %3 = nn.add %s, %0 : (tensor<2x?x4xf32>, tensor<*xf32>) -> tensor<*xf32>
        nn.yield %3 : tensor<*xf32>
      } else {
        %3 = nn.sub %0, %s : (tensor<*xf32>, tensor<2x?x4xf32>) -> tensor<*xf32>
        nn.yield %3 : tensor<*xf32>
      } : (tensor<i1>) -> tensor<*xf32>
      return %2 : tensor<*xf32>
    })mlir");
  for (int64_t rows : {3, 1})
    for (bool condition : {true, false})
      model.expectExact({flag(condition), floats({rows, 4}), floats({2, rows, 4}, 2)});
}

// A branch that is wrong for some sizes is wrong only when it is taken.
TEST(NativeControlFlow, ABranchIsPlannedWhenItIsTaken) {
  Model model(R"mlir(
    func.func @main(%c: tensor<i1>, %x: tensor<?xf32>) -> tensor<*xf32> {
      %0 = nn.if %c {
        %s = nn.constant dense<[2, 3]> : tensor<2xi64>
        %1 = nn.reshape %x, %s {allowzero = false} : (tensor<?xf32>, tensor<2xi64>) -> tensor<2x3xf32>
        nn.yield %1 : tensor<2x3xf32>
      } else {
        %1 = nn.neg %x : (tensor<?xf32>) -> tensor<?xf32>
        nn.yield %1 : tensor<?xf32>
      } : (tensor<i1>) -> tensor<*xf32>
      return %0 : tensor<*xf32>
    })mlir");
  model.expectExact({flag(true), floats({6})});
  model.expectExact({flag(false), floats({5})});
  auto wrong = model.run({flag(true), floats({5})});
  EXPECT_EQ(wrong.status().code(), StatusCode::InvalidInput);
}

TEST(NativeControlFlow, CarriedValuesMayGrow) {
  Model model(R"mlir(
    func.func @main(%n: tensor<i64>, %x: tensor<?x3xf32>, %y: tensor<2xf32>) -> (tensor<*xf32>, tensor<*xf32>) {
      %none = nn.none
      %0:2 = nn.loop %n, %none, %x {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<?x3xf32>):
        %w = nn.concat %v, %x {axis = 0 : i64} : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
        %z = nn.neg %y : (tensor<2xf32>) -> tensor<2xf32>
        nn.yield %c, %w, %z : tensor<i1>, tensor<?x3xf32>, tensor<2xf32>
      } : (tensor<i64>, none, tensor<?x3xf32>) -> (tensor<*xf32>, tensor<*xf32>)
      %r = nn.relu %0#0 : (tensor<*xf32>) -> tensor<*xf32>
      return %r, %0#1 : tensor<*xf32>, tensor<*xf32>
    })mlir");
  for (int64_t trips : {0, 1, 5, 2})
    model.expectExact({number(trips), floats({2, 3}), floats({2})});
}

TEST(NativeControlFlow, ALoopRunsWhileItsConditionHolds) {
  // Doubles v until its sum is 100 or more.
  Model model(R"mlir(
    func.func @main(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<*xi64>) {
      %none = nn.none
      %t = nn.constant dense<true> : tensor<i1>
      %0:2 = nn.loop %none, %t, %x {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<4xf32>):
        %w = nn.add %v, %v : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
        %a = nn.none
        %s = nn.reduce sum %w, %a {keepdims = false, noop_with_empty_axes = false} : (tensor<4xf32>, none) -> tensor<f32>
        %h = nn.constant dense<100.0> : tensor<f32>
        %b = nn.less %s, %h : (tensor<f32>, tensor<f32>) -> tensor<i1>
        nn.yield %b, %w, %i : tensor<i1>, tensor<4xf32>, tensor<i64>
      } : (none, tensor<i1>, tensor<4xf32>) -> (tensor<4xf32>, tensor<*xi64>)
      return %0#0, %0#1 : tensor<4xf32>, tensor<*xi64>
    })mlir");
  GraphRun run = model.expectExact({Tensor::of<float>({4}, {1, 2, 0, 1})});
  ASSERT_EQ(run.results.size(), 2u);
  EXPECT_EQ(run.results[1].dims(), (Tensor::Dims{5}));
  for (const ProfileRow &row : rowsOf(run, /*nested=*/true)) {
    EXPECT_FALSE(row.reference) << row.nodes;
    EXPECT_EQ(row.runs, 5) << row.nodes;
  }
}

TEST(NativeControlFlow, ScansInAllDirections) {
  for (const char *axes : {"0|0", "1|1", "-1|-1", "-2|1"})
    for (int direction : {0, 1}) {
      std::string in(axes), out = in.substr(in.find('|') + 1);
      in.resize(in.find('|'));
      std::string d = std::to_string(direction);
      Model model(R"mlir(
        func.func @main(%s: tensor<?xf32>, %x: tensor<?x?xf32>) -> (tensor<?xf32>, tensor<?x?xf32>) {
          %0:2 = nn.scan %s, %x {
          ^bb0(%a: tensor<?xf32>, %b: tensor<?xf32>):
            %c = nn.add %a, %b : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
            %e = nn.neg %c : (tensor<?xf32>) -> tensor<?xf32>
            nn.yield %c, %e : tensor<?xf32>, tensor<?xf32>
          } {input_axes = array<i64: )mlir" +
                  in + ">, input_directions = array<i64: " + d + ">, output_axes = array<i64: " +
                  out + ">, output_directions = array<i64: " + d + R"mlir(>}
            : (tensor<?xf32>, tensor<?x?xf32>) -> (tensor<?xf32>, tensor<?x?xf32>)
          return %0#0, %0#1 : tensor<?xf32>, tensor<?x?xf32>
        })mlir");
      bool alongFirst = in == "0" || in == "-2";
      for (int64_t slices : {4, 1, 9})
        model.expectExact({floats({3}), alongFirst ? floats({slices, 3}) : floats({3, slices})});
    }
}

TEST(NativeControlFlow, BodiesNest) {
  // Inner loops run as often as the outer number says; the branch is in them.
  Model model(R"mlir(
    func.func @main(%n: tensor<i64>, %x: tensor<?xf32>) -> tensor<?xf32> {
      %none = nn.none
      %0 = nn.loop %n, %none, %x {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<?xf32>):
        %1 = nn.loop %i, %none, %v {
        ^bb1(%j: tensor<i64>, %d: tensor<i1>, %w: tensor<?xf32>):
          %b = nn.less %j, %n : (tensor<i64>, tensor<i64>) -> tensor<i1>
          %2 = nn.if %b {
            %3 = nn.add %w, %x : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
            nn.yield %3 : tensor<?xf32>
          } else {
            nn.yield %w : tensor<?xf32>
          } : (tensor<i1>) -> tensor<?xf32>
          nn.yield %d, %2 : tensor<i1>, tensor<?xf32>
        } : (tensor<i64>, none, tensor<?xf32>) -> tensor<?xf32>
        nn.yield %c, %1 : tensor<i1>, tensor<?xf32>
      } : (tensor<i64>, none, tensor<?xf32>) -> tensor<?xf32>
      return %0 : tensor<?xf32>
    })mlir");
  for (int64_t trips : {0, 1, 2, 4})
    model.expectExact({number(trips), floats({5})});
}

TEST(NativeControlFlow, BodiesOfUnknownRankTellTheirInputsApart) {
  // All arguments of the body have the name of the loop.
  Model model(R"mlir(
    func.func @main(%n: tensor<i64>, %x: tensor<*xf32>, %y: tensor<?xf32>) -> tensor<*xf32> {
      %none = nn.none
      %0 = nn.loop %n, %none, %x {
      ^bb0(%i: tensor<i64> loc("loop"), %c: tensor<i1> loc("loop"), %v: tensor<*xf32> loc("loop")):
        %1 = nn.add %v, %y : (tensor<*xf32>, tensor<?xf32>) -> tensor<*xf32>
        nn.yield %c, %1 : tensor<i1>, tensor<*xf32>
      } : (tensor<i64>, none, tensor<*xf32>) -> tensor<*xf32> loc("loop")
      return %0 : tensor<*xf32>
    })mlir");
  model.expectExact({number(2), floats({5}), floats({5}, 2)});
  model.expectExact({number(3), floats({2, 4}), floats({4}, 2)});
}

TEST(NativeControlFlow, FaultsNameTheWay) {
  Model model(R"mlir(
    func.func @main(%n: tensor<i64>, %x: tensor<3xf32>) -> tensor<?xf32> {
      %none = nn.none
      %0 = nn.loop %n, %none {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>):
        %1 = nn.gather %x, %i {axis = 0 : i64} : (tensor<3xf32>, tensor<i64>) -> tensor<f32> loc("pick")
        nn.yield %c, %1 : tensor<i1>, tensor<f32>
      } : (tensor<i64>, none) -> tensor<?xf32> loc("walk")
      return %0 : tensor<?xf32>
    })mlir");
  model.expectExact({number(3), floats({3})});
  auto late = model.run({number(4), floats({3})});
  EXPECT_EQ(late.status().code(), StatusCode::InvalidInput);
  EXPECT_EQ(late.status().message().find("node 'walk' (loop): iteration 3: node 'pick' ("), 0u)
      << late.status().message();
}

// All values of v, in a sequence: what an iteration adds is all that it copies.
TEST(NativeControlFlow, SequencesInLoopsGrowInPlace) {
  Model model(R"(
    func.func @main(%n: tensor<i64> {nn.name = "n"}, %x: tensor<2xf32> {nn.name = "x"})
        -> (tensor<i64>, tensor<?x2xf32>) {
      %none = nn.none
      %e = nn.sequence : () -> !nn.sequence<tensor<2xf32>>
      %v, %s = nn.loop %n, %none, %x, %e {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>, %a: tensor<2xf32>, %q: !nn.sequence<tensor<2xf32>>):
        %b = nn.add %a, %x : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
        %t = nn.sequence_splice %q, %none, %a {removed = 0 : i64}
            : (!nn.sequence<tensor<2xf32>>, none, tensor<2xf32>) -> !nn.sequence<tensor<2xf32>>
        nn.yield %c, %b, %t : tensor<i1>, tensor<2xf32>, !nn.sequence<tensor<2xf32>>
      } : (tensor<i64>, none, tensor<2xf32>, !nn.sequence<tensor<2xf32>>)
          -> (tensor<2xf32>, !nn.sequence<tensor<2xf32>>)
      %l = nn.sequence_length %s : (!nn.sequence<tensor<2xf32>>) -> tensor<i64>
      %y = nn.sequence_concat %s {axis = 0 : i64, new_axis = true}
          : (!nn.sequence<tensor<2xf32>>) -> tensor<?x2xf32>
      return %l, %y : tensor<i64>, tensor<?x2xf32>
    })");
  model.expectExact({number(5), floats({2})});
  // Several units for each value: a copy of all of them in each iteration takes fifty times
  // the work.
  constexpr int64_t kTrips = 2000;
  Budget budget(Limits(), nullptr, "running", kTrips * 200);
  std::vector<Tensor> outputs(2);
  Status status = model.runWithin(budget, {number(kTrips), floats({2})}, outputs);
  ASSERT_TRUE(status.isOk()) << status.message();
  EXPECT_EQ(outputs[0].data<int64_t>()[0], kTrips);
}

// Each branch has a product that folding may compute; there is work for one of them.
TEST(NativeControlFlow, AllBodiesFoldWithinOneBudget) {
  Model model(R"(
    func.func @main(%c: tensor<i1> {nn.name = "c"}, %x: tensor<80x80xf32> {nn.name = "x"})
        -> tensor<80x80xf32> {
      %a = nn.constant dense<2.0> : tensor<80x80xf32>
      %b = nn.constant dense<3.0> : tensor<80x80xf32>
      %y = nn.if %c {
        %0 = nn.matmul %a, %b : (tensor<80x80xf32>, tensor<80x80xf32>) -> tensor<80x80xf32>
        %1 = nn.add %0, %x : (tensor<80x80xf32>, tensor<80x80xf32>) -> tensor<80x80xf32>
        nn.yield %1 : tensor<80x80xf32>
      } else {
        %0 = nn.matmul %b, %b : (tensor<80x80xf32>, tensor<80x80xf32>) -> tensor<80x80xf32>
        %1 = nn.sub %0, %x : (tensor<80x80xf32>, tensor<80x80xf32>) -> tensor<80x80xf32>
        nn.yield %1 : tensor<80x80xf32>
      } : (tensor<i1>) -> tensor<80x80xf32>
      return %y : tensor<80x80xf32>
    })");
  for (auto [work, wanted] : {std::pair(int64_t{10}, 2), {int64_t{700'000}, 1}}) {
    nn::OwnedModule owned = model.parse().take();
    CompileOptions options;
    options.limits.maxFoldedWork = work;
    auto ops = checkGraph(*owned.module, options);
    ASSERT_TRUE(ops) << ops.status().message();
    auto products = std::count_if(ops->begin(), ops->end(),
                                  [](const OpSupport &op) { return op.op == "nn.matmul"; });
    EXPECT_EQ(products, wanted) << work;
  }
}

// What one If gives tells the next one's sizes: each is looked through once.
TEST(NativeControlFlow, ManyBranches) {
  std::string text = R"(
    func.func @main(%c: tensor<i1> {nn.name = "c"}, %x: tensor<?x3xf32> {nn.name = "x"})
        -> tensor<?x3xf32> {)";
  constexpr int kCount = 100;
  for (int i = 0; i < kCount; ++i) {
    std::string from = i == 0 ? "%x" : "%n" + std::to_string(i - 1), number = std::to_string(i);
    text += "%y" + number + " = nn.if %c { %a = nn.neg " + from +
            " : (tensor<?x3xf32>) -> tensor<?x3xf32>\n nn.yield %a : tensor<?x3xf32> } else { "
            "%a = nn.abs " +
            from +
            " : (tensor<?x3xf32>) -> tensor<?x3xf32>\n nn.yield %a : tensor<?x3xf32> } "
            ": (tensor<i1>) -> tensor<?x3xf32>\n%n" +
            number + " = nn.neg %y" + number + " : (tensor<?x3xf32>) -> tensor<?x3xf32>\n";
  }
  Model model(text + "return %n" + std::to_string(kCount - 1) + " : tensor<?x3xf32>\n}");
  for (bool condition : {true, false}) {
    GraphRun found = model.expectExact({flag(condition), floats({2, 3})});
    // No stage has to wait for a size.
    for (const ProfileRow &row : rowsOf(found, /*nested=*/false))
      EXPECT_NE(row.kernel, "stage");
  }
}
