//===- Operands.h - what importers ask of a node's operands ---------------===//
#pragma once

#include "frontend/compose/Composition.h"
#include "frontend/compose/Quantization.h"
#include "frontend/onnx/NodeReader.h"

#include <initializer_list>

namespace quern::onnx {

/// The node's `axis`, from the end where the rank of input 0 is known; one that
/// this has not is an error.
int64_t readAxis(NodeReader &node, int64_t otherwise);
/// Input `i`, one number in a tensor of any rank, as a scalar.
mlir::Value readScalar(NodeReader &node, int i, DType dtype);
/// An error unless the elements of input `i` are floats.
void requireFloats(NodeReader &node, int i);
/// An error where input `i` does not broadcast to the shape of input 0.
void requireBroadcastsToFirst(NodeReader &node, int i);

/// float64 when an input that is there holds it, else float32.
DType attentionType(NodeReader &node, llvm::ArrayRef<int> inputs);

/// Refuses element types that ONNX does not allow for operand `i`.
bool checkDType(NodeReader &node, int i, std::initializer_list<DType> allowed);
/// Integers of 8 bits.
bool checkBytes(NodeReader &node, int i);
/// A scale: float32, float16 or bfloat16.
bool checkScale(NodeReader &node, int i);
/// Zero point `i`, which may be left out, is of the type of operand `data`.
bool checkZeroPoint(NodeReader &node, int i, int data);
/// [N, spatial..., C] as [N, C, spatial...], where the attribute channels_last says so.
struct ChannelsLast {
  bool isSet = false;
  ChannelsLast() = default;
  /// Reads the attribute.
  explicit ChannelsLast(NodeReader &node) : isSet(node.getBool("channels_last", false)) {}
  mlir::Value toFront(NodeReader &node, mlir::Value value) const;
  mlir::Value toBack(NodeReader &node, mlir::Value value) const;
};

} // namespace quern::onnx
