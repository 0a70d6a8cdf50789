//===- ScalarProgram.cpp - the scalar code of a fusion group --------------===//
#include "backends/native/kernels/ScalarProgram.h"

#include "backends/native/kernels/ByteLookup.h"
#include "ir/Elementwise.h"
#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

std::string ScalarProgram::label() const {
  std::string text;
  for (const Op &op : ops)
    if (op.name != "constant") {
      text += '_';
      text += op.name.split('.').second;
    }
  return text;
}

bool ScalarProgram::isTable(int input) const {
  return llvm::any_of(
      ops, [=](const Op &op) { return op.name == "nn.byte_lookup" && op.args[1] == input; });
}

namespace {
/// Emits the values of a program one by one.
class ProgramEmitter {
public:
  ProgramEmitter(KernelBuilder &kb, const ScalarProgram &program, ValueRange inputs, int64_t lanes)
      : kb(kb), program(program), lanes(lanes), values(inputs) {}
  KernelBuilder::Values emit();

private:
  Value emitOp(const ScalarProgram::Op &op);
  Value emitCast(const ScalarProgram::Op &op);
  Value emitByte(const ScalarProgram::Op &op);
  nn::ScalarEmitter emitterOf(DType dtype) const {
    return {kb.builder(), kb.loc(), dtype, lanes, kb.target().has(Isa::Fma)};
  }

  KernelBuilder &kb;
  const ScalarProgram &program;
  int64_t lanes;
  KernelBuilder::Values values;
  /// Of bytes that were made of floats: the same numbers as int32, by number of the value.
  llvm::SmallDenseMap<int, Value, 2> wordsOfBytes;
};
} // namespace

/// A byte of a float. The conversion rounds what was to be rounded before: the bounds are whole, so
/// they can be taken first. Who wants the byte as a wider number again gets what it was made of.
Value ProgramEmitter::emitByte(const ScalarProgram::Op &op) {
  OpBuilder &ops = kb.builder();
  auto from = op.args[0] - static_cast<int>(program.inputs.size());
  bool rounds = from >= 0 && program.ops[from].name == "nn.round";
  nn::ScalarEmitter floats = emitterOf(DType::Float32);
  Value number = rounds ? values[program.ops[from].args[0]] : values[op.args[0]];
  Value bounded = floats.boundedBy(number, op.resultType);
  Type type = floats.typeOf(DType::Int32);
  Value word = rounds ? ops.create<LLVM::CallIntrinsicOp>(
                               kb.loc(), type, ops.getStringAttr("llvm.lrint"), ValueRange{bounded})
                            ->getResult(0)
                      : ops.create<arith::FPToSIOp>(kb.loc(), type, bounded).getResult();
  wordsOfBytes[static_cast<int>(values.size())] = word;
  return ops.create<arith::TruncIOp>(kb.loc(), floats.typeOf(op.resultType), word);
}

Value ProgramEmitter::emitCast(const ScalarProgram::Op &op) {
  auto isByte = [](DType dtype) { return dtype == DType::UInt8 || dtype == DType::Int8; };
  if (op.operandType == DType::Float32 && isByte(op.resultType))
    return emitByte(op);
  auto word = wordsOfBytes.find(op.args[0]);
  if (word != wordsOfBytes.end() && dtypeBits(op.resultType) >= 32)
    return emitterOf(DType::Int32).castTo(word->second, op.resultType);
  return emitterOf(op.operandType).castTo(values[op.args[0]], op.resultType);
}

Value ProgramEmitter::emitOp(const ScalarProgram::Op &op) {
  if (op.name == "constant") {
    nn::ScalarEmitter emitter = emitterOf(op.resultType);
    return isFloat(op.resultType) ? emitter.constant(op.floatValue)
                                  : emitter.integerConstant(op.intValue);
  }
  if (op.name == "nn.cast")
    return emitCast(op);
  KernelBuilder::Values args;
  for (int arg : op.args)
    args.push_back(values[arg]);
  if (op.name == "nn.byte_lookup")
    return lookUpBytes(kb, args[0], args[1], lanes);
  nn::ScalarEmitter emitter = emitterOf(op.operandType);
  return nn::lookupElementwise(op.name)->emit(emitter, args, op.params);
}

KernelBuilder::Values ProgramEmitter::emit() {
  for (const ScalarProgram::Op &op : program.ops)
    values.push_back(emitOp(op));
  KernelBuilder::Values out;
  for (int r : program.results)
    out.push_back(values[r]);
  return out;
}

KernelBuilder::Values ScalarProgram::emit(KernelBuilder &kb, ValueRange inputValues,
                                          int64_t lanes) const {
  return ProgramEmitter(kb, *this, inputValues, lanes).emit();
}
