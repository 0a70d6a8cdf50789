//===- NarrowPolicies.h - what a target multiplies narrow -----------------===//
#pragma once

#include "backends/native/target/Target.h"
#include "passes/LayoutPolicy.h"
#include "passes/PrecisionPolicy.h"
#include "passes/ProductPolicy.h"

namespace quern::native {

/// bfloat16 where the target has an instruction that multiplies pairs of it, and kernels have pairs
/// to give it: channels in blocks, or enough products that share what is packed. Where that
/// instruction is slower than float32, as on Intel's CPUs, what tiles of matrices multiply.
class NativePrecision : public passes::BFloat16Factors {
public:
  /// `hasWinograd`: what stays float32 may go by Winograd's algorithm, which is often faster.
  explicit NativePrecision(const Target &target, bool hasWinograd = true)
      : target(target), hasWinograd(hasWinograd) {}
  std::optional<Reason> refuse(mlir::Operation *op) const override;

private:
  bool hasTiles() const;
  bool isTiledConv(nn::ConvOp conv) const;
  std::optional<Reason> refuseTransposed(nn::ConvTransposeOp conv) const;
  bool isFasterByWinograd(nn::ConvOp conv) const;
  std::optional<Reason> refuseSlowPairs(mlir::Operation *op) const;

  Target target;
  bool hasWinograd;
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

/// Blocks of one vector of float32, also with more padding where Winograd's algorithm, which reads
/// them, is faster all the same; where tiles of matrices multiply bytes or bfloat16, as many
/// channels as a row of a tile has of them, if channels fill these.
class NativeLayouts : public passes::ChannelBlocks {
public:
  explicit NativeLayouts(const Target &target, bool hasWinograd = true)
      : passes::ChannelBlocks(target.channelBlock()), target(target), hasWinograd(hasWinograd) {}
  ReasonOr<passes::Blocking> blockConv(nn::ConvOp conv) const override;
  ReasonOr<passes::Blocking> blockTransposed(nn::ConvTransposeOp conv) const override;
  ReasonOr<passes::Blocking> blockPool(mlir::Operation *pool, int64_t given) const override;

protected:
  bool isTiled(mlir::Operation *conv) const override;

private:
  bool isFasterByWinograd(nn::ConvOp conv) const;
  passes::Blocking widest(const passes::Blocking &blocking, const passes::ConvFacts &facts) const;

  Target target;
  bool hasWinograd;
};

} // namespace quern::native
