//===- Target.h - the CPU that code is generated for ----------------------===//
#pragma once

#include "quern/DType.h"
#include "quern/Status.h"

#include <cstdint>
#include <memory>
#include <string>

namespace llvm {
class TargetMachine;
}

namespace quern::native {

/// A resolved target: what the emitters need to know of the CPU.
struct Target {
  std::string triple;
  /// LLVM's CPU name ("znver5", "x86-64").
  std::string cpu;
  /// LLVM's feature string ("+avx2,+fma,...").
  std::string features;
  /// Widest vectors the emitters use: 64 (AVX-512), 32 (AVX2) or 16.
  int64_t vectorBytes = 16;
  int64_t vectorRegisters = 16;
  bool hasFma = false;

  /// Lanes of a full vector of `dtype`.
  int64_t lanes(DType dtype) const { return vectorBytes / dtypeBytes(dtype); }
  /// Channel block of the NCHWc layout.
  int64_t channelBlock() const { return lanes(DType::Float32); }
};

/// "host", "baseline" (x86-64 without AVX) or an LLVM CPU name ("haswell",
/// "skylake-avx512"). Unknown names, and those of CPUs without 64-bit code, are
/// Usage errors. Whether this machine can run the code is another question: see
/// checkRunsHere.
Expected<Target> resolveTarget(const std::string &cpu);

/// A target machine with Quern's code generation options.
Expected<std::unique_ptr<llvm::TargetMachine>> createTargetMachine(const Target &target);

} // namespace quern::native
