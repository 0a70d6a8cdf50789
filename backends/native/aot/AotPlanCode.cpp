//===- AotPlanCode.cpp - a plan as code -----------------------------------===//
//
// Generates, in LLVM IR, what runtime/plan/Executor does with a plan of kernel
// steps:
//
//   int m_run(inputs, outputs, workspace)            = execute(..., null, null)
//   int m_run_parallel(..., parallelFor, context)    = execute(...)
//   execute   checks its arguments and the CPU, sets the floating-point mode and
//             calls steps
//   steps     straight-line code: for each step, stores the addresses of its
//             buffers and calls the kernel, or dispatch for a step worth dividing;
//             returns at the first step that is refused
//   dispatch  calls the kernel on all tasks, or the caller's parallelFor with task
//   task      runs the kernel on a range of tasks, in any thread; keeps the first
//             refusal in task order, as FirstRefusal does
//
//===----------------------------------------------------------------------===//
#include "backends/native/aot/AotPlanCode.h"

#include "backends/native/aot/AotCpuCheck.h"
#include "backends/native/aot/AotFloatMode.h"
#include "quern/model_abi.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

using namespace quern;
using namespace quern::native;
using Space = BufferRef::Space;

/// A refusal is the first task of its range, shifted by this, and the reason.
constexpr unsigned kReasonBits = 8;
constexpr uint32_t kUnknownReason = (1u << kReasonBits) - 1;
static_assert(QUERN_MODEL_INDEX_OUT_OF_RANGE ==
              QUERN_MODEL_REFUSED + static_cast<int>(Refusal::IndexOutOfRange));

std::string native::weightsSymbol(const AotModel &model) { return model.symbol("weights"); }

std::vector<std::string> native::publicSymbols(const AotModel &model) {
  return {model.symbol("cpu_ok"), model.symbol("run"), model.symbol("run_parallel"),
          model.symbol("info")};
}

namespace {
class PlanCode {
public:
  PlanCode(const AotModel &model, llvm::LLVMContext &context, llvm::TargetMachine &machine);
  /// Emits everything into `module`.
  void emit();

  std::unique_ptr<llvm::Module> module;

private:
  llvm::Function *beginFunction(const std::string &name, llvm::Type *result,
                                llvm::ArrayRef<llvm::Type *> parameters, bool isPublic = false);
  void emitTask();
  void emitDispatch();
  void emitSteps();
  void emitStep(const KernelStep &step, const std::string &kernel);
  void emitExecute();
  void emitRun();
  void emitInfo();

  llvm::Constant *ports(const std::vector<PlanPort> &list);
  llvm::Constant *numbers(llvm::ArrayRef<int64_t> values);
  llvm::Constant *text(const std::string &value);
  llvm::GlobalVariable *constant(llvm::Constant *value);
  llvm::Value *addressOf(const BufferRef &ref);
  llvm::Value *knownReason(llvm::Value *reason);
  void returnRefusal(llvm::Value *reason);
  void returnUnless(llvm::Value *condition, quern_model_status status);
  void requirePointers(llvm::Value *table, const std::vector<PlanPort> &list);
  void requireWorkspace(llvm::Value *workspace);
  void requireCpu();

  const AotModel &model;
  llvm::IRBuilder<> ir;
  llvm::PointerType *ptr;
  llvm::IntegerType *i32, *i64;
  llvm::FunctionType *kernelType, *parallelForType;
  /// What `task` works at: the kernel, buffers, dims and scratch memory (of worker 0)
  /// of a step, and its first refusal.
  llvm::StructType *closureType;
  enum ClosureField : unsigned { Kernel, Buffers, Dims, Scratch, Refused };
  llvm::Constant *weights;
  llvm::Function *function = nullptr;
  llvm::Function *task = nullptr, *dispatch = nullptr, *steps = nullptr, *execute = nullptr;
  llvm::Function *cpuCheck = nullptr;
  /// Of `steps`: the tables of the current step, and the tensors of the run.
  llvm::Value *buffers = nullptr, *closure = nullptr;
  std::vector<llvm::Value *> inputs, outputs;
};
} // namespace

