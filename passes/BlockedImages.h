//===- BlockedImages.h - images between nn.unpack and nn.pack -------------===//
//
// What the parts of AssignLayouts share: an image [N, C, H, W] or [N, C, W] that is the nn.unpack
// of a tensor in channel blocks, the blocks that ops on it read instead, and what they leave
// behind.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ir/NNDialect.h"
#include "ir/Types.h"

#include "mlir/IR/PatternMatch.h"

#include <optional>

namespace quern::passes {

/// The channels of an image, N, C, H, W or N, C, W, whose rank and channel count are known.
std::optional<int64_t> channelsOf(mlir::Value value);
/// The same of two dimensions only: pools have no others.
std::optional<int64_t> planeChannelsOf(mlir::Value value);
bool hasStaticSizes(mlir::Value value);

/// The type of nn.pack applied to an image.
mlir::RankedTensorType blockedType(mlir::Type type, int64_t block);
/// The tensor of such blocks that `image` is the nn.unpack of; null when there is none.
mlir::Value blockedSource(mlir::Value image, int64_t block);
/// `image` as a blocked tensor for an op that works lane by lane.
mlir::Value toLanes(mlir::OpBuilder &builder, mlir::Value image, int64_t block);
/// Replaces `op` by a copy with `operands` and a blocked result, and an nn.unpack.
void replaceByBlocked(mlir::Operation *op, mlir::ValueRange operands, int64_t block,
                      mlir::PatternRewriter &rewriter);

/// The elements of a blocked tensor of known sizes as a plain [N, C / block, ..., block].
mlir::Value viewOfBlocks(mlir::OpBuilder &builder, mlir::Value blocked);
/// The type of such a view of an image.
mlir::Type viewType(mlir::Type image, int64_t block);
/// The image of type `plain` that such a view has, unpacked.
mlir::Value imageOfBlocks(mlir::OpBuilder &builder, mlir::Value view, mlir::Type plain,
                          int64_t block);
/// Replaces `op`, whose result is an image of known sizes, by `view`, which has its blocks.
void replaceByBlocksOf(mlir::Operation *op, mlir::Value view, int64_t block,
                       mlir::PatternRewriter &rewriter);

/// What `value`, of known sizes, is a reshape of that changes but the pixels of [N, C, pixels...];
/// else `value`.
mlir::Value beforePixels(mlir::Value value);

/// SinkUnpack.cpp: ops on unpacked images are computed in blocks.
void populateSinkUnpackPatterns(mlir::RewritePatternSet &patterns);
/// SinkChannels.cpp: what moves channels of unpacked images moves them in blocks.
void populateSinkChannelPatterns(mlir::RewritePatternSet &patterns);
/// LayoutBorders.cpp: what moves elements into blocks and out of them.
void populateLayoutBorderPatterns(mlir::RewritePatternSet &patterns);

} // namespace quern::passes
