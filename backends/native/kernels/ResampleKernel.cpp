//===- ResampleKernel.cpp - one axis of a tensor, resampled ---------------===//
//
// The tables of elements and weights are constants of the plan. A task is a row of
// `inner` adjacent results; where these are few, or one, a line of them along the axis.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/ResampleKernel.h"

#include "backends/native/target/TileChoice.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>

using namespace mlir;
using namespace quern;
using namespace quern::native;

namespace {
class ResampleEmitter {
public:
  ResampleEmitter(KernelBuilder &kb, const ResampleSpec &spec)
      : kb(kb), spec(spec), dtype(spec.dtype) {}

  void emit() { spec.pixel > 0 ? emitLines() : emitRows(); }

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
  const ResampleSpec &spec;
  DType dtype;
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
  if (!spec.sums)
    return elementAt(result);
  Value zero = kb.floatConstant(dtype, lanes, 0.0);
  auto addTap = [&](Value i, Value sum) {
    Value weight = kb.load(kb.advance(kb.buffer(4), i, dtype), dtype, 0);
    return kb.multiplyAdd(kb.splat(weight, lanes), elementAt(i), sum);
  };
  if (spec.taps > 0) {
    Value sum = zero, first = kb.mul(result, spec.taps);
    for (int64_t tap = 0; tap < spec.taps; ++tap)
      sum = addTap(kb.add(first, tap), sum);
    return sum;
  }
  return kb.forLoop(
      entry(3, result), entry(3, kb.add(result, 1)), 1, zero,
      [&](Value i, ValueRange sum) -> KernelBuilder::Values { return {addTap(i, sum[0])}; })[0];
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

/// A task is one outer index: all results of the axis, of ResampleSpec::pixel elements each.
void ResampleEmitter::emitLines() {
  int64_t pixel = spec.pixel, width = std::min(kb.target().lanes(dtype), pixel);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    Value from = kb.advance(kb.buffer(0), kb.mul(kb.mul(task, input()), pixel), dtype);
    Value to = kb.advance(kb.buffer(1), kb.mul(kb.mul(task, output()), pixel), dtype);
    kb.forLoop(kb.index(0), output(), 1, [&](Value x) {
      Value result = kb.advance(to, kb.mul(x, pixel), dtype);
      for (int64_t at = 0; at < pixel; at += width) {
        int64_t lanes = width > 1 ? width : 0;
        Value sample = sampleAt(kb.advance(from, at, dtype), x, kb.index(pixel), lanes, Value());
        kb.store(sample, kb.advance(result, at, dtype), dtype, lanes);
      }
    });
  });
}

std::string ResampleSpec::name() const {
  return "resample_" + std::string(dtypeName(dtype)) + (sums ? "" : "_copy") +
         (pixel == 1  ? "_line"
          : pixel > 1 ? "_line" + std::to_string(pixel)
                      : "");
}

void ResampleSpec::emit(KernelBuilder &kb) const { ResampleEmitter(kb, *this).emit(); }

/// The same sums of two elements each, where none has more; else of as many as before. A single
/// one counts half twice, for nothing times an infinity is no number.
static Resampling inPairs(Resampling r) {
  for (size_t i = 0; i + 1 < r.begins.size(); ++i)
    if (int64_t count = r.begins[i + 1] - r.begins[i]; count < 1 || count > 2)
      return r;
  Resampling paired = r;
  paired.elements.clear();
  paired.weights.clear();
  for (size_t i = 0; i + 1 < r.begins.size(); ++i) {
    int64_t first = r.begins[i], last = r.begins[i + 1] - 1;
    double share = first == last ? 0.5 : 1;
    for (int64_t tap : {first, last}) {
      paired.elements.push_back(r.elements[tap]);
      paired.weights.push_back(share * r.weights[tap]);
    }
    paired.begins[i + 1] = static_cast<int64_t>(paired.elements.size());
  }
  return paired;
}

/// How many elements each result is a sum of, if all are of as many, and few; else 0.
static int64_t commonTaps(const Resampling &r) {
  constexpr int64_t kMostTaps = 4;
  if (r.begins.size() < 2 || r.begins[1] > kMostTaps)
    return 0;
  for (size_t i = 0; i + 1 < r.begins.size(); ++i)
    if (r.begins[i + 1] - r.begins[i] != r.begins[1])
      return 0;
  return r.begins[1];
}

/// ResampleSpec::pixel: whole vectors, and lines enough for all threads.
static int64_t pixelOf(const Resampling &r) {
  constexpr int64_t kMostElements = 64, kVector = 8, kFewestLines = 16;
  if (r.isLast)
    return 1;
  return r.inner <= kMostElements && llvm::isPowerOf2_64(r.inner) && r.inner >= kVector &&
                 r.outer >= kFewestLines
             ? r.inner
             : 0;
}

/// Weights in the type that they are multiplied in.
static Tensor weightTable(const std::vector<double> &weights, DType dtype) {
  auto count = static_cast<int64_t>(weights.size());
  if (dtype == DType::Float64)
    return Tensor::of<double>({count}, weights);
  return Tensor::of<float>({count}, std::vector<float>(weights.begin(), weights.end()));
}

LoweredStep native::resample(StepBuffer from, StepBuffer to, const Resampling &asked, DType dtype) {
  bool sums = !asked.weights.empty();
  Resampling r = sums ? inPairs(asked) : asked;
  ResampleSpec spec{dtype, sums, pixelOf(r), sums ? commonTaps(r) : 0};
  LoweredStep step;
  step.kernel = kernelOf(spec);
  step.buffers = {std::move(from), std::move(to), StepBuffer::weights(Tensor::ofInts(r.elements))};
  if (sums) {
    step.buffers.push_back(StepBuffer::weights(Tensor::ofInts(r.begins)));
    step.buffers.push_back(StepBuffer::weights(weightTable(r.weights, dtype)));
  }
  step.dims = {r.input, r.output, r.inner};
  step.tasks = spec.pixel > 0 ? r.outer : r.outer * r.output;
  double taps = double(r.elements.size()) + double(r.output);
  double bytes = double(r.outer) * taps * double(r.inner) * double(dtypeBytes(dtype));
  step.grain = chooseMoveGrain(static_cast<int64_t>(bytes) / std::max<int64_t>(step.tasks, 1));
  return step;
}
