//===- UnusedLlvmParts.cpp - what of LLVM's archives is left out ----------===//
//
// Linked with the archives (QuernLlvmArchives.cmake). lld initializes all targets that LLVM was
// built with. Those that Quern makes no code for do nothing here, so that their code generators are
// not linked. Polly, which would work on the bitcode that lld might be given, is not in Debian's
// packages of LLVM.
//
//===----------------------------------------------------------------------===//
#include <llvm/Passes/PassPlugin.h>

llvm::PassPluginLibraryInfo getPollyPluginInfo() {
  return {LLVM_PLUGIN_API_VERSION, "Polly", "none", [](llvm::PassBuilder &) {}};
}

#define QUERN_UNUSED_TARGET(name)                                                                  \
  extern "C" void LLVMInitialize##name##TargetInfo() {}                                            \
  extern "C" void LLVMInitialize##name##Target() {}                                                \
  extern "C" void LLVMInitialize##name##TargetMC() {}                                              \
  extern "C" void LLVMInitialize##name##AsmPrinter() {}                                            \
  extern "C" void LLVMInitialize##name##AsmParser() {}                                             \
  extern "C" void LLVMInitialize##name##Disassembler() {}

// Those of LLVM 19 beside X86 and AArch64.
QUERN_UNUSED_TARGET(AMDGPU)
QUERN_UNUSED_TARGET(ARM)
QUERN_UNUSED_TARGET(AVR)
QUERN_UNUSED_TARGET(BPF)
QUERN_UNUSED_TARGET(Hexagon)
QUERN_UNUSED_TARGET(Lanai)
QUERN_UNUSED_TARGET(LoongArch)
QUERN_UNUSED_TARGET(M68k)
QUERN_UNUSED_TARGET(MSP430)
QUERN_UNUSED_TARGET(Mips)
QUERN_UNUSED_TARGET(NVPTX)
QUERN_UNUSED_TARGET(PowerPC)
QUERN_UNUSED_TARGET(RISCV)
QUERN_UNUSED_TARGET(Sparc)
QUERN_UNUSED_TARGET(SystemZ)
QUERN_UNUSED_TARGET(VE)
QUERN_UNUSED_TARGET(WebAssembly)
QUERN_UNUSED_TARGET(XCore)
QUERN_UNUSED_TARGET(Xtensa)
