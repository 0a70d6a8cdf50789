//===- CodeGen.cpp - kernels to LLVM and to objects -----------------------===//
#include "backends/native/codegen/CodeGen.h"

#include "backends/native/codegen/ExpandFloat16.h"
#include "backends/native/codegen/ExpandMath.h"
#include "backends/native/codegen/FenceHalf.h"
#include "quern/Progress.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MathToLibm/MathToLibm.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

/// Collects the diagnostics of a failing pass into the Status. What an emitter has made is
/// verified, and what LLVM is given; between them, after each of the passes, it took a tenth of
/// compiling.
static Status runPipeline(ModuleOp module, PassManager &pm) {
  std::string errors;
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &d) {
    errors += (errors.empty() ? "" : "; ") + d.str();
    return success();
  });
  pm.enableVerifier(false);
  if (failed(verify(module)) || failed(pm.run(module)) || failed(verify(module)))
    return internalError("lowering a kernel failed: " + errors);
  return Status::ok();
}

/// Whether a kernel has products of AVX512-BF16 or AMX. They take subnormal numbers for zero,
/// whatever the thread says, and so does the instruction that rounds to bfloat16; only there it is
/// used.
static bool multipliesBf16(ModuleOp module) {
  return module
      .walk([](LLVM::CallIntrinsicOp call) {
        StringRef name = call.getIntrin();
        bool isProduct = name.starts_with("llvm.x86.avx512bf16.dp") || name == "llvm.x86.tdpbf16ps";
        return isProduct ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

Status native::lowerToLlvmDialect(ModuleOp module, const Target &target) {
  PassManager pm(module.getContext());
  // Once, from the top, without CSE: LLVM's passes do the rest, and the code is the same.
  GreedyRewriteConfig simplification;
  simplification.useTopDownTraversal = true;
  simplification.enableRegionSimplification = GreedySimplifyRegionLevel::Disabled;
  simplification.maxIterations = 1;
  pm.addPass(createCanonicalizerPass(simplification));
  pm.addPass(createExpandMathPass(target));
  pm.addPass(createFenceHalfPass());
  // Rounding to bfloat16 would become library calls on most CPUs.
  arith::ArithExpandOpsPassOptions expansion;
  expansion.includeBf16 = !target.has(Isa::Bf16Dot) || !multipliesBf16(module);
  pm.addPass(arith::createArithExpandOpsPass(expansion));
  pm.addPass(createConvertSCFToCFPass());
  // Math first: what becomes libm calls is taken apart with vector ops.
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  return runPipeline(module, pm);
}

static llvm::SmallVector<llvm::Function *, 1> definitionsOf(llvm::Module &module) {
  llvm::SmallVector<llvm::Function *, 1> found;
  for (llvm::Function &function : module)
    if (!function.isDeclaration())
      found.push_back(&function);
  return found;
}

/// Behind a kernel's name: its code, when that is not all of it.
static constexpr llvm::StringLiteral kCodeSuffix = ".code";

/// Vectors that registers do not hold lie on the stack, which callers align to 16 bytes: half of
/// those or more would lie on two cache lines, some times and other times not. So the code of a
/// kernel counts on a stack that is aligned for vectors, and an entry of its name only aligns it,
/// which costs no more than a nanosecond; the code itself keeps all its registers.
static void alignStack(llvm::Function &kernel) {
  llvm::Module &module = *kernel.getParent();
  auto *entry = llvm::Function::Create(kernel.getFunctionType(), kernel.getLinkage(), "", module);
  entry->copyAttributesFrom(&kernel);
  entry->takeName(&kernel);
  entry->addFnAttr("stackrealign");
  kernel.setName(entry->getName() + kCodeSuffix);
  kernel.setLinkage(llvm::GlobalValue::InternalLinkage);
  llvm::IRBuilder<> ops(llvm::BasicBlock::Create(module.getContext(), "", entry));
  llvm::SmallVector<llvm::Value *> arguments;
  for (llvm::Argument &argument : entry->args())
    arguments.push_back(&argument);
  llvm::CallInst *call = ops.CreateCall(&kernel, arguments);
  call->setTailCallKind(llvm::CallInst::TCK_NoTail);
  ops.CreateRet(call);
}

/// The passes of -O2 that find something to do in kernels, which are one function each: the
/// emitters have decided on vectors and unrolling. They take half the time of all, for code
/// that is as fast. As text InstCombine ends the process where it could go on, unless told not to.
static constexpr llvm::StringLiteral kKernelPasses =
    "sroa,early-cse<memssa>,simplifycfg,instcombine<no-verify-fixpoint>,"
    "loop-mssa(loop-rotate,licm),gvn,"
    "instcombine<no-verify-fixpoint>,loop-mssa(licm),simplifycfg";

static Status optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PassBuilder passes(&machine);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(sccs);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, sccs, modules);
  llvm::FunctionPassManager pipeline;
  if (llvm::Error error = passes.parsePassPipeline(pipeline, kKernelPasses))
    return internalError(llvm::toString(std::move(error)));
  llvm::createModuleToFunctionPassAdaptor(std::move(pipeline)).run(module, modules);
  return Status::ok();
}

static Status emitFile(llvm::Module &module, llvm::TargetMachine &machine,
                       llvm::CodeGenFileType type, ObjectCode &out) {
  llvm::raw_svector_ostream stream(out);
  llvm::legacy::PassManager pm;
  if (machine.addPassesToEmitFile(pm, stream, nullptr, type))
    return internalError("the target cannot emit such files");
  pm.run(module);
  return Status::ok();
}

Expected<ObjectCode> native::emitObject(llvm::Module &module, llvm::TargetMachine &machine) {
  ObjectCode object;
  QUERN_TRY(emitFile(module, machine, llvm::CodeGenFileType::ObjectFile, object));
  return object;
}

Expected<ObjectCode> native::emitAssembly(llvm::Module &module, llvm::TargetMachine &machine) {
  ObjectCode text;
  QUERN_TRY(emitFile(module, machine, llvm::CodeGenFileType::AssemblyFile, text));
  return text;
}

/// Without what is said of the stack: it would hold for all that this is linked with, which was not
/// compiled for it, and other CPUs have other vectors.
static ObjectCode bitcodeOf(const llvm::Module &module) {
  std::unique_ptr<llvm::Module> copy = llvm::CloneModule(module);
  if (llvm::NamedMDNode *flags = copy->getModuleFlagsMetadata()) {
    auto others = llvm::to_vector(llvm::make_filter_range(flags->operands(), [](auto *flag) {
      return !flag->getOperand(1).equalsStr("override-stack-alignment");
    }));
    flags->clearOperands();
    for (llvm::MDNode *flag : others)
      flags->addOperand(flag);
  }
  ObjectCode bitcode;
  llvm::raw_svector_ostream stream(bitcode);
  llvm::WriteBitcodeToFile(*copy, stream);
  return bitcode;
}

Expected<ObjectCode> native::compileKernel(KernelBuilder::Module kernel, const Target &target,
                                           std::string *assembly, ObjectCode *bitcode) {
  QUERN_TRY(lowerToLlvmDialect(*kernel.module, target));
  registerBuiltinDialectTranslation(*kernel.context);
  registerLLVMDialectTranslation(*kernel.context);
  llvm::LLVMContext llvmContext;
  std::unique_ptr<llvm::Module> module = translateModuleToLLVMIR(*kernel.module, llvmContext);
  if (!module)
    return internalError("translating a kernel to LLVM IR failed");
  QUERN_TRY(ProgressScope::check("compiling"));
  QUERN_ASSIGN(auto machine, createTargetMachine(target));
  module->setTargetTriple(target.triple);
  module->setDataLayout(machine->createDataLayout());
  for (llvm::Function &function : *module) {
    function.addFnAttr("target-cpu", target.cpu);
    function.addFnAttr("target-features", target.features);
    if (!target.tuneCpu.empty())
      function.addFnAttr("tune-cpu", target.tuneCpu);
    function.addFnAttr("prefer-vector-width", std::to_string(target.vectorBytes * 8));
  }
  if (!target.has(Isa::HalfConversion))
    expandFloat16(*module);
  constexpr int64_t kUsualAlignment = 16;
  bool alignsStack = target.arch == Target::Arch::X86 && target.vectorBytes > kUsualAlignment;
  // Before the first pass asks the machine about a function: it keeps its answer.
  if (alignsStack)
    module->setOverrideStackAlignment(static_cast<unsigned>(target.vectorBytes));
  QUERN_TRY(optimize(*module, *machine));
  if (alignsStack)
    for (llvm::Function *kernel : definitionsOf(*module))
      alignStack(*kernel);
  QUERN_TRY(ProgressScope::check("compiling"));
  if (bitcode)
    *bitcode = bitcodeOf(*module);
  if (assembly) {
    std::unique_ptr<llvm::Module> copy = llvm::CloneModule(*module);
    QUERN_ASSIGN(ObjectCode text, emitAssembly(*copy, *machine));
    assembly->assign(text.begin(), text.end());
  }
  return emitObject(*module, *machine);
}
