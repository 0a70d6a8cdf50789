//===- quern-opt.cpp - runs Quern's passes on textual IR ------------------===//
#include "ir/NNDialect.h"
#include "passes/Passes.h"
#include "passes/Pipelines.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<quern::nn::NNDialect, mlir::func::FuncDialect>();
  mlir::registerCanonicalizerPass();
  mlir::registerCSEPass();
  quern::passes::registerQuernPasses();
  quern::passes::registerQuernPipelines();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Quern pass driver\n", registry));
}
