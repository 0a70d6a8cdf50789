//===- Types.h - between quern types and MLIR types -----------------------===//
#pragma once

#include "ir/Shape.h"
#include "quern/ValueType.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"
#include "mlir/IR/Value.h"

#include <optional>

namespace quern::nn {

/// The tensor element type of `dtype` (signless signed integers, ui8..ui64, i1, !nn.string).
mlir::Type elementTypeOf(mlir::MLIRContext *context, DType dtype);
/// The inverse; Undefined for types that are no ONNX element type.
DType dtypeOf(mlir::Type elementType);
/// The element type of a tensor. Any other type itself, which is no element type.
mlir::Type elementTypeOf(mlir::Type tensor);
inline mlir::Type elementTypeOf(mlir::Value tensor) { return elementTypeOf(tensor.getType()); }

/// Whether it is the type of a tensor, a sequence, an optional or a map.
bool isValueType(mlir::Type type);
/// Whether it is a sequence, an optional or a map.
bool isNestedType(mlir::Type type);
/// The type of a value as the runtime knows it; without layout, and with sizes as text.
ValueType valueTypeOf(mlir::Type type);
/// The inverse.
mlir::Type mlirTypeOf(mlir::MLIRContext *context, const ValueType &type);
/// Whether a value can be of both types: no kind, element type, layout or size differs
/// for sure.
bool areCompatible(mlir::Type a, mlir::Type b);

/// How the elements of a tensor lie: row-major, or with the channels in blocks, which
/// is a row-major tensor [N, C/block, spatial..., block].
struct Layout {
  /// Channels in a block; 0 when there are no blocks.
  int64_t block = 0;

  bool isBlocked() const { return block > 0; }
  bool operator==(const Layout &) const = default;
};
/// What the type's encoding says; row-major for all but ranked tensors.
Layout layoutOf(mlir::Type type);
inline Layout layoutOf(mlir::Value value) { return layoutOf(value.getType()); }
/// Whether an operand or a result is channel-blocked.
bool hasBlocks(mlir::Operation *op);

/// The shape of a ranked tensor type, symbolic sizes included; nullopt when unranked. Of
/// a channel-blocked tensor, the blocked one.
std::optional<Shape> shapeOf(mlir::Type type);
/// The same of a value; also nullopt for `nn.none`.
inline std::optional<Shape> shapeOf(mlir::Value value) { return shapeOf(value.getType()); }
/// A ranked tensor type; symbolic sizes and layout become its encoding.
mlir::RankedTensorType tensorType(const Shape &shape, mlir::Type elementType, Layout layout = {});

/// Whether `value` is an `nn.none`.
bool isNone(mlir::Value value);
/// The node name of a location ("conv1"), "?" when it has none.
std::string nodeName(mlir::Location loc);
/// The location of what is made of ops at these. Of more than some dozens of nodes the last are
/// left out: an op that takes in others one by one would have a list of all of them each time.
mlir::Location fusedLocation(llvm::ArrayRef<mlir::Location> locations);
/// "node 'conv1' (nn.conv)": how errors name an op.
std::string nodeContext(llvm::StringRef nodeName, llvm::StringRef opName);
std::string nodeContext(mlir::Operation *op);

} // namespace quern::nn
