//===- MovedParts.h - copies and fills of parts of tensors ----------------===//
#pragma once

#include "backends/native/kernels/CopyKernels.h"
#include "backends/native/lowering/Lowering.h"

#include <optional>

namespace quern::native {

/// The view of a whole tensor value, moved by `offset` elements.
CopySide viewOf(mlir::Value v, Sizes strides, int64_t offset = 0);
CopySide viewOf(mlir::Value v, const LoweringContext &context);

/// Why the elements that `op` gives cannot be moved, if they cannot.
std::optional<Reason> refuseMove(mlir::Operation *op);

/// Appends the copy that moves a part of `whole`, the op's input or result. Of `lasting`
/// dimensions see appendCopy.
void copyPart(mlir::Value whole, const Sizes &sizes, CopySide from, CopySide to,
              const LoweringContext &context, plan::LoweredSteps &steps,
              llvm::ArrayRef<bool> lasting = {});

/// Appends the step that stores `value` all over a part of the result.
void fillPart(mlir::Value result, const Sizes &sizes, plan::StepBuffer value, CopySide to,
              const LoweringContext &context, plan::LoweredSteps &steps);

} // namespace quern::native
