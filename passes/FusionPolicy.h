//===- FusionPolicy.h - which ops become one kernel -----------------------===//
//
// Plain C++ over plain structs; FormFusionGroups feeds it.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ir/Shape.h"
#include "quern/Reason.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace quern::passes {

/// How one op may take part; mirrors nn::FusionKind.
enum class FusionRole { Opaque, Elementwise, Anchor, Row };

/// The shape of an operand as seen from the result it is broadcast to.
enum class BroadcastKind {
  Full,       ///< the same shape
  PerChannel, ///< one value per channel of the anchor, or for each row or column of a matrix
  Scalar,     ///< one element
  Other,      ///< any other broadcast, or unknown
};

struct FusionOperand {
  /// The node that makes it, or -1 for arguments and constants.
  int64_t producer = -1;
  /// nullopt when unranked.
  std::optional<nn::Shape> shape;
};

/// One op of the graph; nodes are in program order.
struct FusionNode {
  FusionRole role = FusionRole::Opaque;

  bool isAnchor() const { return role == FusionRole::Anchor || role == FusionRole::Row; }
  /// Of its one result; nullopt when unranked or when there are several results.
  std::optional<nn::Shape> shape;
  /// Of one element of that result; 0 where it is not known.
  int64_t elementBytes = 0;
  std::vector<FusionOperand> operands;
  /// The nodes that use the result; the function's return is an opaque node.
  std::vector<int64_t> users;
  /// Of an anchor: dimensions of its result that count channels, rows or columns. An epilogue reads
  /// operands that vary along all of one set and no others.
  std::vector<std::vector<int64_t>> operandAxes;
};

struct FusionLimits {
  /// Ops of one group.
  int64_t maxOps = 64;
  /// Operands of full shape that an epilogue may read beside the anchor's result.
  int64_t maxResiduals = 2;
  /// Different values that a group of elementwise ops may read.
  int64_t maxMapInputs = 16;
};

/// How `operand` is broadcast to `result`, whose channels lie in one of the sets `operandAxes`.
BroadcastKind classifyOperand(const std::optional<nn::Shape> &operand, const nn::Shape &result,
                              std::span<const std::vector<int64_t>> operandAxes);

/// Why two nodes, one of which uses the other's result, are not in one group.
struct FusionRefusal {
  int64_t producer;
  int64_t user;
  Reason reason;
};

struct FusionGroups {
  /// Indices of nodes, ascending.
  std::vector<std::vector<int64_t>> groups;
  /// Where the rules below would have allowed a larger group for other nodes than these.
  std::vector<FusionRefusal> refusals;
};

/// Groups in which only the last node's result is used outside. Each anchor and each
/// elementwise node is in exactly one:
/// - An anchor takes the elementwise ops that follow it, as long as their shape is
///   the anchor's, and their other operands exist before the anchor and are full,
///   per channel or scalar. Those that one elementwise op of the same shape uses are left to
///   it where the values before them are narrower.
/// - A row takes the elementwise ops before its first operand, as long as nothing else uses them,
///   each reads one tensor of their shape, and what else they read are single elements.
/// - Among the rest, an elementwise op joins its users when they are all in one
///   group of its own shape.
FusionGroups formGroups(std::span<const FusionNode> nodes, const FusionLimits &limits = {});

} // namespace quern::passes
