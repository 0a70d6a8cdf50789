//===- MachinePeak.cpp - what this machine can do, measured ---------------===//
#include "backends/native/codegen/MachinePeak.h"

#include "backends/native/codegen/Jit.h"

#include <algorithm>
#include <chrono>

using namespace mlir;
using namespace quern;
using namespace quern::native;

/// Chains that hide the FMA latency and fit the registers beside two operands.
static int64_t chainCount(const Target &target) { return target.vectorRegisters >= 32 ? 24 : 12; }

static void emitChains(KernelBuilder &kb) {
  int64_t lanes = kb.target().lanes(DType::Float32);
  Value factor = kb.floatConstant(DType::Float32, lanes, 0.9999);
  Value addend = kb.floatConstant(DType::Float32, lanes, 0.0001);
  KernelBuilder::Values sums;
  for (int64_t i = 0; i < chainCount(kb.target()); ++i)
    sums.push_back(kb.floatConstant(DType::Float32, lanes, static_cast<double>(i)));
  sums = kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, sums, [&](Value, ValueRange now) {
    KernelBuilder::Values next;
    for (Value sum : now)
      next.push_back(kb.multiplyAdd(sum, factor, addend));
    return next;
  });
  for (auto [i, sum] : llvm::enumerate(sums))
    kb.store(sum, kb.advance(kb.buffer(0), static_cast<int64_t>(i) * lanes, DType::Float32),
             DType::Float32, lanes);
}

Expected<double> native::measurePeakGflops(const Target &target) {
  constexpr const char *kSymbol = "quern_fma_chains";
  KernelBuilder builder(target, kSymbol);
  emitChains(builder);
  QUERN_ASSIGN(ObjectCode object, compileKernel(builder.finish(), target));
  QUERN_ASSIGN(std::shared_ptr<Jit> jit, Jit::create(target));
  QUERN_TRY(jit->addObject(object));
  QUERN_ASSIGN(KernelFunction run, jit->lookup(kSymbol));

  int64_t lanes = target.lanes(DType::Float32), chains = chainCount(target);
  std::vector<float> results(static_cast<size_t>(lanes * chains));
  void *buffers[] = {results.data()};
  constexpr int64_t kIterations = 200'000;
  constexpr int kRuns = 8;
  double best = 0;
  for (int i = 0; i < kRuns; ++i) {
    auto start = std::chrono::steady_clock::now();
    if (run(buffers, nullptr, 0, kIterations, nullptr) != 0)
      return internalError("the kernel that measures the peak refused");
    std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * double(kIterations * chains * lanes) / elapsed.count());
  }
  return best;
}
