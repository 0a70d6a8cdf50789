//===- FenceHalf.cpp - keep half types out of arithmetic ------------------===//
#include "backends/native/codegen/FenceHalf.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;

namespace {
struct FenceHalf : PassWrapper<FenceHalf, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FenceHalf)
  StringRef getArgument() const override { return "quern-fence-half"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, LLVM::LLVMDialect>();
  }
  void runOnOperation() override {
    getOperation().walk([](arith::ExtFOp op) {
      if (!getElementTypeOrSelf(op.getIn().getType()).isF16())
        return;
      OpBuilder builder(op->getContext());
      builder.setInsertionPointAfter(op);
      auto fence = builder.create<LLVM::CallIntrinsicOp>(
          op.getLoc(), op.getType(), builder.getStringAttr("llvm.arithmetic.fence"),
          ValueRange{op.getResult()});
      op.getResult().replaceAllUsesExcept(fence->getResult(0), fence);
    });
  }
};
} // namespace

std::unique_ptr<Pass> quern::native::createFenceHalfPass() { return std::make_unique<FenceHalf>(); }
