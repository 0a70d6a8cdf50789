//===- X86Features.cpp - instruction sets of x86-64 -----------------------===//
#include "backends/native/target/X86Features.h"

#include "llvm/ADT/STLExtras.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <unistd.h>
#endif

using namespace quern;
using namespace quern::native;

/// SSE and AVX registers; for AVX-512 the masks and the upper vectors as well;
/// the upper general registers of APX.
constexpr uint32_t kAvxState = 0x06;
constexpr uint32_t kAvx512State = 0xe6;
constexpr uint32_t kApxState = 1u << 19;

/// What the code generator may use unasked. State is named once where features
/// imply each other: LLVM enables avx with avx2, avx512f with avx512bw, and so on.
constexpr CpuidFeature kFeatures[] = {
    {"sse3", 1, 0, Ecx, 0},
    {"ssse3", 1, 0, Ecx, 9},
    {"fma", 1, 0, Ecx, 12},
    {"sse4.1", 1, 0, Ecx, 19},
    {"sse4.2", 1, 0, Ecx, 20},
    {"movbe", 1, 0, Ecx, 22},
    {"popcnt", 1, 0, Ecx, 23},
    {"avx", 1, 0, Ecx, 28, kAvxState},
    {"f16c", 1, 0, Ecx, 29},
    {"bmi", 7, 0, Ebx, 3},
    {"avx2", 7, 0, Ebx, 5},
    {"bmi2", 7, 0, Ebx, 8},
    {"avx512f", 7, 0, Ebx, 16, kAvx512State},
    {"avx512dq", 7, 0, Ebx, 17},
    {"avx512ifma", 7, 0, Ebx, 21},
    {"avx512cd", 7, 0, Ebx, 28},
    {"avx512bw", 7, 0, Ebx, 30},
    {"avx512vl", 7, 0, Ebx, 31},
    {"avx512vbmi", 7, 0, Ecx, 1},
    {"avx512vbmi2", 7, 0, Ecx, 6},
    {"gfni", 7, 0, Ecx, 8},
    {"avx512vnni", 7, 0, Ecx, 11},
    {"avx512bitalg", 7, 0, Ecx, 12},
    {"avx512vpopcntdq", 7, 0, Ecx, 14},
    {"amx-bf16", 7, 0, Edx, 22},
    {"avx512fp16", 7, 0, Edx, 23},
    {"amx-tile", 7, 0, Edx, 24, kTileState},
    {"amx-int8", 7, 0, Edx, 25},
    {"avxvnni", 7, 1, Eax, 4},
    {"avx512bf16", 7, 1, Eax, 5},
    {"avxifma", 7, 1, Eax, 23},
    {"avxvnniint8", 7, 1, Edx, 4},
    {"avxneconvert", 7, 1, Edx, 5},
    {"avxvnniint16", 7, 1, Edx, 10},
    // All of APX has one bit.
    {"egpr", 7, 1, Edx, 21, kApxState},
    {"push2pop2", 7, 1, Edx, 21, kApxState},
    {"ppx", 7, 1, Edx, 21, kApxState},
    {"ndd", 7, 1, Edx, 21, kApxState},
    {"ccmp", 7, 1, Edx, 21, kApxState},
    {"nf", 7, 1, Edx, 21, kApxState},
    {"cf", 7, 1, Edx, 21, kApxState},
    {"zu", 7, 1, Edx, 21, kApxState},
    {"sahf", kExtendedLeaves + 1, 0, Ecx, 0},
    {"lzcnt", kExtendedLeaves + 1, 0, Ecx, 5},
    {"sse4a", kExtendedLeaves + 1, 0, Ecx, 6},
    {"xop", kExtendedLeaves + 1, 0, Ecx, 11},
    {"fma4", kExtendedLeaves + 1, 0, Ecx, 16},
    {"tbm", kExtendedLeaves + 1, 0, Ecx, 21},
};

/// Every CPU that runs 64-bit code has these.
constexpr std::string_view kNoneBeyondBaseline[] = {"64bit", "64bit-mode", "cmov", "cx8",  "fxsr",
                                                    "mmx",   "nopl",       "sse",  "sse2", "x87"};

/// Names for features above together. A CPU with AVX10 on vectors of 256 bits
/// alone does not report avx512f, and so is refused what it may have.
constexpr std::string_view kNoneOfTheirOwn[] = {"avx10.1-256", "avx10.1-512", "evex512"};

/// Cryptography, atomic operations, other products of tiles, prefetches, system
/// instructions: selected for intrinsics and inline assembly only, which no
/// emitter uses.
constexpr std::string_view kNoneUnasked[] = {
    "adx",      "aes",      "amx-complex", "amx-fp16",   "avx512vp2intersect",
    "cldemote", "clwb",     "clzero",      "clflushopt", "cmpccxadd",
    "crc32",    "cx16",     "enqcmd",      "fsgsbase",   "hreset",
    "invpcid",  "kl",       "lwp",         "mwaitx",     "movdir64b",
    "movdiri",  "pclmul",   "pconfig",     "pku",        "prefetchi",
    "prfchw",   "ptwrite",  "raoint",      "rdpid",      "rdpru",
    "rdrnd",    "rdseed",   "rtm",         "serialize",  "sgx",
    "sha",      "sha512",   "shstk",       "sm3",        "sm4",
    "tsxldtrk", "uintr",    "usermsr",     "vaes",       "vpclmulqdq",
    "waitpkg",  "wbnoinvd", "widekl",      "xsave",      "xsavec",
    "xsaveopt", "xsaves",
};

