//===- TraceScope.h - a span of a trace, where somebody records -----------===//
#pragma once

#include "quern/Trace.h"

#include <atomic>
#include <optional>

namespace quern {

/// While it lives, this thread is in a span.
class TraceScope {
public:
  /// `describe()` gives a TraceSpan without thread and times. It is called only while somebody
  /// records.
  template <typename Describe> explicit TraceScope(const Describe &describe) {
    if (uint64_t current = recordingNumber.load(std::memory_order_acquire))
      start(current, describe());
  }
  TraceScope(std::string_view category, std::string_view name)
      : TraceScope([&] { return TraceSpan{.category = category, .name = std::string(name)}; }) {}
  ~TraceScope() {
    if (span)
      finish();
  }
  TraceScope(const TraceScope &) = delete;
  TraceScope &operator=(const TraceScope &) = delete;

private:
  friend class TraceRecorder;
  void start(uint64_t current, TraceSpan described);
  void finish();

  /// 0 while nobody records; another number for each recording.
  static inline std::atomic<uint64_t> recordingNumber = 0;
  uint64_t number = 0;
  std::optional<TraceSpan> span;
};

} // namespace quern
