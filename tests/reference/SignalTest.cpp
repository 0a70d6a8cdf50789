//===- SignalTest.cpp - Fourier transforms --------------------------------===//
#include "tests/reference/KernelCall.h"

#include <cmath>
#include <complex>
#include <numbers>

using namespace quern;
using namespace quern::reference;
using Numbers = std::vector<std::complex<double>>;

static Attributes direction(bool inverse) {
  return makeAttributes({{"inverse", int64_t{inverse}}});
}

static Tensor dft(const Tensor &input, int64_t axis, bool inverse = false) {
  return evaluate("nn.dft", {input, Tensor::ofInts({axis})}, direction(inverse));
}

static Tensor tensorOf(const Numbers &numbers) {
  std::vector<double> parts;
  for (std::complex<double> number : numbers)
    parts.insert(parts.end(), {number.real(), number.imag()});
  return Tensor::of<double>({static_cast<int64_t>(numbers.size()), 2}, parts);
}

/// The sum as it is written.
static Numbers transform(const Numbers &x, double sign) {
  Numbers y(x.size());
  auto n = static_cast<double>(x.size());
  for (size_t k = 0; k < x.size(); ++k)
    for (size_t j = 0; j < x.size(); ++j)
      y[k] += x[j] * std::polar(1.0, sign * 2 * std::numbers::pi *
                                         static_cast<double>(j * k % x.size()) / n);
  return y;
}

static void expectNumbers(const Tensor &found, const Numbers &wanted) {
  ASSERT_EQ(found.numElements(), static_cast<int64_t>(2 * wanted.size()));
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_NEAR(found.data<double>()[2 * i], wanted[i].real(), 1e-10) << i;
    EXPECT_NEAR(found.data<double>()[2 * i + 1], wanted[i].imag(), 1e-10) << i;
  }
}

TEST(Dft, OfFourRealNumbers) {
  Tensor x = Tensor::of<float>({1, 4, 1}, {1, 2, 3, 5});
  expectTensor<float>(dft(x, 1), {1, 4, 2}, {11, 0, -2, 3, -3, 0, -2, -3});
  expectTensor<float>(dft(x, -2), {1, 4, 2}, {11, 0, -2, 3, -3, 0, -2, -3});
  expectTensor<float>(dft(x, 0), {1, 4, 2}, {1, 0, 2, 0, 3, 0, 5, 0});
}

TEST(Dft, IsTheSumForEveryLength) {
  for (int n = 1; n <= 70; ++n) {
    SCOPED_TRACE(n);
    Numbers x;
    for (int j = 0; j < n; ++j)
      x.emplace_back(std::sin(j * j + 1.0), std::cos(3.0 * j));
    expectNumbers(dft(tensorOf(x), 0), transform(x, -1));
    Numbers inverse = transform(x, 1);
    for (std::complex<double> &number : inverse)
      number /= n;
    expectNumbers(dft(tensorOf(x), 0, true), inverse);
  }
}

TEST(Dft, OfLongLinesComesBack) {
  for (int64_t n : {65536, 65537, 100000}) {
    Tensor x = Tensor::allocate(DType::Float64, {n, 2}).take();
    for (int64_t i = 0; i < 2 * n; ++i)
      x.mutableData<double>()[i] = std::sin(static_cast<double>(i) * 0.7);
    Tensor y = dft(dft(x, 0), 0, true);
    for (int64_t i = 0; i < 2 * n; ++i)
      ASSERT_NEAR(y.data<double>()[i], x.data<double>()[i], 1e-11) << n << " " << i;
  }
}

TEST(Dft, AlongAnyAxis) {
  // Columns (1, 3) and (2, 4): sums 4, 6 and differences -2, -2.
  Tensor x = Tensor::of<float>({2, 2, 1}, {1, 2, 3, 4});
  expectTensor<float>(dft(x, 0), {2, 2, 2}, {4, 0, 6, 0, -2, 0, -2, 0});
  expectTensor<float>(dft(Tensor::allocate(DType::Float32, {0, 3, 1}).take(), 1), {0, 3, 2}, {});
  expectTensor<float>(dft(Tensor::allocate(DType::Float32, {3, 0, 2}).take(), 1), {3, 0, 2}, {});
}

TEST(Dft, AxesAndPartsThatDoNotFit) {
  Tensor x = Tensor::of<float>({1, 4, 1}, {1, 2, 3, 5});
  auto error = [](const Tensor &input, int64_t axis) {
    return evaluateError("nn.dft", {input, Tensor::ofInts({axis})}, direction(false)).message();
  };
  EXPECT_NE(error(x, 2).find("is no axis"), std::string::npos);
  EXPECT_NE(error(x, -1).find("is no axis"), std::string::npos);
  EXPECT_NE(error(x, 3).find("axis 3 is out of range"), std::string::npos);
  EXPECT_NE(error(Tensor::of<float>({1, 3}, {1, 2, 3}), 0).find("must be 1 or 2, found 3"),
            std::string::npos);
}
