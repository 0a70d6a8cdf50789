//===- RequantizedSums.h - what two quantized tensors make as a third -----===//
//
// The formulas of ONNX Runtime's QLinearAdd and QLinearMul, with its order of rounding, which
// shows where the real result lies near a half. It computes quantized sums of QDQ models by them
// as well.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ir/QuantOps.h"

namespace quern::nn {

/// A tensor's numbers, its scale and its zero point, all of float32; of a result there are no
/// numbers yet.
struct ScaledNumbers {
  mlir::Value numbers, scale, zeroPoint;
};

/// a + b as `sum`, its zero point added but not yet rounded. `make` creates ops, as an importer or
/// a pass does. What does not depend on the elements is one number.
template <typename Maker>
mlir::Value requantizedSum(Maker &make, const ScaledNumbers &a, const ScaledNumbers &b,
                           const ScaledNumbers &sum) {
  mlir::Value aRatio = make.template create<DivOp>(a.scale, sum.scale);
  mlir::Value bRatio = make.template create<DivOp>(b.scale, sum.scale);
  // Rounded once less than it is written there: as its compiler has it.
  mlir::Value offset = make.template create<MultiplyAddOp>(
      aRatio, a.zeroPoint, make.template create<MulOp>(bRatio, b.zeroPoint));
  mlir::Value fixed = make.template create<SubOp>(sum.zeroPoint, offset);
  mlir::Value second = make.template create<MultiplyAddOp>(b.numbers, bRatio, fixed);
  return make.template create<MultiplyAddOp>(a.numbers, aRatio, second);
}

/// The same of a * b.
template <typename Maker>
mlir::Value requantizedProduct(Maker &make, const ScaledNumbers &a, const ScaledNumbers &b,
                               const ScaledNumbers &product) {
  mlir::Value scale =
      make.template create<DivOp>(make.template create<MulOp>(a.scale, b.scale), product.scale);
  auto centred = [&](const ScaledNumbers &x) -> mlir::Value {
    return make.template create<SubOp>(x.numbers, x.zeroPoint);
  };
  mlir::Value exact = make.template create<MulOp>(centred(a), centred(b));
  mlir::Value scaled = make.template create<MulOp>(exact, scale);
  return make.template create<AddOp>(scaled, product.zeroPoint);
}

} // namespace quern::nn
