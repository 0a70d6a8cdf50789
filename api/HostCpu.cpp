//===- HostCpu.cpp - the machine as LLVM sees it --------------------------===//
#include "quern/HostCpu.h"

#include "backends/native/codegen/MachinePeak.h"
#include "backends/native/target/CpuFeatures.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/TargetParser/Host.h"

#include <algorithm>

using namespace quern;

HostCpu quern::describeHostCpu() {
  HostCpu host;
  host.llvmVersion = LLVM_VERSION_STRING;
  host.triple = llvm::sys::getProcessTriple();
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  host.name = native::nameByFeatures(llvm::sys::getHostCPUName().str(), features);
  for (const auto &feature : features)
    if (feature.getValue())
      host.features.push_back(feature.getKey().str());
  host.mayUseTiles = native::missingOnThisCpu({"amx-tile"}).empty();
  std::sort(host.features.begin(), host.features.end());
  return host;
}

Expected<EnginePeaks> quern::measurePeaks(const std::string &targetCpu) {
  QUERN_ASSIGN(native::Target target, native::resolveTarget(targetCpu));
  return native::measurePeaks(target);
}
