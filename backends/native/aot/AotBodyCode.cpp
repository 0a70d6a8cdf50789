//===- AotBodyCode.cpp - branches and loops as code -----------------------===//
//
// What runtime/plan/RunBranch and RunLoop do, for plans whose sizes are all known. A
// step has memory behind the arena of its plan: two places for each carried value, which
// take turns, and a place for each slice that is cut or joined along an inner axis; then
// comes the memory of the plan that it runs.
//
//===----------------------------------------------------------------------===//
#include "backends/native/aot/PlanCode.h"

#include "runtime/running/Arena.h"

using namespace quern;
using namespace quern::native;

/// In libquern_runtime.a, see runtime/reference/ReferenceEntry.h.
static constexpr const char *kReferenceEntry = "quern_run_reference_step_v1";

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

/// A variable of the function, wherever the code is.
llvm::AllocaInst *PlanCode::local(llvm::Type *type) {
  llvm::BasicBlock &entry = function->getEntryBlock();
  return llvm::IRBuilder<>(&entry, entry.begin()).CreateAlloca(type);
}

llvm::Value *PlanCode::table(llvm::ArrayRef<llvm::Value *> entries) {
  llvm::Value *result = local(llvm::ArrayType::get(ptr, entries.size()));
  for (size_t i = 0; i < entries.size(); ++i)
    ir.CreateStore(entries[i], ir.CreateConstGEP1_64(ptr, result, i));
  return result;
}

llvm::Value *PlanCode::frameAt(int64_t offset) {
  return ir.CreateConstGEP1_64(ir.getInt8Ty(), function->getArg(FrameArgument),
                               static_cast<uint64_t>(offset));
}

llvm::Value *PlanCode::addressOf(const ValueRef &ref) {
  const Tensor *constant = ref.constant.asTensor();
  if (!constant || !constant->isPresent())
    return addressOf(ref.buffer);
  return ir.CreateConstGEP1_64(ir.getInt8Ty(), weights,
                               static_cast<uint64_t>(model.weights.offsetOf(*constant)));
}

/// Any other number than 0 is true.
llvm::Value *PlanCode::loadFlag(llvm::Value *address) {
  return ir.CreateIsNotNull(ir.CreateLoad(ir.getInt8Ty(), address));
}

void PlanCode::callBody(const AotPlan &body, llvm::ArrayRef<llvm::Value *> bodyInputs,
                        llvm::ArrayRef<llvm::Value *> bodyOutputs, int64_t frameOffset) {
  if (!body.plan)
    return returnUnless(ir.getFalse(), QUERN_MODEL_BROKEN_BRANCH);
  llvm::Value *arguments[] = {table(bodyInputs),
                              table(bodyOutputs),
                              frameAt(frameOffset),
                              function->getArg(ParallelForArgument),
                              function->getArg(ContextArgument),
                              function->getArg(ScratchArgument),
                              function->getArg(IterationsArgument)};
  returnUnlessOk(ir.CreateCall(bodySteps.at(&body), arguments));
}

void PlanCode::emitRuntimeCall(const ReferenceStep &step, const RuntimeCall &call) {
  auto addresses = [&](const std::vector<ValueRef> &refs) {
    std::vector<llvm::Value *> entries;
    for (const ValueRef &ref : refs)
      entries.push_back(isGiven(ref) ? addressOf(ref) : llvm::ConstantPointerNull::get(ptr));
    return table(entries);
  };
  auto *type = llvm::FunctionType::get(i32, {ptr, ptr, i64, ptr, ptr}, false);
  llvm::FunctionCallee entry = module->getOrInsertFunction(kReferenceEntry, type);
  llvm::FunctionCallee kernels = module->getOrInsertFunction(
      call.table, llvm::FunctionType::get(ir.getVoidTy(), /*isVarArg=*/false));
  llvm::Value *inputAddresses = addresses(step.inputs);
  returnUnlessOk(
      ir.CreateCall(entry, {kernels.getCallee(), text(call.record), ir.getInt64(call.record.size()),
                            inputAddresses, addresses(step.outputs)}));
}

