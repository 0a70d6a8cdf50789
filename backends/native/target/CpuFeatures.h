//===- CpuFeatures.h - instruction sets that kernels need -----------------===//
#pragma once

#include "backends/native/target/Target.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quern::native {

/// Registers that CPUID answers in.
enum CpuidRegister : unsigned { Eax, Ebx, Ecx, Edx };

/// Where a CPU says that it has an instruction set.
struct CpuFeature {
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
/// The leaves from here on count by themselves.
constexpr uint32_t kExtendedLeaves = 0x80000000;

/// Null for names that are not among the instruction sets to ask for.
const CpuFeature *findCpuFeature(std::string_view name);

/// The instruction sets beyond x86-64's first that kernels for `target` may use,
/// by LLVM's names; none for AArch64, whose code is that of its baseline. Unsupported when the
/// target has a feature that is not known to be harmless and that CPUID cannot be asked for.
Expected<std::vector<std::string>> requiredCpuFeatures(const Target &target);

/// Those of `features` that this machine, its operating system included, does not
/// offer. Features without a CpuFeature count as missing.
std::vector<std::string> missingOnThisCpu(const std::vector<std::string> &features);

/// Incompatible, naming the instruction sets, when kernels for `target` cannot run
/// on this machine.
Status checkRunsHere(const Target &target);

} // namespace quern::native
