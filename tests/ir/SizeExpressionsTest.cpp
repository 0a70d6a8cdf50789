//===- SizeExpressionsTest.cpp - sizes that grow with the model -----------===//
#include "ir/NNDialect.h"
#include "ir/Shape.h"

#include <gtest/gtest.h>

using namespace quern;
using namespace quern::nn;

namespace {
class SizeExpressions : public testing::Test {
protected:
  SizeExpressions() { context.loadDialect<NNDialect>(); }
  Dim symbol(const std::string &name) { return Dim::symbol(&context, name); }

  mlir::MLIRContext context;
};

int partsOf(const Dim &dim) {
  int parts = 0;
  if (dim.isSymbolic())
    dim.expr().walk([&](mlir::AffineExpr) { ++parts; });
  return parts;
}
} // namespace

// Windows of stride 2, one upon another: simplifying the expression takes ever longer.
TEST_F(SizeExpressions, DeepOnesAreUnknown) {
  Dim size = symbol("N");
  int levels = 0, most = 0;
  for (; size.isSymbolic() && levels < 1000; ++levels) {
    size = floorDiv(size + Dim(1), 2) + Dim(1);
    most = std::max(most, partsOf(size));
  }
  EXPECT_TRUE(size.isUnknown());
  EXPECT_GE(levels, 8);
  EXPECT_LE(levels, 64);
  EXPECT_LE(most, 64);
}

// What doubles at each op would be larger than memory soon.
TEST_F(SizeExpressions, SquaredOnesAreUnknown) {
  Dim size = symbol("N") + symbol("M");
  for (int i = 0; i < 100; ++i)
    size = size * size;
  EXPECT_TRUE(size.isUnknown());
  EXPECT_TRUE((size + Dim(1)).isUnknown());
  EXPECT_TRUE((Dim(1) - size).isUnknown());
}

// The product of the factors is 2^64, which is no size, and not 0.
TEST_F(SizeExpressions, LargeFactorsAreUnknown) {
  Dim size = symbol("N");
  for (int i = 0; i < 4; ++i)
    size = size * Dim(1 << 16);
  EXPECT_TRUE(size.isUnknown());
  EXPECT_EQ((symbol("N") * Dim(1 << 16) * Dim(1 << 8)).str(), "(N * 16777216)");
}

TEST_F(SizeExpressions, SymbolsKeepTheirOrder) {
  for (int i = 0; i < 1000; ++i)
    Dim::freshSymbol(&context);
  Dim a = symbol("first"), b = symbol("second");
  EXPECT_TRUE((a + b).provablyEquals(b + a));
  EXPECT_TRUE((a + b - a).provablyEquals(b));
  EXPECT_EQ(floorDiv(a + b, 2).str(), "((first + second) floordiv 2)");
}
