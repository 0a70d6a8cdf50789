//===- LineTask.h - the order of tasks over lines of images ---------------===//
#pragma once

#include "backends/native/emit/KernelBuilder.h"

namespace quern::native {

/// How lines are split: into parts before all else, and parts into chunks (chooseLineParts,
/// chooseLineChunks). `columns` counts what the lines of one image are computed for: tiles or
/// blocks of channels.
struct LineSplit {
  mlir::Value columns, parts, chunksOfPart, linesOfChunk, lines;
};

/// Lines [from, to) of a column of an image: task
/// ((image * parts + part) * columns + column) * chunksOfPart + chunk of the part.
struct LineTask {
  mlir::Value image, column, from, to;
};

inline LineTask lineTaskOf(KernelBuilder &kb, mlir::Value task, const LineSplit &split) {
  mlir::Value ofPart = kb.rem(task, split.chunksOfPart), outer = kb.div(task, split.chunksOfPart);
  mlir::Value parts = kb.div(outer, split.columns);
  mlir::Value chunk = kb.add(kb.mul(kb.rem(parts, split.parts), split.chunksOfPart), ofPart);
  mlir::Value from = kb.mul(chunk, split.linesOfChunk);
  return {kb.div(parts, split.parts), kb.rem(outer, split.columns), from,
          kb.minSigned(kb.add(from, split.linesOfChunk), split.lines)};
}

} // namespace quern::native
