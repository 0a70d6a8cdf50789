//===- Executable.h - a compiled model whose runs follow plans ------------===//
#pragma once

#include "quern/CompiledModel.h"

#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace quern {

struct Plan;
class PlanCache;

/// A compiled model: immutable, shared by any number of sessions and threads.
/// It plans once per set of input shapes and keeps the most recent plans, as many as
/// fit into a number of bytes.
class Executable : public CompiledModel, public std::enable_shared_from_this<Executable> {
public:
  /// Makes the plan for the given dims, one entry per input, which agree with
  /// the inputs' signature. Threads may call it at the same time.
  using Planner = std::function<Expected<std::shared_ptr<const Plan>>(
      std::span<const Tensor::Dims> inputDims, const Deadline &deadline)>;
  /// Makes the plans of the bodies in a plan for such dims, as far as their sizes are known.
  using BodyPlanner =
      std::function<Status(std::span<const Tensor::Dims> inputDims, const Deadline &deadline)>;
  /// Bytes of plans that are kept: about 500 plans of a BERT-base.
  static constexpr int64_t kDefaultPlanCacheBytes = int64_t{128} << 20;

  Executable(std::vector<PortSignature> inputs, std::vector<PortSignature> outputs, Planner planner,
             int64_t planCacheBytes = kDefaultPlanCacheBytes, BodyPlanner bodyPlanner = nullptr,
             Precision precision = Precision::Float32,
             std::shared_ptr<const PrecisionChoice> choice = nullptr);
  ~Executable() override;

  const std::vector<PortSignature> &inputs() const override { return inputPorts; }
  const std::vector<PortSignature> &outputs() const override { return outputPorts; }
  Precision precision() const override { return asked; }
  const PrecisionChoice *precisionChoice() const override { return choice.get(); }
  Status planFor(std::span<const Tensor::Dims> inputDims, const Deadline &deadline) const override {
    return findPlan(inputDims, deadline).status();
  }
  Status warmUp(std::span<const Tensor::Dims> inputDims, const Deadline &deadline) const override;

  /// The plan for these input dims, made now unless it is kept. Thread-safe.
  Expected<std::shared_ptr<const Plan>> findPlan(std::span<const Tensor::Dims> inputDims,
                                                 const Deadline &deadline = {}) const;

private:
  /// A Session; this belongs to a shared pointer.
  Expected<std::unique_ptr<Runner>> makeRunner(const RunnerOptions &options) const override;

  std::vector<PortSignature> inputPorts;
  std::vector<PortSignature> outputPorts;
  Planner planner;
  BodyPlanner bodyPlanner;
  std::unique_ptr<PlanCache> cache;
  Precision asked;
  std::shared_ptr<const PrecisionChoice> choice;
};

} // namespace quern
