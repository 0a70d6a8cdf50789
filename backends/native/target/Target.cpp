//===- Target.cpp - the CPU that code is generated for --------------------===//
#include "backends/native/target/Target.h"

#include "backends/native/target/CpuFeatures.h"
#include "backends/native/target/X86Features.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

#include <mutex>

using namespace quern;
using namespace quern::native;

static void initializeLlvmTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeAArch64AsmParser();
  });
}

std::string native::nameByFeatures(const std::string &cpu, const llvm::StringMap<bool> &features) {
  struct Telling {
    const char *cpu;
    std::vector<const char *> features;
  };
  // Newest first.
  static const Telling kTelling[] = {
      {"graniterapids", {"amx-bf16", "avx512fp16", "avx512bf16", "prefetchi"}},
      {"sapphirerapids", {"amx-bf16", "avx512fp16", "avx512bf16"}},
  };
  initializeLlvmTargets();
  std::string error, triple = "x86_64-linux-gnu";
  const llvm::Target *x86 = llvm::TargetRegistry::lookupTarget(triple, error);
  std::unique_ptr<llvm::MCSubtargetInfo> named(x86->createMCSubtargetInfo(triple, cpu, ""));
  for (const Telling &each : kTelling) {
    auto isHere = [&](const char *feature) { return features.lookup(feature); };
    auto isNamed = [&](const char *feature) {
      return named->checkFeatures(std::string("+") + feature);
    };
    if (llvm::all_of(each.features, isHere))
      return llvm::all_of(each.features, isNamed) ? cpu : each.cpu;
  }
  return cpu;
}

/// What LLVM finds, and of tiles what the process may use: all of them or none.
static std::string textOf(const llvm::StringMap<bool> &features) {
  std::string text;
  for (const auto &feature : features)
    text += (text.empty() ? "" : ",") + ((feature.second ? "+" : "-") + feature.first()).str();
  for (const std::string &name : performedFeatures())
    text += ",+" + name;
  if (!missingOnThisCpu({"amx-tile"}).empty())
    text += ",-amx-tile";
  return text;
}

static Expected<const llvm::Target *> findLlvmTarget(const std::string &triple) {
  initializeLlvmTargets();
  std::string error;
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!found)
    return internalError("no LLVM target for " + triple + ": " + error);
  return found;
}

/// LLVM's answer to a CPU and features; Usage when it does not know the CPU.
static Expected<std::unique_ptr<llvm::MCSubtargetInfo>>
describeCpu(const Target &target, const std::string &cpu, const char *anyCpu) {
  QUERN_ASSIGN(const llvm::Target *llvmTarget, findLlvmTarget(target.triple));
  std::unique_ptr<llvm::MCSubtargetInfo> any(
      llvmTarget->createMCSubtargetInfo(target.triple, anyCpu, ""));
  if (!any->isCPUStringValid(cpu))
    return usageError("unknown target CPU '" + cpu + "' (use host, baseline or an LLVM CPU name)");
  return std::unique_ptr<llvm::MCSubtargetInfo>(
      llvmTarget->createMCSubtargetInfo(target.triple, cpu, target.features));
}

static Expected<Target> resolveX86(Target target, const std::string &cpu, bool isHost) {
  if (isHost) {
    llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
    target.cpu = nameByFeatures(llvm::sys::getHostCPUName().str(), features);
    target.features = textOf(features);
  } else {
    target.cpu = cpu;
  }
  QUERN_ASSIGN(auto cpuInfo, describeCpu(target, target.cpu, "x86-64"));
  auto has = [&](const char *feature) { return cpuInfo->checkFeatures(feature); };
  // LLVM aborts the process over these.
  if (!has("+64bit"))
    return usageError("the target CPU '" + cpu + "' does not run 64-bit code");
  if (has("+f16c"))
    target.isa.add(Isa::HalfConversion);
  bool hasFma = has("+fma") || has("+avx512f");
  if (has("+avx512f") && has("+avx512vl") && has("+avx512bw") && has("+avx512dq")) {
    for (Isa isa : {Isa::Avx2, Isa::Fma, Isa::Avx512})
      target.isa.add(isa);
    target.vectorBytes = 64;
    target.vectorRegisters = 32;
    if (has("+avx512bf16"))
      target.isa.add(Isa::Bf16Dot);
    if (has("+avx512vnni"))
      target.isa.add(Isa::Vnni);
    if (has("+avx512vbmi"))
      target.isa.add(Isa::BytePermute);
    if (has("+amx-bf16"))
      target.isa.add(Isa::Bf16Tiles);
    if (has("+amx-int8"))
      target.isa.add(Isa::ByteTiles);
    // LLVM would otherwise split our 512-bit vectors on some CPUs.
    target.features += (target.features.empty() ? "" : ",") + std::string("-prefer-256-bit");
  } else if (has("+avx2") && hasFma) {
    for (Isa isa : {Isa::Avx2, Isa::Fma})
      target.isa.add(isa);
    target.vectorBytes = 32;
    if (has("+avxvnni"))
      target.isa.add(Isa::Vnni);
  } else {
    target.vectorBytes = 16;
  }
  return target;
}

/// Instruction sets beyond the baseline would have to be asked for at run time, which the
/// architecture leaves to the operating system.
static Expected<Target> resolveAarch64(Target target, const std::string &cpu) {
  target.arch = Target::Arch::Aarch64;
  target.cpu = "generic";
  target.features = "+neon";
  QUERN_TRY(describeCpu(target, cpu, "generic").status());
  target.tuneCpu = cpu;
  target.isa = {Isa::Neon, Isa::Fma, Isa::HalfConversion};
  target.vectorBytes = 16;
  target.vectorRegisters = 32;
  return target;
}

Expected<Target> native::resolveTarget(const std::string &cpu, const std::string &triple) {
  llvm::Triple process(llvm::sys::getProcessTriple());
  llvm::Triple wanted = triple.empty() ? process : llvm::Triple(llvm::Triple::normalize(triple));
  bool isAarch64 = wanted.getArch() == llvm::Triple::aarch64;
  if (!wanted.isOSLinux() || (!isAarch64 && wanted.getArch() != llvm::Triple::x86_64))
    return usageError("no code generation for '" + (triple.empty() ? process.str() : triple) +
                      "': the targets are x86_64-linux-gnu and aarch64-linux-gnu");
  Target target;
  target.triple = wanted.str();
  bool isHost = (cpu.empty() || cpu == "host") && wanted.getArch() == process.getArch();
  bool isBaseline = cpu.empty() || cpu == "host" || cpu == "baseline";
  if (isAarch64)
    return resolveAarch64(target, isBaseline ? "generic" : cpu);
  return resolveX86(target, isBaseline ? "x86-64" : cpu, isHost);
}

bool native::isThisMachine(const Target &target) {
  return llvm::Triple(target.triple).getArch() ==
         llvm::Triple(llvm::sys::getProcessTriple()).getArch();
}

Expected<std::unique_ptr<llvm::TargetMachine>> native::createTargetMachine(const Target &target) {
  QUERN_ASSIGN(const llvm::Target *llvmTarget, findLlvmTarget(target.triple));
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  std::unique_ptr<llvm::TargetMachine> machine(llvmTarget->createTargetMachine(
      target.triple, target.cpu, target.features, options, llvm::Reloc::PIC_,
      llvm::CodeModel::Small, llvm::CodeGenOptLevel::Aggressive));
  if (!machine)
    return internalError("cannot create a target machine for CPU " + target.cpu);
  return machine;
}
