//===- AotLoopCode.cpp - loops and scans as code --------------------------===//
//
// What runtime/plan/RunLoop does, for plans whose sizes are all known. A step has memory
// behind the arena of its plan: two places for each carried value, which take turns, and a
// place for each slice that is cut or joined along an inner axis; then comes the memory of
// the plan that it runs.
//
//===----------------------------------------------------------------------===//
#include "backends/native/aot/AotSteps.h"
#include "backends/native/aot/PlanCode.h"

#include "runtime/running/Arena.h"
#include "runtime/values/TruthValue.h"

#include <algorithm>
#include <optional>
#include <span>

using namespace quern;
using namespace quern::native;

namespace {
/// A tensor as slices along an axis, each made of runs of bytes.
struct SliceRuns {
  int64_t count = 0, runs = 1, runBytes = 0;
  int64_t sliceBytes() const { return runs * runBytes; }
};
} // namespace

/// `axis` is one of the tensor, or counts from its end.
static SliceRuns slicesOf(const ValueRef &value, int64_t axis) {
  const Tensor::Dims &dims = refDims(value);
  auto rank = static_cast<int64_t>(dims.size());
  axis += axis < 0 ? rank : 0;
  SliceRuns slices{.runBytes = dtypeBytes(refDType(value))};
  for (int64_t i = 0; i < rank; ++i) {
    int64_t dim = dims[static_cast<size_t>(i)];
    if (i == axis)
      slices.count = dim;
    else
      (i < axis ? slices.runs : slices.runBytes) *= dim;
  }
  return slices;
}

static SliceRuns slicesOf(const ScanInput &input) { return slicesOf(input.operand, input.axis); }
static SliceRuns slicesOf(const ScanOutput &output) { return slicesOf(output.result, output.axis); }

//===----------------------------------------------------------------------===//
// How often they iterate
//===----------------------------------------------------------------------===//

bool native::neverIterates(const ScanStep &step) {
  return !step.scanInputs.empty() && slicesOf(step.scanInputs.front()).count == 0;
}

bool native::neverIterates(const LoopStep &step) {
  auto one = [](const ValueRef &ref, DType dtype) -> const Tensor * {
    const Tensor *tensor = ref.constant.asTensor();
    bool isOne = tensor && tensor->dtype() == dtype && tensor->numElements() == 1;
    return isOne ? tensor : nullptr;
  };
  const Tensor *trips = one(step.tripCount, DType::Int64);
  const Tensor *condition = one(step.condition, DType::Bool);
  return (trips && *trips->data<int64_t>() <= 0) || (condition && !truthValue(*condition));
}

static std::optional<int64_t> tripsOf(const LoopStep &step) {
  if (!step.tripCount.constant.isPresent())
    return std::nullopt;
  return std::max<int64_t>(*step.tripCount.constant.asTensor()->data<int64_t>(), 0);
}

//===----------------------------------------------------------------------===//
// What cannot become code
//===----------------------------------------------------------------------===//

/// Whether the port holds a slice.
static bool fitsSlice(const PlanPort &port, const ValueRef &tensor, const SliceRuns &slices) {
  return !port.dynamic && port.dtype == refDType(tensor) && portBytes(port) == slices.sliceBytes();
}

/// Whether the plan of a body takes and gives what the step does, behind the ports that only
/// loops have.
static bool fitsBody(const IteratedStep &step, std::span<const ScanInput> scanInputs,
                     const PlanPort *input, const PlanPort *output) {
  for (const CarriedValue &carried : step.carried)
    if (!fits(*input++, carried.result) || !fits(*output++, carried.result))
      return false;
  for (const ScanInput &scanned : scanInputs)
    if (!fitsSlice(*input++, scanned.operand, slicesOf(scanned)))
      return false;
  for (const ValueRef &captured : step.captured)
    if (!fits(*input++, captured))
      return false;
  for (const ScanOutput &collected : step.scanOutputs)
    if (!fitsSlice(*output++, collected.result, slicesOf(collected)))
      return false;
  return true;
}

/// Whether each result has room for as many slices.
static bool hasRoomFor(std::optional<int64_t> count, const IteratedStep &step) {
  return std::ranges::all_of(step.scanOutputs, [&](const ScanOutput &collected) {
    return count == slicesOf(collected).count;
  });
}

