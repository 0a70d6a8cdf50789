//===- EpilogueLoads.h - epilogue operands of pixel-wise kernels ----------===//
#pragma once

#include "backends/native/kernels/KernelBuilder.h"
#include "backends/native/kernels/ScalarProgram.h"

namespace quern::native {

/// How a group's extra operand is read where the root's result is computed.
enum class OperandAccess {
  Full,    ///< at the same index as the result: same shape
  Channel, ///< one element per channel (dimension 1 of NCHW, or blocked channels)
  Column,  ///< one element per last-dimension index
  Scalar,  ///< a single element
};

/// The elementwise part of a group that has a root: the root's result is input 0.
struct Epilogue {
  ScalarProgram program;
  struct Operand {
    mlir::Value value; ///< the group operand, outside the group
    OperandAccess access;
  };
  /// Inputs 1.. of the program.
  std::vector<Operand> operands;
};

/// What shapes the code of an epilogue.
struct EpilogueCode {
  ScalarProgram program;
  std::vector<OperandAccess> access;

  EpilogueCode() = default;
  explicit EpilogueCode(const Epilogue &epilogue) : program(epilogue.program) {
    for (const Epilogue::Operand &operand : epilogue.operands)
      access.push_back(operand.access);
  }
  DType resultType() const { return program.typeOf(program.results[0]); }
  std::string key() const;
};

/// Where a vector of root results lies in the result tensor.
struct ResultPosition {
  mlir::Value element; ///< of the first lane
  mlir::Value channel; ///< of the first lane
  mlir::Value column;  ///< last-dimension index of the first lane; may be null
  /// Lanes are channels (blocked layouts), not neighbours of one channel.
  bool lanesAreChannels = false;
};

/// Applies `code` to `rootResult` and stores it to `output`. The epilogue's
/// operands are the step's buffers from `firstBuffer` on; `active`, when given,
/// is the number of lanes that exist.
void emitEpilogue(KernelBuilder &kb, const EpilogueCode &code, mlir::Value rootResult,
                  const ResultPosition &at, int64_t lanes, mlir::Value output, int64_t firstBuffer,
                  mlir::Value active = {});

} // namespace quern::native
