//===- AotFloatMode.cpp - floating-point mode while a model runs ----------===//
#include "backends/native/aot/AotFloatMode.h"

#include "llvm/IR/IntrinsicsAArch64.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/IR/Module.h"
#include "llvm/TargetParser/Triple.h"

using namespace quern;
using namespace quern::native;

/// x86: MXCSR with all exceptions masked, flush to zero, denormals are zero.
constexpr uint32_t kMxcsr = 0x1f80 | 0x8040;
/// AArch64: FPCR.FZ, which holds for operands and results.
constexpr uint64_t kFpcr = uint64_t{1} << 24;

static llvm::Module &moduleOf(llvm::IRBuilder<> &ir) { return *ir.GetInsertBlock()->getModule(); }

static bool isAarch64(llvm::IRBuilder<> &ir) {
  return llvm::Triple(moduleOf(ir).getTargetTriple()).isAArch64();
}

llvm::Value *native::createFloatModeSlot(llvm::IRBuilder<> &ir) {
  return ir.CreateAlloca(isAarch64(ir) ? ir.getInt64Ty() : ir.getInt32Ty(), nullptr, "saved");
}

void native::setFloatMode(llvm::IRBuilder<> &ir, llvm::Value *slot) {
  if (isAarch64(ir)) {
    ir.CreateStore(ir.CreateIntrinsic(ir.getInt64Ty(), llvm::Intrinsic::aarch64_get_fpcr, {}),
                   slot);
    ir.CreateIntrinsic(ir.getVoidTy(), llvm::Intrinsic::aarch64_set_fpcr, {ir.getInt64(kFpcr)});
    return;
  }
  auto *mode = new llvm::GlobalVariable(moduleOf(ir), ir.getInt32Ty(), /*isConstant=*/true,
                                        llvm::GlobalValue::PrivateLinkage, ir.getInt32(kMxcsr));
  mode->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
  ir.CreateIntrinsic(llvm::Intrinsic::x86_sse_stmxcsr, {}, {slot});
  ir.CreateIntrinsic(llvm::Intrinsic::x86_sse_ldmxcsr, {}, {mode});
}

void native::restoreFloatMode(llvm::IRBuilder<> &ir, llvm::Value *slot) {
  if (isAarch64(ir))
    ir.CreateIntrinsic(ir.getVoidTy(), llvm::Intrinsic::aarch64_set_fpcr,
                       {ir.CreateLoad(ir.getInt64Ty(), slot)});
  else
    ir.CreateIntrinsic(llvm::Intrinsic::x86_sse_ldmxcsr, {}, {slot});
}
