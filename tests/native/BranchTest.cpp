//===- BranchTest.cpp - branches as compiled plans ------------------------===//
#include "tests/native/BodyGraph.h"

using namespace quern;
using namespace quern::native;

/// Two branches on %c, %x (of any shape) and %n that yield `first` and `second`, whose
/// ops may be before them; the result is negated.
static BodyGraph branches(const std::string &first, const std::string &second) {
  std::string yield = "\n nn.yield %r : tensor<*xf32>\n";
  return BodyGraph(R"mlir(
    func.func @main(%c: tensor<i1>, %x: tensor<?x4xf32>, %n: tensor<i64>) -> tensor<*xf32> {
      %none = nn.none
      %0 = nn.if %c {)mlir" +
                   first + yield + "} else {" + second + yield + R"mlir(
      } : (tensor<i1>) -> tensor<*xf32>
      %1 = nn.neg %0 : (tensor<*xf32>) -> tensor<*xf32>
      return %1 : tensor<*xf32>
    })mlir");
}

TEST(NativeBranch, BranchesOfEqualSizesNeedNoStage) {
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
TEST(NativeBranch, AFailingBranchHasNoSize) {
  std::string same = "%r = nn.relu %x : (tensor<?x4xf32>) -> tensor<*xf32>";
  std::string broken = R"mlir(
    %w = nn.constant dense<1.0> : tensor<7x4xf32>
    %r = nn.concat %x, %w {axis = 1 : i64} : (tensor<?x4xf32>, tensor<7x4xf32>) -> tensor<*xf32>)mlir";
  std::string failing = "%r = nn.fail \"never\" : tensor<*xf32> loc(\"bad\")";
  // What has no rank is not looked into.
  for (auto [wrong, stages] : {std::pair(broken, 0), std::pair(failing, 1)}) {
    BodyGraph model = branches(same, wrong);
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

TEST(NativeBranch, ABranchSeesWhatIsAroundIt) {
  BodyGraph model(R"mlir(
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
TEST(NativeBranch, ABranchOfUnknownRanksSeesSeveralValues) {
  BodyGraph model(R"mlir(
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
TEST(NativeBranch, ABranchIsPlannedWhenItIsTaken) {
  BodyGraph model(R"mlir(
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

// Each branch has a product that folding may compute; there is work for one of them.
TEST(NativeBranch, AllBodiesFoldWithinOneBudget) {
  BodyGraph model(R"(
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
    auto found = explainGraph(*owned.module, options);
    ASSERT_TRUE(found) << found.status().message();
    auto isProduct = [](const ExplainedStep &step) { return step.kernel == "nn.matmul"; };
    auto products = std::count_if(found->steps.begin(), found->steps.end(), isProduct);
    EXPECT_EQ(products, wanted) << work;
  }
}

// What one If gives tells the next one's sizes: each is looked through once.
TEST(NativeBranch, ManyBranches) {
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
  BodyGraph model(text + "return %n" + std::to_string(kCount - 1) + " : tensor<?x3xf32>\n}");
  for (bool condition : {true, false}) {
    GraphRun found = model.expectExact({flag(condition), floats({2, 3})});
    // No stage has to wait for a size.
    for (const ProfileRow &row : rowsOf(found, /*nested=*/false))
      EXPECT_NE(row.kernel, "stage");
  }
}

// Where only a run tells the rank, an axis counts from the end until then.
TEST(NativeBranch, AxesFromTheEndOfAnyRank) {
  std::string same = "%r = nn.relu %x : (tensor<?x4xf32>) -> tensor<*xf32>";
  std::string longer = "%r = nn.concat %x, %x {axis = 0 : i64} : (tensor<?x4xf32>, "
                       "tensor<?x4xf32>) -> tensor<*xf32>";
  std::string yield = "\n nn.yield %r : tensor<*xf32>\n";
  for (const char *op : {
           "nn.softmax %s {axis = -1 : i64, trailing = false} : (tensor<*xf32>) -> tensor<*xf32>",
           "nn.gather %0, %i {axis = -1 : i64} : (tensor<*xf32>, tensor<2xi64>) -> tensor<*xf32>",
           "nn.gather %0, %i {axis = -2 : i64} : (tensor<*xf32>, tensor<2xi64>) -> tensor<*xf32>",
           "nn.concat %0, %0 {axis = -1 : i64} : (tensor<*xf32>, tensor<*xf32>) -> tensor<*xf32>",
           "nn.concat %0, %0 {axis = -2 : i64} : (tensor<*xf32>, tensor<*xf32>) -> tensor<*xf32>",
           "nn.arg_reduce max %0 {axis = -1 : i64, keepdims = true, select_last_index = false} : "
           "(tensor<*xf32>) -> tensor<*xi64>",
           "nn.arg_reduce max %0 {axis = -2 : i64, keepdims = false, select_last_index = true} : "
           "(tensor<*xf32>) -> tensor<*xi64>",
       }) {
    std::string result = op;
    result = result.substr(result.rfind("tensor<"));
    BodyGraph model("func.func @main(%c: tensor<i1>, %x: tensor<?x4xf32>) -> " + result + R"mlir({
      %i = nn.constant dense<[1, 0]> : tensor<2xi64>
      %0 = nn.if %c {)mlir" +
                    same + yield + "} else {" + longer + yield + R"mlir(
      } : (tensor<i1>) -> tensor<*xf32>
      %last = nn.constant dense<-1> : tensor<1xi64>
      %s = nn.reduce max %0, %last {keepdims = true, noop_with_empty_axes = false} :
        (tensor<*xf32>, tensor<1xi64>) -> tensor<*xf32>
      %1 = )mlir" + std::string(op) +
                    "\n return %1 : " + result + "\n }");
    for (bool condition : {true, false})
      model.expectExact({flag(condition), floats({3, 4})});
  }
}
