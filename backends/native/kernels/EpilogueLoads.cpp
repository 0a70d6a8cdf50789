//===- EpilogueLoads.cpp - operands read where a result is computed -------===//
#include "backends/native/kernels/EpilogueLoads.h"

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
    return kb.load(kb.advance(base, at.column, dtype), dtype, lanes, active);
  case OperandAccess::PerRow:
    base = kb.advance(base, at.row, dtype);
    break;
  case OperandAccess::Scalar:
    break;
  case OperandAccess::Table:
    return base;
  }
  return kb.splat(kb.load(base, dtype, 0), lanes);
}

void native::emitEpilogue(KernelBuilder &kb, const EpilogueCode &code, Value rootResult,
                          ValueRange operands, const ResultPosition &at, int64_t lanes,
                          Value output, Value active) {
  SmallVector<Value> arguments = {rootResult};
  for (auto [i, access] : llvm::enumerate(code.access))
    arguments.push_back(
        loadOperand(kb, operands[i], access, code.program.inputs[i + 1], at, lanes, active));
  Value result = code.program.emit(kb, arguments, lanes)[0];
  kb.store(result, kb.advance(output, at.element, code.resultType()), code.resultType(), lanes,
           active);
}

KernelBuilder::Values native::epilogueBuffers(KernelBuilder &kb, const EpilogueCode &code,
                                              int64_t firstBuffer) {
  KernelBuilder::Values buffers;
  for (size_t i = 0; i < code.access.size(); ++i)
    buffers.push_back(kb.buffer(firstBuffer + static_cast<int64_t>(i)));
  return buffers;
}
