//===- StepCost.h - what the problem of a step demands --------------------===//
#pragma once

namespace quern {

/// What a step must do at least, whatever kernel does it (docs/costs.md); what a kernel does beyond
/// it is its overhead. Numbers of 0 where nothing is known.
struct StepCost {
  /// Operations on elements, of floats and of integers alike; a multiply-add is two.
  double flops = 0;
  /// Bytes of operands, each of which is read once.
  double bytesRead = 0;
  /// Bytes of results, each of which is written once.
  double bytesWritten = 0;

  double bytes() const { return bytesRead + bytesWritten; }
  /// Of a part of the problem.
  StepCost operator*(double share) const {
    return {flops * share, bytesRead * share, bytesWritten * share};
  }
};

} // namespace quern
