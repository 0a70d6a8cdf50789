//===- ScalarProgram.h - the scalar code of a fusion group ----------------===//
#pragma once

#include "backends/native/emit/KernelBuilder.h"
#include "backends/native/target/Fields.h"
#include "quern/DType.h"

#include <string>
#include <vector>

namespace quern::native {

/// A straight-line program of elementwise ops, free of MLIR: part of a kernel's
/// spec, and emitted in the kernel's own context. Values are numbered: first the
/// inputs, then one per op.
struct ScalarProgram {
  struct Op {
    /// "nn.relu", "nn.cast", "nn.byte_lookup" or "constant"; of static storage.
    llvm::StringRef name;
    llvm::SmallVector<double, 2> params = {};
    llvm::SmallVector<int, 3> args = {};
    /// Element type of the (last) operand, and of the result.
    DType operandType = DType::Undefined;
    DType resultType = DType::Undefined;
    /// Of a "constant".
    double floatValue = 0;
    int64_t intValue = 0;

    QUERN_FIELDS(name, params, args, operandType, resultType, floatValue, intValue)
  };

  llvm::SmallVector<DType, 8> inputs;
  std::vector<Op> ops;
  /// The values the program returns.
  llvm::SmallVector<int, 2> results;
  /// Inputs that hold one integer of at most 8 bits, of either sign: zero points.
  llvm::SmallVector<int, 2> wholeInputs = {};
  /// Inputs of float32 whose numbers all are less than 1 in magnitude: scales of sums.
  llvm::SmallVector<int, 2> fractions = {};
  /// Casts to bfloat16 may make zero of subnormal numbers: one instruction instead of eight.
  bool flushesHalves = false;

  QUERN_FIELDS(inputs, ops, results, wholeInputs, fractions, flushesHalves)

  DType typeOf(int value) const {
    auto i = static_cast<size_t>(value);
    return i < inputs.size() ? inputs[i] : ops[i - inputs.size()].resultType;
  }
  /// Whether an input is a table: of that, the address is given.
  bool isTable(int input) const;
  /// Lets casts from float32 to bfloat16, if there are any, flush subnormal numbers.
  void allowFlushing();
  /// The names of its ops, for kernel names: "add_relu".
  std::string label() const;
  /// What a vector takes, as measured: functions are dozens of instructions.
  double cycles() const;
  /// Emits the program on `lanes`-wide values (0: scalars).
  KernelBuilder::Values emit(KernelBuilder &kb, mlir::ValueRange inputValues, int64_t lanes) const;

  /// Vectors of int32 whose bytes are packed together, a register each, and the lanes of one.
  static constexpr int64_t kMostPacked = 4;
  static int64_t packedLanes(const Target &target) { return target.lanes(DType::Int32); }
  /// Whether emitPacked can emit it.
  bool canPack(const Target &target) const;
  /// The bytes that it makes of up to kMostPacked vectors of packedLanes, side by side, in one
  /// vector: `inputValues` of each. They are rounded, bounded and looked up all at once.
  mlir::Value emitPacked(KernelBuilder &kb,
                         llvm::ArrayRef<KernelBuilder::Values> inputValues) const;
};

} // namespace quern::native
