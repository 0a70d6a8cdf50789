//===- PreparedRunner.h - a model compiled and planned for inputs ---------===//
#pragma once

#include "quern/Model.h"

namespace quern {

struct PreparedRunner {
  std::unique_ptr<Runner> runner;
  /// Of compiling and planning.
  double milliseconds = 0;
};

/// Does what can be done before a run on these inputs.
Expected<PreparedRunner> prepareRunner(const Model &model, std::span<const AnyValue> inputs,
                                       const CompileOptions &compile, const RunnerOptions &session);

} // namespace quern
