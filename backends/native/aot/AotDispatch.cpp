//===- AotDispatch.cpp - code for several CPUs behind one interface -------===//
#include "backends/native/aot/AotDispatch.h"

#include "quern/model_abi.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

using namespace quern;
using namespace quern::native;

namespace {
class DispatchCode {
public:
  DispatchCode(llvm::Module &module, const std::string &prefix,
               const std::vector<std::string> &variants, const ModelFunctions &functions)
      : module(module), ir(module.getContext()), prefix(prefix), variants(variants),
        functions(functions) {}
  void emit();

private:
  llvm::Function *declare(const std::string &name, llvm::FunctionType *type);
  void begin(llvm::Function *function);
  void emitChoose();
  void emitCpuOk();
  void emitForward(const char *name, llvm::FunctionType *type, llvm::Constant *otherwise);

  llvm::Module &module;
  llvm::IRBuilder<> ir;
  const std::string &prefix;
  const std::vector<std::string> &variants;
  ModelFunctions functions;
  /// The number of the variant to run, or that of variants.
  llvm::Function *choose = nullptr;
};
} // namespace

llvm::Function *DispatchCode::declare(const std::string &name, llvm::FunctionType *type) {
  return llvm::cast<llvm::Function>(module.getOrInsertFunction(name, type).getCallee());
}

void DispatchCode::begin(llvm::Function *function) {
  function->addFnAttr(llvm::Attribute::NoUnwind);
  ir.SetInsertPoint(llvm::BasicBlock::Create(ir.getContext(), "entry", function));
}

/// CPUID is slow in virtual machines: the answer is kept. Threads may ask at the same time;
/// they store the same.
void DispatchCode::emitChoose() {
  llvm::IntegerType *i32 = ir.getInt32Ty();
  auto *type = llvm::FunctionType::get(i32, false);
  choose = llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, "choose", module);
  auto *known =
      new llvm::GlobalVariable(module, i32, /*isConstant=*/false,
                               llvm::GlobalValue::InternalLinkage, ir.getInt32(-1), "chosen");
  begin(choose);
  auto block = [&](const char *name) {
    return llvm::BasicBlock::Create(ir.getContext(), name, choose);
  };
  llvm::BasicBlock *done = block("done"), *ask = block("ask"), *store = block("store");
  llvm::LoadInst *kept = ir.CreateAlignedLoad(i32, known, llvm::Align(4));
  kept->setAtomic(llvm::AtomicOrdering::Monotonic);
  ir.CreateCondBr(ir.CreateICmpSGE(kept, ir.getInt32(0)), done, ask);
  ir.SetInsertPoint(done);
  ir.CreateRet(kept);
  ir.SetInsertPoint(store);
  llvm::PHINode *chosen = ir.CreatePHI(i32, static_cast<unsigned>(variants.size()) + 1);
  ir.SetInsertPoint(ask);
  for (size_t i = 0; i < variants.size(); ++i) {
    llvm::BasicBlock *next = block("next");
    llvm::Value *isOk = ir.CreateIsNotNull(ir.CreateCall(declare(variants[i] + "_cpu_ok", type)));
    chosen->addIncoming(ir.getInt32(static_cast<uint32_t>(i)), ir.GetInsertBlock());
    ir.CreateCondBr(isOk, store, next);
    ir.SetInsertPoint(next);
  }
  chosen->addIncoming(ir.getInt32(static_cast<uint32_t>(variants.size())), ir.GetInsertBlock());
  ir.CreateBr(store);
  ir.SetInsertPoint(store);
  ir.CreateAlignedStore(chosen, known, llvm::Align(4))->setAtomic(llvm::AtomicOrdering::Monotonic);
  ir.CreateRet(chosen);
}

