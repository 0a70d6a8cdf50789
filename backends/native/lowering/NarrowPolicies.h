//===- NarrowPolicies.h - what a target multiplies narrow -----------------===//
#pragma once

#include "backends/native/target/Target.h"
#include "passes/PrecisionPolicy.h"
#include "passes/ProductPolicy.h"

namespace quern::native {

/// bfloat16 where the target has an instruction that multiplies pairs of it, and kernels have pairs
/// to give it: constant weights, and channels in blocks.
class NativePrecision : public passes::BFloat16Factors {
public:
  explicit NativePrecision(const Target &target) : target(target) {}
  std::optional<Reason> refuse(mlir::Operation *op) const override;

private:
  Target target;
};

/// Bytes everywhere: there are instructions for four at a time, or for two, on all x86-64.
class NativeProducts : public passes::ProductPolicy {
public:
  explicit NativeProducts(const Target &target) : target(target) {}
  std::optional<Reason> refuse(const passes::ProductFacts &product) const override;
  int64_t lookupCost() const override;

private:
  Target target;
};

} // namespace quern::native
