//===- Session.h - runs a compiled model ----------------------------------===//
#pragma once

#include "quern/Executable.h"
#include "quern/Limits.h"
#include "quern/ProfileRow.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace quern {

struct SessionOptions {
  /// Threads of a run, the caller's included; 0 is all CPUs this process may use
  /// (affinity and cgroup quota). Results do not depend on it.
  int threads = 0;
  /// Flush subnormal numbers to zero during a run; they are slow.
  bool flushDenormals = true;
  /// Time every step.
  bool profile = false;
  Limits limits = {};
};

/// Runs an executable, with memory and threads of its own. One per thread: a
/// call while another is running is an error. Memory is kept between runs.
class Session {
public:
  /// Usage error when the options make no sense.
  static Expected<Session> create(std::shared_ptr<const Executable> executable,
                                  const SessionOptions &options = {});
  ~Session();
  Session(Session &&) noexcept;
  Session &operator=(Session &&) noexcept;

  const Executable &executable() const;
  int threads() const;

  /// Runs on `inputs`, one per executable().inputs(). InvalidInput names the
  /// input, what was wanted and what was found.
  Expected<std::vector<Tensor>> run(std::span<const Tensor> inputs);
  Expected<std::vector<AnyValue>> run(std::span<const AnyValue> inputs);
  /// As above into `outputs`, one per executable().outputs(): a present tensor
  /// must have the output's type and dims, must not overlap an input or another
  /// output, and is written in place; an absent one is allocated. One that is an input
  /// with some elements replaced (a cache, by TensorScatter or GroupQueryAttention) may
  /// be all of that input's memory, when nothing else reads the input afterwards: it is
  /// updated, not copied, and of no use after an error. An output whose
  /// size is known only after the run is replaced when the run has gone well. Its
  /// storage is its own, as that of an allocated one: neither the model's nor
  /// another tensor's. Allocates nothing when all are present, the input dims are
  /// those of the last run, and every step is native. An output that is no tensor
  /// needs values: among tensors it is InvalidInput.
  Status run(std::span<const Tensor> inputs, std::span<Tensor> outputs);
  Status run(std::span<const AnyValue> inputs, std::span<AnyValue> outputs);

  /// When runs must be done, from the next one on: SessionOptions::limits say it for the
  /// first ones. Not to be called during a run.
  void setDeadline(const Deadline &deadline);

  /// Makes the current run (or the next one) end with StatusCode::Cancelled
  /// within a step. May be called from any thread and from a signal handler.
  void cancel();

  /// The steps of the plan of the last run, in order, each before those of the branches
  /// or the body that it runs; empty without `profile`.
  std::vector<ProfileRow> profile() const;
  /// Forgets the times so far, to leave out warm-up runs.
  void clearProfile();

private:
  struct State;
  Status runValues(ValueList inputs, ValueTargets outputs);
  explicit Session(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

} // namespace quern
