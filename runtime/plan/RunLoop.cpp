//===- RunLoop.cpp - runs a plan again and again --------------------------===//
//
// An iteration reads its carried values where the one before has written them, and
// slices where they lie: while sizes stay as they are nothing is copied or allocated.
// When the size of a carried value changes, another plan is entered.
//
//===----------------------------------------------------------------------===//
#include "runtime/plan/NestedPlans.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

using namespace quern;

namespace {
/// The iterations of one step. The ports of the body come in groups: what the kind of
/// step adds in front, carried values, slices (as inputs), captured values; and what
/// it adds in front, carried values, slices (as outputs).
class Iterations {
public:
  Iterations(const IteratedStep &step, const StepRun &at, size_t inputsInFront,
             size_t outputsInFront)
      : step(step), caller(at.caller), nested(*at.nested), body(nested.plans.front()), run(at.run),
        budget(run.budget), firstInput(inputsInFront), firstOutput(outputsInFront),
        firstSlice(firstOutput + step.carried.size()), buffers(step.carried.size()) {}

  Status begin(const StackedOutput::Count &count);
  /// Runs the body; `front` and `outputs` are what is in front of its ports.
  Status iterate(std::span<const Passed> front, std::span<const Passed> outputs);
  Status finish();
  int64_t done() const { return number; }

private:
  /// Where the body writes a static output, in turn: an iteration reads one and writes
  /// the other.
  using TwoBuffers = std::array<Tensor, 2>;

  Status runOnce(std::span<const Passed> front, std::span<const Passed> outputs);
  Status enterPlan(std::span<const Passed> front);
  void ownCarried(size_t i);
  Status prepareBuffers();
  Status bindCarried(size_t i);
  Status bindInputs(std::span<const Passed> front);
  Status bindOutputs(std::span<const Passed> front);
  Status takeOutputs(std::span<const Passed> front);
  bool fitsPlan(size_t i) const;
  Status countOwnBytes();

  const IteratedStep &step;
  Frame &caller;
  NestedPlans &nested;
  NestedPlan &body;
  const RunContext &run;
  Budget &budget;
  size_t firstInput, firstOutput, firstSlice;
  std::vector<TwoBuffers> buffers;
  /// Of the iteration that comes next.
  int64_t number = 0;
  /// Whether the plan at hand is not one for the carried values at hand.
  bool needsPlan = true;
  /// What the budget holds for values between iterations.
  int64_t ownBytes = 0;
};
} // namespace

Status Iterations::begin(const StackedOutput::Count &count) {
  budget.beginStep();
  for (size_t i = 0; i < step.carried.size(); ++i)
    nested.carried[i] = {nullptr, caller.operand(step.carried[i].initial)};
  for (size_t i = 0; i < nested.stacks.size(); ++i)
    QUERN_TRY(nested.stacks[i].begin(step.scanOutputs[i], caller, count));
  return countOwnBytes();
}

//===----------------------------------------------------------------------===//
// The plan for the sizes at hand
//===----------------------------------------------------------------------===//

/// Turns the address of a carried value into the value that is there.
void Iterations::ownCarried(size_t i) {
  if (nested.carried[i].address)
    nested.carried[i] = {nullptr, buffers[i][(number + 1) % 2]};
}

Status Iterations::prepareBuffers() {
  const Plan &plan = body.plan();
  for (size_t i = 0; i < step.carried.size(); ++i) {
    const PlanPort &port = plan.outputs[firstOutput + i];
    for (Tensor &buffer : buffers[i]) {
      if (port.dynamic) {
        buffer = Tensor();
      } else if (!buffer.isPresent() || buffer.dims() != port.dims) {
        QUERN_ASSIGN(buffer, budget.allocateUninitialized(port.dtype, port.dims));
      }
    }
  }
  return Status::ok();
}

Status Iterations::enterPlan(std::span<const Passed> front) {
  std::vector<AnyValue> operands;
  for (const Passed &passed : front)
    operands.push_back(passed.value);
  for (size_t i = 0; i < step.carried.size(); ++i) {
    ownCarried(i);
    operands.push_back(nested.carried[i].value);
  }
  for (SlicedInput &sliced : nested.slices) {
    QUERN_ASSIGN(Tensor slice, sliced.slice(number, budget));
    operands.push_back(std::move(slice));
  }
  for (const ValueRef &ref : step.captured)
    operands.push_back(caller.operand(ref));
  QUERN_TRY(body.enter(step.body, operands, run));
  const Plan &plan = body.plan();
  size_t firstCaptured = plan.inputs.size() - step.captured.size();
  for (size_t i = 0; i < step.captured.size(); ++i) {
    QUERN_ASSIGN(nested.passed[i],
                 passFrom(caller, step.captured[i], plan.inputs[firstCaptured + i]));
  }
  QUERN_TRY(prepareBuffers());
  needsPlan = false;
  return countOwnBytes();
}

