//===- OpCoverageTest.cpp - every op has all it needs ---------------------===//
#include "ir/NNDialect.h"
#include "runtime/reference/Evaluator.h"
#include "runtime/reference/ValueEvaluator.h"

#include <gtest/gtest.h>

using namespace quern;
using namespace quern::nn;

/// The ops of the nn dialect that compute something: not constants, which have
/// no operands, nor the group and its terminator, which have no type rule, nor what
/// runs bodies.
static std::vector<mlir::RegisteredOperationName> computingOps(mlir::MLIRContext &context) {
  context.loadDialect<NNDialect>();
  std::vector<mlir::RegisteredOperationName> ops;
  for (mlir::RegisteredOperationName name : context.getRegisteredOperations())
    if (name.getDialectNamespace() == "nn" && name.hasInterface<GraphOpInterface>() &&
        !name.hasTrait<mlir::OpTrait::ZeroOperands>() &&
        name.hasTrait<mlir::OpTrait::ZeroRegions>())
      ops.push_back(name);
  return ops;
}

TEST(OpCoverage, EveryOpHasAReference) {
  mlir::MLIRContext context;
  std::vector<mlir::RegisteredOperationName> ops = computingOps(context);
  ASSERT_GT(ops.size(), 80u);
  for (mlir::RegisteredOperationName name : ops) {
    llvm::StringRef op = name.getStringRef();
    bool isElementwise = name.hasInterface<ElementwiseOpInterface>();
    EXPECT_EQ(isElementwise, lookupElementwise(op) != nullptr) << op.str();
    if (!isElementwise)
      EXPECT_NE(reference::findEvaluator(std::string_view(op)) != nullptr,
                reference::findValueEvaluator(std::string_view(op)) != nullptr)
          << op.str();
  }
}

TEST(OpCoverage, EveryEvaluatorHasAnOp) {
  mlir::MLIRContext context;
  context.loadDialect<NNDialect>();
  for (std::span<const reference::EvaluatorRow> family : reference::evaluatorFamilies())
    for (const reference::EvaluatorRow &row : family)
      EXPECT_TRUE(mlir::RegisteredOperationName::lookup(row.opName, &context).has_value())
          << row.opName;
  for (std::span<const reference::ValueEvaluatorRow> family :
       {reference::labelValueEvaluators(), reference::sequenceEvaluators()})
    for (const reference::ValueEvaluatorRow &row : family)
      EXPECT_TRUE(mlir::RegisteredOperationName::lookup(row.opName, &context).has_value())
          << row.opName;
}

/// What a few ops give together with no loss is composed by the importer. An op that must be
/// one raises the number; it counts structure (groups, bodies, constants), too.
TEST(OpCoverage, TheDialectStaysLean) {
  mlir::MLIRContext context;
  context.loadDialect<NNDialect>();
  int64_t ops = llvm::count_if(context.getRegisteredOperations(),
                               [](auto name) { return name.getDialectNamespace() == "nn"; });
  EXPECT_LE(ops, 139);
}