static bool changesSizes(const IteratedStep &step) {
  return std::ranges::any_of(step.carried, [](const CarriedValue &carried) {
    return refDims(carried.initial) != carried.result.dims;
  });
}

static Reason otherSliceCount() {
  return {ReasonCode::Form, "how often it iterates is not the number of its slices"};
}

std::optional<Reason> native::reasonAgainst(const LoopStep &step, const PlannedSite &site) {
  const plan::PlanTree &body = site.bodies().front();
  if (!haveAddresses(step))
    return unknownSizes();
  if (isGiven(step.tripCount) && !isOne(step.tripCount, DType::Int64))
    return Reason{ReasonCode::Form, "its trip count is not one int64"};
  if (isGiven(step.condition) && !isOne(step.condition, DType::Bool))
    return Reason{ReasonCode::Form, "its condition is not one bool"};
  if (changesSizes(step))
    return unknownSizes();
  if (neverIterates(step) || alwaysFails(body))
    return {}; // the body gives nothing
  if (!hasRoomFor(tripsOf(step), step))
    return otherSliceCount();
  const Plan &plan = body.plan.plan;
  const PlanPort &goesOn = plan.outputs[0];
  if (goesOn.dynamic || goesOn.dtype != DType::Bool || portBytes(goesOn) != 1)
    return Reason{ReasonCode::Form, "the condition that its body gives is not one bool"};
  if (!fitsBody(step, {}, plan.inputs.data() + 2, plan.outputs.data() + 1))
    return unknownSizes();
  return std::nullopt;
}

