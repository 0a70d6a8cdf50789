//===- ScalarProgram.cpp - the scalar code of a fusion group --------------===//
#include "backends/native/kernels/ScalarProgram.h"

#include "backends/native/kernels/ByteLookup.h"
#include "ir/Elementwise.h"
#include "ir/ScalarEmitter.h"

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

KernelBuilder::Values ScalarProgram::emit(KernelBuilder &kb, ValueRange inputValues,
                                          int64_t lanes) const {
  KernelBuilder::Values values(inputValues);
  for (const Op &op : ops) {
    nn::ScalarEmitter emitter(kb.builder(), kb.loc(), op.operandType, lanes,
                              kb.target().has(Isa::Fma));
    if (op.name == "constant") {
      nn::ScalarEmitter ofResult(kb.builder(), kb.loc(), op.resultType, lanes);
      values.push_back(isFloat(op.resultType) ? ofResult.constant(op.floatValue)
                                              : ofResult.integerConstant(op.intValue));
      continue;
    }
    KernelBuilder::Values args;
    for (int arg : op.args)
      args.push_back(values[arg]);
    if (op.name == "nn.cast") {
      values.push_back(emitter.castTo(args[0], op.resultType));
      continue;
    }
    if (op.name == "nn.byte_lookup") {
      values.push_back(lookUpBytes(kb, args[0], args[1], lanes));
      continue;
    }
    const nn::ElementwiseInfo *info = nn::lookupElementwise(op.name);
    values.push_back(info->emit(emitter, args, op.params));
  }
  KernelBuilder::Values out;
  for (int r : results)
    out.push_back(values[r]);
  return out;
}
