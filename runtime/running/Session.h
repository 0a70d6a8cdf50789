//===- Session.h - runs an executable -------------------------------------===//
#pragma once

#include "runtime/running/Arena.h"
#include "runtime/running/ExclusiveRunner.h"
#include "runtime/running/Executable.h"
#include "runtime/running/TaskPool.h"
#include "runtime/values/OutputMemory.h"

#include <memory>
#include <vector>

namespace quern {

/// Runs an executable, with memory and threads of its own.
class Session : public ExclusiveRunner {
public:
  /// For options that make sense; see CompiledModel::createRunner.
  explicit Session(std::shared_ptr<const Executable> executable, const RunnerOptions &options = {});
  ~Session() override;

  const std::vector<PortSignature> &inputs() const override { return executable->inputs(); }
  const std::vector<PortSignature> &outputs() const override { return executable->outputs(); }
  int threads() const override { return pool.threads(); }
  bool flushesDenormals() const override { return options.flushDenormals; }
  std::vector<ProfileRow> profile() const override;
  void clearProfile() override;

private:
  struct PlannedRun;
  Status compute(ValueList inputs, ValueTargets outputs) override;
  bool matches(const Plan &plan, ValueList inputs) const;
  Status selectPlan(ValueList inputs);
  Status checkInputStorage(ValueList inputs) const;
  Status growArena(CheckedSize bytes);
  Status bindOutputs(const Plan &plan, ValueTargets outputs);

  std::shared_ptr<const Executable> executable;
  TaskPool pool;
  Arena arena;
  OutputMemory outputMemory;
  /// Most recently used first.
  std::vector<std::unique_ptr<PlannedRun>> planned;
};

} // namespace quern
