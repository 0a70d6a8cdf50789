//===- AotEntryCode.cpp - the public functions of an artefact -------------===//
//
//   int m_run(inputs, outputs, workspace)            = execute(..., null, null)
//   int m_run_parallel(..., parallelFor, context)    = execute(...)
//   execute   checks its arguments and the CPU, sets the floating-point mode and
//             calls the steps of a plan
//   choice    finds the plan for the sizes, which it takes in front of the arguments of
//             execute, and calls its execute: of models with listed sizes
//
//===----------------------------------------------------------------------===//
#include "backends/native/aot/AotFloatMode.h"
#include "backends/native/aot/PlanCode.h"

using namespace quern;
using namespace quern::native;

//===----------------------------------------------------------------------===//
// What is checked
//===----------------------------------------------------------------------===//

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
  auto *ask = llvm::BasicBlock::Create(ir.getContext(), "ask", function);
  auto *isOk = llvm::BasicBlock::Create(ir.getContext(), "is_ok", function);
  llvm::LoadInst *load = ir.CreateAlignedLoad(i32, cpuIsOk, llvm::Align(4));
  load->setAtomic(llvm::AtomicOrdering::Monotonic);
  ir.CreateCondBr(ir.CreateIsNotNull(load), isOk, ask);
  ir.SetInsertPoint(ask);
  llvm::Value *answer = ir.CreateCall(cpuCheck);
  returnUnless(ir.CreateIsNotNull(answer), QUERN_MODEL_UNSUPPORTED_CPU);
  ir.CreateAlignedStore(answer, cpuIsOk, llvm::Align(4))
      ->setAtomic(llvm::AtomicOrdering::Monotonic);
  ir.CreateBr(isOk);
  ir.SetInsertPoint(isOk);
}

llvm::Value *PlanCode::loadWeights() {
  llvm::LoadInst *load = ir.CreateAlignedLoad(ptr, weightsPlace, llvm::Align(8));
  load->setAtomic(llvm::AtomicOrdering::Acquire);
  return load;
}

//===----------------------------------------------------------------------===//
// Runs
//===----------------------------------------------------------------------===//

/// execute(inputs, outputs, workspace, parallelFor, context).
llvm::Function *PlanCode::emitExecute(const AotPlan &plan, llvm::Function *steps) {
  llvm::Function *execute = beginFunction("execute", i32, {ptr, ptr, ptr, ptr, ptr});
  llvm::Value *saved = createFloatModeSlot(ir);
  llvm::Value *iterations = ir.CreateAlloca(i64, nullptr, "iterations");
  ir.CreateStore(ir.getInt64(static_cast<uint64_t>(model.interface.maxIterations)), iterations);
  requirePointers(function->getArg(InputsArgument), plan.plan->inputs);
  requirePointers(function->getArg(OutputsArgument), plan.plan->outputs);
  if (workspaceBytes(model.plans).value() > 0)
    requireWorkspace(function->getArg(FrameArgument));
  requireCpu();
  if (weightsPlace && model.weights.bytes > 0)
    returnUnless(ir.CreateIsNotNull(loadWeights()), QUERN_MODEL_NO_WEIGHTS);
  setFloatMode(ir, saved);
  std::vector<llvm::Value *> arguments = argumentsOf(function);
  arguments.insert(arguments.end(), {frameAt(scratchOffset(plan)), iterations});
  llvm::Value *status = ir.CreateCall(steps, arguments);
  restoreFloatMode(ir, saved);
  ir.CreateRet(status);
  return execute;
}

/// The position of `size` in a list; returns from the function when it is not there.
llvm::Value *PlanCode::positionOf(llvm::Value *size, const std::vector<int64_t> &list) {
  auto *unlisted = llvm::BasicBlock::Create(ir.getContext(), "unlisted", function);
  auto *listed = llvm::BasicBlock::Create(ir.getContext(), "listed", function);
  auto count = static_cast<unsigned>(list.size());
  llvm::SwitchInst *choice = ir.CreateSwitch(size, unlisted, count);
  ir.SetInsertPoint(unlisted);
  ir.CreateRet(ir.getInt32(QUERN_MODEL_UNLISTED_SIZES));
  ir.SetInsertPoint(listed);
  llvm::PHINode *position = ir.CreatePHI(i64, count);
  for (unsigned i = 0; i < count; ++i) {
    auto *found = llvm::BasicBlock::Create(ir.getContext(), "found", function, listed);
    choice->addCase(ir.getInt64(static_cast<uint64_t>(list[i])), found);
    llvm::BranchInst::Create(listed, found);
    position->addIncoming(ir.getInt64(i), found);
  }
  return position;
}

