//===- Limits.h - bounds on untrusted work --------------------------------===//
#pragma once

#include "quern/Deadline.h"

#include <cstdint>

namespace quern {

/// The memory this process may use: this machine's, or what its cgroups grant
/// when that is less. Found out once.
int64_t availableMemoryBytes();

/// Bounds that are threaded through reading, compiling and running a model.
/// Exceeding one is StatusCode::ResourceLimit, with the limit named.
struct Limits {
  /// Nodes of the graph, all subgraphs included.
  int64_t maxNodes = 1'000'000;
  /// Depth of nested subgraphs and function calls.
  int64_t maxNesting = 64;
  /// Rank of a tensor.
  int64_t maxRank = 64;
  /// Bytes of one tensor.
  int64_t maxTensorBytes = int64_t{16} << 30;
  /// Bytes that constant folding may create in all.
  int64_t maxFoldedBytes = int64_t{8} << 30;
  /// Work that constant folding may do in all, beside what is allowed for each
  /// element of the model's weights. A unit is about a nanosecond, see Budget.
  int64_t maxFoldedWork = int64_t{1} << 28;
  /// Bytes of the model file itself.
  int64_t maxModelBytes = int64_t{64} << 30;
  /// Bytes one run may hold for activations: by default three quarters of the
  /// memory there is, so that a hostile shape is an error and not an OOM kill.
  int64_t maxActivationBytes = availableMemoryBytes() / 4 * 3;
  /// When all of it must be done.
  Deadline deadline = {};
};

} // namespace quern
