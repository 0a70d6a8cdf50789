//===- GroupProgram.h - the scalar program of a fusion group --------------===//
#pragma once

#include "backends/native/kernels/ScalarProgram.h"
#include "backends/plan/LoweredStep.h"

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
/// A Misfit when the body holds something no program can express.
ReasonOr<GroupProgram, plan::Misfit> buildGroupProgram(mlir::Operation *group,
                                                       mlir::Operation *anchor);

/// What a row reads: the elementwise ops before the first operand of `anchor`, which `group` may
/// have. Input 0 is the tensor, of the operand's sizes; the others are single elements, and tables.
ReasonOr<GroupProgram, plan::Misfit> buildPrologue(mlir::Operation *group, mlir::Operation *anchor);

/// Adds the buffers of all inputs but the first.
void addInputs(const GroupProgram &prologue, plan::LoweredStep &step);

/// The first op in `group`, an anchor excepted, that reads `value`: one of its operands, or what an
/// op in it gives. Null when none does, or it is a single op.
mlir::Operation *firstReader(mlir::Operation *group, mlir::Value value);

} // namespace quern::native
