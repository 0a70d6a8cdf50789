//===- EvalLinearAlgebra.cpp - reference kernels of linear algebra --------===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Evaluator.h"
#include "runtime/reference/Indexing.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::reference;

/// The determinant of a matrix of n rows, which Gaussian elimination destroys.
static Expected<double> determinant(std::span<double> matrix, int64_t n, Budget &budget) {
  double product = 1;
  auto row = [&](int64_t i) { return matrix.data() + i * n; };
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i)
      if (std::abs(row(i)[k]) > std::abs(row(pivot)[k]))
        pivot = i;
    if (pivot != k) {
      std::swap_ranges(row(k), row(k) + n, row(pivot));
      product = -product;
    }
    product *= row(k)[k];
    if (row(k)[k] == 0)
      return 0;
    for (int64_t i = k + 1; i < n; ++i) {
      QUERN_TRY(budget.spend(n - k));
      double factor = row(i)[k] / row(k)[k];
      for (int64_t j = k + 1; j < n; ++j)
        row(i)[j] -= factor * row(k)[j];
    }
  }
  return product;
}

static Expected<std::vector<Tensor>> evalDet(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  int64_t batch = input.rank() - 2;
  if (batch < 0 || input.dim(batch) != input.dim(batch + 1))
    return invalidInput("the input must hold square matrices, found " + input.describe());
  int64_t n = input.dim(batch);
  QUERN_ASSIGN(
      Tensor result,
      call.allocateResultUninitialized(
          0, input.dtype(), Tensor::Dims(input.dims().begin(), input.dims().begin() + batch)));
  CheckedSize elements = CheckedSize(n) * CheckedSize(n);
  QUERN_TRY(call.budget.require(CheckedSize(result.numElements()) * elements * CheckedSize(n)));
  QUERN_ASSIGN(std::span<double> matrix, call.budget.scratch<double>(elements));
  QUERN_TRY(visitFloat(input.dtype(), [&]<typename T>() {
    const T *from = input.data<T>();
    for (int64_t i = 0; i < result.numElements(); ++i, from += n * n) {
      QUERN_TRY(call.budget.spend(8 + n * n));
      std::transform(from, from + n * n, matrix.begin(), [](T value) { return widen(value); });
      QUERN_ASSIGN(double value, determinant(matrix, n, call.budget));
      result.mutableData<T>()[i] = narrow<T>(value);
    }
    return Status::ok();
  }));
  return std::vector<Tensor>{result};
}

std::span<const EvaluatorRow> reference::linearAlgebraEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.det", evalDet},
  };
  return rows;
}
