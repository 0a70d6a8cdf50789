//===- NNDialect.h - the nn dialect ---------------------------------------===//
#pragma once

#include "ir/Elementwise.h"
#include "ir/ShapeFacts.h"
#include "ir/SymbolNames.h"
#include "ir/Types.h"
#include "ir/WeightStore.h"
#include "runtime/reference/Enumerations.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/TensorEncoding.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <array>
#include <memory>

namespace quern::nn {

/// How an op takes part in fusion.
enum class FusionKind {
  Opaque,      ///< never part of a group with others
  Elementwise, ///< joins any group that iterates its result space
  Anchor,      ///< starts a group and takes elementwise epilogues
  Row, ///< an anchor that takes the elementwise ops before it, too: those of its first operand
};
constexpr bool isAnchor(FusionKind kind) {
  return kind == FusionKind::Anchor || kind == FusionKind::Row;
}

/// Whether an op can work on channel-blocked (NCHWc) tensors.
enum class LayoutKind {
  Plain,     ///< only row-major tensors as in ONNX (the verifier sees to it)
  Agnostic,  ///< indifferent: any layout, the same for all operands
  Blockable, ///< the types of operands and results say which are blocked
};

/// An op without native code for the half types.
template <typename Op>
// MLIR makes traits: NOLINTNEXTLINE(bugprone-crtp-constructor-accessibility)
class WideFloatsOnly : public mlir::OpTrait::TraitBase<Op, WideFloatsOnly> {};

// Facts for choosing a precision; NNBase.td says what they mean.
template <typename Op>
// NOLINTNEXTLINE(bugprone-crtp-constructor-accessibility)
class SumsProducts : public mlir::OpTrait::TraitBase<Op, SumsProducts> {};
template <typename Op>
// NOLINTNEXTLINE(bugprone-crtp-constructor-accessibility)
class CommutesWithRounding : public mlir::OpTrait::TraitBase<Op, CommutesWithRounding> {};
template <typename Op>
// NOLINTNEXTLINE(bugprone-crtp-constructor-accessibility)
class AmplifiesErrors : public mlir::OpTrait::TraitBase<Op, AmplifiesErrors> {};

/// Whether an op only moves channels into blocks, out of them or between them.
bool movesBlocks(mlir::Operation *op);

namespace detail {
/// Checks that the declared result types are compatible with the inferred ones.
mlir::LogicalResult verifyResultTypes(mlir::Operation *op);
/// Broadcasts the operands' shapes; the rule of every elementwise op.
InferredTypes inferElementwiseTypes(mlir::Operation *op, const ElementwiseInfo &info,
                                    const ShapeFacts &facts);
} // namespace detail
} // namespace quern::nn

#include "ir/NNDialect.h.inc"
#include "ir/NNInterfaces.h.inc"

#define GET_ATTRDEF_CLASSES
#include "ir/NNAttributes.h.inc"
#define GET_TYPEDEF_CLASSES
#include "ir/NNTypes.h.inc"
// The families that passes and emitters know. Others have a header of their own (GatherOps.h): few
// files see them, and few are compiled again when one of them changes.
#define GET_OP_CLASSES
#include "ir/ContractionOps.h.inc"
#define GET_OP_CLASSES
#include "ir/ControlFlowOps.h.inc"
#define GET_OP_CLASSES
#include "ir/ConvOps.h.inc"
#define GET_OP_CLASSES
#include "ir/DataMovementOps.h.inc"
#define GET_OP_CLASSES
#include "ir/ElementwiseOps.h.inc"
#define GET_OP_CLASSES
#include "ir/NormalizationOps.h.inc"
#define GET_OP_CLASSES
#include "ir/PoolOps.h.inc"
#define GET_OP_CLASSES
#include "ir/ReductionOps.h.inc"
#define GET_OP_CLASSES
#include "ir/StructureOps.h.inc"
