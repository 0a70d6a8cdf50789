//===- TileUnit.h - instructions that multiply tiles of matrices ----------===//
//
// AMX: eight tiles of up to 16 rows of 64 bytes, whose shapes are configured for all of them
// before they are used, and which hold no more than zeros once they are released. A product adds
// to a tile of sums what a tile of A, rows of up to 16 groups along k, makes with a tile of B: as
// many rows, one for each group, of 16 columns. That is how packed factors lie (DotTypes::group).
//
// Tiles are numbered here, not left to LLVM, which spills those that it allocates in every trip
// of a loop.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/kernels/DotEngine.h"

#include <array>

namespace quern::native {

class TileUnit {
public:
  static constexpr int64_t kTiles = 8, kRows = 16, kRowBytes = 64;
  /// Of A that meet the same bytes of B: what DotTypes::group() elements take.
  static constexpr int64_t kGroupBytes = 4;

  /// What LDTILECFG reads.
  struct Configuration {
    std::array<int64_t, kTiles> rows{}, rowBytes{};
    /// Numbers of 64 bits: those that are not zero, see kWords.
    std::array<int64_t, 3> words() const;
    /// Where they lie, counted in numbers.
    static constexpr std::array<int64_t, 3> kWords = {2, 3, 6};
  };

  /// Whether the target multiplies such groups in tiles.
  static bool has(const Target &target, const DotTypes &types);

  TileUnit(KernelBuilder &kb, const DotTypes &types) : kb(kb), types(types) {}

  /// `words` as a Configuration has them; all tiles are zero then.
  void configure(const std::array<mlir::Value, 3> &words);
  void release();
  void clear(int64_t tile);
  /// Rows are `stride` bytes apart.
  void load(int64_t tile, mlir::Value pointer, mlir::Value stride);
  void store(int64_t tile, mlir::Value pointer, mlir::Value stride);
  /// Adds to tile `sums`: integers wrap. Of bfloat16 the first of all pairs, and the second of all
  /// pairs, are multiplied and added up by themselves, in the order of k and rounded once for each;
  /// then both sums are added, and that to `sums`. Subnormal numbers count as zeros.
  void multiply(int64_t sums, int64_t a, int64_t b);

private:
  void call(llvm::StringRef name, mlir::ValueRange operands);
  mlir::Value number(int64_t tile);

  KernelBuilder &kb;
  const DotTypes &types;
};

} // namespace quern::native
