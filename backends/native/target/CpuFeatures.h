//===- CpuFeatures.h - instruction sets that kernels need -----------------===//
#pragma once

#include "backends/native/target/Target.h"

#include <string>
#include <string_view>
#include <vector>

namespace quern::native {

/// What is known of the instruction sets of an architecture, by LLVM's names of subtarget
/// features.
struct ArchFeatures {
  /// Whether a CPU has to be asked for it before kernels run,
  bool (*mustBeAsked)(std::string_view name);
  /// or it is known to make no difference to them.
  bool (*makesNoDifference)(std::string_view name);
  /// Whether this machine, its operating system included, offers one to be asked for: by CPUID on
  /// x86-64, getauxval on AArch64. No machine of another architecture does.
  bool (*isHere)(std::string_view name);
};
const ArchFeatures &featuresOf(Target::Arch arch);

/// The instruction sets beyond x86-64's first that kernels for `target` may use; for AArch64
/// those of its baseline, which is all they use. Unsupported when the
/// target has a feature that is not known to be harmless and that no CPU can be asked for.
Expected<std::vector<std::string>> requiredCpuFeatures(const Target &target);

/// Those of `features`, of this machine's architecture, that it does not
/// offer. Features that it cannot be asked for count as missing.
std::vector<std::string> missingOnThisCpu(const std::vector<std::string> &features);

/// Incompatible, naming the instruction sets, when kernels for `target` cannot run
/// on this machine.
Status checkRunsHere(const Target &target);

} // namespace quern::native
