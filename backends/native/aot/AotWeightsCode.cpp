//===- AotWeightsCode.cpp - code that takes a file of weights -------------===//
//
//   int m_use_weights(data, bytes)   is it the file? then its address is kept
//   hash_weights(data, end)          as WeightsHash does
//
//===----------------------------------------------------------------------===//
#include "backends/native/aot/AotWeightsFile.h"
#include "backends/native/aot/WeightsFileHeader.h"
#include "quern/model_abi.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

#include <cstddef>

using namespace quern;
using namespace quern::native;

namespace {
class WeightsCode {
public:
  explicit WeightsCode(llvm::Module &module)
      : module(module), ir(module.getContext()), ptr(ir.getPtrTy()), i32(ir.getInt32Ty()),
        i64(ir.getInt64Ty()) {}
  void emitHash();
  void emitUse(const std::string &name, const WeightsPart &part, llvm::GlobalVariable *place);

private:
  llvm::Function *begin(const std::string &name, llvm::Type *result,
                        llvm::ArrayRef<llvm::Type *> parameters, bool isPublic);
  llvm::BasicBlock *block(const char *name) {
    return llvm::BasicBlock::Create(ir.getContext(), name, function);
  }
  llvm::Value *at(llvm::Value *base, int64_t offset) {
    return ir.CreateConstGEP1_64(ir.getInt8Ty(), base, static_cast<uint64_t>(offset));
  }
  llvm::Value *mix(llvm::Value *state, llvm::Value *word);
  void returnUnless(llvm::Value *condition, quern_model_status status);

  llvm::Module &module;
  llvm::IRBuilder<> ir;
  llvm::PointerType *ptr;
  llvm::IntegerType *i32, *i64;
  llvm::Function *function = nullptr, *hash = nullptr;
};
} // namespace

llvm::Function *WeightsCode::begin(const std::string &name, llvm::Type *result,
                                   llvm::ArrayRef<llvm::Type *> parameters, bool isPublic) {
  function = llvm::Function::Create(llvm::FunctionType::get(result, parameters, false),
                                    isPublic ? llvm::GlobalValue::ExternalLinkage
                                             : llvm::GlobalValue::InternalLinkage,
                                    name, module);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  ir.SetInsertPoint(block("entry"));
  return function;
}

void WeightsCode::returnUnless(llvm::Value *condition, quern_model_status status) {
  llvm::BasicBlock *fail = block("fail"), *next = block("next");
  ir.CreateCondBr(condition, next, fail);
  ir.SetInsertPoint(fail);
  ir.CreateRet(ir.getInt32(status));
  ir.SetInsertPoint(next);
}

llvm::Value *WeightsCode::mix(llvm::Value *state, llvm::Value *word) {
  llvm::Value *product = ir.CreateMul(ir.CreateXor(state, word), ir.getInt64(WeightsHash::kFactor));
  return ir.CreateIntrinsic(i64, llvm::Intrinsic::fshl,
                            {product, product, ir.getInt64(WeightsHash::kRotation)});
}

/// hash_weights(data, end), which are a multiple of 64 bytes apart.
void WeightsCode::emitHash() {
  hash = begin("hash_weights", i64, {ptr, ptr}, /*isPublic=*/false);
  llvm::BasicBlock *entry = ir.GetInsertBlock(), *head = block("head"), *work = block("work"),
                   *done = block("done");
  ir.CreateBr(head);
  ir.SetInsertPoint(head);
  llvm::PHINode *data = ir.CreatePHI(ptr, 2);
  data->addIncoming(function->getArg(0), entry);
  std::vector<llvm::PHINode *> lanes;
  for (size_t i = 0; i < WeightsHash::kLanes; ++i) {
    lanes.push_back(ir.CreatePHI(i64, 2));
    lanes.back()->addIncoming(ir.getInt64(WeightsHash::firstOf(i)), entry);
  }
  ir.CreateCondBr(ir.CreateICmpULT(data, function->getArg(1)), work, done);
  ir.SetInsertPoint(work);
  for (size_t i = 0; i < lanes.size(); ++i) {
    llvm::Value *word =
        ir.CreateAlignedLoad(i64, at(data, static_cast<int64_t>(8 * i)), llvm::Align(8));
    lanes[i]->addIncoming(mix(lanes[i], word), work);
  }
  data->addIncoming(at(data, WeightLayout::kAlignment), work);
  ir.CreateBr(head);
  ir.SetInsertPoint(done);
  llvm::Value *all = ir.getInt64(0);
  for (llvm::PHINode *lane : lanes)
    all = mix(all, lane);
  ir.CreateRet(all);
}

void WeightsCode::emitUse(const std::string &name, const WeightsPart &part,
                          llvm::GlobalVariable *place) {
  begin(name, i32, {ptr, i64}, /*isPublic=*/true);
  llvm::Value *data = function->getArg(0);
  returnUnless(ir.CreateIsNotNull(data), QUERN_MODEL_NULL_ARGUMENT);
  llvm::Value *low = ir.CreateAnd(ir.CreatePtrToInt(data, i64), WeightLayout::kAlignment - 1);
  returnUnless(ir.CreateIsNull(low), QUERN_MODEL_WRONG_WEIGHTS);
  auto require = [&](llvm::Value *found, uint64_t wanted) {
    returnUnless(ir.CreateICmpEQ(found, ir.getInt64(wanted)), QUERN_MODEL_WRONG_WEIGHTS);
  };
  auto field = [&](size_t offset) {
    return ir.CreateAlignedLoad(i64, at(data, static_cast<int64_t>(offset)), llvm::Align(8));
  };
  auto fileBytes = static_cast<uint64_t>(part.fileBytes);
  require(function->getArg(1), fileBytes);
  require(field(offsetof(WeightsFileHeader, magic)), WeightsFileHeader::kMagic);
  require(field(offsetof(WeightsFileHeader, version)), WeightsFileHeader::kVersion);
  require(field(offsetof(WeightsFileHeader, bytes)), fileBytes);
  require(field(offsetof(WeightsFileHeader, hash)), part.fileHash);
  llvm::Value *weights = at(data, part.offset);
  require(ir.CreateCall(hash, {weights, at(weights, part.bytes)}), part.hash);
  // Threads may run the model, with another copy of the file, at the same time.
  ir.CreateAlignedStore(weights, place, llvm::Align(8))->setAtomic(llvm::AtomicOrdering::Release);
  ir.CreateRet(ir.getInt32(QUERN_MODEL_OK));
}

void native::emitUseWeights(llvm::Module &module, const std::string &name, const WeightsPart &part,
                            llvm::GlobalVariable *place) {
  WeightsCode code(module);
  code.emitHash();
  code.emitUse(name, part, place);
}
