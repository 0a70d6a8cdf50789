//===- StepOrder.cpp - when the steps of a graph run ----------------------===//
#include "backends/plan/StepOrder.h"

#include "backends/plan/Waves.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;

namespace {
class StepOrdering {
public:
  StepOrdering(const LoweredGraph &graph, std::span<const LoweredOp *const> ops, size_t firstCopy,
               const ValuePlaces &places, const OpLowering &lowering)
      : graph(graph), ops(ops), firstCopy(firstCopy), places(places), lowering(lowering) {}

  StepOrder order();

private:
  bool isAlone(size_t op) const;
  double expectedTime(const LoweredStep &step, const StepCost &problem) const;
  void addOp(size_t op);
  std::vector<uint32_t> writersOfOperands(const LoweredOp &op) const;
  void noteResults(const LoweredOp &op);

  const LoweredGraph &graph;
  std::span<const LoweredOp *const> ops;
  size_t firstCopy;
  const ValuePlaces &places;
  const OpLowering &lowering;
  double allWeightBytes = 0;
  std::vector<WaveStep> steps;
  std::vector<StepOrder::Entry> entries;
  /// The last steps of ops that write to a value's storage, which operands of a concatenation may
  /// share: since the last step that runs alone, for all wait for that.
  llvm::DenseMap<Value, llvm::SmallVector<uint32_t, 2>> writers;
};
} // namespace

/// A copy of a whole operand is left out where both lie at one place: then the steps after it
/// overwrite the operand, which those beside it might read. Observers want steps as they stand.
bool StepOrdering::isAlone(size_t number) const {
  const LoweredOp &op = *ops[number];
  if (number >= firstCopy || op.steps.empty() || op.takesValues() || !lowering.observers().empty())
    return true;
  return llvm::any_of(op.steps, [](const LoweredStep &step) { return step.copiesWhole; });
}

/// What the steps of an op read must be there before the first of them.
std::vector<uint32_t> StepOrdering::writersOfOperands(const LoweredOp &op) const {
  std::vector<uint32_t> found;
  for (const LoweredStep &step : op.steps)
    for (const StepBuffer &buffer : step.buffers) {
      if (buffer.kind != StepBuffer::Kind::Value || buffer.value.getDefiningOp() == op.op)
        continue;
      auto it = writers.find(places.placeOf(buffer.value).base);
      if (it != writers.end())
        found.insert(found.end(), it->second.begin(), it->second.end());
    }
  return found;
}

void StepOrdering::noteResults(const LoweredOp &op) {
  for (Value result : op.op->getResults())
    if (graph.hasPlace(result))
      writers[places.placeOf(result).base].push_back(static_cast<uint32_t>(steps.size() - 1));
}

static double weightBytes(const StepBuffer &buffer) {
  if (buffer.kind != StepBuffer::Kind::Weights)
    return 0;
  return static_cast<double>(buffer.pack ? buffer.sourceBytes : buffer.tensor.numBytes());
}

/// Nothing has a place yet, but weights come from as far away as those of all steps reach.
double StepOrdering::expectedTime(const LoweredStep &step, const StepCost &problem) const {
  StepEstimate estimate = lowering.estimate(step, problem);
  double movingNs = 0;
  for (const StepBuffer &buffer : step.buffers)
    if (double bytes = weightBytes(buffer); bytes > 0)
      movingNs += lowering.nanosecondsToMove(std::min(bytes, estimate.mostBytes), allWeightBytes);
  return estimate.nanoseconds(movingNs);
}

void StepOrdering::addOp(size_t number) {
  const LoweredOp &op = *ops[number];
  bool alone = isAlone(number);
  std::vector<uint32_t> after;
  if (!alone)
    after = writersOfOperands(op);
  for (size_t part = 0; part < std::max<size_t>(op.steps.size(), 1); ++part) {
    WaveStep step{.after = std::move(after), .alone = alone};
    after = {static_cast<uint32_t>(steps.size())};
    if (!alone) {
      const LoweredStep &lowered = op.steps[part];
      step.nanoseconds = expectedTime(lowered, op.cost * lowered.share);
      step.chunks =
          lowered.tasks <= 0 ? 0 : (lowered.tasks - 1) / std::max<int64_t>(lowered.grain, 1) + 1;
    }
    steps.push_back(std::move(step));
    entries.push_back({number, part});
  }
  if (alone)
    writers.clear();
  else
    noteResults(op);
}

StepOrder StepOrdering::order() {
  for (const LoweredOp *op : ops)
    for (const LoweredStep &step : op->steps)
      for (const StepBuffer &buffer : step.buffers)
        allWeightBytes += weightBytes(buffer);
  for (size_t op = 0; op < ops.size(); ++op)
    addOp(op);
  WaveOrder chosen = chooseWaves(steps);
  StepOrder result;
  result.waves = std::move(chosen.sizes);
  result.ofOps.assign(ops.size(), {-1, -1});
  size_t next = 0;
  for (auto [wave, size] : llvm::enumerate(result.waves))
    for (uint32_t i = 0; i < size; ++i) {
      const StepOrder::Entry &entry = entries[chosen.order[next++]];
      result.entries.push_back(entry);
      // The steps of an op run one after the other.
      StepOrder::Waves &waves = result.ofOps[entry.op];
      waves.last = static_cast<int64_t>(wave);
      if (waves.first < 0)
        waves.first = waves.last;
    }
  return result;
}

StepOrder plan::orderSteps(const LoweredGraph &graph, std::span<const LoweredOp *const> ops,
                           size_t firstCopy, const ValuePlaces &places,
                           const OpLowering &lowering) {
  return StepOrdering(graph, ops, firstCopy, places, lowering).order();
}
