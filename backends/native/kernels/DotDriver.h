//===- DotDriver.h - where a task of products finds its data --------------===//
#pragma once

#include "backends/native/kernels/DotKernel.h"

namespace quern::native {

/// What the drivers of Dot kernels share; their dims begin with DotDims.
class DotDriver {
public:
  DotDriver(KernelBuilder &kb, const DotSpec &spec) : kb(kb), spec(spec), types(spec.tile.types) {}

protected:
  using Values = KernelBuilder::Values;

  /// Where a column tile's data starts.
  struct Tile {
    mlir::Value a, b, c, scales, zeros, bias;
    /// What of B the task after this one reads, where DotTile::linesAhead is not 0.
    mlir::Value ahead;
    /// Epilogue operands, at the tile's first element.
    Values operands;
    /// Of a line, where DotSpec::clipsRows says so: how many rows of the filter meet the image, of
    /// which A and B are at the first.
    mlir::Value filterRows;
    /// Of a part of k: its steps, where in scratch memory the sums of tiles are, and whether it is
    /// the last part.
    mlir::Value steps, partialSums, isLastPart;
  };

  /// Lines [from, to) of a column tile, whose columns count from now on.
  struct Place {
    Tile tile;
    mlir::Value from, to;
  };
  Place placeOfTask(mlir::Value task);
  Tile tileOfLine(const Tile &tile, mlir::Value line);
  /// The dims of one of DotDims::levels.
  mlir::Value ofLevel(size_t level, int64_t DotDims::Level::*dim) {
    auto before = static_cast<int64_t>(level * sizeof(DotDims::Level) / sizeof(int64_t));
    return kb.dim(dimIndex(&DotDims::levels) + before + dimIndex(dim));
  }

  mlir::Value strideOf(int64_t stride, int64_t DotDims::*dim) {
    return stride == DotSpec::kRuntime ? kb.dim(dim) : kb.index(stride);
  }
  /// Active lanes of vector `v`, or null when columns are not masked.
  mlir::Value active(int64_t v) { return activeLanes.empty() ? mlir::Value() : activeLanes[v]; }
  /// Of vector `v` in row `row` of the line.
  ResultPosition position(mlir::Value row, int64_t v);
  /// Whether a vector of a row is followed by the same of the next row, or the last one by the
  /// first.
  bool areRowsAdjacent() const;
  /// Of what is stored by way of memory.
  int64_t rowsPackedAtOnce() const;
  /// What the epilogue makes of the sums of neighbouring rows, one row after the other: those that
  /// are adjacent all at once. `shared` is of one row.
  void storeRows(const Tile &tile, llvm::ArrayRef<ResultRow> rows, const Values &sums,
                 const SharedOperands &shared);

private:
  Tile tileOfTask(mlir::Value batch, mlir::Value column);
  /// Of a line: what of the filter's rows meets the image.
  void clipRows(Tile &inLine, mlir::Value line);

protected:
  KernelBuilder &kb;
  const DotSpec &spec;
  const DotTypes &types;
  /// Active lanes of each vector of the current column tile; empty if all are.
  Values activeLanes;
};

} // namespace quern::native
