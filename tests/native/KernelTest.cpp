//===- KernelTest.cpp - runs the kernels of one op and compares -----------===//
#include "tests/native/KernelTest.h"

#include "backends/interpreter/Interpreter.h"
#include "backends/native/codegen/CodeGen.h"
#include "backends/native/codegen/Jit.h"
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "passes/InferShapes.h"
#include "tests/FloatElement.h"
#include "tests/native/GuardedMemory.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/DenseMap.h"

#include <cmath>
#include <cstring>

using namespace quern;
using namespace quern::native;
using namespace quern::plan;

namespace {
/// Kernels that were compiled for one target, shared by all tests.
class KernelCache {
public:
  static Expected<KernelFunction> get(const std::string &targetName, const KernelSpec &spec) {
    static std::map<std::string, KernelCache> caches;
    KernelCache &cache = caches[targetName];
    auto [at, isNew] = cache.functions.try_emplace(spec.key);
    if (!isNew)
      return at->second;
    QUERN_ASSIGN(Target target, resolveTarget(targetName));
    if (!cache.jit) {
      QUERN_ASSIGN(cache.jit, Jit::create(target));
    }
    std::string symbol = "kernel" + std::to_string(cache.functions.size());
    KernelBuilder kb(target, symbol);
    emitKernel(spec, kb);
    KernelBuilder::Module module = kb.finish();
    if (mlir::failed(mlir::verify(*module.module)))
      return internalError("kernel " + spec.name + " does not verify");
    std::string assembly;
    bool dumps = std::getenv("QUERN_TEST_ASSEMBLY") != nullptr;
    QUERN_ASSIGN(ObjectCode object,
                 compileKernel(std::move(module), target, dumps ? &assembly : nullptr));
    if (dumps)
      llvm::errs() << "# " << targetName << " " << spec.source->text() << "\n" << assembly;
    QUERN_TRY(cache.jit->addObject(object));
    QUERN_ASSIGN(at->second, cache.jit->lookup(symbol));
    return at->second;
  }

private:
  std::shared_ptr<Jit> jit;
  std::map<std::string, KernelFunction> functions;
};

/// One parsed function and the memory of its values.
struct Graph {
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::Operation *op = nullptr;
  mlir::func::FuncOp function;

  explicit Graph(const std::string &text) {
    context.loadDialect<nn::NNDialect, mlir::func::FuncDialect>();
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    if (!module)
      return;
    function = module->lookupSymbol<mlir::func::FuncOp>("main");
    // Lowerings want axes that count from the front.
    function.walk([](mlir::Operation *each) { (void)passes::refineResultTypes(each); });
    op = function.getBody().front().getTerminator()->getPrevNode();
  }
};

Expected<LoweringResult> lower(Graph &graph, const std::string &targetName) {
  QUERN_ASSIGN(Target target, resolveTarget(targetName));
  ShapeEnvironment values;
  LoweringContext context{target, 2, values};
  return lowerOperation(graph.op, context);
}

/// Runs with scratch memory and weights at `side` of inaccessible pages.
Status runSteps(const LoweringResult &lowered, const std::string &target,
                const llvm::DenseMap<mlir::Value, std::byte *> &memory, GuardedMemory::Side side) {
  std::map<uint32_t, GuardedMemory> scratch;
  std::vector<Tensor> weights;
  for (const LoweredStep &step : *lowered) {
    QUERN_ASSIGN(KernelFunction function, KernelCache::get(target, step.kernel));
    std::vector<void *> buffers;
    for (const StepBuffer &b : step.buffers) {
      std::byte *base = nullptr;
      if (b.kind == StepBuffer::Kind::Value)
        base = memory.lookup(b.value);
      else if (b.kind == StepBuffer::Kind::Weights)
        base = static_cast<std::byte *>(
            weights.emplace_back(GuardedMemory::copyOf(b.tensor, side)).mutableRawData());
      else
        base = scratch.try_emplace(b.number, b.bytes.value(), side).first->second.data();
      if (!base)
        return internalError("a step's buffer is no value of the graph");
      buffers.push_back(base + b.offset);
    }
    // In two parts: a kernel must work from any task on.
    int64_t half = step.tasks / 2;
    GuardedMemory own(CheckedSize(step.scratchBytes).alignedTo(64).value(), side);
    void *scratchOrNone = step.scratchBytes > 0 ? own.data() : nullptr;
    for (auto [begin, end] : {std::pair(half, step.tasks), std::pair(int64_t{0}, half)}) {
      int32_t reason = function(buffers.data(), step.dims.data(), begin, end, scratchOrNone);
      if (reason != 0)
        return trapStatus(reason);
    }
  }
  return Status::ok();
}

void expectEqual(const Tensor &found, const Tensor &wanted, double tolerance) {
  ASSERT_EQ(found.dims(), wanted.dims());
  if (!isFloat(found.dtype())) {
    auto *f = static_cast<const uint8_t *>(found.rawData());
    auto *w = static_cast<const uint8_t *>(wanted.rawData());
    int64_t bytes = dtypeBytes(found.dtype());
    for (int64_t i = 0; i < found.numBytes(); ++i)
      ASSERT_EQ(int(f[i]), int(w[i])) << "byte " << i % bytes << " of element " << i / bytes;
    return;
  }
  for (int64_t i = 0; i < found.numElements(); ++i) {
    double f = floatAt(found, i), w = floatAt(wanted, i);
    if (std::isnan(w) || std::isinf(w) || f == w)
      ASSERT_TRUE((std::isnan(f) && std::isnan(w)) || f == w)
          << "element " << i << ": " << f << " instead of " << w;
    else
      ASSERT_LE(std::abs(f - w), tolerance * std::max(1.0, std::abs(w)))
          << "element " << i << ": " << f << " instead of " << w;
  }
}
} // namespace

