//===- Jit.cpp - loads kernel objects into the process --------------------===//
#include "backends/native/codegen/Jit.h"

#include "backends/native/target/CpuFeatures.h"

#include "llvm/ExecutionEngine/JITEventListener.h"
#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/ExecutionEngine/Orc/RTDyldObjectLinkingLayer.h"
#include "llvm/ExecutionEngine/SectionMemoryManager.h"
#include "llvm/ObjCopy/ConfigManager.h"
#include "llvm/ObjCopy/ObjCopy.h"
#include "llvm/Object/Binary.h"
#include "llvm/Support/MemoryBuffer.h"

#include <cstdlib>

using namespace quern;
using namespace quern::native;

static Status jitError(const std::string &what, llvm::Error error) {
  return internalError(what + ": " + llvm::toString(std::move(error)));
}

Jit::Jit(std::unique_ptr<llvm::orc::LLJIT> jit, bool hasListeners)
    : lljit(std::move(jit)), hasListeners(hasListeners) {}
Jit::~Jit() = default;

//===----------------------------------------------------------------------===//
// Who hears of code
//===----------------------------------------------------------------------===//

/// LLVM's, which live as long as the process.
static Expected<std::vector<llvm::JITEventListener *>> listeners() {
  std::vector<llvm::JITEventListener *> result;
  const char *given = std::getenv("QUERN_JIT_EVENTS");
  llvm::SmallVector<llvm::StringRef> names;
  llvm::StringRef(given ? given : "").split(names, ',', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  for (llvm::StringRef name : names) {
    if (name == "perf")
      result.push_back(llvm::JITEventListener::createPerfJITEventListener());
    else if (name == "gdb")
      result.push_back(llvm::JITEventListener::createGDBRegistrationListener());
    else
      return usageError("QUERN_JIT_EVENTS: wanted 'perf', 'gdb' or 'perf,gdb', found '" +
                        name.str() + "'");
  }
  return result;
}

/// The listeners are those of LLVM's older linker.
static void setListeners(llvm::orc::LLJITBuilder &builder,
                         std::vector<llvm::JITEventListener *> listeners) {
  builder.setObjectLinkingLayerCreator(
      [listeners = std::move(listeners)](llvm::orc::ExecutionSession &session,
                                         const llvm::Triple &) {
        auto layer = std::make_unique<llvm::orc::RTDyldObjectLinkingLayer>(
            session, [] { return std::make_unique<llvm::SectionMemoryManager>(); });
        for (llvm::JITEventListener *listener : listeners)
          layer->registerJITEventListener(*listener);
        return layer;
      });
}

/// The same object with another name of a symbol.
static Expected<ObjectCode> renamed(const ObjectCode &object, const std::string &symbol,
                                    const std::string &name) {
  llvm::MemoryBufferRef source(llvm::StringRef(object.data(), object.size()), "kernel");
  auto binary = llvm::object::createBinary(source);
  if (!binary)
    return jitError("cannot read a kernel", binary.takeError());
  llvm::objcopy::ConfigManager config;
  config.Common.SymbolsToRename[symbol] = name;
  llvm::SmallVector<char> bytes;
  llvm::raw_svector_ostream stream(bytes);
  if (llvm::Error error = llvm::objcopy::executeObjcopyOnBinary(config, **binary, stream))
    return jitError("cannot rename a kernel", std::move(error));
  return ObjectCode(bytes.begin(), bytes.end());
}

//===----------------------------------------------------------------------===//
// Loading code
//===----------------------------------------------------------------------===//

Expected<std::shared_ptr<Jit>> Jit::create(const Target &target) {
  QUERN_TRY(checkRunsHere(target));
  llvm::orc::JITTargetMachineBuilder machine{llvm::Triple(target.triple)};
  machine.setCPU(target.cpu);
  llvm::orc::LLJITBuilder builder;
  builder.setJITTargetMachineBuilder(std::move(machine));
  QUERN_ASSIGN(std::vector<llvm::JITEventListener *> hearing, listeners());
  if (!hearing.empty())
    setListeners(builder, hearing);
  auto jit = builder.create();
  if (!jit)
    return jitError("cannot create the JIT", jit.takeError());
  // libm functions that the polynomials do not cover come from the process.
  auto process = llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
      (*jit)->getDataLayout().getGlobalPrefix());
  if (!process)
    return jitError("cannot search the process for symbols", process.takeError());
  (*jit)->getMainJITDylib().addGenerator(std::move(*process));
  return std::shared_ptr<Jit>(new Jit(std::move(*jit), !hearing.empty()));
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

Expected<KernelFunction> Jit::load(const ObjectCode &object, const std::string &symbol,
                                   const std::string &name) {
  if (!hasListeners) {
    QUERN_TRY(addObject(object));
    return lookup(symbol);
  }
  // Kernels may have the same name.
  std::string known =
      name + "." + symbol.substr(symbol.size() - std::min<size_t>(8, symbol.size()));
  QUERN_ASSIGN(ObjectCode code, renamed(object, symbol, known));
  QUERN_TRY(addObject(code));
  return lookup(known);
}
