//===- ScalarProgram.cpp - the scalar code of a fusion group --------------===//
#include "backends/native/kernels/ScalarProgram.h"

#include "ir/Elementwise.h"
#include "ir/ScalarEmitter.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

std::string ScalarProgram::key() const {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "[";
  for (DType dtype : inputs)
    os << dtypeName(dtype) << ",";
  for (const Op &op : ops) {
    os << ";" << op.name << ":" << dtypeName(op.operandType) << ">" << dtypeName(op.resultType);
    for (int arg : op.args)
      os << " " << arg;
    for (double p : op.params)
      os << " p" << llvm::format_hex(std::bit_cast<uint64_t>(p), 0);
    if (op.name == "constant")
      os << " " << llvm::format_hex(std::bit_cast<uint64_t>(op.floatValue), 0) << "/"
         << op.intValue;
  }
  os << "=>";
  for (int r : results)
    os << r << ",";
  os << "]";
  return text;
}

std::string ScalarProgram::label() const {
  std::string text;
  for (const Op &op : ops)
    if (op.name != "constant")
      text += "_" + llvm::StringRef(op.name).split('.').second.str();
  return text;
}

KernelBuilder::Values ScalarProgram::emit(KernelBuilder &kb, ValueRange inputValues,
                                          int64_t lanes) const {
  KernelBuilder::Values values(inputValues);
  for (const Op &op : ops) {
    nn::ScalarEmitter emitter(kb.builder(), kb.loc(), op.operandType, lanes);
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
    const nn::ElementwiseInfo *info = nn::lookupElementwise(op.name);
    values.push_back(info->emit(emitter, args, op.params));
  }
  KernelBuilder::Values out;
  for (int r : results)
    out.push_back(values[r]);
  return out;
}
