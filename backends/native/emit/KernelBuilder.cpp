//===- KernelBuilder.cpp - one kernel function under construction ---------===//
#include "backends/native/emit/KernelBuilder.h"

#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

static std::unique_ptr<MLIRContext> createContext() {
  DialectRegistry registry;
  registry.insert<arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect, math::MathDialect,
                  scf::SCFDialect, vector::VectorDialect>();
  auto context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  context->loadAllAvailableDialects();
  return context;
}

KernelBuilder::KernelBuilder(const Target &target, StringRef symbol)
    : cpu(target), context(createContext()), ops(context.get()),
      location(UnknownLoc::get(context.get())), module(ModuleOp::create(location)) {
  ops.setInsertionPointToEnd(module->getBody());
  Type pointer = LLVM::LLVMPointerType::get(context.get());
  Type i64 = ops.getI64Type();
  auto function = ops.create<func::FuncOp>(
      location, symbol,
      ops.getFunctionType({pointer, pointer, i64, i64, pointer}, {ops.getI32Type()}));
  entry = function.addEntryBlock();
  for (unsigned i : {0u, 1u})
    function.setArgAttr(i, LLVM::LLVMDialect::getReadonlyAttrName(), ops.getUnitAttr());
  buffersArgument = entry->getArgument(0);
  dimsArgument = entry->getArgument(1);
  begin = entry->getArgument(2);
  end = entry->getArgument(3);
  scratchArgument = entry->getArgument(4);
  ops.setInsertionPointToStart(entry);
}

Value KernelBuilder::buffer(int64_t i) {
  while (static_cast<int64_t>(buffers.size()) <= i) {
    OpBuilder::InsertionGuard guard(ops);
    ops.setInsertionPointToStart(entry);
    Type pointer = LLVM::LLVMPointerType::get(context.get());
    Value slot = ops.create<LLVM::GEPOp>(location, pointer, pointer, buffersArgument,
                                         ArrayRef<LLVM::GEPArg>{(int32_t)buffers.size()});
    buffers.push_back(ops.create<LLVM::LoadOp>(location, pointer, slot, 8));
  }
  return buffers[i];
}

Value KernelBuilder::dim(int64_t i) {
  while (static_cast<int64_t>(dims.size()) <= i) {
    OpBuilder::InsertionGuard guard(ops);
    ops.setInsertionPointToStart(entry);
    Type pointer = LLVM::LLVMPointerType::get(context.get());
    Type i64 = ops.getI64Type();
    Value slot = ops.create<LLVM::GEPOp>(location, pointer, i64, dimsArgument,
                                         ArrayRef<LLVM::GEPArg>{(int32_t)dims.size()});
    dims.push_back(ops.create<LLVM::LoadOp>(location, i64, slot, 8));
  }
  return dims[i];
}

Value KernelBuilder::madeAtEntry(Value pointer, llvm::function_ref<Value()> make) {
  if (pointer.getParentBlock() != entry)
    return {};
  Value &made = madeOf[pointer];
  if (!made) {
    OpBuilder::InsertionGuard guard(ops);
    ops.setInsertionPointAfterValue(pointer);
    made = make();
  }
  return made;
}

void KernelBuilder::trapIf(Value condition, TrapCode reason) {
  Type i32 = ops.getI32Type();
  auto constant = [&](int32_t value) -> Value {
    return ops.create<arith::ConstantOp>(location, ops.getI32IntegerAttr(value));
  };
  if (!answer) { // becomes a register: LLVM promotes it
    OpBuilder::InsertionGuard guard(ops);
    ops.setInsertionPointToStart(entry);
    Type pointer = LLVM::LLVMPointerType::get(context.get());
    answer = ops.create<LLVM::AllocaOp>(location, pointer, i32, constant(1), 4);
    ops.create<LLVM::StoreOp>(location, constant(0), answer, 4);
  }
  Value before = ops.create<LLVM::LoadOp>(location, i32, answer, 4);
  Value isFirst =
      ops.create<arith::CmpIOp>(location, arith::CmpIPredicate::eq, before, constant(0));
  Value applies = ops.create<arith::AndIOp>(location, condition, isFirst);
  Value after = ops.create<arith::SelectOp>(location, applies,
                                            constant(static_cast<int32_t>(reason)), before);
  ops.create<LLVM::StoreOp>(location, after, answer, 4);
}

Value KernelBuilder::index(int64_t value) {
  return ops.create<arith::ConstantOp>(location, ops.getI64IntegerAttr(value));
}

/// The value of an i64 constant.
static std::optional<int64_t> constantOf(Value v) {
  APInt value;
  if (matchPattern(v, m_ConstantInt(&value)))
    return value.getSExtValue();
  return std::nullopt;
}

Value KernelBuilder::add(Value a, Value b) {
  auto x = constantOf(a), y = constantOf(b);
  if (x && y)
    return index(*x + *y);
  if (x == 0)
    return b;
  if (y == 0)
    return a;
  return ops.create<arith::AddIOp>(location, a, b);
}

