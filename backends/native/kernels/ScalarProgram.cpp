//===- ScalarProgram.cpp - the scalar code of a fusion group --------------===//
#include "backends/native/kernels/ScalarProgram.h"

#include "backends/native/kernels/ByteLookup.h"
#include "ir/Elementwise.h"
#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "llvm/ADT/StringSwitch.h"

#include <cmath>

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

static bool narrowsToBFloat16(const ScalarProgram::Op &op) {
  return op.name == "nn.cast" && op.operandType == DType::Float32 &&
         op.resultType == DType::BFloat16;
}

void ScalarProgram::allowFlushing() { flushesHalves = llvm::any_of(ops, narrowsToBFloat16); }

double ScalarProgram::cycles() const {
  double cycles = 0;
  for (const ScalarProgram::Op &op : ops)
    cycles += llvm::StringSwitch<double>(op.name)
                  .Case("constant", 0)
                  .Cases("nn.div", "nn.sqrt", "nn.reciprocal", 3)
                  .Cases("nn.exp", "nn.tanh", "nn.erf", "nn.gelu", "nn.softplus", 8)
                  .Case("nn.sigmoid", 7.5)
                  .Cases("nn.silu", "nn.mish", "nn.elu", "nn.selu", "nn.log", 10)
                  .Case("nn.pow", 2)
                  .Cases("nn.sin", "nn.cos", "nn.tan", "nn.asin", "nn.acos", "nn.atan", 60)
                  .Cases("nn.sinh", "nn.cosh", "nn.asinh", "nn.acosh", "nn.atanh", 60)
                  .Default(0.55);
  return cycles;
}

bool ScalarProgram::isTable(int input) const {
  return llvm::any_of(
      ops, [=](const Op &op) { return op.name == "nn.byte_lookup" && op.args[1] == input; });
}

/// The types of bytes that are packed.
static bool isPackedType(DType dtype) { return dtype == DType::UInt8 || dtype == DType::Int8; }

namespace {
/// What a byte is made of, a float: bounded, rounded to an integer if `rounds`, else cut off, and
/// moved by the integer `zero`, value number -1 for none.
struct ByteSource {
  int number;
  bool rounds = false;
  int zero = -1;
};

/// Emits the values of a program one by one.
class ProgramEmitter {
public:
  ProgramEmitter(KernelBuilder &kb, const ScalarProgram &program, ValueRange inputs, int64_t lanes)
      : kb(kb), program(program), lanes(lanes), values(inputs) {}
  KernelBuilder::Values emit();

  void append(Value value) { values.push_back(value); }
  Value emitOp(const ScalarProgram::Op &op);
  Value value(int number) const { return values[number]; }
  nn::ScalarEmitter emitterOf(DType dtype) const {
    return {kb.builder(), kb.loc(), dtype, lanes, kb.target().has(Isa::Fma)};
  }

private:
  Value emitCast(const ScalarProgram::Op &op);
  Value emitByte(const ScalarProgram::Op &op);

  KernelBuilder &kb;
  const ScalarProgram &program;
  int64_t lanes;
  KernelBuilder::Values values;
  /// Of bytes that were made of floats: the same numbers as int32, by number of the value.
  llvm::SmallDenseMap<int, Value, 2> wordsOfBytes;
};
} // namespace

/// The op that gives a value; null for inputs.
static const ScalarProgram::Op *producerOf(const ScalarProgram &program, int value) {
  auto op = value - static_cast<int>(program.inputs.size());
  return op < 0 ? nullptr : &program.ops[op];
}

/// Whether a value is known to be one integer of at most 8 bits.
static bool isZeroPoint(const ScalarProgram &program, int value) {
  const ScalarProgram::Op *op = producerOf(program, value);
  if (!op)
    return llvm::is_contained(program.wholeInputs, value);
  return op->name == "constant" && op->floatValue == std::nearbyint(op->floatValue) &&
         op->floatValue >= INT8_MIN && op->floatValue <= UINT8_MAX;
}

