//===- AotPlanCode.cpp - a plan as code -----------------------------------===//
//
// Generates, in LLVM IR, what runtime/plan/Executor does with a plan of kernel
// steps:
//
//   m_run, m_run_parallel, m_info, and what they check: AotEntryCode.cpp
//   steps     straight-line code: for each step, stores the addresses of its
//             buffers and calls the kernel, or dispatch for a step worth dividing;
//             returns at the first step that is refused. Branches and bodies of loops
//             are functions like it (AotBodyCode.cpp)
//   dispatch  calls the kernel on all tasks, or the caller's parallelFor with task
//   task      runs the kernel on a range of tasks, in any thread; keeps the first
//             refusal in task order, as FirstTrap does
//
//===----------------------------------------------------------------------===//
#include "backends/native/aot/AotPlanCode.h"

#include "backends/native/aot/AotCpuCheck.h"
#include "backends/native/aot/AotFloatMode.h"
#include "backends/native/aot/AotSteps.h"
#include "backends/native/aot/PlanCode.h"

#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"

using namespace quern;
using namespace quern::native;
using Space = BufferRef::Space;

/// A refusal is the first task of its range, shifted by this, and the reason.
constexpr unsigned kReasonBits = 8;
constexpr uint32_t kUnknownReason = (1u << kReasonBits) - 1;
static_assert(QUERN_MODEL_INDEX_OUT_OF_RANGE ==
              QUERN_MODEL_REFUSED + static_cast<int>(TrapCode::IndexOutOfRange));

std::string native::weightsSymbol(const AotModel &model) { return model.symbol("weights"); }

std::vector<std::string> native::publicSymbols(const std::string &prefix,
                                               const ModelFunctions &functions) {
  std::vector<std::string> names = {prefix + "_cpu_ok", prefix + "_run", prefix + "_run_parallel",
                                    prefix + "_info"};
  if (functions.useWeights)
    names.push_back(prefix + "_use_weights");
  if (functions.useRandom)
    names.push_back(prefix + "_use_random");
  return names;
}

PlanCode::PlanCode(const AotModel &model, llvm::LLVMContext &context, llvm::TargetMachine &machine)
    : module(std::make_unique<llvm::Module>(model.prefix, context)), ir(context),
      ptr(ir.getPtrTy()), i32(ir.getInt32Ty()), i64(ir.getInt64Ty()), model(model) {
  module->setTargetTriple(machine.getTargetTriple().str());
  module->setDataLayout(machine.createDataLayout());
  module->setPICLevel(llvm::PICLevel::BigPIC);
  llvm::Type *none = ir.getVoidTy();
  kernelType = llvm::FunctionType::get(i32, {ptr, ptr, i64, i64, ptr}, false);
  parallelForType = llvm::FunctionType::get(none, {ptr, i64, i64, ptr, ptr}, false);
  closureType = llvm::StructType::get(context, {ptr, ptr, ptr, ptr, i64});
  weights = llvm::ConstantPointerNull::get(ptr);
  if (model.inFile) {
    weightsPlace = new llvm::GlobalVariable(*module, ptr, /*isConstant=*/false,
                                            llvm::GlobalValue::InternalLinkage,
                                            llvm::ConstantPointerNull::get(ptr), "weights_place");
  } else if (model.weights.bytes > 0) {
    auto *variable =
        new llvm::GlobalVariable(*module, ir.getInt8Ty(), /*isConstant=*/true,
                                 llvm::GlobalValue::ExternalLinkage, nullptr, weightsSymbol(model));
    variable->setVisibility(llvm::GlobalValue::HiddenVisibility);
    weights = variable;
  }
}