Value KernelBuilder::sub(Value a, Value b) {
  auto x = constantOf(a), y = constantOf(b);
  if (x && y)
    return index(*x - *y);
  return y == 0 ? a : Value(ops.create<arith::SubIOp>(location, a, b));
}

Value KernelBuilder::mul(Value a, Value b) {
  auto x = constantOf(a), y = constantOf(b);
  if (x && y)
    return index(*x * *y);
  if (x == 0 || y == 1)
    return a;
  if (y == 0 || x == 1)
    return b;
  return ops.create<arith::MulIOp>(location, a, b);
}

Value KernelBuilder::minSigned(Value a, Value b) {
  return ops.create<arith::MinSIOp>(location, a, b);
}
Value KernelBuilder::maxSigned(Value a, Value b) {
  return ops.create<arith::MaxSIOp>(location, a, b);
}
Value KernelBuilder::div(Value a, Value b) {
  return constantOf(b) == 1 ? a : Value(ops.create<arith::DivUIOp>(location, a, b));
}
Value KernelBuilder::rem(Value a, Value b) { return ops.create<arith::RemUIOp>(location, a, b); }
Value KernelBuilder::lessThan(Value a, Value b) {
  return ops.create<arith::CmpIOp>(location, arith::CmpIPredicate::slt, a, b);
}

/// The type that elements are loaded and stored in. bfloat16 are integers there:
/// moving them as floats LLVM would go by way of float32 on CPUs that have none,
/// and return by library calls.
static Type memoryType(MLIRContext *context, DType dtype, int64_t lanes) {
  DType stored = dtype == DType::Bool       ? DType::UInt8
                 : dtype == DType::BFloat16 ? DType::Int16
                                            : dtype;
  return nn::registerType(context, stored, lanes);
}

Value KernelBuilder::advance(Value pointer, Value elements, DType dtype) {
  if (constantOf(elements) == 0)
    return pointer;
  return ops.create<LLVM::GEPOp>(location, pointer.getType(), memoryType(context.get(), dtype, 0),
                                 pointer, ArrayRef<LLVM::GEPArg>{elements}, /*inbounds=*/true);
}

Value KernelBuilder::advance(Value pointer, int64_t elements, DType dtype) {
  return advance(pointer, index(elements), dtype);
}

Value KernelBuilder::stackSpace(DType dtype, int64_t elements) {
  OpBuilder::InsertionGuard guard(ops);
  ops.setInsertionPointToStart(entry);
  constexpr unsigned kAlignment = 64;
  // As one array: LLVM keeps nothing in registers of what has a count.
  Type array = LLVM::LLVMArrayType::get(memoryType(context.get(), dtype, 0), elements);
  return ops.create<LLVM::AllocaOp>(location, LLVM::LLVMPointerType::get(context.get()), array,
                                    index(1), kAlignment);
}

Value KernelBuilder::mask(Value active, int64_t lanes) {
  auto type = VectorType::get({lanes}, ops.getI1Type());
  Value count = ops.create<arith::IndexCastOp>(location, ops.getIndexType(), active);
  return ops.create<vector::CreateMaskOp>(location, type, count);
}

Value KernelBuilder::load(Value pointer, DType dtype, int64_t lanes, Value active) {
  Type memory = memoryType(context.get(), dtype, lanes);
  auto alignment = static_cast<unsigned>(dtypeBytes(dtype));
  Value value;
  if (active && lanes > 0) {
    Value zero = ops.create<arith::ConstantOp>(location, ops.getZeroAttr(memory));
    value = ops.create<LLVM::MaskedLoadOp>(location, memory, pointer, mask(active, lanes),
                                           ValueRange{zero}, alignment);
  } else {
    value = ops.create<LLVM::LoadOp>(location, memory, pointer, alignment);
  }
  if (dtype == DType::BFloat16)
    return ops.create<arith::BitcastOp>(location, nn::registerType(context.get(), dtype, lanes),
                                        value);
  if (dtype != DType::Bool)
    return value;
  Value zero = ops.create<arith::ConstantOp>(location, ops.getZeroAttr(memory));
  return ops.create<arith::CmpIOp>(location, arith::CmpIPredicate::ne, value, zero);
}

Value KernelBuilder::loadWord(Value pointer, DType dtype) {
  return ops.create<LLVM::LoadOp>(location, ops.getI32Type(), pointer,
                                  static_cast<unsigned>(dtypeBytes(dtype)));
}

void KernelBuilder::store(Value value, Value pointer, DType dtype, int64_t lanes, Value active) {
  if (dtype == DType::Bool)
    value = ops.create<arith::ExtUIOp>(location, memoryType(context.get(), dtype, lanes), value);
  if (dtype == DType::BFloat16)
    value = ops.create<arith::BitcastOp>(location, memoryType(context.get(), dtype, lanes), value);
  auto alignment = static_cast<unsigned>(dtypeBytes(dtype));
  if (active && lanes > 0)
    ops.create<LLVM::MaskedStoreOp>(location, value, pointer, mask(active, lanes), alignment);
  else
    ops.create<LLVM::StoreOp>(location, value, pointer, alignment);
}

