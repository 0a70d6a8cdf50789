//===- Aarch64Features.cpp - instruction sets of 64-bit Arm ---------------===//
#include "backends/native/target/Aarch64Features.h"

#include "llvm/ADT/STLExtras.h"

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

using namespace quern;
using namespace quern::native;

namespace {
/// What the operating system says in a bit of AT_HWCAP (asm/hwcap.h of Linux): a program cannot
/// ask the CPU itself.
struct HwcapFeature {
  /// LLVM's name of the subtarget feature.
  std::string_view name;
  unsigned bit;
};
constexpr HwcapFeature kFeatures[] = {{"fp-armv8", 0}, {"neon", 1}};

/// Of a CPU that is not named: how fast instructions are, and what debuggers trace with.
constexpr std::string_view kNoneUnasked[] = {"enable-select-opt", "ete",  "fuse-adrp-add",
                                             "fuse-aes",          "trbe", "use-postra-scheduler"};
} // namespace

static const HwcapFeature *find(std::string_view name) {
  const auto *found =
      llvm::find_if(kFeatures, [&](const HwcapFeature &f) { return f.name == name; });
  return found == std::end(kFeatures) ? nullptr : found;
}

#if defined(__aarch64__)
static bool isHere(std::string_view name) {
  const HwcapFeature *feature = find(name);
  return feature && (getauxval(AT_HWCAP) >> feature->bit & 1);
}
#else
static bool isHere(std::string_view) { return false; }
#endif

const ArchFeatures native::kAarch64Features = {
    .mustBeAsked = [](std::string_view name) { return find(name) != nullptr; },
    .makesNoDifference =
        [](std::string_view name) { return llvm::is_contained(kNoneUnasked, name); },
    .isHere = isHere,
};
