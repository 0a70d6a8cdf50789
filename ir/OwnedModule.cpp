//===- OwnedModule.cpp - a module with a context of its own ---------------===//
#include "ir/OwnedModule.h"

#include "ir/NNDialect.h"

#include "mlir/Bytecode/BytecodeReader.h"
#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/MemoryBufferRef.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;

void nn::loadDialects(MLIRContext &context) { context.loadDialect<NNDialect, func::FuncDialect>(); }

OwnedModule OwnedModule::create() {
  OwnedModule result;
  result.context = std::make_shared<MLIRContext>(MLIRContext::Threading::DISABLED);
  result.context->getDiagEngine().registerHandler([](Diagnostic &) { return success(); });
  loadDialects(*result.context);
  return result;
}

// The context locks its tables then; it starts no threads, as no pass manager asks for any.
void nn::freezeContext(MLIRContext &context) { context.enableMultithreading(); }

// Nothing of one context can be cloned into another; bytecode can be read into it.
Expected<OwnedModule> nn::copyModule(ModuleOp module) {
  std::string bytes;
  llvm::raw_string_ostream stream(bytes);
  if (failed(writeBytecodeToFile(module, stream)))
    return internalError("copying a module failed: it cannot be written");
  OwnedModule copy = OwnedModule::create();
  copy.context->getLoadedDialect<NNDialect>()->getWeights().shareBlobs(
      module.getContext()->getLoadedDialect<NNDialect>()->getWeights());
  // It has been verified before, and passes verify what they make of it.
  ParserConfig config(copy.context.get(), /*verifyAfterParse=*/false);
  Block block;
  if (failed(readBytecodeFile(llvm::MemoryBufferRef(bytes, "module"), &block, config)) ||
      !llvm::hasSingleElement(block) || !isa<ModuleOp>(block.front()))
    return internalError("copying a module failed: it cannot be read");
  copy.module = cast<ModuleOp>(block.front());
  copy.module->getOperation()->remove();
  return copy;
}
