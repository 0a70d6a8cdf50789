//===- Trace.h - what threads do in Quern, and when -----------------------===//
#pragma once

#include "quern/Status.h"
#include "quern/StepCost.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// A span of time in which one thread did something. Spans of one thread nest.
struct TraceSpan {
  /// "load", "compile", "run"; "step", a step of a plan, or a thread's part of one that
  /// runs beside others; "tasks", a part of a step that a thread took.
  std::string_view category;
  /// "importing", "dot_12x32_relu".
  std::string name;
  /// Of steps: the model's nodes, and what the step does of their problem.
  std::string nodes = {};
  StepCost cost = {};
  /// Of tasks: those from the first to before the end.
  int64_t firstTask = 0, endTask = 0;
  /// The thread that began to record is 0; others are numbered as they come.
  int thread = 0;
  /// Nanoseconds since the recording began.
  int64_t begin = 0, end = 0;
};

struct Trace {
  /// By thread, in the order of their ends.
  std::vector<TraceSpan> spans;
  /// Spans that were left out, for there were more than kMostSpans.
  int64_t omitted = 0;

  static constexpr int64_t kMostSpans = 1'000'000;
};

struct TraceRecording;

/// Records what all threads of the process do in Quern, from begin() to end() or its destruction.
/// While nobody records, a step costs one more load.
class TraceRecorder {
public:
  /// Usage where another one records.
  static Expected<TraceRecorder> begin();
  TraceRecorder(TraceRecorder &&) noexcept;
  TraceRecorder &operator=(TraceRecorder &&) noexcept;
  ~TraceRecorder();

  /// What has ended until now; nothing is recorded any more. What a thread is still in is not
  /// there.
  Trace end();

private:
  explicit TraceRecorder(std::shared_ptr<TraceRecording> recording);
  std::shared_ptr<TraceRecording> recording;
};

} // namespace quern
