//===- Noise.cpp - how far floats are from what they were -----------------===//
#include "api/Noise.h"

#include "quern/TensorDifference.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace quern;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

static bool isFloatTensor(const Tensor &tensor) {
  return isFloat(tensor.dtype()) && !isMiniFloat(tensor.dtype());
}

bool NoiseMeter::add(const Tensor &wanted, const Tensor &found) {
  if (!isFloatTensor(wanted) || wanted.dtype() != found.dtype() || wanted.dims() != found.dims())
    return false;
  std::vector<double> a = elementsAsDouble(wanted), b = elementsAsDouble(found);
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isfinite(a[i])) {
      signal += a[i] * a[i];
      largest = std::max(largest, std::abs(a[i]));
    }
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])))
      continue;
    double error = std::abs(a[i] - b[i]);
    if (!std::isfinite(error))
      error = kInfinity;
    noise += error * error;
    largestError = std::max(largestError, error);
  }
  return true;
}

double NoiseMeter::sqnr() const {
  if (noise == 0)
    return kInfinity;
  if (signal == 0 || std::isinf(noise))
    return -kInfinity;
  return 10 * std::log10(signal / noise);
}

void Agreement::add(const Tensor &wanted, const Tensor &found, double margin) {
  int64_t rank = wanted.rank(), width = rank > 0 ? wanted.dim(rank - 1) : 0;
  if (!isFloatTensor(wanted) || rank < 1 || rank > 3 || width < 2)
    return;
  std::vector<double> a = elementsAsDouble(wanted), b = elementsAsDouble(found);
  for (size_t begin = 0; begin < a.size(); begin += static_cast<size_t>(width)) {
    auto row = a.begin() + static_cast<ptrdiff_t>(begin);
    auto first = std::max_element(row, row + width);
    double second = -kInfinity;
    for (auto it = row; it != row + width; ++it)
      if (it != first)
        second = std::max(second, *it);
    auto other = b.begin() + static_cast<ptrdiff_t>(begin);
    bool agrees = first - row == std::max_element(other, other + width) - other;
    bool isDecided = *first - second > margin;
    ++rows;
    agreeing += agrees;
    decided += isDecided;
    decidedAgreeing += isDecided && agrees;
  }
}
