//===- PortOverlap.h - where inputs and outputs may lie -------------------===//
#pragma once

#include "runtime/plan/Plan.h"
#include "runtime/values/OutputMemory.h"

#include <cstdint>
#include <span>
#include <vector>

namespace quern {

/// InvalidInput, naming the port of this kind ("input"), when a tensor has no data or an
/// element straddles its alignment: kernels load whole elements.
Status checkPortStorage(const char *kind, const std::string &name, const Tensor &tensor);
/// Makes the tensor of output `i` of a plan in `memory`, or checks the one that is given: of the
/// port's type and dims. Not for dynamic ports.
Status bindOutput(const PlanPort &port, ValueTargets outputs, size_t i, OutputMemory &memory,
                  const Limits &limits);

/// Finds outputs that would be written over an input, or over one another. All
/// its memory is allocated at construction.
class PortOverlap {
public:
  /// `plan` must outlive this.
  explicit PortOverlap(const Plan &plan);

  /// InvalidInput, naming two ports of the plan and the bytes they share, when a
  /// tensor that is written in place shares memory with another, unless it is all of the
  /// input that it updates (PlanPort::updates). The values are one per port. Takes
  /// n log n time, n where all lie where they were found apart before.
  Status check(ValueList inputs, ValueList outputs);

private:
  struct Range {
    uintptr_t begin, end;
    const PlanPort *port;
    bool isOutput;
    bool operator==(const Range &) const = default;
  };
  Status findOverlap();
  void addRange(const PlanPort &port, const Tensor &tensor, bool isOutput);
  bool isUpdated(size_t input, const Tensor &tensor, ValueList outputs) const;
  static Status describe(const Range &output, const Range &other);

  const Plan &plan;
  /// For each input the output that may be made in its memory.
  std::vector<std::optional<size_t>> updatedBy;
  /// In the order of ports, and of addresses.
  std::vector<Range> ranges, sorted;
  /// How many of `ranges` are those of this check so far, and whether these were there before.
  size_t count = 0;
  bool isKnown = false;
};

} // namespace quern
