//===- AotOutput.h - the files of a model compiled ahead of time ----------===//
#pragma once

#include "backends/native/aot/AotCompiler.h"
#include "backends/native/aot/AotDispatch.h"
#include "backends/native/aot/AotModel.h"
#include "backends/native/aot/AotPlans.h"
#include "backends/native/aot/AotStaging.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace quern::native {

/// The model compiled for one CPU.
struct AotVariant {
  AotModel model;
  const CompiledPlans *graph = nullptr;
};

/// What is written: code for one or more CPUs, the one with most to offer first, behind one
/// interface.
struct AotArtifact {
  /// Of all symbols; with one variant it is the model's own.
  std::string prefix;
  std::vector<AotVariant> variants;

  /// The interface is that of any variant, and so are the ports of plans.
  const AotModel &anyModel() const { return variants.front().model; }
  const Target &target() const { return anyModel().target; }
  bool callsRuntime() const { return std::ranges::any_of(anyModel().plans, native::callsRuntime); }
  bool weightsInFile() const { return anyModel().inFile.has_value(); }
  ModelFunctions functions() const { return anyModel().functions(); }
  /// Enough for whichever variant is run.
  int64_t workspace() const {
    return largest([](const auto &plans) { return workspaceBytes(plans).value(); });
  }
  int64_t workerScratch() const {
    return largest([](const auto &plans) { return scratchBytes(plans); });
  }

private:
  template <typename Bytes> int64_t largest(Bytes bytes) const {
    int64_t most = 0;
    for (const AotVariant &variant : variants)
      most = std::max(most, bytes(variant.model.plans));
    return most;
  }
};

/// The archive that object files whose model has reference steps are linked with.
inline constexpr const char *kRuntimeArchive = "libquern_runtime.a";

/// Puts the weights of all variants into one file, `path`.
Status moveWeightsToFile(AotArtifact &artifact, const std::string &path);
/// The kernels that the plans call, by their keys.
std::set<std::string> kernelKeys(const CompiledPlans &compiled);

/// Writes the object file code.o of all plans with their kernels.
Status writeCode(const AotArtifact &artifact, const Staging &staging);
/// Linker options for programs that use the object file code.o.
Expected<std::vector<std::string>> neededLibraries(const AotArtifact &artifact,
                                                   const Staging &staging);
/// Links what writeCode has left to `options.outputPath`.
Status writeArtifact(const AotArtifact &artifact, const AotOptions &options,
                     const Staging &staging);

} // namespace quern::native
