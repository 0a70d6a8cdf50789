//===- Target.cpp - the CPU that code is generated for --------------------===//
#include "backends/native/codegen/Target.h"

#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

#include <mutex>

using namespace quern;
using namespace quern::native;

static void initializeLlvmTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::InitializeNativeTargetAsmParser();
  });
}

static std::string hostFeatures() {
  std::string text;
  for (const auto &feature : llvm::sys::getHostCPUFeatures())
    text += (text.empty() ? "" : ",") + ((feature.second ? "+" : "-") + feature.first()).str();
  return text;
}

Expected<Target> native::resolveTarget(const std::string &cpu) {
  initializeLlvmTargets();
  Target target;
  target.triple = llvm::sys::getProcessTriple();
  std::string error;
  const llvm::Target *llvmTarget = llvm::TargetRegistry::lookupTarget(target.triple, error);
  if (!llvmTarget || !llvm::StringRef(target.triple).starts_with("x86_64"))
    return unsupported("no code generation for '" + target.triple + "': only x86-64 so far");
  if (cpu.empty() || cpu == "host") {
    target.cpu = llvm::sys::getHostCPUName().str();
    target.features = hostFeatures();
  } else {
    target.cpu = cpu == "baseline" ? "x86-64" : cpu;
  }
  std::unique_ptr<llvm::MCSubtargetInfo> generic(
      llvmTarget->createMCSubtargetInfo(target.triple, "x86-64", ""));
  if (!generic->isCPUStringValid(target.cpu))
    return Status(StatusCode::Usage,
                  "unknown target CPU '" + cpu + "' (use host, baseline or an LLVM CPU name)");
  std::unique_ptr<llvm::MCSubtargetInfo> cpuInfo(
      llvmTarget->createMCSubtargetInfo(target.triple, target.cpu, target.features));
  auto has = [&](const char *feature) { return cpuInfo->checkFeatures(feature); };
  // LLVM aborts the process over these.
  if (!has("+64bit"))
    return usageError("the target CPU '" + cpu + "' does not run 64-bit code");
  target.hasFma = has("+fma") || has("+avx512f");
  if (has("+avx512f") && has("+avx512vl") && has("+avx512bw") && has("+avx512dq")) {
    target.vectorBytes = 64;
    target.vectorRegisters = 32;
    // LLVM would otherwise split our 512-bit vectors on some CPUs.
    target.features += (target.features.empty() ? "" : ",") + std::string("-prefer-256-bit");
  } else if (has("+avx2") && target.hasFma) {
    target.vectorBytes = 32;
  } else {
    target.vectorBytes = 16;
    target.hasFma = false;
  }
  return target;
}

Expected<std::unique_ptr<llvm::TargetMachine>> native::createTargetMachine(const Target &target) {
  initializeLlvmTargets();
  std::string error;
  const llvm::Target *llvmTarget = llvm::TargetRegistry::lookupTarget(target.triple, error);
  if (!llvmTarget)
    return internalError("no LLVM target for " + target.triple + ": " + error);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  std::unique_ptr<llvm::TargetMachine> machine(llvmTarget->createTargetMachine(
      target.triple, target.cpu, target.features, options, llvm::Reloc::PIC_,
      llvm::CodeModel::Small, llvm::CodeGenOptLevel::Aggressive));
  if (!machine)
    return internalError("cannot create a target machine for CPU " + target.cpu);
  return machine;
}