Tensor KernelTest::randomTensor(DType dtype, const Tensor::Dims &dims, const KernelCheck &check) {
  Tensor t = Tensor::allocate(dtype, dims).take();
  std::uniform_real_distribution<double> uniform(check.low, check.high);
  const double special[] = {NAN, -NAN, INFINITY, -INFINITY, 0.0, -0.0, 1e-30, 1e30};
  for (int64_t i = 0; i < t.numElements(); ++i) {
    double v = uniform(random);
    if (check.specialValues && random() % 4 == 0)
      v = special[random() % std::size(special)];
    if (dtype == DType::Float32)
      t.mutableData<float>()[i] = static_cast<float>(v);
    else if (dtype == DType::Float64)
      t.mutableData<double>()[i] = v;
    else if (dtype == DType::Float16)
      t.mutableData<Float16>()[i] = Float16(static_cast<float>(v));
    else if (dtype == DType::BFloat16)
      t.mutableData<BFloat16>()[i] = BFloat16(static_cast<float>(v));
    else if (dtype == DType::Bool)
      t.mutableData<bool>()[i] = random() % 2;
    else {
      auto integer = static_cast<int64_t>(uniform(random));
      std::memcpy(static_cast<char *>(t.mutableRawData()) + i * dtypeBytes(dtype), &integer,
                  static_cast<size_t>(dtypeBytes(dtype)));
    }
  }
  return t;
}

void KernelTest::expectMatches(const std::string &text, const KernelCheck &check) {
  SCOPED_TRACE(text);
  Graph graph(text);
  ASSERT_TRUE(graph.op);
  llvm::DenseMap<mlir::Value, Tensor> tensors;
  for (mlir::Value v : graph.function.getArguments()) {
    auto type = mlir::cast<mlir::RankedTensorType>(v.getType());
    tensors[v] =
        randomTensor(nn::dtypeOf(type.getElementType()), Tensor::Dims(type.getShape()), check);
  }
  std::vector<Tensor> inputs;
  for (mlir::Value v : graph.op->getOperands()) {
    if (std::optional<Tensor> constant = nn::constantTensor(v))
      tensors[v] = *constant;
    inputs.push_back(tensors.lookup(v));
  }
  Budget budget{Limits()};
  auto wanted = interpreter::evaluate(graph.op, inputs, budget);
  ASSERT_TRUE(wanted) << wanted.status().message();
  auto lowered = lower(graph, GetParam());
  ASSERT_TRUE(lowered) << lowered.status().message();
  ASSERT_TRUE(*lowered) << (*lowered).reason().text;

  for (GuardedMemory::Side side : {GuardedMemory::Side::Begin, GuardedMemory::Side::End}) {
    llvm::DenseMap<mlir::Value, std::byte *> memory;
    std::vector<Tensor> guardedInputs;
    for (auto &[value, tensor] : tensors) {
      guardedInputs.push_back(GuardedMemory::copyOf(tensor, side));
      memory[value] = static_cast<std::byte *>(guardedInputs.back().mutableRawData());
    }
    std::vector<GuardedMemory> outputs;
    for (size_t i = 0; i < wanted->size(); ++i) {
      outputs.emplace_back((*wanted)[i].numBytes(), side);
      memory[graph.op->getResult(static_cast<unsigned>(i))] = outputs[i].data();
    }
    Status status = runSteps(*lowered, GetParam(), memory, side);
    ASSERT_TRUE(status.isOk()) << status.message();
    for (size_t i = 0; i < outputs.size(); ++i) {
      const Tensor &w = (*wanted)[i];
      EXPECT_TRUE(outputs[i].isIntact()) << "memory around result " << i << " was written";
      expectEqual(Tensor::borrow(w.dtype(), w.dims(), outputs[i].data()), w, check.tolerance);
    }
  }
}

void KernelTest::expectOpMatches(const std::string &op, const std::vector<std::string> &arguments,
                                 const std::string &result, const KernelCheck &check) {
  std::string text = "func.func @main(";
  for (size_t i = 0; i < arguments.size(); ++i)
    text += (i ? ", %" : "%") + std::string(1, static_cast<char>('a' + i)) + ": " + arguments[i];
  text += ") -> " + result + " {\n  %r = " + op + " : (";
  for (size_t i = 0; i < arguments.size(); ++i)
    text += (i ? ", " : "") + arguments[i];
  text += ") -> " + result + "\n  return %r : " + result + "\n}\n";
  expectMatches(text, check);
}

std::string KernelTest::refusalOf(const std::string &text) {
  Graph graph(text);
  if (!graph.op)
    return "the text does not parse";
  auto lowered = lower(graph, GetParam());
  if (!lowered)
    return lowered.status().message();
  return *lowered ? "" : lowered->reason().text;
}
