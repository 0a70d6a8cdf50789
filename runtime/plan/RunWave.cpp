//===- RunWave.cpp - runs kernel steps side by side -----------------------===//
#include "runtime/plan/RunSteps.h"
#include "runtime/running/TraceScope.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

using namespace quern;

namespace {
using Clock = std::chrono::steady_clock;

/// A step of the wave. Its chunks are numbered behind those of the members before it.
struct Member {
  const PlanStep *step = nullptr;
  const KernelStep *work = nullptr;
  void **pointers = nullptr;
  int64_t firstChunk = 0;
  int64_t grain = 1;
  FirstTrap refusal = {};
  /// What all threads spent on it, where that is asked for.
  std::atomic<int64_t> busyNanoseconds = 0;
};

/// All in the memory of the frame or of the stack: a run of kernels allocates nothing.
class Wave {
public:
  Wave(Frame &frame, const RunContext &run, size_t first);
  Status compute();
  void addToProfile(int64_t elapsed);

private:
  void runChunk(int64_t chunk);
  int32_t call(const Member &member, int64_t begin, int64_t end) const;

  const RunContext &run;
  size_t first, size;
  int64_t chunks = 0;
  std::array<Member, Plan::kMostInWave> members;
};
} // namespace

Wave::Wave(Frame &frame, const RunContext &run, size_t first)
    : run(run), first(first), size(frame.plan.steps[first].wave) {
  void **pointers = frame.pointers.data();
  for (size_t i = 0; i < size; ++i) {
    Member &member = members[i];
    member.step = &frame.plan.steps[first + i];
    member.work = member.step->as<KernelStep>();
    member.pointers = pointers;
    for (const BufferRef &buffer : member.work->buffers)
      *pointers++ = frame.resolve(buffer);
    member.firstChunk = chunks;
    int64_t tasks = member.work->tasks;
    member.grain = std::clamp<int64_t>(member.work->grain, 1, std::max<int64_t>(tasks, 1));
    if (tasks > 0)
      chunks += (tasks - 1) / member.grain + 1;
  }
}

int32_t Wave::call(const Member &member, int64_t begin, int64_t end) const {
  const KernelStep &work = *member.work;
  void *scratch = nullptr;
  if (work.scratchBytes > 0)
    scratch = run.scratch + run.pool.currentWorker() * run.scratchBytes;
  return work.function(member.pointers, work.dims.data(), begin, end, scratch);
}

void Wave::runChunk(int64_t chunk) {
  auto after = std::upper_bound(members.begin(), members.begin() + size, chunk,
                                [](int64_t at, const Member &m) { return at < m.firstChunk; });
  // A step without tasks has the number of the next one's first chunk.
  Member &member = *std::prev(after);
  int64_t tasks = member.work->tasks;
  int64_t begin = (chunk - member.firstChunk) * member.grain;
  int64_t end = std::min(begin + member.grain, tasks);
  if (run.budget.mustStop() || member.refusal.comesBefore(begin))
    return;
  TraceScope span([&] {
    double share = static_cast<double>(end - begin) / static_cast<double>(tasks);
    return TraceSpan{.category = "step",
                     .name = member.step->kernel,
                     .nodes = member.step->nodes,
                     .cost = member.step->cost * share,
                     .firstTask = begin,
                     .endTask = end};
  });
  bool profile = !run.profile.empty();
  Clock::time_point start = profile ? Clock::now() : Clock::time_point();
  member.refusal.note(begin, call(member, begin, end));
  if (profile)
    member.busyNanoseconds.fetch_add(std::chrono::nanoseconds(Clock::now() - start).count(),
                                     std::memory_order_relaxed);
}

/// The first refusal in the order of the steps is the error, for any number of threads.
Status Wave::compute() {
  run.pool.parallelFor(chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk)
      runChunk(chunk);
  });
  for (const Member &member : std::span(members).first(size)) {
    Status status = run.budget.check();
    if (status.isOk())
      status = member.refusal.status();
    if (!status.isOk())
      return inStep(*member.step, status);
  }
  return Status::ok();
}

/// Each step gets as much of the wave's time as threads spent on it of theirs.
void Wave::addToProfile(int64_t elapsed) {
  int64_t busy = 1;
  for (const Member &member : members)
    busy += member.busyNanoseconds;
  for (size_t i = 0; i < size; ++i)
    run.profile[first + i].addRun(static_cast<int64_t>(
        static_cast<double>(elapsed) * static_cast<double>(members[i].busyNanoseconds) /
        static_cast<double>(busy)));
}

Status quern::runWave(Frame &frame, const RunContext &run, size_t first) {
  QUERN_TRY(inStep(frame.plan.steps[first], run.budget.check()));
  Clock::time_point start = run.profile.empty() ? Clock::time_point() : Clock::now();
  Wave wave(frame, run, first);
  QUERN_TRY(wave.compute());
  for (size_t i = 0; i < frame.plan.steps[first].wave; ++i)
    frame.releaseSlots(frame.plan.steps[first + i].released, run.budget);
  if (!run.profile.empty())
    wave.addToProfile(std::chrono::nanoseconds(Clock::now() - start).count());
  return Status::ok();
}