/// Ends the run when loops may not take one iteration more.
void PlanCode::countIteration() {
  llvm::Value *variable = function->getArg(IterationsArgument);
  llvm::Value *left = ir.CreateLoad(i64, variable);
  returnUnless(ir.CreateIsNotNull(left), QUERN_MODEL_TOO_MANY_ITERATIONS);
  ir.CreateStore(ir.CreateSub(left, ir.getInt64(1)), variable);
}

/// copy_runs(to, toDistance, from, fromDistance, runs, bytes): runs of bytes, from one
/// to the next of which it is so far.
void PlanCode::emitCopyRuns() {
  copyRuns = beginFunction("copy_runs", ir.getVoidTy(), {ptr, i64, ptr, i64, i64, i64});
  auto *entry = ir.GetInsertBlock();
  auto *head = llvm::BasicBlock::Create(ir.getContext(), "head", function);
  auto *run = llvm::BasicBlock::Create(ir.getContext(), "run", function);
  auto *done = llvm::BasicBlock::Create(ir.getContext(), "done", function);
  ir.CreateBr(head);
  ir.SetInsertPoint(head);
  llvm::PHINode *i = ir.CreatePHI(i64, 2);
  i->addIncoming(ir.getInt64(0), entry);
  ir.CreateCondBr(ir.CreateICmpSLT(i, function->getArg(4)), run, done);
  ir.SetInsertPoint(run);
  auto at = [&](unsigned base) {
    return ir.CreateGEP(ir.getInt8Ty(), function->getArg(base),
                        ir.CreateMul(i, function->getArg(base + 1)));
  };
  ir.CreateMemCpy(at(0), llvm::Align(1), at(2), llvm::Align(1), function->getArg(5));
  i->addIncoming(ir.CreateAdd(i, ir.getInt64(1)), run);
  ir.CreateBr(head);
  ir.SetInsertPoint(done);
  ir.CreateRetVoid();
}

//===----------------------------------------------------------------------===//
// Branches
//===----------------------------------------------------------------------===//

void PlanCode::emitIf(const AotPlan &plan, size_t number) {
  const IfStep &step = *plan.plan->steps[number].as<IfStep>();
  std::vector<llvm::Value *> operands, results;
  for (const ValueRef &ref : step.inputs)
    operands.push_back(addressOf(ref));
  for (const ValueRef &ref : step.outputs)
    results.push_back(addressOf(ref));
  auto *yes = llvm::BasicBlock::Create(ir.getContext(), "then", function);
  auto *no = llvm::BasicBlock::Create(ir.getContext(), "else", function);
  auto *done = llvm::BasicBlock::Create(ir.getContext(), "done", function);
  ir.CreateCondBr(loadFlag(addressOf(step.condition)), yes, no);
  for (auto [i, block] : {std::pair(0, yes), std::pair(1, no)}) {
    ir.SetInsertPoint(block);
    callBody(plan.bodies[number][static_cast<size_t>(i)], operands, results, stepOffset(plan));
    ir.CreateBr(done);
  }
  ir.SetInsertPoint(done);
}

//===----------------------------------------------------------------------===//
// Loops
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
} // namespace

namespace quern::native {
/// The code of one step that iterates.
class IterationCode {
public:
  IterationCode(PlanCode &code, const AotPlan &plan, size_t number)
      : code(code), ir(code.ir), body(plan.bodies[number].front()),
        loop(plan.plan->steps[number].as<LoopStep>()),
        scan(plan.plan->steps[number].as<ScanStep>()),
        step(loop ? static_cast<const IteratedStep &>(*loop) : *scan),
        neverIterates(native::neverIterates(plan.plan->steps[number])), offset(stepOffset(plan)) {}

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
} // namespace quern::native

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

/// Finds all places, in the order in which bytesOfStep counts them.
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

void PlanCode::emitIterations(const AotPlan &plan, size_t number) {
  IterationCode(*this, plan, number).emit();
}