/// Whether a value is an int32 times a fraction, which is never out of that type's range.
static bool isScaledWord(const ScalarProgram &program, int value) {
  const ScalarProgram::Op *mul = producerOf(program, value);
  if (!mul || mul->name != "nn.mul" || mul->resultType != DType::Float32)
    return false;
  auto isWord = [&](int factor) {
    const ScalarProgram::Op *cast = producerOf(program, factor);
    return cast && cast->name == "nn.cast" && cast->operandType == DType::Int32;
  };
  auto isFraction = [&](int factor) {
    const ScalarProgram::Op *constant = producerOf(program, factor);
    return constant ? constant->name == "constant" && std::abs(constant->floatValue) < 1
                    : llvm::is_contained(program.fractions, factor);
  };
  return (isWord(mul->args[0]) && isFraction(mul->args[1])) ||
         (isWord(mul->args[1]) && isFraction(mul->args[0]));
}

static ByteSource sourceOf(const ScalarProgram &program, const ScalarProgram::Op &cast) {
  const ScalarProgram::Op *op = producerOf(program, cast.args[0]);
  if (op && op->name == "nn.round")
    return {op->args[0], true};
  if (op && op->name == "nn.add" && isZeroPoint(program, op->args[1])) {
    const ScalarProgram::Op *round = producerOf(program, op->args[0]);
    if (round && round->name == "nn.round")
      return {round->args[0], true, op->args[1]};
  }
  return {cast.args[0]};
}

/// The float that makes NaN the byte 0, once `zero` is added.
static Value withoutNan(nn::ScalarEmitter &floats, Value number, Value zero) {
  Value none = zero ? floats.sub(floats.constant(0), zero) : floats.constant(0);
  return floats.select(floats.isNan(number), none, number);
}

/// ScalarEmitter::boundedBy, less `zero`.
static Value boundedAround(nn::ScalarEmitter &floats, Value number, DType to, Value zero) {
  bool isSigned = to == DType::Int8;
  Value low = floats.sub(floats.constant(isSigned ? INT8_MIN : 0), zero),
        high = floats.sub(floats.constant(isSigned ? INT8_MAX : UINT8_MAX), zero);
  if (isSigned) // else NaN becomes the lowest
    number = withoutNan(floats, number, zero);
  number = floats.select(floats.less(low, number), number, low);
  return floats.select(floats.less(number, high), number, high);
}

/// A byte of a float. The conversion rounds what was to be rounded before, and the zero point is
/// added to integers: the bounds are whole, so they can be taken first. Who wants the byte as a
/// wider number again gets what it was made of.
Value ProgramEmitter::emitByte(const ScalarProgram::Op &op) {
  OpBuilder &ops = kb.builder();
  ByteSource source = sourceOf(program, op);
  nn::ScalarEmitter floats = emitterOf(DType::Float32);
  Value zero = source.zero < 0 ? Value() : values[source.zero];
  Value bounded = zero ? boundedAround(floats, values[source.number], op.resultType, zero)
                       : floats.boundedBy(values[source.number], op.resultType);
  Type type = floats.typeOf(DType::Int32);
  Value word = source.rounds ? ops.create<LLVM::CallIntrinsicOp>(kb.loc(), type,
                                                                 ops.getStringAttr("llvm.lrint"),
                                                                 ValueRange{bounded})
                                   ->getResult(0)
                             : ops.create<arith::FPToSIOp>(kb.loc(), type, bounded).getResult();
  if (zero)
    word = ops.create<arith::AddIOp>(kb.loc(), word,
                                     ops.create<arith::FPToSIOp>(kb.loc(), type, zero));
  wordsOfBytes[static_cast<int>(values.size())] = word;
  return ops.create<arith::TruncIOp>(kb.loc(), floats.typeOf(op.resultType), word);
}

