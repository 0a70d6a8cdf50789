//===- KernelTest.h - runs the kernels of one op and compares -------------===//
#pragma once

#include "backends/native/lowering/Lowering.h"
#include "quern/Tensor.h"
#include "tests/native/RunnableTargets.h"

#include "gtest/gtest.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace quern::native {

/// How inputs are filled and results are compared.
struct KernelCheck {
  /// Relative to max(1, |reference|); 0 demands equality. Ignored by integers.
  double tolerance = 0;
  /// Range of random inputs.
  double low = -3, high = 3;
  /// Puts NaN, infinities and zeros of both signs among the inputs.
  bool specialValues = false;
};

/// Tests on every target that this host can run.
class KernelTest : public testing::TestWithParam<std::string> {
protected:
  /// Lowers the last op of the function `main` in `text` before its return, runs
  /// its steps on random tensors and compares with the reference kernel.
  /// All tensors lie beside inaccessible pages: see GuardedMemory.
  void expectMatches(const std::string &text, const KernelCheck &check = {});
  /// As above for a function whose body is one line `%r = <op>`; `arguments` and
  /// `results` are the types of the function, as in "tensor<2xf32>, ...".
  void expectOpMatches(const std::string &op, const std::vector<std::string> &arguments,
                       const std::string &result, const KernelCheck &check = {});
  /// The reason why the op is not lowered; empty when it is.
  std::string refusalOf(const std::string &text);

  std::mt19937 random{1};

private:
  Tensor randomTensor(DType dtype, const Tensor::Dims &dims, const KernelCheck &check);
};

} // namespace quern::native