std::optional<Reason> native::reasonAgainst(const ScanStep &step, const PlannedSite &site) {
  const plan::PlanTree &body = site.bodies().front();
  if (!haveAddresses(step) || changesSizes(step))
    return unknownSizes();
  if (neverIterates(step) || alwaysFails(body))
    return {};
  int64_t count = slicesOf(step.scanInputs.front()).count;
  bool areAsMany = std::ranges::all_of(
      step.scanInputs, [&](const ScanInput &input) { return slicesOf(input).count == count; });
  if (!areAsMany || !hasRoomFor(count, step))
    return otherSliceCount();
  const Plan &plan = body.plan.plan;
  if (!fitsBody(step, step.scanInputs, plan.inputs.data(), plan.outputs.data()))
    return unknownSizes();
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static CheckedSize alignedBytes(CheckedSize bytes) { return bytes.alignedTo(Arena::kAlignment); }

/// Where a slice is put together.
static CheckedSize stagingBytes(const SliceRuns &slices) {
  return slices.runs > 1 ? alignedBytes(slices.sliceBytes()) : CheckedSize();
}

static CheckedSize valueBytes(const ValueRef &ref) {
  return CheckedSize::product(ref.dims) * CheckedSize(dtypeBytes(ref.dtype));
}

static CheckedSize iteratedBytes(const IteratedStep &step) {
  CheckedSize total;
  for (const CarriedValue &carried : step.carried)
    total += CheckedSize(2) * alignedBytes(valueBytes(carried.result));
  for (const ScanOutput &output : step.scanOutputs)
    total += stagingBytes(slicesOf(output));
  return total;
}

CheckedSize native::ownBytes(const LoopStep &step) { return iteratedBytes(step); }

CheckedSize native::ownBytes(const ScanStep &step) {
  CheckedSize total = iteratedBytes(step);
  for (const ScanInput &input : step.scanInputs)
    total += stagingBytes(slicesOf(input));
  return total;
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

namespace {
/// A value on its way from iteration to iteration.
struct CarriedCode {
  /// The variable with its address.
  llvm::Value *current = nullptr;
  int64_t bytes = 0;
  /// Where its two places are.
  int64_t place = 0, distance = 0;
};
/// A tensor of which iterations see, or make, a slice.
struct SlicedCode {
  llvm::Value *base = nullptr;
  SliceRuns slices;
  bool backward = false;
  /// Where a slice is put together that is not one run of bytes.
  int64_t staging = 0;

  bool isStaged() const { return slices.runs > 1; }
};

/// The code of one step that iterates.
class IterationCode {
public:
  /// One of `loop` and `scan`.
  IterationCode(const LoopStep *loop, const ScanStep *scan, const CodeSite &site, PlanCode &code)
      : code(code), ir(code.ir), body(site.plan.bodies[site.step].front()), loop(loop), scan(scan),
        step(loop ? static_cast<const IteratedStep &>(*loop) : *scan),
        neverIterates(loop ? native::neverIterates(*loop) : native::neverIterates(*scan)),
        offset(stepOffset(site.plan)) {}

  void emit();

private:
  int64_t take(int64_t bytes);
  SlicedCode slicedCode(const ValueRef &ref, int64_t axis, bool backward);
  void prepare();
  void prepareCondition();
  void emitIteration();
  void emitResults();
  llvm::Value *bytesBehind(llvm::Value *base, llvm::Value *index, int64_t bytes);
  llvm::Value *positionOf(const SlicedCode &sliced);
  llvm::Value *addressOfSlice(const SlicedCode &sliced);
  void copySlice(const SlicedCode &sliced, bool isCut);

  PlanCode &code;
  llvm::IRBuilder<> &ir;
  const AotPlan &body;
  const LoopStep *loop;
  const ScanStep *scan;
  const IteratedStep &step;
  bool neverIterates;
  /// Of what is free in the memory of the step.
  int64_t offset;
  std::vector<CarriedCode> carried;
  std::vector<SlicedCode> cut, joined;
  std::vector<llvm::Value *> captured;
  /// Variables: the number of the iteration; what the body reads and writes as condition.
  llvm::Value *counter = nullptr, *condition = nullptr, *next = nullptr;
  llvm::Value *limit = nullptr, *iteration = nullptr;
};
} // namespace

int64_t IterationCode::take(int64_t bytes) {
  int64_t at = offset;
  offset += CheckedSize(bytes).alignedTo(Arena::kAlignment).value();
  return at;
}

SlicedCode IterationCode::slicedCode(const ValueRef &ref, int64_t axis, bool backward) {
  SlicedCode sliced{code.addressOf(ref), slicesOf(ref, axis), backward};
  if (sliced.isStaged())
    sliced.staging = take(sliced.slices.sliceBytes());
  return sliced;
}

/// Finds all places, in the bytes that ownBytes counts.
void IterationCode::prepare() {
  for (size_t i = 0; scan && i < scan->scanInputs.size(); ++i) {
    const ScanInput &input = scan->scanInputs[i];
    cut.push_back(slicedCode(input.operand, input.axis, input.backward));
  }
  for (const CarriedValue &value : step.carried) {
    CarriedCode &made = carried.emplace_back();
    made.current = code.local(code.ptr);
    made.bytes = CheckedSize::product(value.result.dims).value() * dtypeBytes(value.result.dtype);
    made.place = take(made.bytes);
    made.distance = take(made.bytes) - made.place;
    ir.CreateStore(code.addressOf(value.initial), made.current);
  }
  for (const ScanOutput &output : step.scanOutputs)
    joined.push_back(slicedCode(output.result, output.axis, output.backward));
  for (const ValueRef &ref : step.captured)
    captured.push_back(code.addressOf(ref));
}

void IterationCode::prepareCondition() {
  limit = ir.getInt64(static_cast<uint64_t>(scan ? cut.front().slices.count : INT64_MAX));
  if (loop && isGiven(loop->tripCount))
    limit = ir.CreateLoad(code.i64, code.addressOf(loop->tripCount));
  llvm::Value *goesOn = ir.getTrue();
  if (loop && isGiven(loop->condition))
    goesOn = code.loadFlag(code.addressOf(loop->condition));
  counter = code.local(code.i64);
  condition = code.local(ir.getInt8Ty());
  next = code.local(ir.getInt8Ty());
  ir.CreateStore(ir.getInt64(0), counter);
  ir.CreateStore(ir.CreateZExt(goesOn, ir.getInt8Ty()), next);
}

llvm::Value *IterationCode::bytesBehind(llvm::Value *base, llvm::Value *index, int64_t bytes) {
  return ir.CreateGEP(ir.getInt8Ty(), base,
                      ir.CreateMul(index, ir.getInt64(static_cast<uint64_t>(bytes))));
}

/// Where the slice of this iteration starts in its tensor.
llvm::Value *IterationCode::positionOf(const SlicedCode &sliced) {
  llvm::Value *at = iteration;
  if (sliced.backward)
    at = ir.CreateSub(ir.getInt64(static_cast<uint64_t>(sliced.slices.count - 1)), iteration);
  return bytesBehind(sliced.base, at, sliced.slices.runBytes);
}

llvm::Value *IterationCode::addressOfSlice(const SlicedCode &sliced) {
  return sliced.isStaged() ? code.frameAt(sliced.staging) : positionOf(sliced);
}

/// Between a tensor and where its slice is put together.
void IterationCode::copySlice(const SlicedCode &sliced, bool isCut) {
  if (!sliced.isStaged())
    return;
  auto number = [&](int64_t value) { return ir.getInt64(static_cast<uint64_t>(value)); };
  llvm::Value *wide = number(sliced.slices.count * sliced.slices.runBytes);
  llvm::Value *narrow = number(sliced.slices.runBytes), *runs = number(sliced.slices.runs);
  llvm::Value *tensor = positionOf(sliced), *staging = code.frameAt(sliced.staging);
  if (isCut)
    ir.CreateCall(code.copyRuns, {staging, narrow, tensor, wide, runs, narrow});
  else
    ir.CreateCall(code.copyRuns, {tensor, wide, staging, narrow, runs, narrow});
}

void IterationCode::emitIteration() {
  if (loop)
    code.countIteration();
  ir.CreateStore(ir.getInt8(1), condition);
  std::vector<llvm::Value *> inputs, outputs, written;
  if (loop) {
    inputs = {counter, condition};
    outputs = {next};
  }
  llvm::Value *turn = ir.CreateAnd(iteration, ir.getInt64(1));
  for (const CarriedCode &value : carried) {
    inputs.push_back(ir.CreateLoad(code.ptr, value.current));
    written.push_back(bytesBehind(code.frameAt(value.place), turn, value.distance));
  }
  outputs.insert(outputs.end(), written.begin(), written.end());
  for (const SlicedCode &sliced : cut) {
    copySlice(sliced, /*isCut=*/true);
    inputs.push_back(addressOfSlice(sliced));
  }
  inputs.insert(inputs.end(), captured.begin(), captured.end());
  for (const SlicedCode &sliced : joined)
    outputs.push_back(addressOfSlice(sliced));
  code.callBody(body, inputs, outputs, offset);
  for (const SlicedCode &sliced : joined)
    copySlice(sliced, /*isCut=*/false);
  for (size_t i = 0; i < carried.size(); ++i)
    ir.CreateStore(written[i], carried[i].current);
  ir.CreateStore(ir.CreateAdd(iteration, ir.getInt64(1)), counter);
}

void IterationCode::emitResults() {
  for (size_t i = 0; i < carried.size(); ++i)
    ir.CreateMemCpy(code.addressOf(step.carried[i].result), llvm::Align(1),
                    ir.CreateLoad(code.ptr, carried[i].current), llvm::Align(1),
                    static_cast<uint64_t>(carried[i].bytes));
}

void IterationCode::emit() {
  prepare();
  if (neverIterates)
    return emitResults();
  prepareCondition();
  auto *head = llvm::BasicBlock::Create(ir.getContext(), "head", code.function);
  auto *iterate = llvm::BasicBlock::Create(ir.getContext(), "iterate", code.function);
  auto *done = llvm::BasicBlock::Create(ir.getContext(), "done", code.function);
  ir.CreateBr(head);
  ir.SetInsertPoint(head);
  iteration = ir.CreateLoad(code.i64, counter);
  ir.CreateCondBr(ir.CreateAnd(ir.CreateICmpSLT(iteration, limit), code.loadFlag(next)), iterate,
                  done);
  ir.SetInsertPoint(iterate);
  emitIteration();
  ir.CreateBr(head);
  ir.SetInsertPoint(done);
  emitResults();
}

void native::emitStep(const LoopStep &step, const CodeSite &site, PlanCode &code) {
  IterationCode(&step, nullptr, site, code).emit();
}

void native::emitStep(const ScanStep &step, const CodeSite &site, PlanCode &code) {
  IterationCode(nullptr, &step, site, code).emit();
}
