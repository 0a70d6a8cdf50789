//===- RunLoop.cpp - runs a plan again and again --------------------------===//
//
// An iteration reads its carried values where the one before has written them, and
// slices where they lie: of static sizes nothing is copied or allocated.
//
//===----------------------------------------------------------------------===//
#include "runtime/plan/RunControlFlow.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;

namespace {
/// The iterations of one step. The ports of the body come in groups: what the kind of
/// step adds in front, carried values, slices (as inputs), captured values; and what
/// it adds in front, carried values, slices (as outputs).
class Iterations {
public:
  Iterations(const IteratedPlan &step, Frame &caller, NestedFrames &nested, const RunContext &run,
             size_t inputsInFront, size_t outputsInFront)
      : step(step), caller(caller), nested(nested), body(nested.frames.front()), run(run),
        budget(run.budget), firstInput(inputsInFront), firstOutput(outputsInFront),
        firstSlice(firstOutput + step.carried.size()) {}

  Status begin(const StackedOutput::Count &count);
  /// Runs the body; what is in front of its ports is bound.
  Status iterate();
  Status finish();
  int64_t done() const { return number; }

private:
  Status bindCarried(size_t i);
  Status bindPorts();
  Status takeOutputs();
  Status countOwnBytes();
  Status storeCarried(size_t i);

  const IteratedPlan &step;
  Frame &caller;
  NestedFrames &nested;
  Frame &body;
  const RunContext &run;
  Budget &budget;
  size_t firstInput, firstOutput, firstSlice;
  /// Of the iteration that comes next.
  int64_t number = 0;
  /// What the budget holds for values between iterations.
  int64_t ownBytes = 0;
};
} // namespace

Status Iterations::begin(const StackedOutput::Count &count) {
  body.arena = caller.arena + step.body.frameOffset;
  for (size_t i = 0; i < step.carried.size(); ++i) {
    QUERN_ASSIGN(nested.carried[i],
                 passFrom(caller, step.carried[i].initial, body.plan.inputs[firstInput + i]));
  }
  size_t firstCaptured = body.plan.inputs.size() - step.captured.size();
  for (size_t i = 0; i < step.captured.size(); ++i) {
    QUERN_ASSIGN(nested.passed[i],
                 passFrom(caller, step.captured[i], body.plan.inputs[firstCaptured + i]));
  }
  budget.beginStep();
  for (size_t i = 0; i < nested.stacks.size(); ++i)
    QUERN_TRY(nested.stacks[i].begin(step.scanOutputs[i], caller, body.plan.outputs[firstSlice + i],
                                     count, budget));
  return countOwnBytes();
}

Status Iterations::bindCarried(size_t i) {
  Passed &passed = nested.carried[i];
  if (!body.plan.inputs[firstInput + i].dynamic)
    return bindInput(body, firstInput + i, passed, budget);
  if (passed.address) { // of the static output of the iteration before
    const PlanPort &output = body.plan.outputs[firstOutput + i];
    passed = {nullptr, Tensor::borrow(output.dtype, output.dims, passed.address)};
  } else { // the body alone holds it from now on, and releases it after its last use
    budget.release(passed.value.numBytes());
    ownBytes -= passed.value.numBytes();
  }
  QUERN_TRY(bindInput(body, firstInput + i, passed, budget));
  passed.value = AnyValue();
  return Status::ok();
}

Status Iterations::bindPorts() {
  for (size_t i = 0; i < step.carried.size(); ++i)
    QUERN_TRY(bindCarried(i));
  size_t input = firstInput + step.carried.size();
  for (const SlicedInput &sliced : nested.slices) {
    QUERN_ASSIGN(Passed slice, sliced.slice(number, budget));
    QUERN_TRY(bindInput(body, input++, slice, budget));
  }
  for (const Passed &captured : nested.passed)
    QUERN_TRY(bindInput(body, input++, captured, budget));
  for (size_t i = 0; i < step.carried.size(); ++i)
    if (!body.plan.outputs[firstOutput + i].dynamic)
      body.outputs[firstOutput + i] = caller.resolve(step.carried[i].buffers[number % 2]);
  for (size_t i = 0; i < nested.stacks.size(); ++i)
    QUERN_TRY(nested.stacks[i].bind(number, body, firstSlice + i, budget));
  return Status::ok();
}

Status Iterations::takeOutputs() {
  for (size_t i = 0; i < step.carried.size(); ++i) {
    size_t output = firstOutput + i;
    nested.carried[i].address = body.outputs[output];
    nested.carried[i].value = AnyValue();
    if (body.plan.outputs[output].dynamic) {
      nested.carried[i].address = nullptr;
      QUERN_ASSIGN(nested.carried[i].value, takeOutput(body, output));
    }
  }
  for (size_t i = 0; i < nested.stacks.size(); ++i)
    QUERN_TRY(nested.stacks[i].add(number, body, firstSlice + i, budget));
  body.releaseAll(budget);
  return countOwnBytes();
}