/// Whether what the body has made of carried value `i` can be passed to it again.
bool Iterations::fitsPlan(size_t i) const {
  const PlanPort &input = body.plan().inputs[firstInput + i];
  const PlanPort &output = body.plan().outputs[firstOutput + i];
  if (input.dynamic || !output.dynamic)
    return input.dynamic || input.dims == output.dims;
  const Tensor *tensor = nested.carried[i].value.asTensor();
  return tensor && tensor->dims() == input.dims;
}

//===----------------------------------------------------------------------===//
// One iteration
//===----------------------------------------------------------------------===//

Status Iterations::bindCarried(size_t i) {
  Passed &passed = nested.carried[i];
  if (!body.plan().inputs[firstInput + i].dynamic)
    return bindInput(body.frame(), firstInput + i, passed, budget);
  ownCarried(i);
  // The body alone holds it from now on, and releases it after its last use.
  budget.release(passed.value.numBytes());
  ownBytes -= passed.value.numBytes();
  QUERN_TRY(bindInput(body.frame(), firstInput + i, passed, budget));
  passed.value = AnyValue();
  return Status::ok();
}

Status Iterations::bindInputs(std::span<const Passed> front) {
  Frame &frame = body.frame();
  for (size_t i = 0; i < front.size(); ++i)
    QUERN_TRY(bindInput(frame, i, front[i], budget));
  for (size_t i = 0; i < step.carried.size(); ++i)
    QUERN_TRY(bindCarried(i));
  size_t input = firstInput + step.carried.size();
  for (SlicedInput &sliced : nested.slices) {
    QUERN_TRY(sliced.bind(number, frame, input, budget));
    ++input;
  }
  for (const Passed &captured : nested.passed)
    QUERN_TRY(bindInput(frame, input++, captured, budget));
  return Status::ok();
}

/// An output of the body that must be one element like `wanted`.
static Status checkScalar(DType dtype, const Tensor::Dims &dims, const Passed &wanted) {
  const Tensor *tensor = wanted.value.asTensor();
  if (dtype == tensor->dtype() && CheckedSize::product(dims).value() == 1)
    return Status::ok();
  return invalidInput(fmt::format("the condition that the body yields is {} {}, wanted one {}",
                                  dtypeName(dtype), formatDims(dims), dtypeName(tensor->dtype())));
}

Status Iterations::bindOutputs(std::span<const Passed> front) {
  Frame &frame = body.frame();
  for (size_t i = 0; i < front.size(); ++i) {
    const PlanPort &port = frame.plan.outputs[i];
    if (!port.dynamic)
      QUERN_TRY(checkScalar(port.dtype, port.dims, front[i]));
    frame.outputs[i] = front[i].address;
  }
  for (size_t i = 0; i < step.carried.size(); ++i)
    if (!frame.plan.outputs[firstOutput + i].dynamic)
      frame.outputs[firstOutput + i] = buffers[i][number % 2].mutableRawData();
  for (size_t i = 0; i < nested.stacks.size(); ++i)
    QUERN_TRY(nested.stacks[i].bind(number, frame, firstSlice + i, budget));
  return Status::ok();
}

Status Iterations::takeOutputs(std::span<const Passed> front) {
  Frame &frame = body.frame();
  for (size_t i = 0; i < front.size(); ++i)
    if (frame.plan.outputs[i].dynamic) {
      QUERN_ASSIGN(AnyValue value, takeOutput(frame, i));
      QUERN_ASSIGN(Tensor tensor, value.toTensor());
      QUERN_TRY(checkScalar(tensor.dtype(), tensor.dims(), front[i]));
      std::memcpy(front[i].address, tensor.rawData(), static_cast<size_t>(tensor.numBytes()));
    }
  for (size_t i = 0; i < step.carried.size(); ++i) {
    size_t output = firstOutput + i;
    Passed &carried = nested.carried[i];
    carried = {frame.outputs[output]};
    if (frame.plan.outputs[output].dynamic) {
      carried.address = nullptr;
      QUERN_ASSIGN(carried.value, takeOutput(frame, output));
    }
    needsPlan |= !fitsPlan(i);
  }
  for (size_t i = 0; i < nested.stacks.size(); ++i)
    QUERN_TRY(nested.stacks[i].add(number, frame, firstSlice + i, budget));
  frame.releaseAll(budget);
  return countOwnBytes();
}

/// Holds what lives between iterations.
Status Iterations::countOwnBytes() {
  int64_t bytes = 0;
  for (const Passed &passed : nested.carried)
    bytes += passed.value.numBytes();
  for (const TwoBuffers &two : buffers)
    bytes += two[0].numBytes() + two[1].numBytes();
  for (const StackedOutput &stacked : nested.stacks)
    bytes += stacked.ownBytes();
  int64_t more = bytes - ownBytes;
  ownBytes = bytes;
  return budget.hold(more);
}

