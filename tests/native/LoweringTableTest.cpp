//===- LoweringTableTest.cpp - every op has a native path or a reason -----===//
#include "backends/native/lowering/LoweringTable.h"
#include "ir/NNDialect.h"
#include "ir/OutlinedOps.h"
#include "ir/QuantOps.h"

#include <gtest/gtest.h>

#include <set>

using namespace quern;
using namespace quern::native;

// Ops that are computed, but neither elementwise nor constants, have a row each.
TEST(LoweringTableTest, EveryOpHasOneRow) {
  mlir::MLIRContext context;
  context.loadDialect<nn::NNDialect>();
  std::set<llvm::StringRef> rows;
  for (const LoweringRow &row : loweringTable()) {
    EXPECT_TRUE(rows.insert(row.name).second) << row.name.str() << " has two rows";
    EXPECT_EQ(row.ways.empty(), row.reason.has_value()) << row.name.str();
    std::set<llvm::StringRef> ways;
    for (const Way &way : row.ways) {
      EXPECT_TRUE(ways.insert(way.name).second) << row.name.str() << ": two ways " << way.name;
      EXPECT_TRUE(row.ways.size() == 1 || way.cost) << row.name.str() << ": " << way.name;
    }
  }
  size_t ops = 0;
  for (mlir::RegisteredOperationName name : context.getRegisteredOperations()) {
    bool isComputed = name.getDialectNamespace() == "nn" &&
                      name.hasInterface<nn::GraphOpInterface>() &&
                      (!name.hasTrait<mlir::OpTrait::ZeroOperands>() ||
                       name.getStringRef() == nn::FailOp::getOperationName());
    bool isElementwise = name.hasInterface<nn::ElementwiseOpInterface>() ||
                         name.getStringRef() == nn::CastOp::getOperationName() ||
                         name.getStringRef() == nn::ByteLookupOp::getOperationName();
    if (!isComputed || isElementwise)
      continue;
    ++ops;
    EXPECT_TRUE(rows.count(name.getStringRef())) << name.getStringRef().str() << " has no row";
  }
  EXPECT_EQ(ops, rows.size());
}
