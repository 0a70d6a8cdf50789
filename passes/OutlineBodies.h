//===- OutlineBodies.h - graphs of their own for branches and bodies ------===//
#pragma once

#include "quern/Deadline.h"
#include "quern/Tensor.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <cstdint>
#include <vector>

namespace quern::passes {

/// An nn.if, nn.loop or nn.scan that an nn.run_bodies stands for.
struct OutlinedOp {
  enum class Kind { If, Loop, Scan };
  Kind kind = Kind::If;
  /// Then and else, or the body: an @main each. Its arguments are those of the region,
  /// then what bodies see around them: the last operands of nn.run_bodies.
  std::vector<mlir::OwningOpRef<mlir::ModuleOp>> bodies;
  size_t numCaptured = 0;
  /// Operands and results that are carried from iteration to iteration.
  size_t numCarried = 0;
  /// Of nn.scan.
  std::vector<int64_t> inputAxes, inputDirections;
  /// Of nn.scan; of a loop 0 for each value that is collected.
  std::vector<int64_t> outputAxes, outputDirections;
  /// The dims of collected values, 0 for those that types leave open.
  std::vector<Tensor::Dims> slices;
  /// With which a loop's body wants its number and condition.
  Tensor::Dims numberDims, conditionDims;
};

/// Puts the bodies of all branches and loops of @main into modules of their own, in the same
/// context, and an nn.run_bodies where they were. Those in bodies stay.
Expected<std::vector<OutlinedOp>> outlineBodies(mlir::ModuleOp module, const Deadline &deadline);

} // namespace quern::passes