Value ProgramEmitter::emitCast(const ScalarProgram::Op &op) {
  if (program.flushesHalves && narrowsToBFloat16(op))
    if (Value narrowed = kb.flushedToBFloat16(values[op.args[0]]))
      return narrowed;
  if (op.operandType == DType::Float32 && isPackedType(op.resultType))
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

//===----------------------------------------------------------------------===//
// Several vectors, whose bytes are packed
//===----------------------------------------------------------------------===//

constexpr int64_t kMostPacked = ScalarProgram::kMostPacked;

namespace {
/// Packs the bytes of one group of vectors.
class PackedEmitter {
public:
  PackedEmitter(KernelBuilder &kb, const ScalarProgram &program,
                ArrayRef<KernelBuilder::Values> inputs)
      : kb(kb), ops(kb.builder()), program(program), lanes(ScalarProgram::packedLanes(kb.target())),
        isAvx512(kb.target().has(Isa::Avx512)) {
    for (const KernelBuilder::Values &ofVector : inputs)
      vectors.emplace_back(kb, program, ofVector, lanes);
  }
  Value emit();

private:
  void emitOp(const ScalarProgram::Op &op);
  /// Rounded to the nearest; out of range: the least integer.
  Value roundedToWords(Value floats);
  /// The integers that a cast to bytes makes of vector `i`; too low ones may be as low as int32 is.
  Value words(const ScalarProgram::Op &op, const ByteSource &source, size_t i);
  Value packFloats(const ScalarProgram::Op &op);
  Value call(StringRef name, Type type, ValueRange operands) {
    return ops.create<LLVM::CallIntrinsicOp>(kb.loc(), type, ops.getStringAttr(name), operands)
        ->getResult(0);
  }
  Type vectorOf(Type element, int64_t lanes) { return VectorType::get({lanes}, element); }
  Value shuffled(Value vector, ArrayRef<int32_t> lanes) {
    return ops.create<LLVM::ShuffleVectorOp>(kb.loc(), vector, vector, lanes);
  }

  KernelBuilder &kb;
  OpBuilder &ops;
  const ScalarProgram &program;
  int64_t lanes;
  bool isAvx512;
  SmallVector<ProgramEmitter, kMostPacked> vectors;
  /// The bytes of all vectors, by number of the value.
  llvm::SmallDenseMap<int, Value, 4> packed;
};
} // namespace

Value PackedEmitter::roundedToWords(Value floats) {
  Type type = vectorOf(ops.getI32Type(), lanes);
  if (!isAvx512)
    return call("llvm.x86.avx.cvt.ps2dq.256", type, floats);
  Value none = vectors[0].emitterOf(DType::Int32).integerConstant(0);
  Value all = ops.create<arith::ConstantOp>(kb.loc(), ops.getI16IntegerAttr(-1));
  constexpr int32_t kAsConfigured = 4;
  Value rounding = ops.create<arith::ConstantOp>(kb.loc(), ops.getI32IntegerAttr(kAsConfigured));
  return call("llvm.x86.avx512.mask.cvtps2dq.512", type, {floats, none, all, rounding});
}

Value PackedEmitter::words(const ScalarProgram::Op &op, const ByteSource &source, size_t i) {
  nn::ScalarEmitter floats = vectors[i].emitterOf(DType::Float32);
  Value number = vectors[i].value(source.number);
  Value zero = source.zero < 0 ? Value() : vectors[i].value(source.zero);
  Type type = floats.typeOf(DType::Int32);
  if (!source.rounds)
    return ops.create<arith::FPToSIOp>(kb.loc(), type, floats.boundedBy(number, op.resultType));
  if (isScaledWord(program, source.number))
    return roundedToWords(number);
  // What is out of range, and NaN, becomes the least number, which the packing bounds.
  bool isSigned = op.resultType == DType::Int8;
  Value high = floats.constant(isSigned ? INT8_MAX : UINT8_MAX);
  if (isSigned)
    number = withoutNan(floats, number, zero);
  if (zero)
    high = floats.sub(high, zero);
  return roundedToWords(floats.select(floats.less(high, number), high, number));
}

/// Pairs of vectors become one of 16 bits, pairs of these one of bytes, each time by 128 bits of
/// both; the words of the result are brought in order.
Value PackedEmitter::packFloats(const ScalarProgram::Op &op) {
  ByteSource source = sourceOf(program, op);
  SmallVector<Value, kMostPacked> parts;
  for (size_t i = 0; i < vectors.size(); ++i)
    parts.push_back(words(op, source, i));
  while (parts.size() < kMostPacked)
    parts.push_back(parts.size() < 2 ? parts[0] : parts[parts.size() - 2]);
  Type halves = vectorOf(ops.getI16Type(), 2 * lanes), bytes = vectorOf(ops.getI8Type(), 4 * lanes),
       wordType = vectorOf(ops.getI32Type(), lanes);
  auto halvesOf = [&](size_t i) {
    StringRef pack = isAvx512 ? "llvm.x86.avx512.packssdw.512" : "llvm.x86.avx2.packssdw";
    Value packedHalves = call(pack, halves, {parts[i], parts[i + 1]});
    if (source.zero < 0 || !source.rounds)
      return packedHalves;
    Value zero = vectors[0].value(source.zero);
    Value first = ops.create<vector::ExtractOp>(kb.loc(), zero, int64_t{0});
    Value number = ops.create<arith::FPToSIOp>(kb.loc(), ops.getI16Type(), first);
    return call("llvm.sadd.sat", halves, {packedHalves, kb.splat(number, 2 * lanes)});
  };
  Value low = halvesOf(0), high = vectors.size() > 2 ? halvesOf(2) : low;
  bool isSigned = op.resultType == DType::Int8;
  StringRef pack = isAvx512
                       ? isSigned ? "llvm.x86.avx512.packsswb.512" : "llvm.x86.avx512.packuswb.512"
                   : isSigned ? "llvm.x86.avx2.packsswb"
                              : "llvm.x86.avx2.packuswb";
  Value mixed = ops.create<LLVM::BitcastOp>(kb.loc(), wordType, call(pack, bytes, {low, high}));
  SmallVector<int32_t> order;
  for (int32_t vector = 0; vector < 4; ++vector)
    for (int32_t part = 0; part < lanes / 4; ++part)
      order.push_back(4 * part + vector);
  return ops.create<LLVM::BitcastOp>(kb.loc(), bytes, shuffled(mixed, order));
}

void PackedEmitter::emitOp(const ScalarProgram::Op &op) {
  auto number = static_cast<int>(program.inputs.size() + (&op - program.ops.data()));
  if (op.name == "nn.byte_lookup") {
    Value found =
        lookUpBytes(kb, packed.at(op.args[0]), vectors[0].value(op.args[1]), lanes * kMostPacked);
    packed[number] = found;
    for (auto [i, vector] : llvm::enumerate(vectors)) {
      auto first = static_cast<int32_t>(static_cast<int64_t>(i) * lanes);
      vector.append(
          shuffled(found, llvm::to_vector(llvm::seq(first, first + static_cast<int32_t>(lanes)))));
    }
    return;
  }
  if (op.name == "nn.cast" && isPackedType(op.resultType))
    packed[number] = packFloats(op);
  for (ProgramEmitter &vector : vectors)
    vector.append(vector.emitOp(op));
}

Value PackedEmitter::emit() {
  for (const ScalarProgram::Op &op : program.ops)
    emitOp(op);
  auto bytes = static_cast<int32_t>(static_cast<int64_t>(vectors.size()) * lanes);
  Value result = packed.at(program.results[0]);
  return vectors.size() == kMostPacked
             ? result
             : shuffled(result, llvm::to_vector(llvm::seq<int32_t>(0, bytes)));
}

bool ScalarProgram::canPack(const Target &target) const {
  if (!target.has(Isa::Avx2) || results.size() != 1)
    return false;
  llvm::SmallVector<int, 4> packed;
  for (auto [i, op] : llvm::enumerate(ops)) {
    bool isLookup = op.name == "nn.byte_lookup";
    if (isLookup ? !llvm::is_contained(packed, op.args[0])
                 : isPackedType(op.resultType) &&
                       (op.name != "nn.cast" || op.operandType != DType::Float32))
      return false;
    if (isPackedType(op.resultType))
      packed.push_back(static_cast<int>(inputs.size() + i));
  }
  return llvm::is_contained(packed, results[0]);
}

Value ScalarProgram::emitPacked(KernelBuilder &kb,
                                ArrayRef<KernelBuilder::Values> inputValues) const {
  return PackedEmitter(kb, *this, inputValues).emit();
}
