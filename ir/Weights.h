//===- Weights.h - values that are weights --------------------------------===//
#pragma once

#include "ir/Types.h"
#include "ir/WeightStore.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

#include <optional>

namespace quern::nn {

/// Whether `value` is made by `nn.constant` or `nn.weight`.
bool isConstant(mlir::Value value);

/// The weight that `value` is; nullopt for values that are not constant, and when
/// the weight store lacks the blob. Nothing is read.
std::optional<WeightSource> weightSource(mlir::Value value);

/// An `nn.weight` on a blob of its own; when it is small, an `nn.constant`, which is
/// read now.
mlir::Value createWeight(mlir::OpBuilder &builder, mlir::Location loc, const WeightSource &weight,
                         Layout layout = {});

} // namespace quern::nn
