//===- KernelKey.h - what kernels are known by, in all processes ----------===//
#pragma once

#include "backends/native/target/Fields.h"
#include "backends/native/target/Target.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace quern::native {

/// Of the code of the emitters and of what lowers kernels, as it was built: another build has
/// another number. Defined in a file that the build writes.
extern const std::string_view kEmitterBuild;

/// What shapes the code of all kernels beside their specs: the target, the emitters' build and
/// the LLVM that this process has; bytes that no other surroundings have.
class KernelSurroundings {
public:
  explicit KernelSurroundings(const Target &target, std::string_view build = kEmitterBuild);

  const std::string &bytes() const { return text; }
  /// Whether it is known which LLVM this is. Otherwise kernels must not outlive the process.
  bool areLasting() const { return lasting; }

private:
  std::string text;
  bool lasting = false;
};

/// A hash of what a kernel's code is made from: its spec, and the surroundings.
class KernelKey {
public:
  /// `spec` is KernelSpec::key.
  KernelKey(const KernelSurroundings &surroundings, std::string_view spec);

  /// As 40 digits.
  std::string text() const;
  /// The name of the kernel's function.
  std::string symbol() const { return "quern_k_" + text(); }

private:
  std::array<uint8_t, 20> hash;
};

} // namespace quern::native
