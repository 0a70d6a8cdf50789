//===- WarmUpTest.cpp - what is compiled before the first run -------------===//
#include "tests/native/BodyGraph.h"

using namespace quern;
using namespace quern::native;

namespace {
/// A model of a test whose kernels can be counted.
class Counted {
public:
  explicit Counted(const std::string &text) {
    NativeOptions options;
    options.kernels = std::make_shared<LinkedKernels>(
        std::make_shared<KernelStore>(resolveTarget("host").take()));
    store = &options.kernels->store();
    auto owned = BodyGraph(text).parse();
    EXPECT_TRUE(owned) << owned.status().message();
    executable = compileForJit(owned.take(), options).take();
  }
  /// Whether a run on such inputs compiles no kernel.
  bool runsAtOnce(const std::vector<Tensor> &inputs) {
    size_t before = store->size();
    auto run = runCompiled(executable, inputs);
    EXPECT_TRUE(run) << run.status().message();
    return store->size() == before;
  }
  Status warmUp(const std::vector<Tensor::Dims> &dims) { return executable->warmUp(dims, {}); }
  Status plan(const std::vector<Tensor::Dims> &dims) { return executable->planFor(dims, {}); }
  size_t kernels() const { return store->size(); }

private:
  KernelStore *store;
  std::shared_ptr<Executable> executable;
};
} // namespace

/// On %c, %n and %x, of any number of rows.
static std::string model(const std::string &body) {
  return "func.func @main(%c: tensor<i1>, %n: tensor<i64>, %x: tensor<?x4xf32>) -> "
         "tensor<?x4xf32> {\n%none = nn.none\n" +
         body + "\nreturn %y : tensor<?x4xf32>\n}";
}

static const std::string kLoop = R"mlir(
  %y = nn.loop %n, %none, %x {
  ^bb0(%i: tensor<i64>, %d: tensor<i1>, %v: tensor<?x4xf32>):
    %s = nn.softmax %v {axis = 1 : i64, trailing = false} : (tensor<?x4xf32>) -> tensor<?x4xf32>
    %w = nn.add %s, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    nn.yield %d, %w : tensor<i1>, tensor<?x4xf32>
  } : (tensor<i64>, none, tensor<?x4xf32>) -> tensor<?x4xf32>)mlir";

static const std::string kScan = R"mlir(
  %k = nn.constant dense<1.0> : tensor<4xf32>
  %o:2 = nn.scan %k, %x {
  ^bb0(%a: tensor<4xf32>, %b: tensor<4xf32>):
    %e = nn.exp %b : (tensor<4xf32>) -> tensor<4xf32>
    %f = nn.add %a, %e : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    nn.yield %f, %e : tensor<4xf32>, tensor<4xf32>
  } {input_axes = array<i64: 0>, input_directions = array<i64: 0>, output_axes = array<i64: 0>,
     output_directions = array<i64: 0>}
    : (tensor<4xf32>, tensor<?x4xf32>) -> (tensor<4xf32>, tensor<?x4xf32>)
  %y = nn.add %o#1, %o#0 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>)mlir";

/// A branch on %c; the loop, the scan, or others around them.
static std::string branches(const std::string &first, const std::string &second) {
  std::string yield = "\nnn.yield %y : tensor<?x4xf32>\n";
  return "%y = nn.if %c {" + first + yield + "} else {" + second + yield +
         "} : (tensor<i1>) -> tensor<?x4xf32>";
}

TEST(WarmUp, NoRunOnSuchSizesCompiles) {
  for (const std::string &body :
       {kLoop, kScan, branches(kLoop, kScan), branches(kScan, branches(kScan, kLoop))}) {
    Counted counted(model(body));
    ASSERT_TRUE(counted.plan({{}, {}, {3, 4}}).isOk());
    size_t planned = counted.kernels();
    Status status = counted.warmUp({{}, {}, {3, 4}});
    ASSERT_TRUE(status.isOk()) << status.message();
    EXPECT_GT(counted.kernels(), planned) << body;
    for (bool condition : {true, false})
      EXPECT_TRUE(counted.runsAtOnce({flag(condition), number(2), floats({3, 4})})) << body;
  }
}

// Plans, too: a second time there is nothing to do but to look for them.
TEST(WarmUp, IsDoneOnce) {
  Counted counted(model(branches(kLoop, kScan)));
  ASSERT_TRUE(counted.warmUp({{}, {}, {3, 4}}).isOk());
  size_t kernels = counted.kernels();
  ASSERT_TRUE(counted.warmUp({{}, {}, {3, 4}}).isOk());
  EXPECT_EQ(counted.kernels(), kernels);
}

TEST(WarmUp, WhatNoSizeTellsIsLeftToTheRun) {
  // Grows with each iteration.
  Counted counted(model(R"mlir(
    %y = nn.loop %n, %none, %x {
    ^bb0(%i: tensor<i64>, %d: tensor<i1>, %v: tensor<?x4xf32>):
      %s = nn.softmax %v {axis = 0 : i64, trailing = false} : (tensor<?x4xf32>) -> tensor<?x4xf32>
      %w = nn.concat %s, %x {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
      nn.yield %d, %w : tensor<i1>, tensor<?x4xf32>
    } : (tensor<i64>, none, tensor<?x4xf32>) -> tensor<?x4xf32>)mlir"));
  ASSERT_TRUE(counted.warmUp({{}, {}, {3, 4}}).isOk());
  EXPECT_FALSE(counted.runsAtOnce({flag(true), number(2), floats({3, 4})}));
}

TEST(WarmUp, ABranchThatBreaksARuleIsTheRunsToReport) {
  Counted counted(model(branches(kScan, R"mlir(
    %k = nn.constant dense<1.0> : tensor<7x4xf32>
    %y = nn.add %x, %k : (tensor<?x4xf32>, tensor<7x4xf32>) -> tensor<?x4xf32>)mlir")));
  Status status = counted.warmUp({{}, {}, {3, 4}});
  EXPECT_TRUE(status.isOk()) << status.message();
  EXPECT_TRUE(counted.runsAtOnce({flag(true), number(2), floats({3, 4})}));
}

TEST(WarmUp, EndsAtItsDeadline) {
  NativeOptions options;
  auto owned = BodyGraph(model(kLoop)).parse();
  ASSERT_TRUE(owned);
  std::shared_ptr<Executable> executable = compileForJit(owned.take(), options).take();
  std::vector<Tensor::Dims> dims = {{}, {}, {3, 4}};
  ASSERT_TRUE(executable->planFor(dims, {}).isOk());
  Deadline over = Deadline::after(std::chrono::nanoseconds(0));
  EXPECT_EQ(executable->warmUp(dims, over).code(), StatusCode::ResourceLimit);
}
