//===- RangeKernel.cpp - numbers at equal distances -----------------------===//
#include "backends/native/kernels/RangeKernel.h"

#include "backends/native/target/TileChoice.h"
#include "ir/ScalarEmitter.h"
#include "runtime/values/CeilDiv.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

/// Elements of a task; dim: all of them.
static constexpr int64_t kTaskElements = 4096;

static void emitRange(KernelBuilder &kb, DType dtype) {
  DType wide = isFloat(dtype) ? DType::Float64 : dtype;
  nn::ScalarEmitter stored(kb.builder(), kb.loc(), dtype, 0), e(kb.builder(), kb.loc(), wide, 0);
  nn::ScalarEmitter counter(kb.builder(), kb.loc(), DType::Int64, 0);
  Value start = stored.castTo(kb.load(kb.buffer(0), dtype, 0), wide);
  Value delta = stored.castTo(kb.load(kb.buffer(1), dtype, 0), wide);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    Value begin = kb.mul(task, kTaskElements);
    Value end = kb.minSigned(kb.add(begin, kTaskElements), kb.dim(0));
    kb.forLoop(begin, end, 1, [&](Value i) {
      Value element = e.add(start, e.mul(counter.castTo(i, wide), delta));
      kb.store(e.castTo(element, dtype), kb.advance(kb.buffer(2), i, dtype), dtype, 0);
    });
  });
}

void RangeSpec::emit(KernelBuilder &kb) const { emitRange(kb, dtype); }

void native::appendRange(int64_t count, DType dtype, StepBuffer start, StepBuffer delta,
                         StepBuffer to, std::vector<LoweredStep> &steps) {
  if (count == 0)
    return;
  LoweredStep step;
  step.buffers = {std::move(start), std::move(delta), std::move(to)};
  step.dims = {count};
  step.tasks = ceilDiv(count, kTaskElements);
  step.grain = chooseMoveGrain(kTaskElements * dtypeBytes(dtype));
  step.kernel = kernelOf(RangeSpec{dtype});
  steps.push_back(std::move(step));
}
