//===- EpilogueLoads.cpp - epilogue operands of pixel-wise kernels --------===//
#include "backends/native/kernels/EpilogueLoads.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

std::string EpilogueCode::key() const {
  std::string text = program.key();
  for (OperandAccess a : access)
    text += std::to_string(static_cast<int>(a));
  return text;
}

void native::emitEpilogue(KernelBuilder &kb, const EpilogueCode &code, Value rootResult,
                          const ResultPosition &at, int64_t lanes, Value output,
                          int64_t firstBuffer, Value active) {
  SmallVector<Value> arguments = {rootResult};
  for (auto [i, access] : llvm::enumerate(code.access)) {
    DType dtype = code.program.inputs[i + 1];
    Value operand = kb.buffer(firstBuffer + static_cast<int64_t>(i));
    auto loadAt = [&](Value index, bool isVector) {
      Value pointer = kb.advance(operand, index, dtype);
      return isVector ? kb.load(pointer, dtype, lanes, active)
                      : kb.splat(kb.load(pointer, dtype, 0), lanes);
    };
    switch (access) {
    case OperandAccess::Full:
      arguments.push_back(loadAt(at.element, true));
      break;
    case OperandAccess::Channel:
      arguments.push_back(loadAt(at.channel, at.lanesAreChannels));
      break;
    case OperandAccess::Column:
      arguments.push_back(loadAt(at.column, true));
      break;
    case OperandAccess::Scalar:
      arguments.push_back(loadAt(kb.index(0), false));
      break;
    }
  }
  Value result = code.program.emit(kb, arguments, lanes)[0];
  kb.store(result, kb.advance(output, at.element, code.resultType()), code.resultType(), lanes,
           active);
}
