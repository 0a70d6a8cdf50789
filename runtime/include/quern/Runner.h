//===- Runner.h - runs a compiled model -----------------------------------===//
#pragma once

#include "quern/Limits.h"
#include "quern/PortSignature.h"
#include "quern/ProfileRow.h"

#include <span>
#include <vector>

namespace quern {

struct RunnerOptions {
  /// Threads of a run, the caller's included; 0 is all CPUs this process may use
  /// (affinity and cgroup quota). Results do not depend on it.
  int threads = 0;
  /// Flush subnormal numbers to zero during a run; they are slow.
  bool flushDenormals = true;
  /// Time every step.
  bool profile = false;
  Limits limits = {};
};

/// Runs a compiled model, with memory and threads of its own. One per thread: a
/// call while another is running is an error. Memory is kept between runs: that of values
/// inside, and of large results that the caller has let go, for those of the next runs.
class Runner {
public:
  virtual ~Runner() = default;

  virtual const std::vector<PortSignature> &inputs() const = 0;
  virtual const std::vector<PortSignature> &outputs() const = 0;

  /// Runs on `inputs`, one per input of the model, into `outputs`, one per output: a
  /// present tensor must have the output's type and dims, must not overlap an input
  /// or another output, and is written in place; an absent one is allocated. One that is an
  /// input with some elements replaced (a cache, by TensorScatter or GroupQueryAttention) may
  /// be all of that input's memory, when nothing else reads the input afterwards: it is
  /// updated, not copied, and of no use after an error. One that is an input and more behind it,
  /// along the first dimension that is not 1 (InputSizes::growingCaches), may begin where the
  /// input does: only the rest is written, and the input stays as it is. An output whose
  /// size is known only after the run is replaced when the run has gone well. Its
  /// storage is its own, as that of an allocated one: neither the model's nor
  /// another tensor's. Native code allocates nothing when all are present, the input dims are
  /// those of the last run, and no step needs a reference kernel.
  /// InvalidInput names the input, what was wanted and what was found.
  virtual Status run(std::span<const Tensor> inputs, std::span<Tensor> outputs) = 0;
  /// As above, into new tensors.
  Expected<std::vector<Tensor>> run(std::span<const Tensor> inputs);
  /// The same of a model with sequences, optionals or maps among its inputs or outputs,
  /// which is InvalidInput above. Outputs that are no tensors are replaced.
  virtual Status run(std::span<const AnyValue> inputs, std::span<AnyValue> outputs) = 0;
  Expected<std::vector<AnyValue>> run(std::span<const AnyValue> inputs);

  /// When runs must be done, from the next one on: RunnerOptions::limits say it for the
  /// first ones. Not to be called during a run.
  virtual void setDeadline(const Deadline &deadline) = 0;
  /// Makes the current run (or the next one) end with StatusCode::Cancelled soon. May
  /// be called from any thread and from a signal handler.
  virtual void cancel() = 0;

  /// Threads of a run, the caller's included.
  virtual int threads() const = 0;
  /// Whether runs take subnormal numbers for zero (RunnerOptions::flushDenormals); the
  /// interpreter's do not.
  virtual bool flushesDenormals() const { return false; }
  /// With RunnerOptions::profile: a row per step, summed over the runs. Of native code the
  /// steps of the plan of the last run, in order, each before those of the branches or the
  /// body that it runs.
  virtual std::vector<ProfileRow> profile() const = 0;
  /// Forgets the times so far, to leave out warm-up runs.
  virtual void clearProfile() = 0;
};

} // namespace quern
