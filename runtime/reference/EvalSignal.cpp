//===- EvalSignal.cpp - reference kernels of transforms of signals --------===//
//
// A discrete Fourier transform of any length in O(n log n) operations on doubles. Lengths
// that are powers of two are halved until nothing is left. Any other is, by Bluestein, a
// convolution with exp(i pi j^2 / n), and that is a product of transforms of the next power
// of two that holds it.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Evaluator.h"
#include "runtime/reference/Indexing.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <numbers>

using namespace quern;
using namespace quern::reference;

namespace {
struct Complex {
  double re;
  double im;

  Complex operator+(Complex o) const { return {re + o.re, im + o.im}; }
  Complex operator-(Complex o) const { return {re - o.re, im - o.im}; }
  Complex operator*(Complex o) const { return {re * o.re - im * o.im, re * o.im + im * o.re}; }
  Complex conjugate() const { return {re, -im}; }
};

/// exp(-2 pi i k / n)
Complex root(int64_t k, int64_t n) {
  double angle = -2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n);
  return {std::cos(angle), std::sin(angle)};
}

/// The work of one step of one element.
constexpr int64_t kStepWork = 2;

/// A transform of a length that is a power of two.
class PowerOfTwo {
public:
  static Expected<PowerOfTwo> create(int64_t length, Budget &budget) {
    PowerOfTwo transform;
    transform.length = length;
    QUERN_ASSIGN(transform.roots, budget.scratch<Complex>(length / 2));
    QUERN_TRY(budget.forParts(length / 2, 32, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k)
        transform.roots[k] = root(k, length);
    }));
    return transform;
  }

  /// In place.
  Status run(std::span<Complex> line, Budget &budget) const {
    QUERN_TRY(reverseBits(line, budget));
    for (int64_t half = 1; half < length; half *= 2)
      QUERN_TRY(budget.forParts(length / 2, kStepWork, [&](int64_t begin, int64_t end) {
        // Pair i: element k of a run of `half`, and the one as far behind it.
        for (int64_t i = begin; i < end; ++i) {
          int64_t k = i % half, at = 2 * (i - k) + k;
          Complex even = line[at], odd = line[at + half] * roots[k * (length / 2 / half)];
          line[at] = even + odd;
          line[at + half] = even - odd;
        }
      }));
    return Status::ok();
  }

private:
  Status reverseBits(std::span<Complex> line, Budget &budget) const {
    int64_t reversed = 0;
    return budget.forParts(length, kStepWork, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (i < reversed)
          std::swap(line[i], line[reversed]);
        int64_t bit = length / 2;
        for (; bit > 0 && (reversed & bit); bit /= 2)
          reversed ^= bit;
        reversed |= bit;
      }
    });
  }

  int64_t length = 1;
  std::span<Complex> roots;
};

/// A transform of any length.
class Fourier {
public:
  /// Elements of the lines that it works on: those beyond the length are its own.
  static int64_t workLength(int64_t length) {
    auto n = static_cast<uint64_t>(length);
    return static_cast<int64_t>(std::has_single_bit(n) ? n : std::bit_ceil(2 * n - 1));
  }

  static Expected<Fourier> create(int64_t length, Budget &budget) {
    Fourier fourier;
    fourier.length = length;
    int64_t work = workLength(length);
    QUERN_ASSIGN(fourier.inner, PowerOfTwo::create(work, budget));
    if (work != length)
      QUERN_TRY(fourier.prepareChirp(work, budget));
    return fourier;
  }

  /// In place, on a line of workLength elements.
  Status run(std::span<Complex> line, Budget &budget) const {
    if (chirp.empty())
      return inner.run(line, budget);
    auto work = static_cast<int64_t>(line.size());
    for (int64_t j = 0; j < work; ++j)
      line[j] = j < length ? line[j] * chirp[j] : Complex{0, 0};
    QUERN_TRY(inner.run(line, budget));
    // The inverse transform is that of the conjugate, conjugate.
    for (int64_t j = 0; j < work; ++j)
      line[j] = (line[j] * spectrum[j]).conjugate();
    QUERN_TRY(inner.run(line, budget));
    double scale = 1.0 / static_cast<double>(work);
    for (int64_t k = 0; k < length; ++k)
      line[k] = line[k].conjugate() * Complex{scale, 0} * chirp[k];
    return Status::ok();
  }

private:
  Status prepareChirp(int64_t work, Budget &budget) {
    QUERN_ASSIGN(chirp, budget.scratch<Complex>(length));
    QUERN_ASSIGN(spectrum, budget.scratch<Complex>(work));
    QUERN_TRY(budget.spend(work));
    std::fill(spectrum.begin(), spectrum.end(), Complex{0, 0});
    int64_t square = 0; // j^2 modulo 2 n
    QUERN_TRY(budget.forParts(length, 32, [&](int64_t begin, int64_t end) {
      for (int64_t j = begin; j < end; ++j) {
        chirp[j] = root(square, 2 * length);
        spectrum[j] = chirp[j].conjugate();
        if (j > 0)
          spectrum[work - j] = spectrum[j];
        square = (square + 2 * j + 1) % (2 * length);
      }
    }));
    return inner.run(spectrum, budget);
  }