Status Iterations::runOnce(std::span<const Passed> front, std::span<const Passed> outputs) {
  budget.beginStep();
  QUERN_TRY(budget.check());
  if (needsPlan)
    QUERN_TRY(enterPlan(front));
  QUERN_TRY(bindInputs(front));
  QUERN_TRY(bindOutputs(outputs));
  QUERN_TRY(body.run(run));
  return takeOutputs(outputs);
}

Status Iterations::iterate(std::span<const Passed> front, std::span<const Passed> outputs) {
  Status status = runOnce(front, outputs);
  if (!status.isOk())
    return status.withContext(fmt::format("iteration {}", number));
  ++number;
  return Status::ok();
}

Status Iterations::finish() {
  budget.beginStep();
  for (size_t i = 0; i < step.carried.size(); ++i)
    ownCarried(i);
  buffers.clear();
  budget.release(ownBytes);
  for (size_t i = 0; i < step.carried.size(); ++i)
    QUERN_TRY(caller.store(step.carried[i].result, std::move(nested.carried[i].value), budget));
  for (size_t i = 0; i < nested.stacks.size(); ++i)
    QUERN_TRY(nested.stacks[i].finish(number, step.scanOutputs[i], caller, budget));
  body.leave(budget);
  nested.clear();
  return Status::ok();
}

void IteratedStep::addRefs(ValueRefs &refs) const {
  for (const CarriedValue &value : carried)
    refs.insert(refs.end(), {&value.initial, &value.result});
  for (const ScanOutput &output : scanOutputs)
    refs.push_back(&output.result);
  addAll(refs, captured);
}

std::unique_ptr<NestedPlans> IteratedStep::nestedPlans() const {
  auto nested = std::make_unique<NestedPlans>();
  nested->plans.resize(1);
  nested->passed.resize(captured.size());
  nested->carried.resize(carried.size());
  nested->stacks.resize(scanOutputs.size());
  return nested;
}

//===----------------------------------------------------------------------===//
// Loop
//===----------------------------------------------------------------------===//

static bool isLeftOut(const ValueRef &ref) {
  return !ref.constant.isPresent() && !ref.buffer.isDynamic() && ref.dtype == DType::Undefined;
}

void LoopStep::addRefs(ValueRefs &refs) const {
  IteratedStep::addRefs(refs);
  refs.insert(refs.end(), {&tripCount, &condition});
}

Status LoopStep::run(const StepRun &at) const {
  StackedOutput::Count count;
  bool isWanted = true;
  if (!isLeftOut(tripCount)) {
    QUERN_ASSIGN(int64_t limit, readScalar<int64_t>(at.caller, tripCount, "trip count"));
    count.atMost = std::max<int64_t>(limit, 0);
  }
  if (!isLeftOut(condition)) {
    QUERN_ASSIGN(isWanted, readScalar<bool>(at.caller, condition, "condition"));
  }
  Iterations iterations(*this, at, 2, 1);
  QUERN_TRY(iterations.begin(count));
  // What the body reads and writes as bool; any other number than 0 is true.
  uint8_t goesOn = isWanted, next = 0;
  int64_t number = 0;
  const Passed front[] = {{&number, Tensor::borrow(DType::Int64, numberDims, &number)},
                          {&goesOn, Tensor::borrow(DType::Bool, conditionDims, &goesOn)}};
  const Passed outputs[] = {{&next, Tensor::borrow(DType::Bool, {}, &next)}};
  while (goesOn && (!count.atMost || number < *count.atMost)) {
    goesOn = 1;
    QUERN_TRY(iterations.iterate(front, outputs));
    goesOn = next;
    ++number;
  }
  return iterations.finish();
}

//===----------------------------------------------------------------------===//
// Scan
//===----------------------------------------------------------------------===//

void ScanStep::addRefs(ValueRefs &refs) const {
  IteratedStep::addRefs(refs);
  for (const ScanInput &input : scanInputs)
    refs.push_back(&input.operand);
}

std::unique_ptr<NestedPlans> ScanStep::nestedPlans() const {
  std::unique_ptr<NestedPlans> nested = IteratedStep::nestedPlans();
  nested->slices.resize(scanInputs.size());
  return nested;
}

Status ScanStep::run(const StepRun &at) const {
  std::vector<SlicedInput> &slices = at.nested->slices;
  for (size_t i = 0; i < slices.size(); ++i) {
    QUERN_TRY(slices[i].begin(scanInputs[i], at.caller));
    if (slices[i].count() != slices.front().count())
      return invalidInput(fmt::format("scanned values of {} and {} slices", slices.front().count(),
                                      slices[i].count()));
  }
  if (slices.empty())
    return internalError("a scan has nothing to scan");
  int64_t count = slices.front().count();
  Iterations iterations(*this, at, 0, 0);
  QUERN_TRY(iterations.begin({.exactly = count, .atMost = count}));
  while (iterations.done() < count)
    QUERN_TRY(iterations.iterate({}, {}));
  return iterations.finish();
}
