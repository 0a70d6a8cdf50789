//===- EpilogueLoads.h - operands read where a result is computed ---------===//
#pragma once

#include "backends/native/emit/KernelBuilder.h"
#include "backends/native/kernels/ScalarProgram.h"

namespace quern::native {

/// How an operand is read where a vector of a result is computed. A kernel says
/// what its rows and columns are; lanes are neighbouring columns.
enum class OperandAccess {
  Full,             ///< at the same index as the result: same shape
  PerRow,           ///< one element for all columns of a row
  PerColumn,        ///< one element for all rows of a column
  PerRowOfBatch,    ///< the same of each matrix of a batch
  PerColumnOfBatch, ///< the same of each matrix of a batch
  Scalar,           ///< a single element
  Table,            ///< where bytes say: see nn.byte_lookup
};

/// The elementwise part of a group that has an anchor: the anchor's result is input 0.
struct Epilogue {
  ScalarProgram program;
  struct Operand {
    mlir::Value value; ///< the group operand, outside the group
    OperandAccess access;
  };
  /// Inputs 1.. of the program.
  llvm::SmallVector<Operand, 4> operands;
};

/// What shapes the code of an epilogue.
struct EpilogueCode {
  ScalarProgram program;
  llvm::SmallVector<OperandAccess, 4> access;

  EpilogueCode() = default;
  /// Takes the program away.
  explicit EpilogueCode(Epilogue &epilogue) : program(std::move(epilogue.program)) {
    for (const Epilogue::Operand &operand : epilogue.operands)
      access.push_back(operand.access);
  }
  DType resultType() const { return program.typeOf(program.results[0]); }
  /// Whether its code is repeated for every vector of a tile, not a loop over its rows: then sums
  /// need not go by way of memory.
  bool isShort() const { return program.cycles() <= 3.5; }
  /// The same where the sums are so few that a function's constants fit the registers beside them.
  bool isShortForFewSums() const { return program.cycles() <= 12; }

  QUERN_FIELDS(program, access)
};

/// Where a vector of anchor results lies; values that no operand asks for may be null.
struct ResultPosition {
  mlir::Value element; ///< of the first lane, in the result
  mlir::Value row;
  mlir::Value column; ///< of the first lane
};

/// The vector of an operand at `base`, or a table's address itself, that belongs to the `lanes`
/// results (0: a scalar) at `at`; `active`, when given, is the number of lanes that exist.
mlir::Value loadOperand(KernelBuilder &kb, mlir::Value base, OperandAccess access, DType dtype,
                        const ResultPosition &at, int64_t lanes, mlir::Value active = {});

/// Applies `code` to `rootResult` and stores it to `output`; the epilogue's other
/// operands begin at `operands`.
void emitEpilogue(KernelBuilder &kb, const EpilogueCode &code, mlir::Value rootResult,
                  mlir::ValueRange operands, const ResultPosition &at, int64_t lanes,
                  mlir::Value output, mlir::Value active = {});

/// Neighbouring vectors of a result and, if `areAdjacent`, of memory; `active` of each, or null.
struct ResultRow {
  llvm::SmallVector<ResultPosition, 4> at;
  llvm::SmallVector<mlir::Value, 4> active;
  bool areAdjacent = false;
};

/// What vectors read for whatever row, of each vector for each operand; null where rows differ.
using SharedOperands = llvm::SmallVector<KernelBuilder::Values, 4>;

/// Reads what rows of these columns share, before a loop over them: the code within may store.
SharedOperands loadShared(KernelBuilder &kb, const EpilogueCode &code, mlir::ValueRange operands,
                          const ResultRow &columns, int64_t lanes);

/// The same as emitEpilogue for each of `rootResults`; bytes that are adjacent are packed and
/// stored together.
void emitEpilogueOfRow(KernelBuilder &kb, const EpilogueCode &code, mlir::ValueRange rootResults,
                       mlir::ValueRange operands, const ResultRow &row, int64_t lanes,
                       mlir::Value output, const SharedOperands &shared = {});

/// The step's buffers from `firstBuffer` on, one for each operand of `code`.
KernelBuilder::Values epilogueBuffers(KernelBuilder &kb, const EpilogueCode &code,
                                      int64_t firstBuffer);

} // namespace quern::native