llvm::Function *PlanCode::beginFunction(const std::string &name, llvm::Type *result,
                                        llvm::ArrayRef<llvm::Type *> parameters, bool isPublic) {
  function = llvm::Function::Create(llvm::FunctionType::get(result, parameters, false),
                                    isPublic ? llvm::GlobalValue::ExternalLinkage
                                             : llvm::GlobalValue::InternalLinkage,
                                    name, *module);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  ir.SetInsertPoint(llvm::BasicBlock::Create(ir.getContext(), "entry", function));
  return function;
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

llvm::GlobalVariable *PlanCode::constant(llvm::Constant *value) {
  auto *variable = new llvm::GlobalVariable(*module, value->getType(), /*isConstant=*/true,
                                            llvm::GlobalValue::PrivateLinkage, value);
  variable->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
  return variable;
}

llvm::Constant *PlanCode::numbers(llvm::ArrayRef<int64_t> values) {
  std::vector<uint64_t> words(values.begin(), values.end());
  return constant(llvm::ConstantDataArray::get(ir.getContext(), words));
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

/// A reason other than 0, in eight bits: 255 when it is unknown.
llvm::Value *PlanCode::knownReason(llvm::Value *reason) {
  llvm::Value *isKnown = ir.CreateICmpULT(reason, ir.getInt32(kUnknownReason));
  return ir.CreateSelect(isKnown, reason, ir.getInt32(kUnknownReason));
}

/// Returns the model's status, unless the reason of the step just called is 0.
void PlanCode::returnTrap(llvm::Value *reason) {
  auto *refused = llvm::BasicBlock::Create(ir.getContext(), "refused", function);
  auto *next = llvm::BasicBlock::Create(ir.getContext(), "next", function);
  ir.CreateCondBr(ir.CreateIsNull(reason), next, refused);
  ir.SetInsertPoint(refused);
  ir.CreateRet(ir.CreateOr(knownReason(reason), ir.getInt32(QUERN_MODEL_REFUSED)));
  ir.SetInsertPoint(next);
}

/// task(closure, worker, begin, end): a quern_task_fn.
void PlanCode::emitTask() {
  task = beginFunction("task", ir.getVoidTy(), {ptr, i32, i64, i64});
  llvm::Value *closure = function->getArg(0), *begin = function->getArg(2);
  llvm::Value *saved = createFloatModeSlot(ir);
  auto *work = llvm::BasicBlock::Create(ir.getContext(), "work", function);
  auto *refuse = llvm::BasicBlock::Create(ir.getContext(), "refuse", function);
  auto *done = llvm::BasicBlock::Create(ir.getContext(), "done", function);
  auto load = [&](ClosureField field) {
    return ir.CreateLoad(ptr, ir.CreateStructGEP(closureType, closure, field));
  };
  // A range behind one that is refused can no longer change the answer.
  llvm::Value *refused = ir.CreateStructGEP(closureType, closure, Refused);
  llvm::LoadInst *first = ir.CreateAlignedLoad(i64, refused, llvm::Align(8));
  first->setAtomic(llvm::AtomicOrdering::Monotonic);
  ir.CreateCondBr(ir.CreateICmpULT(ir.CreateLShr(first, kReasonBits), begin), done, work);

  ir.SetInsertPoint(work);
  setFloatMode(ir, saved);
  llvm::Value *offset =
      ir.CreateMul(ir.CreateSExt(function->getArg(1), i64), ir.getInt64(scratchBytes(model.plans)));
  llvm::Value *base = load(Scratch);
  llvm::Value *scratch =
      ir.CreateSelect(ir.CreateIsNull(base), base, ir.CreateGEP(ir.getInt8Ty(), base, offset));
  llvm::Value *reason = ir.CreateCall(
      kernelType, load(Kernel), {load(Buffers), load(Dims), begin, function->getArg(3), scratch});
  restoreFloatMode(ir, saved);
  ir.CreateCondBr(ir.CreateIsNull(reason), done, refuse);

  ir.SetInsertPoint(refuse);
  llvm::Value *mine =
      ir.CreateOr(ir.CreateShl(begin, kReasonBits), ir.CreateZExt(knownReason(reason), i64));
  ir.CreateAtomicRMW(llvm::AtomicRMWInst::UMin, refused, mine, llvm::Align(8),
                     llvm::AtomicOrdering::Monotonic);
  ir.CreateBr(done);
  ir.SetInsertPoint(done);
  ir.CreateRetVoid();
}

/// dispatch(parallelFor, context, tasks, grain, closure): the reason of the first
/// refusal, or 0.
void PlanCode::emitDispatch() {
  dispatch = beginFunction("dispatch", i32, {ptr, ptr, i64, i64, ptr});
  llvm::Value *parallelFor = function->getArg(0), *tasks = function->getArg(2);
  llvm::Value *closure = function->getArg(4);
  auto *divided = llvm::BasicBlock::Create(ir.getContext(), "divided", function);
  auto *serial = llvm::BasicBlock::Create(ir.getContext(), "serial", function);
  auto *done = llvm::BasicBlock::Create(ir.getContext(), "done", function);
  llvm::Value *refused = ir.CreateStructGEP(closureType, closure, Refused);
  ir.CreateStore(ir.getInt64(UINT64_MAX), refused);
  ir.CreateCondBr(ir.CreateIsNotNull(parallelFor), divided, serial);
  ir.SetInsertPoint(divided);
  ir.CreateCall(parallelForType, parallelFor,
                {function->getArg(1), tasks, function->getArg(3), task, closure});
  ir.CreateBr(done);
  ir.SetInsertPoint(serial);
  ir.CreateCall(task, {closure, ir.getInt32(0), ir.getInt64(0), tasks});
  ir.CreateBr(done);
  ir.SetInsertPoint(done);
  llvm::Value *first = ir.CreateLoad(i64, refused);
  llvm::Value *reason =
      ir.CreateTrunc(ir.CreateAnd(first, ir.getInt64((1u << kReasonBits) - 1)), i32);
  ir.CreateRet(
      ir.CreateSelect(ir.CreateICmpEQ(first, ir.getInt64(UINT64_MAX)), ir.getInt32(0), reason));
}

llvm::Value *PlanCode::addressOf(const BufferRef &ref) {
  llvm::Value *base = function->getArg(FrameArgument);
  int64_t offset = ref.offset;
  if (ref.space == Space::Weights) {
    base = weights;
    offset += model.weights.offsetOf(current->weights[ref.index]);
  } else if (ref.space == Space::Input) {
    base = inputs[ref.index];
  } else if (ref.space == Space::Output) {
    base = outputs[ref.index];
  }
  return ir.CreateConstGEP1_64(ir.getInt8Ty(), base, static_cast<uint64_t>(offset));
}

void native::emitStep(const KernelStep &step, const CodeSite &site, PlanCode &code) {
  if (step.tasks <= 0)
    return;
  const std::string &symbol = site.plan.kernelSymbols[site.step];
  if (!step.copiesWhole)
    return code.callKernel(step, symbol);
  // Nothing is to be copied where an output is the input that it updates.
  llvm::IRBuilder<> &ir = code.ir;
  auto *copy = llvm::BasicBlock::Create(ir.getContext(), "copy", code.function);
  auto *copied = llvm::BasicBlock::Create(ir.getContext(), "copied", code.function);
  ir.CreateCondBr(ir.CreateICmpEQ(code.addressOf(step.buffers[0]), code.addressOf(step.buffers[1])),
                  copied, copy);
  ir.SetInsertPoint(copy);
  code.callKernel(step, symbol);
  ir.CreateBr(copied);
  ir.SetInsertPoint(copied);
}

void PlanCode::callKernel(const KernelStep &step, const std::string &symbol) {
  auto *kernel =
      llvm::cast<llvm::Function>(module->getOrInsertFunction(symbol, kernelType).getCallee());
  kernel->setVisibility(llvm::GlobalValue::HiddenVisibility);
  for (size_t i = 0; i < step.buffers.size(); ++i)
    ir.CreateStore(addressOf(step.buffers[i]), ir.CreateConstGEP1_64(ptr, buffers, i));
  llvm::Constant *dims = numbers(step.dims);
  llvm::Value *scratch = llvm::ConstantPointerNull::get(ptr);
  if (step.scratchBytes > 0)
    scratch = function->getArg(ScratchArgument);
  if (step.tasks <= step.grain)
    return returnTrap(ir.CreateCall(
        kernelType, kernel, {buffers, dims, ir.getInt64(0), ir.getInt64(step.tasks), scratch}));
  auto set = [&](ClosureField field, llvm::Value *value) {
    ir.CreateStore(value, ir.CreateStructGEP(closureType, closure, field));
  };
  set(Kernel, kernel);
  set(Buffers, buffers);
  set(Dims, dims);
  set(Scratch, scratch);
  returnTrap(ir.CreateCall(dispatch, {function->getArg(3), function->getArg(4),
                                      ir.getInt64(step.tasks), ir.getInt64(step.grain), closure}));
}

void PlanCode::emitStepAt(const AotPlan &plan, size_t number) {
  const PlanStep &step = plan.plan->steps[number];
  if (isFailure(step))
    return returnUnless(ir.getFalse(), QUERN_MODEL_BROKEN_BRANCH);
  step.visit([&](const auto &work) { emitStep(work, CodeSite{plan, number}, *this); });
}

/// steps(inputs, outputs, frame, parallelFor, context, scratch, iterations): a
/// quern_model_status.
llvm::Function *PlanCode::emitSteps(const AotPlan &plan) {
  for (const std::vector<AotPlan> &bodies : plan.bodies)
    for (const AotPlan &body : bodies)
      if (body.plan)
        bodySteps[&body] = emitSteps(body);
  llvm::Function *emitted = beginFunction("steps", i32, {ptr, ptr, ptr, ptr, ptr, ptr, ptr});
  if (weightsPlace)
    weights = loadWeights();
  current = plan.plan;
  size_t widest = 0;
  for (const PlanStep &step : current->steps)
    if (auto *kernel = step.as<KernelStep>())
      widest = std::max(widest, kernel->buffers.size());
  buffers = ir.CreateAlloca(llvm::ArrayType::get(ptr, widest), nullptr, "buffers");
  closure = ir.CreateAlloca(closureType, nullptr, "closure");
  auto load = [&](unsigned argument, size_t count, std::vector<llvm::Value *> &values) {
    values.clear();
    for (size_t i = 0; i < count; ++i)
      values.push_back(
          ir.CreateLoad(ptr, ir.CreateConstGEP1_64(ptr, function->getArg(argument), i)));
  };
  load(InputsArgument, current->inputs.size(), inputs);
  load(OutputsArgument, current->outputs.size(), outputs);
  // Nothing comes behind a step that always fails.
  for (size_t i = 0; i < current->steps.size(); ++i) {
    emitStepAt(plan, i);
    if (isFailure(current->steps[i]))
      break;
  }
  ir.CreateRet(ir.getInt32(QUERN_MODEL_OK));
  return emitted;
}

//===----------------------------------------------------------------------===//
// The whole
//===----------------------------------------------------------------------===//

void PlanCode::returnUnless(llvm::Value *condition, quern_model_status status) {
  auto *fail = llvm::BasicBlock::Create(ir.getContext(), "fail", function);
  auto *next = llvm::BasicBlock::Create(ir.getContext(), "next", function);
  ir.CreateCondBr(condition, next, fail);
  ir.SetInsertPoint(fail);
  ir.CreateRet(ir.getInt32(status));
  ir.SetInsertPoint(next);
}

/// Returns the status of what was called, unless all is well.
void PlanCode::returnUnlessOk(llvm::Value *status) {
  auto *fail = llvm::BasicBlock::Create(ir.getContext(), "fail", function);
  auto *next = llvm::BasicBlock::Create(ir.getContext(), "next", function);
  ir.CreateCondBr(ir.CreateIsNull(status), next, fail);
  ir.SetInsertPoint(fail);
  ir.CreateRet(status);
  ir.SetInsertPoint(next);
}

void PlanCode::emit() {
  cpuCheck = emitCpuCheck(*module, model.symbol("cpu_ok"), model.cpuFeatures);
  cpuIsOk =
      new llvm::GlobalVariable(*module, i32, /*isConstant=*/false,
                               llvm::GlobalValue::InternalLinkage, ir.getInt32(0), "cpu_is_ok");
  emitTask();
  emitDispatch();
  emitCopyRuns();
  std::vector<llvm::Function *> executions;
  for (const AotPlan &plan : model.plans)
    executions.push_back(emitExecute(plan, emitSteps(plan)));
  // It may call memcpy, which models without loops do without.
  if (copyRuns->use_empty())
    copyRuns->eraseFromParent();
  llvm::Function *execute =
      model.interface.sizes.empty() ? executions.front() : emitChoice(executions);
  emitRun(execute);
  emitInfo();
  if (weightsPlace)
    emitUseWeights(*module, model.symbol("use_weights"), *model.inFile, weightsPlace);
  if (model.functions().useRandom)
    emitUseRandom();
}

Expected<std::unique_ptr<llvm::Module>> native::emitPlanCode(const AotModel &model,
                                                             llvm::LLVMContext &context,
                                                             llvm::TargetMachine &machine) {
  PlanCode code(model, context, machine);
  code.emit();
  std::string errors;
  llvm::raw_string_ostream stream(errors);
  if (llvm::verifyModule(*code.module, &stream))
    return internalError("the code of a plan is invalid: " + errors);
  return std::move(code.module);
}

Expected<ObjectCode> native::compilePlanCode(const AotModel &model) {
  QUERN_ASSIGN(Target baseline, resolveTarget("baseline", model.target.triple));
  QUERN_ASSIGN(auto machine, createTargetMachine(baseline));
  llvm::LLVMContext context;
  QUERN_ASSIGN(std::unique_ptr<llvm::Module> module, emitPlanCode(model, context, *machine));
  return emitObject(*module, *machine);
}

Expected<ObjectCode> native::compileStubs(const Target &target,
                                          const std::vector<std::string> &names) {
  QUERN_ASSIGN(auto machine, createTargetMachine(target));
  llvm::LLVMContext context;
  llvm::Module module("stubs", context);
  module.setTargetTriple(target.triple);
  module.setDataLayout(machine->createDataLayout());
  llvm::IRBuilder<> ir(context);
  for (const std::string &name : names) {
    auto *stub = llvm::Function::Create(llvm::FunctionType::get(ir.getVoidTy(), false),
                                        llvm::GlobalValue::ExternalLinkage, name, module);
    ir.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", stub));
    ir.CreateRetVoid();
  }
  return emitObject(module, *machine);
}
