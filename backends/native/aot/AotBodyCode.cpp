//===- AotBodyCode.cpp - calls of reference kernels and bodies as code ----===//
//
// What runtime/plan/RunBranch does, for plans whose sizes are all known. The memory of the
// plan that a step runs is behind that of its own plan.
//
//===----------------------------------------------------------------------===//
#include "backends/native/aot/AotSteps.h"
#include "backends/native/aot/PlanCode.h"

#include <algorithm>

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
// Reference kernels
//===----------------------------------------------------------------------===//

std::optional<Reason> native::reasonAgainst(const ReferenceStep &step, const PlannedSite &site) {
  Expected<RuntimeCall> call = runtimeCallOf(step, site.origin().op);
  if (!call)
    return Reason{ReasonCode::Form, call.status().message()};
  if (call->exists() && site.hasRuntime)
    return std::nullopt;
  Reason reason = site.origin().reason.value_or(Reason{ReasonCode::NoKernel, "no native code"});
  if (call->exists()) {
    reason.code = ReasonCode::Missing;
    reason.text += ", and libquern_runtime.a, which has its reference kernel, is not there";
  }
  return reason;
}

void native::emitStep(const ReferenceStep &step, const CodeSite &site, PlanCode &code) {
  const RuntimeCall &call = site.plan.runtimeCalls[site.step];
  llvm::IRBuilder<> &ir = code.ir;
  auto addresses = [&](const std::vector<ValueRef> &refs) {
    std::vector<llvm::Value *> entries;
    for (const ValueRef &ref : refs)
      entries.push_back(isGiven(ref) ? code.addressOf(ref)
                                     : llvm::ConstantPointerNull::get(code.ptr));
    return code.table(entries);
  };
  auto *type =
      llvm::FunctionType::get(code.i32, {code.ptr, code.ptr, code.i64, code.ptr, code.ptr}, false);
  llvm::FunctionCallee entry = code.module->getOrInsertFunction(kReferenceEntry, type);
  llvm::FunctionCallee kernels = code.module->getOrInsertFunction(
      call.table, llvm::FunctionType::get(ir.getVoidTy(), /*isVarArg=*/false));
  llvm::Value *inputs = addresses(step.inputs);
  code.returnUnlessOk(
      ir.CreateCall(entry, {kernels.getCallee(), code.text(call.record),
                            ir.getInt64(call.record.size()), inputs, addresses(step.outputs)}));
}

//===----------------------------------------------------------------------===//
// Branches
//===----------------------------------------------------------------------===//

/// Whether the plan of a branch takes and gives what the step does.
static bool fitsBranch(const IfStep &step, const Plan &branch) {
  return std::ranges::equal(branch.inputs, step.inputs, fits) &&
         std::ranges::equal(branch.outputs, step.outputs, fits);
}

std::optional<Reason> native::reasonAgainst(const IfStep &step, const PlannedSite &site) {
  if (!haveAddresses(step))
    return unknownSizes();
  if (!isOne(step.condition, DType::Bool))
    return Reason{ReasonCode::Form, "its condition is not one bool"};
  for (const plan::PlanTree &branch : site.bodies())
    if (!alwaysFails(branch) && !fitsBranch(step, branch.plan.plan))
      return unknownSizes();
  return {};
}

void native::emitStep(const IfStep &step, const CodeSite &site, PlanCode &code) {
  llvm::IRBuilder<> &ir = code.ir;
  std::vector<llvm::Value *> operands, results;
  for (const ValueRef &ref : step.inputs)
    operands.push_back(code.addressOf(ref));
  for (const ValueRef &ref : step.outputs)
    results.push_back(code.addressOf(ref));
  auto *yes = llvm::BasicBlock::Create(ir.getContext(), "then", code.function);
  auto *no = llvm::BasicBlock::Create(ir.getContext(), "else", code.function);
  auto *done = llvm::BasicBlock::Create(ir.getContext(), "done", code.function);
  ir.CreateCondBr(code.loadFlag(code.addressOf(step.condition)), yes, no);
  for (auto [i, block] : {std::pair(0, yes), std::pair(1, no)}) {
    ir.SetInsertPoint(block);
    const AotPlan &body = site.plan.bodies[site.step][static_cast<size_t>(i)];
    code.callBody(body, operands, results, stepOffset(site.plan));
    ir.CreateBr(done);
  }
  ir.SetInsertPoint(done);
}

//===----------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------===//

std::optional<Reason> native::reasonAgainst(const StageStep &, const PlannedSite &) {
  return unknownSizes();
}

/// There is none in plans that become code.
void native::emitStep(const StageStep &, const CodeSite &, PlanCode &code) {
  code.returnUnless(code.ir.getFalse(), QUERN_MODEL_BROKEN_BRANCH);
}
