//===- Float16Test.cpp - half precision on CPUs with and without it -------===//
#include "backends/native/target/CpuFeatures.h"
#include "tests/native/GraphCheck.h"

#include <algorithm>
#include <bit>
#include <cmath>

using namespace quern;
using namespace quern::native;
using namespace quern::plan;

namespace {
class Float16Test : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    if (Status status = checkRunsHere(*resolveTarget(GetParam())); !status.isOk())
      GTEST_SKIP() << status.message();
  }

  /// The elements of `input` as `to`, one of f16, bf16 and f32.
  template <typename T> std::vector<T> cast(const Tensor &input, const std::string &to) {
    const char *from = input.dtype() == DType::Float16    ? "xf16"
                       : input.dtype() == DType::BFloat16 ? "xbf16"
                                                          : "xf32";
    Graph graph;
    std::string size = std::to_string(input.numElements());
    graph.output(graph.op("nn.cast", {graph.input(size + from)}, "to = " + to, "*x" + to));
    CompileOptions options;
    options.targetCpu = GetParam();
    auto executable = compileForTest(graph, options);
    EXPECT_TRUE(executable) << executable.status().message();
    if (!executable)
      return {};
    auto run = runCompiled(*executable, {input});
    EXPECT_TRUE(run) << run.status().message();
    if (!run)
      return {};
    for (const ProfileRow &step : run->steps)
      EXPECT_FALSE(step.reference);
    auto elements = run->results.front().elementsAs<T>();
    return {elements.begin(), elements.end()};
  }
};

template <typename T> Tensor tensorOf(const std::vector<T> &values) {
  Tensor tensor = Tensor::allocate(dtypeOf<T>(), {int64_t(values.size())}).take();
  std::copy(values.begin(), values.end(), tensor.mutableData<T>());
  return tensor;
}

/// All bit patterns of T. One more, so that scalar code runs too.
template <typename T> std::vector<T> allHalves() {
  std::vector<T> halves(65537);
  for (size_t i = 0; i < halves.size(); ++i)
    halves[i].bits = static_cast<uint16_t>(i);
  return halves;
}

/// Floats at, between and right beside all halves that a T has; and a sweep over
/// all exponents.
template <typename T> std::vector<float> interestingFloats() {
  std::vector<float> values;
  for (const T &half : allHalves<T>()) {
    auto low = static_cast<float>(half);
    T next;
    next.bits = static_cast<uint16_t>(half.bits + 1);
    auto high = static_cast<float>(next);
    // The largest half and 2^16 enclose what rounds to infinity.
    if (std::isfinite(low) && std::isinf(high) && std::is_same_v<T, Float16>)
      high = std::copysign(65536.0f, low);
    float middle = low / 2 + high / 2;
    for (float value : {low, middle, std::nextafter(middle, low), std::nextafter(middle, high)})
      values.push_back(value);
  }
  for (uint64_t bits = 0; bits <= 0xffffffff; bits += 9973)
    values.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  for (uint32_t bits : {0x7f800001u, 0x7fc00000u, 0xff802000u, 0xffffffffu, 0x7fa00fffu, 1u})
    values.push_back(std::bit_cast<float>(bits));
  return values;
}
} // namespace

INSTANTIATE_TEST_SUITE_P(Float16Test, Float16Test,
                         testing::Values("baseline", "sandybridge", "haswell", "host"));

TEST_P(Float16Test, Extends) {
  std::vector<Float16> halves = allHalves<Float16>();
  std::vector<float> found = cast<float>(tensorOf(halves), "f32");
  ASSERT_EQ(found.size(), halves.size());
  for (size_t i = 0; i < halves.size(); ++i) {
    uint32_t wanted = std::bit_cast<uint32_t>(static_cast<float>(halves[i]));
    if (std::isnan(static_cast<float>(halves[i])))
      wanted |= 0x400000; // conversions make NaNs quiet
    ASSERT_EQ(std::bit_cast<uint32_t>(found[i]), wanted) << std::hex << halves[i].bits;
  }
}

TEST_P(Float16Test, Truncates) {
  std::vector<float> values = interestingFloats<Float16>();
  std::vector<Float16> found = cast<Float16>(tensorOf(values), "f16");
  ASSERT_EQ(found.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i)
    ASSERT_EQ(found[i].bits, Float16(values[i]).bits)
        << std::hexfloat << values[i] << " " << std::hex << std::bit_cast<uint32_t>(values[i]);
}

TEST_P(Float16Test, ExtendsBFloat16) {
  std::vector<BFloat16> halves = allHalves<BFloat16>();
  std::vector<float> found = cast<float>(tensorOf(halves), "f32");
  ASSERT_EQ(found.size(), halves.size());
  for (size_t i = 0; i < halves.size(); ++i)
    ASSERT_EQ(std::bit_cast<uint32_t>(found[i]), uint32_t{halves[i].bits} << 16);
}

TEST_P(Float16Test, TruncatesToBFloat16) {
  std::vector<float> values = interestingFloats<BFloat16>();
  std::vector<BFloat16> found = cast<BFloat16>(tensorOf(values), "bf16");
  ASSERT_EQ(found.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i]))
      ASSERT_TRUE(std::isnan(static_cast<float>(found[i]))) << i;
    else
      ASSERT_EQ(found[i].bits, BFloat16(values[i]).bits) << std::hexfloat << values[i];
  }
}
