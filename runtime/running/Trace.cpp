//===- Trace.cpp - what threads do in Quern, and when ---------------------===//
#include "runtime/running/TraceScope.h"

#include <algorithm>
#include <chrono>
#include <mutex>

using namespace quern;
using Clock = std::chrono::steady_clock;

namespace {
/// Only its thread adds spans, so nobody waits but who ends the recording.
struct ThreadSpans {
  std::mutex mutex;
  std::vector<TraceSpan> spans;
  int thread = 0;
};
} // namespace

struct quern::TraceRecording {
  uint64_t number = 0;
  Clock::time_point start = Clock::now();
  std::atomic<int64_t> added = 0;
  std::mutex mutex;
  std::vector<std::shared_ptr<ThreadSpans>> threads;

  std::shared_ptr<ThreadSpans> addThread() {
    std::lock_guard lock(mutex);
    auto spans = std::make_shared<ThreadSpans>();
    spans->thread = static_cast<int>(threads.size());
    return threads.emplace_back(std::move(spans));
  }
};

namespace {
/// The recording that is on.
struct Current {
  std::mutex mutex;
  std::weak_ptr<TraceRecording> recording;
  uint64_t lastNumber = 0;
};
/// What this thread adds to, and in which recording.
struct Mine {
  uint64_t number = 0;
  std::shared_ptr<TraceRecording> recording = {};
  std::shared_ptr<ThreadSpans> spans = {};
};
} // namespace

// Never destroyed: threads may outlive statics.
static Current &current() {
  static auto *instance = new Current;
  return *instance;
}

static thread_local Mine mine;

static void join(uint64_t number) {
  mine = {.number = number};
  std::lock_guard lock(current().mutex);
  std::shared_ptr<TraceRecording> recording = current().recording.lock();
  if (!recording || recording->number != number)
    return;
  mine.spans = recording->addThread();
  mine.recording = std::move(recording);
}

static int64_t nanosecondsSince(Clock::time_point start) {
  return std::chrono::nanoseconds(Clock::now() - start).count();
}

void TraceScope::start(uint64_t current, TraceSpan described) {
  if (mine.number != current)
    join(current);
  if (!mine.recording)
    return;
  number = current;
  span = std::move(described);
  span->begin = nanosecondsSince(mine.recording->start);
}

void TraceScope::finish() {
  // Another recording may have begun since.
  if (mine.number != number || mine.recording->added.fetch_add(1) >= Trace::kMostSpans)
    return;
  span->end = nanosecondsSince(mine.recording->start);
  span->thread = mine.spans->thread;
  std::lock_guard lock(mine.spans->mutex);
  mine.spans->spans.push_back(std::move(*span));
}

TraceRecorder::TraceRecorder(std::shared_ptr<TraceRecording> r) : recording(std::move(r)) {}
TraceRecorder::TraceRecorder(TraceRecorder &&) noexcept = default;

TraceRecorder &TraceRecorder::operator=(TraceRecorder &&other) noexcept {
  end();
  recording = std::move(other.recording);
  return *this;
}

TraceRecorder::~TraceRecorder() { end(); }

Expected<TraceRecorder> TraceRecorder::begin() {
  std::lock_guard lock(current().mutex);
  if (TraceScope::recordingNumber.load())
    return usageError("a trace is being recorded already; one at a time");
  auto recording = std::make_shared<TraceRecording>();
  recording->number = ++current().lastNumber;
  current().recording = recording;
  mine = {recording->number, recording, recording->addThread()};
  TraceScope::recordingNumber.store(recording->number, std::memory_order_release);
  return TraceRecorder(std::move(recording));
}

Trace TraceRecorder::end() {
  Trace trace;
  if (!recording)
    return trace;
  {
    std::lock_guard lock(current().mutex);
    TraceScope::recordingNumber.store(0, std::memory_order_release);
  }
  std::lock_guard lock(recording->mutex);
  for (const std::shared_ptr<ThreadSpans> &thread : recording->threads) {
    std::lock_guard spansLock(thread->mutex);
    for (TraceSpan &span : thread->spans)
      trace.spans.push_back(std::move(span));
    thread->spans.clear();
  }
  trace.omitted = std::max<int64_t>(recording->added - Trace::kMostSpans, 0);
  recording.reset();
  return trace;
}
