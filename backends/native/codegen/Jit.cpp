//===- Jit.cpp - loads kernel objects into the process --------------------===//
#include "backends/native/codegen/Jit.h"

#include "backends/native/target/CpuFeatures.h"

#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace quern;
using namespace quern::native;

static Status jitError(const std::string &what, llvm::Error error) {
  return internalError(what + ": " + llvm::toString(std::move(error)));
}

Jit::Jit(std::unique_ptr<llvm::orc::LLJIT> jit) : lljit(std::move(jit)) {}
Jit::~Jit() = default;

Expected<std::shared_ptr<Jit>> Jit::create(const Target &target) {
  QUERN_TRY(checkRunsHere(target));
  llvm::orc::JITTargetMachineBuilder machine{llvm::Triple(target.triple)};
  machine.setCPU(target.cpu);
  auto jit = llvm::orc::LLJITBuilder().setJITTargetMachineBuilder(std::move(machine)).create();
  if (!jit)
    return jitError("cannot create the JIT", jit.takeError());
  // libm functions that the polynomials do not cover come from the process.
  auto process = llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
      (*jit)->getDataLayout().getGlobalPrefix());
  if (!process)
    return jitError("cannot search the process for symbols", process.takeError());
  (*jit)->getMainJITDylib().addGenerator(std::move(*process));
  return std::shared_ptr<Jit>(new Jit(std::move(*jit)));
}

Status Jit::addObject(const ObjectCode &object) {
  auto buffer =
      llvm::MemoryBuffer::getMemBufferCopy(llvm::StringRef(object.data(), object.size()), "kernel");
  if (llvm::Error error = lljit->addObjectFile(std::move(buffer)))
    return jitError("cannot add a kernel", std::move(error));
  return Status::ok();
}

Expected<KernelFunction> Jit::lookup(const std::string &symbol) {
  auto address = lljit->lookup(symbol);
  if (!address)
    return jitError("cannot link kernel " + symbol, address.takeError());
  return address->toPtr<KernelFunction>();
}