/// Say how fast an instruction is that the CPU has anyway, or which of two ways to
/// prefer. (vzeroupper is used together with avx; ermsb and fsrm tell of rep movs.)
constexpr std::string_view kNoneButSpeed[] = {
    "allow-light-256-bit",
    "branch-hint",
    "branchfusion",
    "ermsb",
    "false-deps-getmant",
    "false-deps-lzcnt-tzcnt",
    "false-deps-mulc",
    "false-deps-mullq",
    "false-deps-perm",
    "false-deps-popcnt",
    "false-deps-range",
    "fast-11bytenop",
    "fast-15bytenop",
    "fast-7bytenop",
    "fast-bextr",
    "fast-dpwssd",
    "fast-gather",
    "fast-hops",
    "fast-imm16",
    "fast-lzcnt",
    "fast-movbe",
    "fast-scalar-fsqrt",
    "fast-scalar-shift-masks",
    "fast-shld-rotate",
    "fast-variable-crosslane-shuffle",
    "fast-variable-perlane-shuffle",
    "fast-vector-fsqrt",
    "fast-vector-shift-masks",
    "faster-shift-than-shuffle",
    "fsrm",
    "idivl-to-divb",
    "idivq-to-divl",
    "lea-sp",
    "lea-uses-ag",
    "macrofusion",
    "no-bypass-delay",
    "no-bypass-delay-blend",
    "no-bypass-delay-mov",
    "no-bypass-delay-shuffle",
    "pad-short-functions",
    "prefer-256-bit",
    "prefer-mask-registers",
    "prefer-movmsk-over-vtest",
    "sbb-dep-breaking",
    "slow-3ops-lea",
    "slow-incdec",
    "slow-lea",
    "slow-pmaddwd",
    "slow-pmulld",
    "slow-shld",
    "slow-two-mem-ops",
    "slow-unaligned-mem-16",
    "slow-unaligned-mem-32",
    "tuning-fast-imm-vector-shift",
    "use-glm-div-sqrt-costs",
    "use-slm-arith-costs",
    "vzeroupper",
};

static bool makesNoDifference(std::string_view name) {
  return llvm::is_contained(kNoneBeyondBaseline, name) ||
         llvm::is_contained(kNoneOfTheirOwn, name) || llvm::is_contained(kNoneUnasked, name) ||
         llvm::is_contained(kNoneButSpeed, name);
}

const CpuidFeature *native::findCpuidFeature(std::string_view name) {
  const auto *found =
      llvm::find_if(kFeatures, [&](const CpuidFeature &f) { return f.name == name; });
  return found == std::end(kFeatures) ? nullptr : found;
}

static std::vector<std::string> &performed() {
  static std::vector<std::string> names;
  return names;
}

void native::setPerformedFeatures(std::vector<std::string> names) {
  performed() = std::move(names);
}

const std::vector<std::string> &native::performedFeatures() { return performed(); }

#if defined(__x86_64__)
/// The answer of CPUID in one register; 0 for leaves that do not exist, where
/// CPUs answer with some other leaf's bits.
static uint32_t askCpuid(const CpuidFeature &feature) {
  if (__get_cpuid_max(feature.leaf & kExtendedLeaves, nullptr) < feature.leaf)
    return 0;
  uint32_t answer[4];
  __cpuid_count(feature.leaf, feature.subleaf, answer[Eax], answer[Ebx], answer[Ecx], answer[Edx]);
  return answer[feature.reg];
}

/// XCR0; 0 when the operating system has not set it.
static uint32_t savedState() {
  constexpr CpuidFeature osxsave = {"osxsave", 1, 0, Ecx, 27};
  if (!(askCpuid(osxsave) & kOsxsave))
    return 0;
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

/// Asked for once in a process, when code for tiles is.
static bool mayUseTiles() {
  static const bool isGranted = syscall(TilePermission::kSystemCall, TilePermission::kRequest,
                                        TilePermission::kTileData) == 0;
  return isGranted;
}

static bool isHere(std::string_view name) {
  if (llvm::is_contained(performedFeatures(), name))
    return true;
  const CpuidFeature *feature = findCpuidFeature(name);
  return feature && (askCpuid(*feature) >> feature->bit & 1) &&
         (feature->savedState & ~savedState()) == 0 &&
         (!(feature->savedState & kTileState) || mayUseTiles());
}
#else
static bool isHere(std::string_view) { return false; }
#endif

const ArchFeatures native::kX86Features = {
    .mustBeAsked = [](std::string_view name) { return findCpuidFeature(name) != nullptr; },
    .makesNoDifference = makesNoDifference,
    .isHere = isHere,
};
