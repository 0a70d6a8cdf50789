//===- Executable.h - a compiled model ------------------------------------===//
#pragma once

#include "quern/Deadline.h"
#include "quern/ValueList.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace quern {

struct Plan;
class PlanCache;

/// The name and type of one graph input or output.
struct PortSignature : ValueType {
  PortSignature() = default;
  PortSignature(std::string name, ValueType type)
      : ValueType(std::move(type)), name(std::move(name)) {}
  PortSignature(std::string name, DType dtype, PortShape shape)
      : PortSignature(std::move(name), tensor(dtype, std::move(shape))) {}

  std::string name;
};

/// InvalidInput, naming the input, what was wanted and what was found, unless
/// `dims` agree with `ports`; one symbol stands for one size everywhere. What is no
/// tensor has no dims.
Status checkInputDims(std::span<const PortSignature> ports, std::span<const Tensor::Dims> dims);
/// As checkInputDims, and for presence, kinds and element types too.
Status checkInputs(std::span<const PortSignature> ports, ValueList values);

/// A compiled model: immutable, shared by any number of sessions and threads.
/// It plans once per set of input shapes and keeps the most recent plans, as many as
/// fit into a number of bytes.
class Executable {
public:
  /// Makes the plan for the given dims, one entry per input, which agree with
  /// the inputs' signature. Threads may call it at the same time.
  using Planner = std::function<Expected<std::shared_ptr<const Plan>>(
      std::span<const Tensor::Dims> inputDims, const Deadline &deadline)>;
  /// Bytes of plans that are kept: about 500 plans of a BERT-base.
  static constexpr int64_t kDefaultPlanCacheBytes = int64_t{128} << 20;

  Executable(std::vector<PortSignature> inputs, std::vector<PortSignature> outputs, Planner planner,
             int64_t planCacheBytes = kDefaultPlanCacheBytes);
  ~Executable();

  const std::vector<PortSignature> &inputs() const { return inputPorts; }
  const std::vector<PortSignature> &outputs() const { return outputPorts; }

  /// The plan for these input dims, made now unless it is kept. Thread-safe.
  Expected<std::shared_ptr<const Plan>> planFor(std::span<const Tensor::Dims> inputDims,
                                                const Deadline &deadline = {}) const;

private:
  std::vector<PortSignature> inputPorts;
  std::vector<PortSignature> outputPorts;
  Planner planner;
  std::unique_ptr<PlanCache> cache;
};

} // namespace quern
