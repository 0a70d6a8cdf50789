//===- TapGroups.h - several taps of a filter's row at once ---------------===//
//
// Instructions that take a group of adjacent k elements at once (DotTypes::group) serve a depthwise
// convolution, too, when neighbouring taps of a row are the group: for each channel the elements
// of so many neighbouring pixels are brought side by side, and meet the weights of as many taps.
// Every second pixel begins a group; windows that begin at one of those between read the same, with
// weights that are moved by one tap. So for a row of three taps two results take one permutation
// and two instructions of bytes.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/kernels/DepthwiseKernel.h"

namespace quern::native {

/// Emits the rows of one depthwise kernel that has DepthwiseSpec::tapsAtOnce.
class TapGroups {
public:
  using Values = KernelBuilder::Values;
  /// Groups of a row of weights, each in one vector, for windows that begin where a group does, and
  /// one pixel later.
  struct Weights {
    Values even, odd;
  };
  /// What a group reads: the place of a pixel, any for one that only meets weights of zero; and
  /// whether it lies in the line, where all are neighbours.
  struct Pixel {
    mlir::Value at;
    bool isInLine = false;
  };
  using PixelAt = llvm::function_ref<Pixel(int64_t)>;

  TapGroups(KernelBuilder &kb, const DepthwiseSpec &spec);

  /// Of the packed weights of a row at `pointer`.
  Weights weightsAt(mlir::Value pointer) const;
  /// Adds what a row of the filter adds to DepthwiseSpec::results neighbouring sums, of pixels that
  /// count from the first one of the first window.
  void addRow(const Weights &weights, PixelAt pixelAt, Values &sums) const;
  /// Adds a row of pixels that all are at `pixel`.
  mlir::Value addSame(const Weights &weights, mlir::Value pixel, mlir::Value sum) const;

private:
  int64_t taps() const { return spec.tapsAtOnce; }
  /// The pixels of a group from `first` on: for each channel side by side.
  mlir::Value groupAt(PixelAt pixelAt, int64_t first) const;
  mlir::Value load(const Pixel &pixel) const { return kb.load(pixel.at, spec.types.a, spec.lanes); }
  /// As they lie in memory.
  mlir::Value loadAll(llvm::ArrayRef<Pixel> pixels) const;
  mlir::Value shuffle(mlir::Value a, mlir::Value b, llvm::function_ref<int64_t(int64_t)> place,
                      int64_t count) const;
  /// Vectors one behind the other, a power of 2 of them.
  mlir::Value joined(llvm::ArrayRef<mlir::Value> parts, int64_t lanesOfPart) const;
  mlir::Value add(mlir::Value group, mlir::Value weights, mlir::Value sum) const;
  mlir::Type vectorOf(DType dtype, int64_t count) const;
  mlir::Value bitCast(mlir::Value value, DType dtype, int64_t count) const;

  KernelBuilder &kb;
  const DepthwiseSpec &spec;
  /// Sums of a register; a block of channels has several.
  int64_t registerLanes;
  DotEngine::Place place;
  const DotEngine &engine;
};

} // namespace quern::native
