//===- GroupProgram.h - the scalar program of a fusion group --------------===//
#pragma once

#include "backends/native/kernels/ScalarProgram.h"
#include "quern/Reason.h"

#include "mlir/IR/Operation.h"

namespace quern::native {

/// The elementwise ops of a group as a program, and what it reads.
struct GroupProgram {
  ScalarProgram program;
  /// The value of every program input: the result of the anchor inside the group
  /// (input 0, when there is an anchor), otherwise a value outside the group.
  llvm::SmallVector<mlir::Value> inputs;
};

/// Builds the program of `group` (an `nn.group`, or a single op that forms a
/// group of its own) around `anchor`, its anchor or null. float16 and bfloat16
/// arithmetic is spelled as float32 arithmetic with a rounding after each op.
/// A Reason when the body holds something no program can express.
ReasonOr<GroupProgram> buildGroupProgram(mlir::Operation *group, mlir::Operation *anchor);

} // namespace quern::native
