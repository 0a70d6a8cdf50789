//===- CpuFeatures.cpp - instruction sets that kernels need ---------------===//
//
// A target is a set of LLVM's subtarget features. Each is of one of two kinds: to
// be asked for before kernels run (kFeatures of its architecture), or known to make no difference
// (the kNone... lists, one for each reason). A feature of neither kind is refused, so
// that a new version of LLVM cannot bring in code that no check guards.
//
//===----------------------------------------------------------------------===//
#include "backends/native/target/CpuFeatures.h"

#include "backends/native/target/Aarch64Features.h"
#include "backends/native/target/X86Features.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/Target/TargetMachine.h"

using namespace quern;
using namespace quern::native;

const ArchFeatures &native::featuresOf(Target::Arch arch) {
  return arch == Target::Arch::X86 ? kX86Features : kAarch64Features;
}

Expected<std::vector<std::string>> native::requiredCpuFeatures(const Target &target) {
  const ArchFeatures &known = featuresOf(target.arch);
  QUERN_ASSIGN(auto machine, createTargetMachine(target));
  std::vector<std::string> required, unknown;
  for (const auto &feature : machine->getMCSubtargetInfo()->getEnabledProcessorFeatures()) {
    if (known.mustBeAsked(feature.Key))
      required.push_back(feature.Key);
    else if (!known.makesNoDifference(feature.Key))
      unknown.push_back(feature.Key);
  }
  if (!unknown.empty())
    return unsupported("code for the CPU '" + target.cpu + "' may use " +
                       llvm::join(unknown, ", ") + ", which Quern cannot check a machine for");
  return required;
}

std::vector<std::string> native::missingOnThisCpu(const std::vector<std::string> &features) {
  std::vector<std::string> missing;
  for (const std::string &name : features)
    if (!kX86Features.isHere(name) && !kAarch64Features.isHere(name))
      missing.push_back(name);
  return missing;
}

Status native::checkRunsHere(const Target &target) {
  if (!isThisMachine(target))
    return Status(StatusCode::Incompatible, "code for " + target.triple +
                                                " cannot run on this machine; it can be compiled "
                                                "ahead of time only");
  QUERN_ASSIGN(std::vector<std::string> required, requiredCpuFeatures(target));
  std::vector<std::string> missing = missingOnThisCpu(required);
  if (missing.empty())
    return Status::ok();
  return Status(StatusCode::Incompatible,
                "code for the CPU '" + target.cpu + "' cannot run on this machine, which lacks " +
                    llvm::join(missing, ", ") + "; it can be compiled ahead of time only");
}
