//===- StepTimeline.cpp - where the bytes of a plan's steps come from -----===//
#include "backends/plan/StepTimeline.h"

#include "llvm/ADT/STLExtras.h"

#include <map>
#include <tuple>

using namespace quern;
using namespace quern::plan;

void StepTimeline::add(const StepEstimate &estimate, const LoweredStep &step,
                       const KernelStep &work, const Plan &plan,
                       const std::function<int64_t(mlir::Value)> &bytesOf) {
  // A step that does a part of the problem goes over as much of the values.
  double share = step.share > 0 ? step.share : 1;
  std::vector<Access> accesses;
  for (auto [buffer, place] : llvm::zip_equal(step.buffers, work.buffers)) {
    double bytes = 0;
    if (place.space == BufferRef::Space::Weights)
      bytes = static_cast<double>(plan.weights[place.index].numBytes());
    else if (buffer.kind == StepBuffer::Kind::Value)
      bytes = static_cast<double>(bytesOf(buffer.value)) * share;
    else if (buffer.kind == StepBuffer::Kind::Scratch && buffer.bytes.valid())
      bytes = static_cast<double>(buffer.bytes.value());
    accesses.push_back({place, bytes});
  }
  add(estimate, std::move(accesses));
}

void StepTimeline::setTimes(Plan &plan, const OpLowering &lowering) const {
  std::vector<double> times = expectedTimes(lowering);
  size_t next = 0;
  for (PlanStep &step : plan.steps)
    if (step.as<KernelStep>())
      step.expectedNanoseconds = times[next++];
}

std::vector<double> StepTimeline::expectedTimes(const OpLowering &lowering) const {
  std::vector<double> times(steps.size());
  // How much was touched until the middle of the step that touched a place last.
  std::map<std::tuple<BufferRef::Space, uint32_t, int64_t>, double> last;
  double touched = 0;
  // The first round says what a run leaves for the next.
  for (int round = 0; round < 2; ++round)
    for (size_t i = 0; i < steps.size(); ++i) {
      const StepEstimate &estimate = steps[i].estimate;
      double bytes = 0, movingNs = 0;
      for (const Access &access : steps[i].accesses)
        bytes += std::min(access.bytes, estimate.mostBytes);
      double middle = touched + bytes / 2;
      for (const auto &[place, size] : steps[i].accesses) {
        auto [at, isNew] = last.try_emplace({place.space, place.index, place.offset}, middle);
        double distance = isNew ? std::numeric_limits<double>::infinity() : middle - at->second;
        movingNs += lowering.nanosecondsToMove(std::min(size, estimate.mostBytes), distance);
        at->second = middle;
      }
      touched += bytes;
      times[i] = estimate.nanoseconds(movingNs);
    }
  return times;
}