void DispatchCode::emitCpuOk() {
  begin(declare(prefix + "_cpu_ok", llvm::FunctionType::get(ir.getInt32Ty(), false)));
  llvm::Value *isOk =
      ir.CreateICmpULT(ir.CreateCall(choose), ir.getInt32(static_cast<uint32_t>(variants.size())));
  ir.CreateRet(ir.CreateZExt(isOk, ir.getInt32Ty()));
}

/// Calls the function of the chosen variant; without one, returns `otherwise`, or what the
/// last variant says when that is null.
void DispatchCode::emitForward(const char *name, llvm::FunctionType *type,
                               llvm::Constant *otherwise) {
  llvm::Function *function = declare(prefix + name, type);
  begin(function);
  std::vector<llvm::Value *> arguments;
  for (llvm::Argument &argument : function->args())
    arguments.push_back(&argument);
  auto *none = llvm::BasicBlock::Create(ir.getContext(), "none", function);
  llvm::SwitchInst *choice = ir.CreateSwitch(ir.CreateCall(choose), none);
  for (size_t i = 0; i < variants.size(); ++i) {
    auto *variant = llvm::BasicBlock::Create(ir.getContext(), "variant", function);
    choice->addCase(ir.getInt32(static_cast<uint32_t>(i)), variant);
    ir.SetInsertPoint(variant);
    ir.CreateRet(ir.CreateCall(declare(variants[i] + name, type), arguments));
  }
  ir.SetInsertPoint(none);
  if (otherwise)
    ir.CreateRet(otherwise);
  else
    ir.CreateRet(ir.CreateCall(declare(variants.back() + name, type), arguments));
}

void DispatchCode::emit() {
  llvm::Type *ptr = ir.getPtrTy(), *i32 = ir.getInt32Ty();
  llvm::Constant *noCpu = ir.getInt32(QUERN_MODEL_UNSUPPORTED_CPU);
  emitChoose();
  emitCpuOk();
  std::vector<llvm::Type *> parameters(functions.takeSizes ? 4 : 3, ptr);
  emitForward("_run", llvm::FunctionType::get(i32, parameters, false), noCpu);
  parameters.resize(parameters.size() + 2, ptr);
  emitForward("_run_parallel", llvm::FunctionType::get(i32, parameters, false), noCpu);
  emitForward("_info", llvm::FunctionType::get(ptr, false), /*otherwise=*/nullptr);
  if (functions.useWeights)
    emitForward("_use_weights", llvm::FunctionType::get(i32, {ptr, ir.getInt64Ty()}, false), noCpu);
  if (functions.useRandom)
    emitForward("_use_random", llvm::FunctionType::get(i32, {ptr, ptr}, false), noCpu);
}

Expected<std::unique_ptr<llvm::Module>>
native::emitDispatch(const std::string &prefix, const std::vector<std::string> &variants,
                     const ModelFunctions &functions, llvm::LLVMContext &context,
                     llvm::TargetMachine &machine) {
  auto module = std::make_unique<llvm::Module>(prefix, context);
  module->setTargetTriple(machine.getTargetTriple().str());
  module->setDataLayout(machine.createDataLayout());
  module->setPICLevel(llvm::PICLevel::BigPIC);
  DispatchCode(*module, prefix, variants, functions).emit();
  std::string errors;
  llvm::raw_string_ostream stream(errors);
  if (llvm::verifyModule(*module, &stream))
    return internalError("the code that chooses a CPU is invalid: " + errors);
  return module;
}

Expected<ObjectCode> native::compileDispatch(const std::string &prefix,
                                             const std::vector<std::string> &variants,
                                             const ModelFunctions &functions) {
  QUERN_ASSIGN(Target baseline, resolveTarget("baseline", "x86_64-linux-gnu"));
  QUERN_ASSIGN(auto machine, createTargetMachine(baseline));
  llvm::LLVMContext context;
  QUERN_ASSIGN(std::unique_ptr<llvm::Module> module,
               emitDispatch(prefix, variants, functions, context, *machine));
  return emitObject(*module, *machine);
}
