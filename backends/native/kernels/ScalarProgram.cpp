//===- ScalarProgram.cpp - the scalar code of a fusion group --------------===//
#include "backends/native/kernels/ScalarProgram.h"

#include "ir/Elementwise.h"
#include "ir/ScalarEmitter.h"

#include <bit>
#include <charconv>

using namespace mlir;
using namespace quern;
using namespace quern::native;

// Keys are made whenever a plan is: no streams, and types as letters.
void ScalarProgram::appendKey(std::string &key) const {
  constexpr size_t kBytesPerOp = 32;
  key.reserve(key.size() + kBytesPerOp * (ops.size() + 1));
  auto type = [&](DType dtype) { key += static_cast<char>('A' + static_cast<int>(dtype)); };
  auto number = [&](char before, int64_t value) {
    char digits[24];
    key += before;
    key.append(digits, std::to_chars(digits, std::end(digits), value).ptr);
  };
  auto real = [&](double value) { number('p', std::bit_cast<int64_t>(value)); };
  key += '[';
  for (DType dtype : inputs)
    type(dtype);
  for (const Op &op : ops) {
    key += ';';
    key += op.name;
    key += ':';
    type(op.operandType);
    type(op.resultType);
    for (int arg : op.args)
      number(' ', arg);
    for (double p : op.params)
      real(p);
    if (op.name == "constant") {
      real(op.floatValue);
      number('/', op.intValue);
    }
  }
  for (int r : results)
    number('=', r);
  key += ']';
}

std::string ScalarProgram::label() const {
  std::string text;
  for (const Op &op : ops)
    if (op.name != "constant") {
      text += '_';
      text += op.name.split('.').second;
    }
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
