//===- StartCauses.cpp - what is done once, and for each new size ---------===//
#include "api/time/TimeFacts.h"

#include "quern/Progress.h"

#include <algorithm>
#include <fmt/format.h>

using namespace quern;
using namespace quern::timing;

static void findStart(TimeFacts &facts) {
  const Benchmark &run = facts.analysis.run;
  double first = std::max(run.firstRunMs - run.steady.p50, 0.0);
  double ms = facts.options.loadMs + run.compileMs + first;
  // Less is not noticed.
  constexpr double kNoticedMs = 100;
  if (ms < kNoticedMs)
    return;
  facts.add(
      {.kind = CauseKind::Start,
       .title = fmt::format("the start: as long as {:.0f} runs", ms / run.steady.p50),
       .evidence = {fmt::format("loading {:.0f} ms, compiling {:.0f} ms, the first run {:.0f} "
                                "ms longer than others",
                                facts.options.loadMs, run.compileMs, first)},
       .advice = facts.compile.kernelCache
                     ? "quern compile makes a library that neither loads nor compiles"
                     : "keep the kernels (no --no-kernel-cache), or quern compile the model",
       .savedMs = run.compileMs,
       .isOnce = true});
}

/// The dims of the inputs with all that may change larger by `more`; nullopt when nothing may.
static std::optional<std::vector<Tensor::Dims>> otherDims(const TimeFacts &facts, int64_t more) {
  std::vector<Tensor::Dims> result = dimsOf(facts.inputs);
  bool isOpen = false;
  for (size_t i = 0; i < result.size(); ++i) {
    const PortSignature &port = facts.model.inputs()[i];
    for (int64_t d = 0; port.isTensor() && d < int64_t(result[i].size()); ++d)
      if (!port.shape[d].isStatic()) {
        result[i][static_cast<size_t>(d)] += more;
        isOpen = true;
      }
  }
  return isOpen ? std::optional(std::move(result)) : std::nullopt;
}

/// How long a size takes that was never seen; the kernels of one before are there.
static Status findNewSizes(TimeFacts &facts) {
  std::optional<std::vector<Tensor::Dims>> first = otherDims(facts, 1),
                                           second = otherDims(facts, 2);
  if (!first)
    return Status::ok();
  QUERN_TRY(ProgressScope::check("planning for other sizes"));
  Stopwatch firstWatch;
  if (!facts.compiled->planFor(*first).isOk())
    return Status::ok(); // the model takes no such sizes together
  double firstMs = firstWatch.milliseconds();
  Stopwatch secondWatch;
  if (!facts.compiled->planFor(*second).isOk())
    return Status::ok();
  double secondMs = secondWatch.milliseconds();
  if (!facts.matters(secondMs) && !facts.matters(firstMs / 100))
    return Status::ok();
  facts.add(
      {.kind = CauseKind::NewSizes,
       .title = "sizes of inputs that were not seen before",
       .evidence = {fmt::format("planning for another size took {}, for one more {}; a "
                                "run takes {}",
                                shownTime(firstMs), shownTime(secondMs), shownTime(facts.runMs()))},
       .advice = "fix them (--dim NAME=SIZE), or pad inputs to a few sizes: one that was seen "
                 "before costs nothing",
       .savedMs = std::max(firstMs, secondMs),
       .isOnce = true});
  return Status::ok();
}

Status timing::findStartCauses(TimeFacts &facts) {
  findStart(facts);
  return findNewSizes(facts);
}