Value KernelBuilder::splat(Value scalar, int64_t lanes) {
  if (lanes == 0)
    return scalar;
  Type element = scalar.getType();
  auto vector = VectorType::get({lanes}, element);
  if (!element.isF16() && !element.isBF16())
    return ops.create<vector::SplatOp>(location, vector, scalar);
  // As integers: LLVM moves half types by way of float32, with library calls.
  auto bits = VectorType::get({lanes}, ops.getI16Type());
  Value lane = ops.create<arith::BitcastOp>(location, ops.getI16Type(), scalar);
  Value all = ops.create<vector::SplatOp>(location, bits, lane);
  return ops.create<arith::BitcastOp>(location, vector, all);
}

Value KernelBuilder::interleave(ValueRange parts) {
  auto words = cast<VectorType>(parts[0].getType()).clone(ops.getI32Type());
  auto bits = static_cast<int32_t>(32 / parts.size());
  Value all;
  for (auto [i, part] : llvm::enumerate(parts)) {
    Value word = ops.create<arith::ExtUIOp>(location, words, part);
    if (i > 0) {
      auto shift =
          SplatElementsAttr::get(words, ops.getI32IntegerAttr(bits * static_cast<int32_t>(i)));
      word =
          ops.create<arith::ShLIOp>(location, word, ops.create<arith::ConstantOp>(location, shift));
    }
    all = all ? Value(ops.create<arith::OrIOp>(location, all, word)) : word;
  }
  return all;
}

Value KernelBuilder::floatConstant(DType dtype, int64_t lanes, double value) {
  Type type = nn::registerType(context.get(), dtype, lanes);
  TypedAttr attr = ops.getFloatAttr(nn::registerType(context.get(), dtype, 0), value);
  if (lanes > 0)
    attr = SplatElementsAttr::get(cast<VectorType>(type), attr);
  return ops.create<arith::ConstantOp>(location, attr);
}

Value KernelBuilder::flushedToBFloat16(Value floats) {
  auto type = dyn_cast<VectorType>(floats.getType());
  int64_t count = type ? type.getNumElements() : 0;
  if (!cpu.has(Isa::Bf16Dot) || (count != 16 && count != 8))
    return {};
  StringRef name =
      count == 16 ? "llvm.x86.avx512bf16.cvtneps2bf16.512" : "llvm.x86.avx512bf16.cvtneps2bf16.256";
  return ops
      .create<LLVM::CallIntrinsicOp>(location, type.clone(ops.getBF16Type()),
                                     ops.getStringAttr(name), floats)
      ->getResult(0);
}

Value KernelBuilder::multiplyAdd(Value a, Value b, Value c) {
  if (cpu.has(Isa::Fma))
    return ops.create<math::FmaOp>(location, a, b, c);
  return ops.create<arith::AddFOp>(location, ops.create<arith::MulFOp>(location, a, b), c);
}

KernelBuilder::Values KernelBuilder::forLoop(Value from, Value to, int64_t step, ValueRange carried,
                                             const std::function<Values(Value, ValueRange)> &body) {
  auto loop = ops.create<scf::ForOp>(location, from, to, index(step), carried,
                                     [&](OpBuilder &inner, Location, Value i, ValueRange values) {
                                       OpBuilder::InsertionGuard guard(ops);
                                       ops.setInsertionPoint(inner.getInsertionBlock(),
                                                             inner.getInsertionPoint());
                                       Values next = body(i, values);
                                       ops.create<scf::YieldOp>(location, next);
                                     });
  return Values(loop.getResults());
}

void KernelBuilder::forLoop(Value from, Value to, int64_t step,
                            const std::function<void(Value)> &body) {
  forLoop(from, to, step, {}, [&](Value i, ValueRange) {
    body(i);
    return Values();
  });
}

void KernelBuilder::ifThen(Value condition, const std::function<void()> &then,
                           const std::function<void()> &otherwise) {
  auto branch = ops.create<scf::IfOp>(location, condition, /*withElseRegion=*/bool(otherwise));
  OpBuilder::InsertionGuard guard(ops);
  ops.setInsertionPointToStart(branch.thenBlock());
  then();
  if (otherwise) {
    ops.setInsertionPointToStart(branch.elseBlock());
    otherwise();
  }
}

KernelBuilder::Module KernelBuilder::finish() {
  ops.setInsertionPointToEnd(entry);
  Value result = answer ? Value(ops.create<LLVM::LoadOp>(location, ops.getI32Type(), answer, 4))
                        : Value(ops.create<arith::ConstantOp>(location, ops.getI32IntegerAttr(0)));
  ops.create<func::ReturnOp>(location, result);
  return {std::move(context), std::move(module)};
}
