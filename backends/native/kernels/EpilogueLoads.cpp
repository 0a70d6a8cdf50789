//===- EpilogueLoads.cpp - operands read where a result is computed -------===//
#include "backends/native/kernels/EpilogueLoads.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

Value native::loadOperand(KernelBuilder &kb, Value base, OperandAccess access, DType dtype,
                          const ResultPosition &at, int64_t lanes, Value active) {
  switch (access) {
  case OperandAccess::Full:
    return kb.load(kb.advance(base, at.element, dtype), dtype, lanes, active);
  case OperandAccess::PerColumn:
  case OperandAccess::PerColumnOfBatch:
    return kb.load(kb.advance(base, at.column, dtype), dtype, lanes, active);
  case OperandAccess::PerRow:
  case OperandAccess::PerRowOfBatch:
    base = kb.advance(base, at.row, dtype);
    break;
  case OperandAccess::Scalar:
    break;
  case OperandAccess::Table:
    return base;
  }
  return kb.splat(kb.load(base, dtype, 0), lanes);
}

/// The program's inputs for one vector; of `shared`, if not null, what is there.
static KernelBuilder::Values argumentsOf(KernelBuilder &kb, const EpilogueCode &code,
                                         Value rootResult, ValueRange operands,
                                         const ResultPosition &at, int64_t lanes, Value active,
                                         const KernelBuilder::Values *shared) {
  KernelBuilder::Values arguments = {rootResult};
  for (auto [i, access] : llvm::enumerate(code.access))
    arguments.push_back(
        shared && (*shared)[i]
            ? (*shared)[i]
            : loadOperand(kb, operands[i], access, code.program.inputs[i + 1], at, lanes, active));
  return arguments;
}

static void storeResult(KernelBuilder &kb, const EpilogueCode &code, Value result,
                        const ResultPosition &at, int64_t lanes, Value output, Value active = {}) {
  kb.store(result, kb.advance(output, at.element, code.resultType()), code.resultType(), lanes,
           active);
}

void native::emitEpilogue(KernelBuilder &kb, const EpilogueCode &code, Value rootResult,
                          ValueRange operands, const ResultPosition &at, int64_t lanes,
                          Value output, Value active) {
  auto arguments = argumentsOf(kb, code, rootResult, operands, at, lanes, active, nullptr);
  storeResult(kb, code, code.program.emit(kb, arguments, lanes)[0], at, lanes, output, active);
}

SharedOperands native::loadShared(KernelBuilder &kb, const EpilogueCode &code, ValueRange operands,
                                  const ResultRow &columns, int64_t lanes) {
  SharedOperands shared;
  for (auto [at, active] : llvm::zip_equal(columns.at, columns.active)) {
    shared.emplace_back();
    for (auto [i, access] : llvm::enumerate(code.access)) {
      bool isShared = access == OperandAccess::PerColumn ||
                      access == OperandAccess::PerColumnOfBatch || access == OperandAccess::Scalar;
      shared.back().push_back(isShared ? loadOperand(kb, operands[i], access,
                                                     code.program.inputs[i + 1], at, lanes, active)
                                       : Value());
    }
  }
  return shared;
}

/// Part `part` of `vector`, of a register's lanes; none of null.
static Value partOf(KernelBuilder &kb, Value vector, int64_t part) {
  int64_t lanes = ScalarProgram::packedLanes(kb.target());
  auto type = vector ? dyn_cast<VectorType>(vector.getType()) : VectorType();
  if (!type || type.getNumElements() == lanes)
    return vector;
  SmallVector<int64_t> strides = {1}, size = {lanes}, offset = {part * lanes};
  return kb.builder().create<vector::ExtractStridedSliceOp>(kb.loc(), vector, offset, size,
                                                            strides);
}

void native::emitEpilogueOfRow(KernelBuilder &kb, const EpilogueCode &code, ValueRange rootResults,
                               ValueRange operands, const ResultRow &row, int64_t lanes,
                               Value output, const SharedOperands &shared) {
  int64_t ofRegister = ScalarProgram::packedLanes(kb.target()),
          most = ScalarProgram::kMostPacked * ofRegister;
  auto sharedOf = [&](size_t i) { return shared.empty() ? nullptr : &shared[i]; };
  size_t count = rootResults.size();
  bool canPack = row.areAdjacent && !row.active[0] && lanes > 0 && lanes % ofRegister == 0 &&
                 lanes <= most && static_cast<int64_t>(count) * lanes > ofRegister &&
                 code.program.canPack(kb.target());
  size_t group = canPack ? static_cast<size_t>(most / lanes) : 1;
  for (size_t first = 0; first < count; first += group) {
    SmallVector<KernelBuilder::Values, 4> parts;
    for (size_t i = first; i < std::min(first + group, count); ++i) {
      auto arguments = argumentsOf(kb, code, rootResults[i], operands, row.at[i], lanes,
                                   row.active[i], sharedOf(i));
      if (!canPack)
        storeResult(kb, code, code.program.emit(kb, arguments, lanes)[0], row.at[i], lanes, output,
                    row.active[i]);
      for (int64_t part = 0; canPack && part < lanes / ofRegister; ++part)
        parts.push_back(llvm::map_to_vector<8>(
            arguments, [&](Value argument) { return partOf(kb, argument, part); }));
    }
    if (canPack)
      storeResult(kb, code, code.program.emitPacked(kb, parts), row.at[first],
                  static_cast<int64_t>(parts.size()) * ofRegister, output);
  }
}

KernelBuilder::Values native::epilogueBuffers(KernelBuilder &kb, const EpilogueCode &code,
                                              int64_t firstBuffer) {
  KernelBuilder::Values buffers;
  for (size_t i = 0; i < code.access.size(); ++i)
    buffers.push_back(kb.buffer(firstBuffer + static_cast<int64_t>(i)));
  return buffers;
}