/// choice(sizes, inputs, outputs, workspace, parallelFor, context).
llvm::Function *PlanCode::emitChoice(llvm::ArrayRef<llvm::Function *> executions) {
  llvm::Function *choice = beginFunction("choice", i32, {ptr, ptr, ptr, ptr, ptr, ptr});
  std::vector<llvm::Value *> arguments = argumentsOf(function);
  llvm::Value *sizes = arguments.front(), *number = ir.getInt64(0);
  arguments.erase(arguments.begin());
  returnUnless(ir.CreateIsNotNull(sizes), QUERN_MODEL_NULL_ARGUMENT);
  for (size_t i = 0; i < model.interface.sizes.size(); ++i) {
    const std::vector<int64_t> &list = model.interface.sizes[i].sizes;
    llvm::Value *size = ir.CreateLoad(i64, ir.CreateConstGEP1_64(i64, sizes, i));
    number = ir.CreateAdd(ir.CreateMul(number, ir.getInt64(list.size())), positionOf(size, list));
  }
  auto *none = llvm::BasicBlock::Create(ir.getContext(), "none", function);
  llvm::SwitchInst *plan = ir.CreateSwitch(number, none, static_cast<unsigned>(executions.size()));
  ir.SetInsertPoint(none);
  ir.CreateUnreachable();
  for (size_t i = 0; i < executions.size(); ++i) {
    auto *chosen = llvm::BasicBlock::Create(ir.getContext(), "plan", function);
    plan->addCase(ir.getInt64(i), chosen);
    ir.SetInsertPoint(chosen);
    ir.CreateRet(ir.CreateCall(executions[i], arguments));
  }
  return choice;
}

/// `execute` has the parameters of m_run_parallel.
void PlanCode::emitRun(llvm::Function *execute) {
  llvm::Constant *none = llvm::ConstantPointerNull::get(ptr);
  std::vector<llvm::Type *> parameters = execute->getFunctionType()->params();
  beginFunction(model.symbol("run_parallel"), i32, parameters, /*isPublic=*/true);
  ir.CreateRet(ir.CreateCall(execute, argumentsOf(function)));
  parameters.resize(parameters.size() - 2);
  beginFunction(model.symbol("run"), i32, parameters, /*isPublic=*/true);
  std::vector<llvm::Value *> arguments = argumentsOf(function);
  arguments.insert(arguments.end(), {none, none});
  ir.CreateRet(ir.CreateCall(execute, arguments));
}

/// Adds `int m_use_random(random, context)`: the archive's.
void PlanCode::emitUseRandom() {
  beginFunction(model.symbol("use_random"), i32, {ptr, ptr}, /*isPublic=*/true);
  llvm::FunctionCallee use =
      module->getOrInsertFunction("quern_use_random_v1", function->getFunctionType());
  ir.CreateRet(ir.CreateCall(use, argumentsOf(function)));
}

//===----------------------------------------------------------------------===//
// What a model says of itself
//===----------------------------------------------------------------------===//

llvm::Constant *PlanCode::text(const std::string &value) {
  return constant(llvm::ConstantDataArray::getString(ir.getContext(), value));
}

llvm::Constant *PlanCode::array(llvm::ArrayRef<llvm::Constant *> entries) {
  if (entries.empty())
    return llvm::ConstantPointerNull::get(ptr);
  auto *type = llvm::ArrayType::get(entries.front()->getType(), entries.size());
  return constant(llvm::ConstantArray::get(type, entries));
}

llvm::Constant *PlanCode::ports(const std::vector<ArtifactPort> &list) {
  std::vector<llvm::Constant *> entries;
  for (const ArtifactPort &port : list) {
    std::vector<llvm::Constant *> names;
    if (llvm::is_contained(port.dims, -1))
      for (const std::string &name : port.dimNames)
        names.push_back(name.empty() ? llvm::ConstantPointerNull::get(ptr) : text(name));
    entries.push_back(llvm::ConstantStruct::getAnon(
        {text(port.name), numbers(port.dims), ir.getInt64(static_cast<uint64_t>(port.bytes)),
         ir.getInt32(static_cast<uint32_t>(port.dims.size())),
         ir.getInt32(static_cast<uint32_t>(port.dtype)), array(names),
         ir.getInt32(port.updates ? *port.updates : static_cast<uint32_t>(-1))}));
  }
  return array(entries);
}

/// Adds `const quern_model_info *m_info(void)`.
void PlanCode::emitInfo() {
  const std::vector<ListedSize> &sizes = model.interface.sizes;
  auto count = [&](size_t size) { return ir.getInt32(static_cast<uint32_t>(size)); };
  auto bytes = [&](int64_t number) { return ir.getInt64(static_cast<uint64_t>(number)); };
  std::vector<llvm::Constant *> names, plans;
  for (const ListedSize &list : sizes)
    names.push_back(text(list.name));
  std::vector<std::vector<int64_t>> combinations = combineSizes(sizes).take();
  for (size_t i = 0; i < model.plans.size(); ++i) {
    ArtifactPorts each = artifactPorts({&model.plans[i], 1}, model.interface);
    plans.push_back(llvm::ConstantStruct::getAnon(
        {numbers(combinations[i]), ports(each.inputs), ports(each.outputs)}));
  }
  ArtifactPorts all = artifactPorts(model.plans, model.interface);
  beginFunction(model.symbol("info"), ptr, {}, /*isPublic=*/true);
  ir.CreateRet(constant(llvm::ConstantStruct::getAnon(
      {ir.getInt32(QUERN_MODEL_ABI_VERSION), count(all.inputs.size()), count(all.outputs.size()),
       ir.getInt32(QUERN_MODEL_WORKSPACE_ALIGNMENT), bytes(workspaceBytes(model.plans).value()),
       bytes(scratchBytes(model.plans)), ports(all.inputs), ports(all.outputs),
       text(model.interface.name), text(model.target.cpu), count(sizes.size()), count(plans.size()),
       array(names), array(plans), bytes(model.inFile ? model.inFile->fileBytes : 0),
       text(std::string(precisionName(model.interface.precision))),
       text(model.interface.choice)})));
}
