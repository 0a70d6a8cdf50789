//===- DotEngine.h - how factors become sums ------------------------------===//
//
// One step along k of a tile: what is read of A and B, and what it does to a vector of sums. Some
// instructions take several adjacent k elements of narrow types at once, a group, which packed
// factors keep together: [k / group][columns][group]. The group follows from the types alone, so
// that all CPUs read the same packed weights. Where a CPU lacks the instruction, others do the
// same: integers sum up to the same bits, bfloat16 as the manual of VDPBF16PS says (Intel SDM,
// volume 2).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/emit/KernelBuilder.h"
#include "backends/native/target/Fields.h"

namespace quern::native {

/// The element types of a product: its operands, its sums, its result. Sums of integers
/// wrap; operands may be narrower than they.
struct DotTypes {
  DType a = DType::Float32, b = DType::Float32, accumulate = DType::Float32, c = DType::Float32;
  static DotTypes all(DType dtype) { return {dtype, dtype, dtype, dtype}; }
  QUERN_FIELDS(a, b, accumulate, c)

  /// Whether products of this type sum up natively: of the types of 32 and 64 bits.
  static bool isNative(DType dtype) {
    bool isInteger = isSignedInteger(dtype) || isUnsignedInteger(dtype);
    return (isInteger || isFloat(dtype)) && dtypeBits(dtype) >= 32;
  }
  /// B is of integers of 8 bits or less, whose scales are applied elsewhere, and A of float32. It
  /// is packed without gaps.
  bool areWeightsOfFewBits() const;
  /// Adjacent k elements that instructions take at once: 4 bytes, 2 bfloat16, the weights in 32
  /// bits, or one of any other.
  int64_t group() const;
  /// What tells narrow factors in a kernel's name: "u8s8_", "bf16_"; nothing for others.
  std::string label() const;
};

/// One step along k: a group of each row and of each column is loaded, and multiplied in `parts`
/// parts, one after the other.
struct DotEngine {
  /// What shapes the code of a step.
  struct Place {
    const DotTypes &types;
    int64_t lanes;
    /// A is read as vectors: lane c of A meets lane c of B.
    bool vectorA;
  };
  int64_t parts = 1;
  /// The group of one row at `pointer`; of its elements only the first `count`, if not null.
  mlir::Value (*loadA)(KernelBuilder &kb, const Place &place, mlir::Value pointer,
                       mlir::Value count);
  /// A group for each lane of a vector of columns; only those of the first `active` lanes, if not
  /// null.
  mlir::Value (*loadB)(KernelBuilder &kb, const Place &place, mlir::Value pointer,
                       mlir::Value active);
  /// A part of what was loaded, as `add` reads it: of A in all lanes.
  mlir::Value (*partOfA)(KernelBuilder &kb, const Place &place, mlir::Value loaded, int64_t part);
  mlir::Value (*partOfB)(KernelBuilder &kb, const Place &place, mlir::Value loaded, int64_t part);
  mlir::Value (*add)(KernelBuilder &kb, const Place &place, mlir::Value a, mlir::Value b,
                     mlir::Value sum);
};

/// The one place that knows which instructions multiply what: for groups of `group` elements, 1 or
/// that of the types, in vectors of `lanes` sums.
const DotEngine &chooseEngine(const Target &target, const DotTypes &types, int64_t group,
                              int64_t lanes);

} // namespace quern::native
