//===- GroupCutTest.cpp - groups that have no native code as a whole -----===//
#include "backends/interpreter/Interpreter.h"
#include "backends/plan/Explain.h"
#include "ir/Signature.h"
#include "passes/SplitGroup.h"
#include "tests/plan/FakeBackend.h"

#include "mlir/IR/Verifier.h"

#include <gmock/gmock.h>

using namespace quern;
using namespace quern::plan;
using namespace quern::test;
using testing::ElementsAre;

namespace {
/// The first op of this name in a group; null when there is none.
mlir::Operation *findIn(mlir::Operation *group, llvm::StringRef name) {
  for (mlir::Operation &op : mlir::cast<nn::GroupOp>(group).getBody().front())
    if (op.getName().getStringRef() == name)
      return &op;
  return nullptr;
}

/// Refuses every group that has an nn.relu behind other ops, as a kernel that cannot begin with
/// something else.
FakeBackend reluComesFirst() {
  FakeBackend backend;
  backend.lowering->refuse = [](mlir::Operation *group, const ShapeEnvironment &) {
    mlir::Operation *relu = findIn(group, "nn.relu");
    return relu && relu->getPrevNode() ? "an nn.relu behind other ops" : "";
  };
  backend.lowering->misfit = [](mlir::Operation *group) { return findIn(group, "nn.relu"); };
  return backend;
}

std::vector<std::string> kernels(const std::vector<ProfileRow> &steps) {
  std::vector<std::string> names;
  for (const ProfileRow &step : steps)
    names.push_back(step.kernel);
  return names;
}

/// neg, abs, relu, neg, sqrt: one group.
Graph chain() {
  Graph graph;
  GraphValue value = graph.input("?x4xf32");
  for (const char *op : {"nn.neg", "nn.abs", "nn.relu", "nn.neg", "nn.ceil"})
    value = graph.op(op, {value});
  graph.output(value);
  return graph;
}
} // namespace

TEST(GroupCutTest, WhatIsBeforeTheMisfitStaysTogether) {
  EXPECT_THAT(kernels(expectExact(chain(), {}, {{3, 4}})), ElementsAre("fake nn.ceil"));
  EXPECT_THAT(kernels(expectExact(chain(), reluComesFirst(), {{3, 4}})),
              ElementsAre("fake nn.abs", "fake nn.ceil"));
}

TEST(GroupCutTest, AGroupIsPutApartWhereTheMisfitIsNotKnown) {
  FakeBackend backend = reluComesFirst();
  backend.lowering->misfit = nullptr;
  EXPECT_THAT(
      kernels(expectExact(chain(), backend, {{3, 4}})),
      ElementsAre("fake nn.neg", "fake nn.abs", "fake nn.relu", "fake nn.neg", "fake nn.ceil"));
}

TEST(GroupCutTest, AMisfitThatIsTheFirstOpStandsAlone) {
  FakeBackend backend;
  backend.lowering->refuse = [](mlir::Operation *group, const ShapeEnvironment &) {
    return findIn(group, "nn.abs") ? "not with others" : "";
  };
  backend.lowering->misfit = [](mlir::Operation *group) { return findIn(group, "nn.abs"); };
  EXPECT_THAT(kernels(expectExact(chain(), backend, {{3, 4}})),
              ElementsAre("fake nn.neg", "fake nn.abs", "fake nn.ceil"));
}

// What several ops use is one kernel's result, and only results are: the part ends before it.
TEST(GroupCutTest, PartsHaveOneResult) {
  Graph graph;
  GraphValue first = graph.op("nn.neg", {graph.input("2x3xf32")});
  GraphValue second = graph.op("nn.abs", {first});
  graph.output(graph.op("nn.add", {graph.op("nn.relu", {second}), first}));
  EXPECT_THAT(kernels(expectExact(graph)), ElementsAre("fake nn.add"));
  EXPECT_THAT(kernels(expectExact(graph, reluComesFirst())),
              ElementsAre("fake nn.neg", "fake nn.abs", "fake nn.add"));
}

