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

Expected<FmaChains> FmaChains::create(const Target &target) {
  constexpr const char *kSymbol = "quern_fma_chains";
  KernelBuilder builder(target, kSymbol);
  emitChains(builder);
  QUERN_ASSIGN(ObjectCode object, compileKernel(builder.finish(), target));
  FmaChains chains;
  QUERN_ASSIGN(chains.jit, Jit::create(target));
  QUERN_TRY(chains.jit->addObject(object));
  QUERN_ASSIGN(chains.kernel, chains.jit->lookup(kSymbol));
  chains.sums = target.lanes(DType::Float32) * chainCount(target);
  return chains;
}

Expected<double> FmaChains::run() const {
  constexpr int64_t kIterations = 200'000;
  std::vector<float> results(static_cast<size_t>(sums));
  void *buffers[] = {results.data()};
  if (kernel(buffers, nullptr, 0, kIterations, nullptr) != 0)
    return internalError("the kernel that measures the peak refused");
  return 2.0 * double(kIterations * sums);
}

Expected<double> native::measurePeakGflops(const Target &target) {
  QUERN_ASSIGN(FmaChains chains, FmaChains::create(target));
  constexpr int kRuns = 8;
  double best = 0;
  for (int i = 0; i < kRuns; ++i) {
    auto start = std::chrono::steady_clock::now();
    QUERN_ASSIGN(double operations, chains.run());
    std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - start;
    best = std::max(best, operations / elapsed.count());
  }
  return best;
}
