//===- Target.h - the CPU that code is generated for ----------------------===//
#pragma once

#include "backends/native/target/Fields.h"
#include "quern/DType.h"
#include "quern/Status.h"

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

#include "llvm/ADT/StringMap.h"

namespace llvm {
class TargetMachine;
}

namespace quern::native {

/// Instruction sets that emitters choose by: what a CPU has of them is in Target::isa. A set
/// stands for what emitters need together.
enum class Isa : uint8_t {
  /// Multiply-add of vectors that rounds once.
  Fma,
  /// Conversions of vectors between float16 and float32.
  HalfConversion,
  Avx2,
  /// AVX-512 F, VL, BW and DQ.
  Avx512,
  Neon,
  /// Products of bfloat16 that sum up in float32, two at a time, in full vectors.
  Bf16Dot,
  /// Products of bytes that sum up in int32, four at a time, in full vectors.
  Vnni,
  /// Permutations of the bytes of two full vectors.
  BytePermute,
  /// The same products of whole tiles of matrices (AMX), beside AVX-512.
  Bf16Tiles,
  ByteTiles,
};

/// Some of them.
class IsaSet {
public:
  constexpr IsaSet() = default;
  constexpr IsaSet(std::initializer_list<Isa> sets) {
    for (Isa isa : sets)
      add(isa);
  }
  constexpr void add(Isa isa) { bits |= 1u << static_cast<unsigned>(isa); }
  constexpr bool has(Isa isa) const { return bits >> static_cast<unsigned>(isa) & 1; }
  bool operator==(const IsaSet &) const = default;
  QUERN_FIELDS(bits)

private:
  uint32_t bits = 0;
};

/// A resolved target: what the emitters need to know of the CPU.
struct Target {
  enum class Arch { X86, Aarch64 };
  Arch arch = Arch::X86;
  std::string triple;
  /// LLVM's CPU name ("znver5", "x86-64", "generic").
  std::string cpu;
  /// The CPU that instructions are chosen and ordered for among those that `cpu` has;
  /// `cpu` itself when empty.
  std::string tuneCpu = {};
  /// What LLVM is told beside the CPU: its feature string ("+avx2,+fma,...").
  std::string features;
  IsaSet isa;
  /// Widest vectors the emitters use: 64 (AVX-512), 32 (AVX2) or 16 (SSE, NEON).
  int64_t vectorBytes = 16;
  int64_t vectorRegisters = 16;

  /// All of them shape code: kernels are known by them, too.
  QUERN_FIELDS(arch, triple, cpu, tuneCpu, features, isa, vectorBytes, vectorRegisters)

  bool has(Isa set) const { return isa.has(set); }
  /// Lanes of a full vector of `dtype`.
  int64_t lanes(DType dtype) const { return vectorBytes / dtypeBytes(dtype); }
  /// Channel block of the NCHWc layout.
  int64_t channelBlock() const { return lanes(DType::Float32); }
};

/// "host", "baseline" (x86-64 without AVX; Armv8.0 with NEON) or an LLVM CPU name
/// ("haswell", "skylake-avx512"). Code for AArch64 is that of its baseline, tuned for the
/// CPU. `triple` is this machine's when empty, or as of "x86_64-linux-gnu" and
/// "aarch64-linux-gnu"; "host" is the baseline of another architecture. Unknown names, and
/// those of CPUs without 64-bit code, are Usage errors. Whether this machine can run the
/// code is another question: see checkRunsHere.
Expected<Target> resolveTarget(const std::string &cpu, const std::string &triple = "");

/// The name of the CPU that code for this machine is made and tuned for: `cpu`, as LLVM tells it by
/// family and model, or where `features` are there that it does not have, the newest that all of
/// its telling ones are there of. Hypervisors give the model of another CPU.
std::string nameByFeatures(const std::string &cpu, const llvm::StringMap<bool> &features);

/// Whether this process is of the target's architecture.
bool isThisMachine(const Target &target);

/// A target machine with Quern's code generation options.
Expected<std::unique_ptr<llvm::TargetMachine>> createTargetMachine(const Target &target);

} // namespace quern::native
