//===- X86Features.h - instruction sets of x86-64 -------------------------===//
#pragma once

#include "backends/native/target/CpuFeatures.h"

#include <cstdint>
#include <string>
#include <vector>

namespace quern::native {

/// Registers that CPUID answers in.
enum CpuidRegister : unsigned { Eax, Ebx, Ecx, Edx };

/// Where a CPU says that it has an instruction set.
struct CpuidFeature {
  /// LLVM's name of the subtarget feature.
  const char *name;
  uint32_t leaf;
  uint32_t subleaf;
  CpuidRegister reg;
  unsigned bit;
  /// Bits of XCR0: the register state that the operating system must save.
  uint32_t savedState = 0;
};

/// Of leaf 1, register ECX: the operating system has set XCR0, and XGETBV reads it.
constexpr uint32_t kOsxsave = 1u << 27;
/// Registers of tiles: their configuration and their data. Linux gives a process the data when it
/// asks: arch_prctl(ARCH_REQ_XCOMP_PERM, 18) is 0 where it may use them, then and later, in all of
/// its threads.
constexpr uint32_t kTileState = 0x60000;
struct TilePermission {
  static constexpr long kSystemCall = 158, kRequest = 0x1023, kTileData = 18;
};
/// The leaves from here on count by themselves.
constexpr uint32_t kExtendedLeaves = 0x80000000;

/// Null for names that are not among the instruction sets to ask for.
const CpuidFeature *findCpuidFeature(std::string_view name);

extern const ArchFeatures kX86Features;

/// Tells that something else performs the instructions of these features while the process runs,
/// as tests do where a CPU has none: they count as here. Empty: what the CPU has. Not while
/// anything is compiled.
void setPerformedFeatures(std::vector<std::string> names);
const std::vector<std::string> &performedFeatures();

} // namespace quern::native
