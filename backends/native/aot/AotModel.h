//===- AotModel.h - what the parts of an artefact are made from -----------===//
#pragma once

#include "backends/native/aot/AotWeights.h"
#include "runtime/plan/Plan.h"

#include <string>
#include <vector>

namespace quern::native {

/// A plan of kernel steps alone, ready to be written.
struct AotModel {
  const Plan &plan;
  WeightLayout weights;
  /// The kernel symbol of each step.
  std::vector<std::string> kernelSymbols;
  /// Of all symbols of the artefact; a C identifier.
  std::string prefix;
  /// The model's own name.
  std::string name;
  /// What the kernels are compiled for.
  Target target;
  /// The instruction sets they may use, as LLVM's subtarget features.
  std::vector<std::string> cpuFeatures;
  /// Names in the public interface: <prefix>_run and so on.
  std::string symbol(const char *suffix) const { return prefix + "_" + suffix; }
};

/// The workspace of one worker: the arena, then its scratch memory.
inline int64_t workspaceBytes(const AotModel &model) { return runBytes(model.plan, 1).value(); }

/// The bytes of a port's tensor.
inline int64_t portBytes(const PlanPort &port) {
  int64_t bytes = dtypeBytes(port.dtype);
  for (int64_t dim : port.dims)
    bytes *= dim;
  return bytes;
}

} // namespace quern::native
