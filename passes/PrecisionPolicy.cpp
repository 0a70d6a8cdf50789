//===- PrecisionPolicy.cpp - which ops pay at a lower precision -----------===//
#include "passes/PrecisionPolicy.h"

#include "ir/AttentionOps.h"
#include "ir/Constants.h"
#include "ir/RecurrentOps.h"
#include "ir/Types.h"

#include "llvm/ADT/TypeSwitch.h"

#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

std::optional<Reason> KeepFloat32::refuse(Operation *) const {
  return Reason{ReasonCode::NoKernel, "there is no native code of a lower precision"};
}

template <typename Op> static std::optional<Reason> refuseConv(Op conv) {
  if (!isConstant(conv.getWeights()))
    return Reason{ReasonCode::NotConstant, "its weights are not constant"};
  return std::nullopt;
}

static std::optional<Reason> refuseGemm(GemmOp gemm) {
  if (gemm.getTransA())
    return Reason{ReasonCode::Attributes, "its first factor is transposed"};
  return std::nullopt;
}

static std::optional<Reason> refuseAttention(AttentionOp attention) {
  if (attention.getQueryPerm().back() != 3)
    return Reason{ReasonCode::Layout, "the elements of its queries are scattered"};
  return std::nullopt;
}

static std::optional<Reason> refuseRecurrent(RecurrentOp op) {
  if (!isConstant(op.getRecurrence()))
    return Reason{ReasonCode::NotConstant, "its recurrence is not constant"};
  return std::nullopt;
}

std::optional<Reason> BFloat16Factors::refuse(Operation *op) const {
  return llvm::TypeSwitch<Operation *, std::optional<Reason>>(op)
      .Case([](ConvOp conv) { return refuseConv(conv); })
      .Case([](ConvTransposeOp conv) { return refuseConv(conv); })
      .Case([](GemmOp gemm) { return refuseGemm(gemm); })
      .Case([](AttentionOp attention) { return refuseAttention(attention); })
      .Case([](RecurrentOp op) { return refuseRecurrent(op); })
      .Default([](Operation *) { return std::nullopt; });
}

/// Why Precision::Auto has left a layer as it is.
static std::string describe(const PrecisionLayer &layer, const PrecisionChoice &choice) {
  std::string text = fmt::format("it alone would change an output by {:.2g} % of its largest "
                                 "magnitude",
                                 layer.error * 100);
  if (layer.error > choice.maxError)
    return text;
  return text + fmt::format(" and save {:.3g} us; others save more for as much, and {}",
                            layer.nanosecondsSaved * 1e-3, choice.refusal);
}

std::optional<Reason> ChosenFactors::refuse(Operation *op) const {
  if (std::optional<Reason> reason = all->refuse(op))
    return reason;
  if (op->hasTrait<CommutesWithRounding>())
    return std::nullopt;
  std::string node = nodeName(op->getLoc());
  for (const PrecisionLayer &layer : choice->layers)
    if (layer.node == node)
      return layer.isLowered ? std::nullopt
                             : std::optional<Reason>({ReasonCode::Limit, describe(layer, *choice)});
  return Reason{ReasonCode::Missing, "it was not measured"};
}
