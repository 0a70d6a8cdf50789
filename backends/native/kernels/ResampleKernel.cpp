//===- ResampleKernel.cpp - one axis of a tensor, resampled ---------------===//
//
// The tables of elements and weights are constants of the plan. A task is a row of
// `inner` adjacent results; where the axis is the innermost, a line along it.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/ResampleKernel.h"

#include "backends/native/target/TileChoice.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

namespace {
class ResampleEmitter {
public:
  ResampleEmitter(KernelBuilder &kb, DType dtype, bool sums, bool innermost)
      : kb(kb), dtype(dtype), sums(sums), innermost(innermost) {}

  void emit() { innermost ? emitLines() : emitRows(); }

private:
  // Dims: input, output, inner. Buffers: from, to, elements; of sums begins and weights, too.
  Value input() { return kb.dim(0); }
  Value output() { return kb.dim(1); }
  Value inner() { return kb.dim(2); }
  Value entry(int64_t table, Value i) {
    return kb.load(kb.advance(kb.buffer(table), i, DType::Int64), DType::Int64, 0);
  }
  Value sampleAt(Value from, Value result, Value distance, int64_t lanes, Value active);
  void emitRows();
  void emitLines();

  KernelBuilder &kb;
  DType dtype;
  bool sums, innermost;
};
} // namespace

/// The result number `result` of the axis whose elements are `distance` apart, for `lanes`
/// neighbours (0: a scalar), of which `active` exist.
Value ResampleEmitter::sampleAt(Value from, Value result, Value distance, int64_t lanes,
                                Value active) {
  auto elementAt = [&](Value i) {
    Value place = kb.advance(from, kb.mul(entry(2, i), distance), dtype);
    return kb.load(place, dtype, lanes, active);
  };
  if (!sums)
    return elementAt(result);
  Value zero = kb.floatConstant(dtype, lanes, 0.0);
  return kb.forLoop(entry(3, result), entry(3, kb.add(result, 1)), 1, zero,
                    [&](Value i, ValueRange sum) -> KernelBuilder::Values {
                      Value weight = kb.load(kb.advance(kb.buffer(4), i, dtype), dtype, 0);
                      return {kb.multiplyAdd(kb.splat(weight, lanes), elementAt(i), sum[0])};
                    })[0];
}

/// A task is one result of the axis for one outer index: `inner` neighbours.
void ResampleEmitter::emitRows() {
  int64_t lanes = kb.target().lanes(dtype);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    Value outer = kb.div(task, output()), result = kb.rem(task, output());
    Value from = kb.advance(kb.buffer(0), kb.mul(outer, kb.mul(input(), inner())), dtype);
    Value to = kb.advance(kb.buffer(1), kb.mul(task, inner()), dtype);
    kb.forLoop(kb.index(0), inner(), lanes, [&](Value x) {
      Value rest = kb.minSigned(kb.sub(inner(), x), kb.index(lanes));
      Value sample = sampleAt(kb.advance(from, x, dtype), result, inner(), lanes, rest);
      kb.store(sample, kb.advance(to, x, dtype), dtype, lanes, rest);
    });
  });
}

/// A task is one outer index: all results of the axis, which is the innermost.
void ResampleEmitter::emitLines() {
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    Value from = kb.advance(kb.buffer(0), kb.mul(task, input()), dtype);
    Value to = kb.advance(kb.buffer(1), kb.mul(task, output()), dtype);
    kb.forLoop(kb.index(0), output(), 1, [&](Value x) {
      Value sample = sampleAt(from, x, kb.index(1), /*lanes=*/0, Value());
      kb.store(sample, kb.advance(to, x, dtype), dtype, 0);
    });
  });
}

std::string ResampleSpec::name() const {
  return "resample_" + std::string(dtypeName(dtype)) + (sums ? "" : "_copy") +
         (innermost ? "_line" : "");
}

void ResampleSpec::emit(KernelBuilder &kb) const {
  ResampleEmitter(kb, dtype, sums, innermost).emit();
}

/// Weights in the type that they are multiplied in.
static Tensor weightTable(const std::vector<double> &weights, DType dtype) {
  auto count = static_cast<int64_t>(weights.size());
  if (dtype == DType::Float64)
    return Tensor::of<double>({count}, weights);
  return Tensor::of<float>({count}, std::vector<float>(weights.begin(), weights.end()));
}

LoweredStep native::resample(StepBuffer from, StepBuffer to, const Resampling &r, DType dtype) {
  bool sums = !r.weights.empty(), innermost = r.isLast;
  LoweredStep step;
  step.kernel = kernelOf(ResampleSpec{dtype, sums, innermost});
  step.buffers = {std::move(from), std::move(to), StepBuffer::weights(Tensor::ofInts(r.elements))};
  if (sums) {
    step.buffers.push_back(StepBuffer::weights(Tensor::ofInts(r.begins)));
    step.buffers.push_back(StepBuffer::weights(weightTable(r.weights, dtype)));
  }
  step.dims = {r.input, r.output, r.inner};
  step.tasks = innermost ? r.outer : r.outer * r.output;
  double taps = double(r.elements.size()) + double(r.output);
  double bytes = double(r.outer) * taps * double(r.inner) * double(dtypeBytes(dtype));
  step.grain = chooseMoveGrain(static_cast<int64_t>(bytes) / std::max<int64_t>(step.tasks, 1));
  return step;
}