// Numbers that belong to the code are in each part that computes with them, others in none.
TEST(GroupCutTest, NumbersStayInside) {
  Graph graph;
  GraphValue two = graph.constant("dense<2.0>", "f32"), x = graph.input("2x3xf32");
  GraphValue before = graph.op("nn.mul", {graph.op("nn.neg", {x}), two});
  GraphValue behind = graph.op("nn.mul", {graph.op("nn.relu", {before}), two});
  graph.output(graph.op("nn.sub", {behind, two}));
  FakeBackend backend = reluComesFirst();
  auto family = backend.family(graph);
  ASSERT_TRUE(family) << family.status().message();
  SharedGraph whole = (*family)->graphFor({}, Deadline()).take();
  mlir::Operation *group = whole->get().nodes().front().op;
  auto cut = (*family)->cutGroups(whole, {{group, findIn(group, "nn.relu")}});
  ASSERT_TRUE(cut) << cut.status().message();
  const std::vector<OptimizedGraph::Node> &parts = (*cut)->get().nodes();
  ASSERT_EQ(parts.size(), 2u);
  for (const OptimizedGraph::Node &part : parts) {
    EXPECT_EQ(part.op->getNumOperands(), 1u);
    EXPECT_TRUE(findIn(part.op, "nn.constant"));
  }
  EXPECT_EQ(parts[0].nodes.str(), "v2+v3");
  EXPECT_EQ(parts[1].nodes.str(), "v4+v5+v6");
  expectExact(graph, backend);
}

TEST(GroupCutTest, OneVariantForEachPlace) {
  auto family = FakeBackend().family(chain());
  ASSERT_TRUE(family) << family.status().message();
  SharedGraph graph = (*family)->graphFor({}, Deadline()).take();
  mlir::Operation *group = graph->get().nodes().front().op;
  auto at = [&](const char *name) {
    return (*family)->cutGroups(graph, {{group, findIn(group, name)}}).take();
  };
  EXPECT_EQ(at("nn.relu"), at("nn.relu"));
  EXPECT_NE(at("nn.relu"), at("nn.abs"));
  EXPECT_NE(at("nn.relu"), (*family)->cutGroups(graph, {{group}}).take());
}

TEST(GroupCutTest, TheRefusalNamesTheMisfit) {
  FakeBackend backend = reluComesFirst();
  auto family = backend.family(chain());
  ASSERT_TRUE(family) << family.status().message();
  std::vector<Tensor::Dims> dims = {{3, 4}};
  std::vector<KnownValue> arguments = knownSizes((*family)->main(), dims);
  SharedGraph graph = (*family)->graphFor(arguments, Deadline()).take();
  auto instance = backend.instantiator()->lower(
      **family, PlanRequest::wholeOf(graph, arguments, UnknownSizes::NextStage), Deadline());
  ASSERT_TRUE(instance) << instance.status().message();
  ASSERT_EQ(instance->refusals.size(), 1u);
  EXPECT_EQ(instance->refusals.front().kind, Refusal::Kind::Fuse);
  // The ops that stay together, then the misfit.
  EXPECT_THAT(instance->refusals.front().reason.nodes, ElementsAre("v1", "v2", "v3"));
}

// Groups that several values leave; the passes form none, but cuts must be right for them.
TEST(GroupCutTest, GroupsWithSeveralResults) {
  constexpr const char *kText = R"(
    func.func @main(%x: tensor<4xf32> {nn.name = "x"}) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
      %r:3 = nn.group %x {
      ^bb0(%a: tensor<4xf32>):
        %0 = nn.neg %a : (tensor<4xf32>) -> tensor<4xf32>
        %1 = nn.abs %0 : (tensor<4xf32>) -> tensor<4xf32>
        %2 = nn.relu %1 : (tensor<4xf32>) -> tensor<4xf32>
        %3 = nn.add %2, %0 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
        nn.yield %0, %2, %3 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
      } : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
      return %r#0, %r#1, %r#2 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
    })";
  std::vector<Tensor> inputs = {integerTensor(DType::Float32, {4}, 1)};
  std::vector<Tensor> wanted;
  for (const char *misfit : {"", "nn.neg", "nn.abs", "nn.relu", "nn.add"}) {
    nn::OwnedModule owned = nn::OwnedModule::create();
    owned.module = mlir::parseSourceString<mlir::ModuleOp>(kText, owned.context.get());
    ASSERT_TRUE(owned.module);
    mlir::func::FuncOp main = nn::findMain(*owned.module);
    if (mlir::Operation *group = &main.getBody().front().front(); *misfit)
      passes::cutGroup(group, findIn(group, misfit));
    ASSERT_TRUE(mlir::succeeded(mlir::verify(*owned.module))) << misfit;
    auto found = interpreter::interpret(main, inputs, {});
    ASSERT_TRUE(found) << misfit << ": " << found.status().message();
    if (wanted.empty())
      wanted = *found;
    expectSameTensors(*found, wanted, {misfit, misfit, misfit});
  }
}