/// Holds what lives between iterations.
Status Iterations::countOwnBytes() {
  int64_t bytes = 0;
  for (const Passed &passed : nested.carried)
    bytes += passed.value.numBytes();
  for (const StackedOutput &stacked : nested.stacks)
    bytes += stacked.ownBytes();
  int64_t more = bytes - ownBytes;
  ownBytes = bytes;
  return budget.hold(more);
}

Status Iterations::iterate() {
  auto once = [&]() -> Status {
    budget.beginStep();
    QUERN_TRY(budget.check());
    QUERN_TRY(bindPorts());
    QUERN_TRY(runSteps(body, run));
    return takeOutputs();
  };
  Status status = once();
  if (!status.isOk())
    return status.withContext(fmt::format("iteration {}", number));
  ++number;
  return Status::ok();
}

/// Gives the caller a carried value as it is now.
Status Iterations::storeCarried(size_t i) {
  Passed &passed = nested.carried[i];
  if (!passed.address)
    return caller.store(step.carried[i].result, std::move(passed.value), budget);
  const PlanPort &port =
      number == 0 ? body.plan.inputs[firstInput + i] : body.plan.outputs[firstOutput + i];
  return caller.store(step.carried[i].result, Tensor::borrow(port.dtype, port.dims, passed.address),
                      budget);
}

Status Iterations::finish() {
  budget.beginStep();
  budget.release(ownBytes);
  for (size_t i = 0; i < step.carried.size(); ++i)
    QUERN_TRY(storeCarried(i));
  for (size_t i = 0; i < nested.stacks.size(); ++i)
    QUERN_TRY(nested.stacks[i].finish(number, step.scanOutputs[i], caller, budget));
  nested.clear();
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Loop
//===----------------------------------------------------------------------===//

static bool isLeftOut(const ValueRef &ref) {
  return !ref.constant.isPresent() && !ref.buffer.isDynamic() && ref.dtype == DType::Undefined;
}

/// Whether a port of a body is one static element of `dtype`.
static bool isScalar(const std::vector<PlanPort> &ports, size_t number, DType dtype) {
  if (number >= ports.size() || ports[number].dynamic || ports[number].dtype != dtype)
    return false;
  return CheckedSize::product(ports[number].dims).value() == 1;
}

Status quern::runLoop(const LoopStep &step, Frame &caller, NestedFrames &nested,
                      const RunContext &run) {
  Frame &body = nested.frames.front();
  if (!isScalar(body.plan.inputs, 0, DType::Int64) || !isScalar(body.plan.inputs, 1, DType::Bool) ||
      !isScalar(body.plan.outputs, 0, DType::Bool))
    return internalError("the body of a loop lacks its number or its condition");
  StackedOutput::Count count;
  bool isWanted = true;
  if (!isLeftOut(step.tripCount)) {
    QUERN_ASSIGN(int64_t limit, readScalar<int64_t>(caller, step.tripCount, "trip count"));
    count.atMost = std::max<int64_t>(limit, 0);
  }
  if (!isLeftOut(step.condition)) {
    QUERN_ASSIGN(isWanted, readScalar<bool>(caller, step.condition, "condition"));
  }
  Iterations iterations(step, caller, nested, run, 2, 1);
  QUERN_TRY(iterations.begin(count));
  // What the body reads and writes as bool; any other number than 0 is true.
  uint8_t condition = isWanted, next = 0;
  int64_t number = 0;
  while (condition && (!count.atMost || number < *count.atMost)) {
    condition = 1;
    body.inputs[0] = &number;
    body.inputs[1] = &condition;
    body.outputs[0] = &next;
    QUERN_TRY(iterations.iterate());
    condition = next;
    ++number;
  }
  return iterations.finish();
}

//===----------------------------------------------------------------------===//
// Scan
//===----------------------------------------------------------------------===//

Status quern::runScan(const ScanStep &step, Frame &caller, NestedFrames &nested,
                      const RunContext &run) {
  Frame &body = nested.frames.front();
  for (size_t i = 0; i < nested.slices.size(); ++i) {
    const PlanPort &port = body.plan.inputs[step.carried.size() + i];
    QUERN_TRY(nested.slices[i].begin(step.scanInputs[i], caller, port));
    if (nested.slices[i].count() != nested.slices.front().count())
      return invalidInput(fmt::format("scanned values of {} and {} slices",
                                      nested.slices.front().count(), nested.slices[i].count()));
  }
  if (nested.slices.empty())
    return internalError("a scan has nothing to scan");
  int64_t count = nested.slices.front().count();
  Iterations iterations(step, caller, nested, run, 0, 0);
  QUERN_TRY(iterations.begin({.exactly = count, .atMost = count}));
  while (iterations.done() < count)
    QUERN_TRY(iterations.iterate());
  return iterations.finish();
}