PlanCode::PlanCode(const AotModel &model, llvm::LLVMContext &context, llvm::TargetMachine &machine)
    : module(std::make_unique<llvm::Module>(model.prefix, context)), model(model), ir(context),
      ptr(ir.getPtrTy()), i32(ir.getInt32Ty()), i64(ir.getInt64Ty()) {
  module->setTargetTriple(machine.getTargetTriple().str());
  module->setDataLayout(machine.createDataLayout());
  module->setPICLevel(llvm::PICLevel::BigPIC);
  llvm::Type *none = ir.getVoidTy();
  kernelType = llvm::FunctionType::get(i32, {ptr, ptr, i64, i64, ptr}, false);
  parallelForType = llvm::FunctionType::get(none, {ptr, i64, i64, ptr, ptr}, false);
  closureType = llvm::StructType::get(context, {ptr, ptr, ptr, ptr, i64});
  weights = llvm::ConstantPointerNull::get(ptr);
  if (model.weights.bytes > 0) {
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

llvm::Constant *PlanCode::text(const std::string &value) {
  return constant(llvm::ConstantDataArray::getString(ir.getContext(), value));
}

llvm::Constant *PlanCode::ports(const std::vector<PlanPort> &list) {
  auto *type = llvm::StructType::get(ptr, ptr, i64, i32, i32);
  std::vector<llvm::Constant *> entries;
  for (const PlanPort &port : list)
    entries.push_back(llvm::ConstantStruct::get(
        type, {text(port.name), numbers(port.dims), ir.getInt64(portBytes(port)),
               ir.getInt32(static_cast<uint32_t>(port.dims.size())),
               ir.getInt32(static_cast<uint32_t>(port.dtype))}));
  return constant(llvm::ConstantArray::get(llvm::ArrayType::get(type, entries.size()), entries));
}

/// Adds `const quern_model_info *m_info(void)`.
void PlanCode::emitInfo() {
  beginFunction(model.symbol("info"), ptr, {}, /*isPublic=*/true);
  const Plan &plan = model.plan;
  auto count = [&](size_t size) { return ir.getInt32(static_cast<uint32_t>(size)); };
  ir.CreateRet(constant(llvm::ConstantStruct::getAnon(
      {ir.getInt32(QUERN_MODEL_ABI_VERSION), count(plan.inputs.size()), count(plan.outputs.size()),
       ir.getInt32(QUERN_MODEL_WORKSPACE_ALIGNMENT), ir.getInt64(workspaceBytes(model)),
       ir.getInt64(workerScratchBytes(plan).value()), ports(plan.inputs), ports(plan.outputs),
       text(model.name), text(model.target.cpu)})));
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
void PlanCode::returnRefusal(llvm::Value *reason) {
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
  llvm::Value *offset = ir.CreateMul(ir.CreateSExt(function->getArg(1), i64),
                                     ir.getInt64(workerScratchBytes(model.plan).value()));
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
  llvm::Value *base = function->getArg(2);
  int64_t offset = ref.offset;
  if (ref.space == Space::Weights) {
    base = weights;
    offset += model.weights.offsets[ref.index];
  } else if (ref.space == Space::Input) {
    base = inputs[ref.index];
  } else if (ref.space == Space::Output) {
    base = outputs[ref.index];
  }
  return ir.CreateConstGEP1_64(ir.getInt8Ty(), base, static_cast<uint64_t>(offset));
}

void PlanCode::emitStep(const KernelStep &step, const std::string &symbol) {
  if (step.tasks <= 0)
    return;
  auto *kernel =
      llvm::cast<llvm::Function>(module->getOrInsertFunction(symbol, kernelType).getCallee());
  kernel->setVisibility(llvm::GlobalValue::HiddenVisibility);
  for (size_t i = 0; i < step.buffers.size(); ++i)
    ir.CreateStore(addressOf(step.buffers[i]), ir.CreateConstGEP1_64(ptr, buffers, i));
  llvm::Constant *dims = numbers(step.dims);
  llvm::Value *scratch = llvm::ConstantPointerNull::get(ptr);
  if (step.scratchBytes > 0)
    scratch = ir.CreateConstGEP1_64(ir.getInt8Ty(), function->getArg(2),
                                    static_cast<uint64_t>(scratchOffset(model.plan).value()));
  if (step.tasks <= step.grain)
    return returnRefusal(ir.CreateCall(
        kernelType, kernel, {buffers, dims, ir.getInt64(0), ir.getInt64(step.tasks), scratch}));
  auto set = [&](ClosureField field, llvm::Value *value) {
    ir.CreateStore(value, ir.CreateStructGEP(closureType, closure, field));
  };
  set(Kernel, kernel);
  set(Buffers, buffers);
  set(Dims, dims);
  set(Scratch, scratch);
  returnRefusal(
      ir.CreateCall(dispatch, {function->getArg(3), function->getArg(4), ir.getInt64(step.tasks),
                               ir.getInt64(step.grain), closure}));
}

/// steps(inputs, outputs, workspace, parallelFor, context): a quern_model_status.
void PlanCode::emitSteps() {
  steps = beginFunction("steps", i32, {ptr, ptr, ptr, ptr, ptr});
  size_t widest = 0;
  for (const PlanStep &step : model.plan.steps)
    widest = std::max(widest, step.as<KernelStep>()->buffers.size());
  buffers = ir.CreateAlloca(llvm::ArrayType::get(ptr, widest), nullptr, "buffers");
  closure = ir.CreateAlloca(closureType, nullptr, "closure");
  auto load = [&](unsigned argument, size_t count, std::vector<llvm::Value *> &values) {
    for (size_t i = 0; i < count; ++i)
      values.push_back(
          ir.CreateLoad(ptr, ir.CreateConstGEP1_64(ptr, function->getArg(argument), i)));
  };
  load(0, model.plan.inputs.size(), inputs);
  load(1, model.plan.outputs.size(), outputs);
  for (size_t i = 0; i < model.plan.steps.size(); ++i)
    emitStep(*model.plan.steps[i].as<KernelStep>(), model.kernelSymbols[i]);
  ir.CreateRet(ir.getInt32(QUERN_MODEL_OK));
}

//===----------------------------------------------------------------------===//
// Entry points
//===----------------------------------------------------------------------===//

void PlanCode::returnUnless(llvm::Value *condition, quern_model_status status) {
  auto *fail = llvm::BasicBlock::Create(ir.getContext(), "fail", function);
  auto *next = llvm::BasicBlock::Create(ir.getContext(), "next", function);
  ir.CreateCondBr(condition, next, fail);
  ir.SetInsertPoint(fail);
  ir.CreateRet(ir.getInt32(status));
  ir.SetInsertPoint(next);
}

static std::vector<llvm::Value *> argumentsOf(llvm::Function *function) {
  std::vector<llvm::Value *> arguments;
  for (llvm::Argument &argument : function->args())
    arguments.push_back(&argument);
  return arguments;
}

/// The caller's table, and its entry for each tensor that has bytes.
void PlanCode::requirePointers(llvm::Value *table, const std::vector<PlanPort> &list) {
  if (!list.empty())
    returnUnless(ir.CreateIsNotNull(table), QUERN_MODEL_NULL_ARGUMENT);
  for (size_t i = 0; i < list.size(); ++i)
    if (portBytes(list[i]) > 0)
      returnUnless(ir.CreateIsNotNull(ir.CreateLoad(ptr, ir.CreateConstGEP1_64(ptr, table, i))),
                   QUERN_MODEL_NULL_ARGUMENT);
}

void PlanCode::requireWorkspace(llvm::Value *workspace) {
  returnUnless(ir.CreateIsNotNull(workspace), QUERN_MODEL_NULL_ARGUMENT);
  llvm::Value *low =
      ir.CreateAnd(ir.CreatePtrToInt(workspace, i64), QUERN_MODEL_WORKSPACE_ALIGNMENT - 1);
  returnUnless(ir.CreateIsNull(low), QUERN_MODEL_MISALIGNED_WORKSPACE);
}

/// CPUID is slow in virtual machines: a positive answer is kept. Threads may ask
/// at the same time; they store the same.
void PlanCode::requireCpu() {
  auto *known =
      new llvm::GlobalVariable(*module, i32, /*isConstant=*/false,
                               llvm::GlobalValue::InternalLinkage, ir.getInt32(0), "cpu_is_ok");
  auto *ask = llvm::BasicBlock::Create(ir.getContext(), "ask", function);
  auto *isOk = llvm::BasicBlock::Create(ir.getContext(), "is_ok", function);
  llvm::LoadInst *load = ir.CreateAlignedLoad(i32, known, llvm::Align(4));
  load->setAtomic(llvm::AtomicOrdering::Monotonic);
  ir.CreateCondBr(ir.CreateIsNotNull(load), isOk, ask);
  ir.SetInsertPoint(ask);
  llvm::Value *answer = ir.CreateCall(cpuCheck);
  returnUnless(ir.CreateIsNotNull(answer), QUERN_MODEL_UNSUPPORTED_CPU);
  ir.CreateAlignedStore(answer, known, llvm::Align(4))->setAtomic(llvm::AtomicOrdering::Monotonic);
  ir.CreateBr(isOk);
  ir.SetInsertPoint(isOk);
}

/// execute(inputs, outputs, workspace, parallelFor, context).
void PlanCode::emitExecute() {
  execute = beginFunction("execute", i32, {ptr, ptr, ptr, ptr, ptr});
  llvm::Value *saved = createFloatModeSlot(ir);
  requirePointers(function->getArg(0), model.plan.inputs);
  requirePointers(function->getArg(1), model.plan.outputs);
  if (workspaceBytes(model) > 0)
    requireWorkspace(function->getArg(2));
  requireCpu();
  setFloatMode(ir, saved);
  llvm::Value *status = ir.CreateCall(steps, argumentsOf(function));
  restoreFloatMode(ir, saved);
  ir.CreateRet(status);
}

void PlanCode::emitRun() {
  llvm::Constant *none = llvm::ConstantPointerNull::get(ptr);
  beginFunction(model.symbol("run"), i32, {ptr, ptr, ptr}, /*isPublic=*/true);
  std::vector<llvm::Value *> arguments = argumentsOf(function);
  arguments.insert(arguments.end(), {none, none});
  ir.CreateRet(ir.CreateCall(execute, arguments));
  beginFunction(model.symbol("run_parallel"), i32, {ptr, ptr, ptr, ptr, ptr}, /*isPublic=*/true);
  ir.CreateRet(ir.CreateCall(execute, argumentsOf(function)));
}

void PlanCode::emit() {
  cpuCheck = emitCpuCheck(*module, model.symbol("cpu_ok"), model.cpuFeatures);
  emitTask();
  emitDispatch();
  emitSteps();
  emitExecute();
  emitRun();
  emitInfo();
}

Expected<ObjectCode> native::compilePlanCode(const AotModel &model) {
  QUERN_ASSIGN(Target baseline, resolveTarget("baseline", model.target.triple));
  QUERN_ASSIGN(auto machine, createTargetMachine(baseline));
  llvm::LLVMContext context;
  PlanCode code(model, context, *machine);
  code.emit();
  std::string errors;
  llvm::raw_string_ostream stream(errors);
  if (llvm::verifyModule(*code.module, &stream))
    return internalError("the code of a plan is invalid: " + errors);
  return emitObject(*code.module, *machine);
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
