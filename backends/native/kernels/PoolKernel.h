//===- PoolKernel.h - windowed pooling kernels ----------------------------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"
#include "backends/native/kernels/EpilogueLoads.h"

namespace quern::native {

/// What shapes the code of a pooling kernel. Buffers: input, result, then the
/// epilogue's operands: rows are channels and columns those of a line; columns
/// are channels in blocked layouts. A task is one row of the result: all columns
/// of one (image, channel or channel block, depth, line).
struct PoolSpec {
  enum class Kind { Max, Average };

  Kind kind = Kind::Max;
  DType dtype = DType::Float32;
  /// Channels per pixel: the block of blocked layouts; 0 for plain ones.
  int64_t block = 0;
  /// Whether there is a third spatial axis.
  bool hasDepth = false;
  /// Elements of the window along a line when few enough to unroll, otherwise 0.
  int64_t columns = 0;
  /// Stride along a line; only 1 and 2 matter (plain layout), others are 0.
  int64_t columnStride = 0;
  /// Windows lie side by side in channel blocks: what follows along the image is asked for ahead.
  bool asksAhead = false;
  /// The divisor of an average counts elements of the padding.
  bool countsPadding = false;
  EpilogueCode epilogue;

  static constexpr std::string_view kFamily = "pool";
  QUERN_FIELDS(kind, dtype, block, hasDepth, columns, columnStride, asksAhead, countsPadding,
               epilogue)
  bool isHalf() const { return isFloat(dtype) && dtypeBits(dtype) == 16; }
  /// Half types are summed up in float32, and compared as integers of the same order.
  bool comparesBits() const { return isHalf() && kind == Kind::Max; }
  DType computedType() const {
    return comparesBits() ? DType::Int16 : isHalf() ? DType::Float32 : dtype;
  }
  std::string name() const;
  void emit(KernelBuilder &kb) const;
};

/// One spatial axis. Positions [interiorBegin, interiorEnd) lie on the input with
/// their whole window.
struct PoolAxis {
  int64_t input = 1, output = 1, kernel = 1, stride = 1, dilation = 1, padBegin = 0, padEnd = 0;
  int64_t interiorBegin() const;
  int64_t interiorEnd() const;
};

/// The run-time dims of a pooling step: `axes` are depth, height and width;
/// `planes` counts channels, or blocks, of one image.
std::vector<int64_t> poolDims(const PoolAxis (&axes)[3], int64_t planes);

} // namespace quern::native