  int64_t length = 1;
  PowerOfTwo inner;
  /// exp(-i pi j^2 / n); empty when the length is a power of two.
  std::span<Complex> chirp;
  /// The transform of its conjugate, which goes on before the first element.
  std::span<Complex> spectrum;
};

/// The lines along an axis of a tensor of complex numbers.
struct Lines {
  int64_t outer;
  int64_t length;
  int64_t inner;
  /// 1 of real numbers.
  int64_t parts;

  int64_t offset(int64_t line, int64_t i) const {
    return ((line / inner * length + i) * inner + line % inner) * parts;
  }
};
} // namespace

template <typename T>
static Status transformLines(const Tensor &input, Tensor &result, Lines from, bool inverse,
                             Budget &budget) {
  QUERN_ASSIGN(Fourier fourier, Fourier::create(from.length, budget));
  QUERN_ASSIGN(std::span<Complex> line, budget.scratch<Complex>(Fourier::workLength(from.length)));
  Lines to = from;
  to.parts = 2;
  const T *in = input.data<T>();
  T *out = result.mutableData<T>();
  // The inverse is the transform of the conjugate, conjugate, divided by the length.
  double sign = inverse ? -1 : 1, scale = inverse ? 1.0 / static_cast<double>(from.length) : 1;
  for (int64_t number = 0; number < from.outer * from.inner; ++number) {
    for (int64_t i = 0; i < from.length; ++i) {
      const T *element = in + from.offset(number, i);
      line[i] = {widen(element[0]), from.parts == 2 ? sign * widen(element[1]) : 0};
    }
    QUERN_TRY(fourier.run(line, budget));
    for (int64_t i = 0; i < from.length; ++i) {
      T *element = out + to.offset(number, i);
      element[0] = narrow<T>(line[i].re * scale);
      element[1] = narrow<T>(line[i].im * scale * sign);
    }
  }
  return Status::ok();
}

static Expected<Lines> linesAlong(const Tensor &input, const Tensor &axisOperand) {
  QUERN_ASSIGN(std::vector<int64_t> axes, readInts(axisOperand, "axis"));
  if (axes.size() != 1)
    return invalidInput(fmt::format("axis must be a scalar, found {} elements", axes.size()));
  QUERN_ASSIGN(int64_t axis, resolveAxis(axes[0], input.rank()));
  if (input.rank() < 2 || axis == input.rank() - 1)
    return invalidInput("the last dimension, of complex numbers, is no axis");
  int64_t parts = input.dims().back();
  if (parts != 1 && parts != 2)
    return invalidInput(fmt::format("the last dimension must be 1 or 2, found {}", parts));
  std::span<const int64_t> dims(input.dims());
  auto at = static_cast<size_t>(axis);
  return Lines{countOf(dims.first(at)), dims[at],
               countOf(dims.subspan(at + 1, dims.size() - at - 2)), parts};
}

static Expected<std::vector<Tensor>> evalDft(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  QUERN_ASSIGN(Lines lines, linesAlong(input, call.inputs[1]));
  std::vector<int64_t> dims = input.dims();
  dims.back() = 2;
  if (CheckedSize::product(dims).valid() && CheckedSize::product(dims).value() > 0) {
    int64_t work = Fourier::workLength(lines.length);
    int64_t steps = std::bit_width(static_cast<uint64_t>(work)) * (work == lines.length ? 1 : 2);
    QUERN_TRY(call.budget.require(CheckedSize(lines.outer) * CheckedSize(lines.inner) *
                                  CheckedSize(work) * CheckedSize(steps * kStepWork)));
  }
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, input.dtype(), dims));
  if (result.numElements() > 0)
    QUERN_TRY(visitFloat(input.dtype(), [&]<typename T>() {
      return transformLines<T>(input, result, lines, call.attributes.getInt("inverse") != 0,
                               call.budget);
    }));
  return std::vector<Tensor>{result};
}

std::span<const EvaluatorRow> reference::signalEvaluators() {
  static constexpr EvaluatorRow rows[] = {{"nn.dft", evalDft}};
  return rows;
}
