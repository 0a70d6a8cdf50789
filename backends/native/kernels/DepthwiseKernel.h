//===- DepthwiseKernel.h - a filter for each channel, or for a few --------===//
//
// On channel blocks, without a copy of the image that has pads: windows that reach over an edge
// read a vector of what lies outside instead. Where channels are summed up in small groups, as many
// results as channels each, a group lies within a block: for each of its channels the lanes of a
// pixel are permuted, so that all lanes of a group have it. Where a channel has several results, a
// part of its block, spread over all lanes, serves a block of results.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"
#include "backends/native/kernels/DotEngine.h"
#include "backends/native/kernels/EpilogueLoads.h"

namespace quern::native {

/// What shapes the code. Along lines a filter has few weights, and all are unrolled; but those of
/// a wide one.
struct DepthwiseSpec {
  static constexpr int64_t kMostUnrolled = 7;
  /// How lines of results are cut into groups of `results`: anyhow, with what is left over at their
  /// ends; or with nothing left, into one group or several. Then which pixels of a group lie
  /// outside is known: nothing is asked at run time.
  enum class Cut : uint8_t { Anyhow, Once, Evenly };

  DotTypes types;
  /// The channel block.
  int64_t lanes = 16;
  /// Channels that are summed up, and results of each channel: one of them is 1, the other a
  /// divisor of the lanes.
  int64_t group = 1, resultsOfChannel = 1;
  /// Neighbouring taps of a line that an instruction takes: DotTypes::group where both numbers
  /// above and the dilation are 1 and columns are unrolled, or 1.
  int64_t tapsAtOnce = 1;
  /// Results of a line that are summed up at once.
  int64_t results = 8;
  /// Of the filter, along lines. No columns: as many as DepthwiseDims says, in a loop.
  int64_t columns = 3, stride = 1, dilation = 1;
  Cut cut = Cut::Anyhow;
  /// Unless it is anyhow: by how many pixels the first window reaches over the begin of a line, and
  /// the last one over its end.
  int64_t overBegin = 0, overEnd = 0;
  /// What lies outside is another number than 0: a zero point, of bytes.
  bool hasOutside = false;
  bool hasBias = false;
  EpilogueCode epilogue;

  static constexpr std::string_view kFamily = "depthwise";
  QUERN_FIELDS(types, lanes, group, resultsOfChannel, tapsAtOnce, results, columns, stride,
               dilation, cut, overBegin, overEnd, hasOutside, hasBias, epilogue)
  std::string name() const;
  void emit(KernelBuilder &kb) const;
};

/// The run-time dims. A task is some lines of one block of channels of an image (LineTask).
struct DepthwiseDims {
  /// Blocks of a result and of an image.
  int64_t blocks = 1, imageBlocks = 1;
  /// Parts that lines are cut into (chooseLineParts), chunks of a part, and lines of a chunk.
  int64_t parts = 1, chunksOfPart = 1, linesOfChunk = 1;
  int64_t height = 1, width = 1, padTop = 0, padLeft = 0;
  int64_t outputHeight = 1, outputWidth = 1;
  /// Of the filter, down the lines; and its columns.
  int64_t rows = 1, stride = 1, dilation = 1, columns = 1;
  /// Results [insideBegin, insideEnd) of a line have their windows between its ends; both are
  /// whole multiples of DepthwiseSpec::results. Read where lines are cut anyhow.
  int64_t insideBegin = 0, insideEnd = 0;
  /// See DepthwiseSpec::hasOutside.
  int64_t outside = 0;
};

// Buffers: image, packed weights, result; the bias if there is one; the epilogue's operands.

} // namespace quern::native
