//===- ExpandMath.cpp - math ops to polynomials ---------------------------===//
#include "backends/native/ExpandMath.h"

#include "mlir/IR/BuiltinOps.h"

using namespace mlir;

namespace {
struct ExpandMath : PassWrapper<ExpandMath, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandMath)
  StringRef getArgument() const override { return "quern-expand-math"; }
  void runOnOperation() override {}
};
} // namespace

std::unique_ptr<Pass> quern::native::createExpandMathPass() {
  return std::make_unique<ExpandMath>();
}
