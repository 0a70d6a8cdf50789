//===- Executor.h - runs a plan -------------------------------------------===//
#pragma once

#include "quern/ValueList.h"
#include "runtime/plan/RunSteps.h"

namespace quern {

/// What a run works with besides the plan and the values.
struct RunResources {
  TaskPool &pool;
  Budget &budget;
  /// At least Executor::runBytes(pool.threads()) bytes, 64-byte aligned.
  std::byte *arena = nullptr;
  bool flushSubnormals = true;
  /// As RunContext::profile.
  std::span<ProfileRow> profile = {};
};

/// Runs one plan again and again. All its memory is allocated at construction:
/// a run of kernel steps alone allocates nothing. For one thread at a time.
class Executor {
public:
  explicit Executor(std::shared_ptr<const Plan> plan);

  const Plan &plan() const { return *compiled; }
  /// runBytes(plan(), workers), without a look at all steps where it is asked for again.
  CheckedSize runBytes(int workers);

  /// `inputs` match plan().inputs. Outputs of a known size are present, match
  /// plan().outputs and are written in place; dynamic ones are assigned when all
  /// has gone well, and share storage with nothing.
  /// Errors name the nodes of the step that failed.
  Status run(ValueList inputs, ValueTargets outputs, const RunResources &resources);

  /// `rows`, those of the plan, with those of its later stages.
  std::vector<ProfileRow> profile(std::span<const ProfileRow> rows) const;
  void clearNestedProfile();

private:
  Status bindPorts(ValueList inputs, ValueTargets outputs, Budget &budget);
  Status assignDynamicOutputs(ValueTargets outputs, Budget &budget);

  std::shared_ptr<const Plan> compiled;
  Frame frame;
  int64_t scratchBytes;
  int64_t scratchStart;
  /// The answer of runBytes, and for how many workers it is.
  CheckedSize memory = 0;
  int memoryWorkers = 0;
};

} // namespace quern
