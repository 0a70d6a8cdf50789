//===- Prefetch.cpp - asking for memory before it is read -----------------===//
#include "backends/native/emit/Prefetch.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

void native::prefetch(KernelBuilder &kb, Value pointer, CacheLevel level) {
  // llvm.prefetch: to be read, of data.
  constexpr uint32_t kRead = 0, kData = 1;
  kb.builder().create<LLVM::Prefetch>(kb.loc(), pointer, kRead, static_cast<uint32_t>(level),
                                      kData);
}
