//===- FoldBudget.cpp - bounds on constant folding ------------------------===//
#include "passes/FoldBudget.h"

#include "ir/NNDialect.h"

#include <algorithm>

using namespace quern;

/// Enough for a cast, a transposition and a few arithmetic ops on each element.
static constexpr int64_t kWorkOfWeightElement = 64;

std::shared_ptr<Budget> passes::makeFoldBudget(const Limits &limits) {
  Limits folding = limits;
  folding.maxActivationBytes = std::min(limits.maxActivationBytes, limits.maxFoldedBytes);
  return std::make_shared<Budget>(folding, /*cancelled=*/nullptr, "folding constants",
                                  limits.maxFoldedWork);
}

/// A minute or two.
static constexpr int64_t kMostWork = int64_t{1} << 36;

std::shared_ptr<Budget> passes::makeRoundingBudget(const Budget *folding) {
  Limits limits = folding ? folding->limits() : Limits();
  limits.maxFoldedWork = kMostWork;
  return makeFoldBudget(limits);
}

int64_t passes::weightFoldingWork(mlir::Operation *module) {
  CheckedSize work;
  module->walk([&](nn::WeightOp weight) {
    work += CheckedSize::product(weight.getType().getShape()) * CheckedSize(kWorkOfWeightElement);
  });
  // Several weights may be the same bytes of a sparse file.
  return work.valid() ? std::min(work.value(), kMostWork) : kMostWork;
}
