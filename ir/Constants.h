//===- Constants.h - values whose elements are known ----------------------===//
#pragma once

#include "ir/Types.h"
#include "ir/WeightStore.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Value.h"

#include <optional>

namespace quern::nn {

/// Whether `value` is made by `nn.constant` or `nn.weight`.
bool isConstant(mlir::Value value);

/// The weight that `value` is; nullopt for values that are not constant, and when
/// the weight store lacks the blob. Nothing is read.
std::optional<WeightSource> weightSource(mlir::Value value);

/// The elements of a dense attribute; nullopt for other attributes and element types.
std::optional<Tensor> tensorOfElements(mlir::ElementsAttr attr);
/// The elements of a value made by `nn.constant` or `nn.weight`; nullopt for
/// other values, and when the weight store lacks the blob.
std::optional<Tensor> constantTensor(mlir::Value value);
/// The elements of an int32 or int64 vector or scalar (shapes, axes, pads); nullopt
/// for other tensors, and for more elements than any op has dimensions or results.
std::optional<std::vector<int64_t>> integersOf(const Tensor &tensor);
/// The same of a constant.
std::optional<std::vector<int64_t>> constantInts(mlir::Value value);
/// The number that all elements of a constant are, of which there is one at least. Reads
/// up to the first that differs and computes nothing: nullopt also for folded weights
/// that are not at hand.
std::optional<Tensor> onlyNumber(mlir::Value value);
/// The same of float32 and float64; nullopt for other types.
std::optional<double> onlyReal(mlir::Value value);

/// An `nn.constant` when small, otherwise an `nn.weight` on a new blob.
mlir::Value createConstant(mlir::OpBuilder &builder, mlir::Location loc, const Tensor &tensor,
                           Layout layout = {});
/// An `nn.weight` on a blob of its own; when it is small, an `nn.constant`, which is
/// read now.
mlir::Value createWeight(mlir::OpBuilder &builder, mlir::Location loc, const WeightSource &weight,
                         Layout layout = {});

} // namespace quern::nn
