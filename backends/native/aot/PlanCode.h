//===- PlanCode.h - the code of a plan while it is made -------------------===//
#pragma once

#include "backends/native/aot/AotModel.h"
#include "quern/model_abi.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

#include <map>

namespace quern::native {

/// Where the arguments of `steps` are.
enum StepsArgument : unsigned {
  InputsArgument,
  OutputsArgument,
  FrameArgument,
  ParallelForArgument,
  ContextArgument,
  ScratchArgument,
  /// A variable with the number of iterations that loops may still take.
  IterationsArgument
};

/// Generates what AotPlanCode.cpp describes.
class PlanCode {
public:
  PlanCode(const AotModel &model, llvm::LLVMContext &context, llvm::TargetMachine &machine);
  /// Emits everything into `module`.
  void emit();

  // What the code of steps is written with: AotPlanCode.cpp, AotBodyCode.cpp.
  std::unique_ptr<llvm::Module> module;
  llvm::IRBuilder<> ir;
  llvm::PointerType *ptr;
  llvm::IntegerType *i32, *i64;
  /// The `steps` at hand.
  llvm::Function *function = nullptr;
  /// See emitCopyRuns.
  llvm::Function *copyRuns = nullptr;

  llvm::Value *addressOf(const BufferRef &ref);
  llvm::Value *addressOf(const ValueRef &ref);
  llvm::Value *frameAt(int64_t offset);
  llvm::Value *loadFlag(llvm::Value *address);
  llvm::Value *table(llvm::ArrayRef<llvm::Value *> entries);
  llvm::AllocaInst *local(llvm::Type *type);
  llvm::Constant *numbers(llvm::ArrayRef<int64_t> values);
  llvm::Constant *text(const std::string &value);
  void returnUnless(llvm::Value *condition, quern_model_status status);
  void returnUnlessOk(llvm::Value *status);
  void callKernel(const KernelStep &step, const std::string &symbol);
  void callBody(const AotPlan &body, llvm::ArrayRef<llvm::Value *> bodyInputs,
                llvm::ArrayRef<llvm::Value *> bodyOutputs, int64_t frameOffset);
  void countIteration();

private:
  llvm::Function *beginFunction(const std::string &name, llvm::Type *result,
                                llvm::ArrayRef<llvm::Type *> parameters, bool isPublic = false);
  void emitTask();
  void emitDispatch();
  void emitCopyRuns();
  llvm::Function *emitSteps(const AotPlan &plan);
  void emitStepAt(const AotPlan &plan, size_t number);

  // The public functions: AotEntryCode.cpp.
  llvm::Function *emitExecute(const AotPlan &plan, llvm::Function *steps);
  llvm::Value *positionOf(llvm::Value *size, const std::vector<int64_t> &list);
  llvm::Function *emitChoice(llvm::ArrayRef<llvm::Function *> executions);
  void emitRun(llvm::Function *execute);
  void emitInfo();
  void emitUseRandom();
  llvm::Constant *ports(const std::vector<ArtifactPort> &list);
  llvm::Constant *array(llvm::ArrayRef<llvm::Constant *> entries);
  void requirePointers(llvm::Value *table, const std::vector<PlanPort> &list);
  void requireWorkspace(llvm::Value *workspace);
  void requireCpu();
  llvm::Value *loadWeights();

  llvm::GlobalVariable *constant(llvm::Constant *value);
  llvm::Value *knownReason(llvm::Value *reason);
  void returnTrap(llvm::Value *reason);

  const AotModel &model;
  llvm::FunctionType *kernelType, *parallelForType;
  /// What `task` works at: the kernel, buffers, dims and scratch memory (of worker 0)
  /// of a step, and its first refusal.
  llvm::StructType *closureType;
  enum ClosureField : unsigned { Kernel, Buffers, Dims, Scratch, Refused };
  /// In functions of a model whose weights are in a file: read from `weightsPlace`.
  llvm::Value *weights;
  llvm::GlobalVariable *weightsPlace = nullptr;
  llvm::Function *task = nullptr, *dispatch = nullptr;
  /// `steps` of bodies.
  std::map<const AotPlan *, llvm::Function *> bodySteps;
  llvm::Function *cpuCheck = nullptr;
  /// Whether it has said yes.
  llvm::GlobalVariable *cpuIsOk = nullptr;
  /// Of the `steps` at hand: the plan, the tables of the current step, and the tensors of
  /// the run.
  const Plan *current = nullptr;
  llvm::Value *buffers = nullptr, *closure = nullptr;
  std::vector<llvm::Value *> inputs, outputs;
};

} // namespace quern::native
