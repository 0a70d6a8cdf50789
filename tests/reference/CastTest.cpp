//===- CastTest.cpp - conversions between element types -------------------===//
#include "tests/reference/KernelCall.h"

#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::reference;

namespace {

Attributes to(DType dtype) { return makeAttributes({{"to", dtype}}); }

template <typename To, typename From> std::vector<To> cast(const std::vector<From> &values) {
  Tensor x = Tensor::of<From>({static_cast<int64_t>(values.size())}, values);
  Tensor result = evaluate("nn.cast", {x}, to(dtypeOf<To>()));
  EXPECT_EQ(result.dtype(), dtypeOf<To>());
  EXPECT_EQ(result.dims(), x.dims());
  return elementsOf<To>(result);
}

template <typename From> std::vector<std::string> toStrings(const std::vector<From> &values) {
  Tensor x = Tensor::of<From>({static_cast<int64_t>(values.size())}, values);
  return elementsOf<std::string>(evaluate("nn.cast", {x}, to(DType::String)));
}

Tensor stringTensor(const std::vector<std::string> &values) {
  Tensor t = Tensor::allocate(DType::String, {static_cast<int64_t>(values.size())}).take();
  std::copy(values.begin(), values.end(), t.mutableData<std::string>());
  return t;
}

template <typename To> std::vector<To> fromStrings(const std::vector<std::string> &values) {
  return elementsOf<To>(evaluate("nn.cast", {stringTensor(values)}, to(dtypeOf<To>())));
}

} // namespace

TEST(Cast, TruncatesAndSaturatesFloats) {
  EXPECT_EQ((cast<int32_t, float>({1.9f, -1.9f, 3e9f, -3e9f, NAN, INFINITY})),
            (std::vector<int32_t>{1, -1, INT32_MAX, INT32_MIN, 0, INT32_MAX}));
  EXPECT_EQ((cast<uint8_t, double>({255.9, 256, -1, -0.5})),
            (std::vector<uint8_t>{255, 255, 0, 0}));
  EXPECT_EQ((cast<int64_t, double>({9.3e18, -9.3e18, 0x1p62})),
            (std::vector<int64_t>{INT64_MAX, INT64_MIN, int64_t{1} << 62}));
  EXPECT_EQ((cast<uint64_t, float>({0x1p63f, 2e19f})),
            (std::vector<uint64_t>{uint64_t{1} << 63, UINT64_MAX}));
}

TEST(Cast, WrapsIntegers) {
  EXPECT_EQ((cast<int8_t, int32_t>({127, 128, -129, 256})),
            (std::vector<int8_t>{127, -128, 127, 0}));
  EXPECT_EQ((cast<uint32_t, int64_t>({-1, int64_t{1} << 32})),
            (std::vector<uint32_t>{UINT32_MAX, 0}));
  EXPECT_EQ((cast<int64_t, uint64_t>({UINT64_MAX})), (std::vector<int64_t>{-1}));
}

TEST(Cast, RoundsOnce) {
  EXPECT_EQ((cast<float, double>({0.1, 1e300, -1e300})),
            (std::vector<float>{0.1f, INFINITY, -INFINITY}));
  // 2^24 + 1 is a tie, 2^61 + 2^37 + 1 just above one.
  EXPECT_EQ((cast<float, int64_t>({(1 << 24) + 1, (int64_t{1} << 61) + (int64_t{1} << 37) + 1})),
            (std::vector<float>{0x1p24f, 0x1p61f + 0x1p38f}));
  EXPECT_EQ((cast<float, uint64_t>({UINT64_MAX})), (std::vector<float>{0x1p64f}));
  // Just above a tie of float16: rounding to float first would make it one.
  auto half = [](double x) { return float(cast<Float16, double>({x})[0]); };
  EXPECT_EQ(half(1 + 0x1p-11), 1);
  EXPECT_EQ(half(1 + 0x1p-11 + 0x1p-40), 1 + 0x1p-10f);
  EXPECT_EQ(half(-1 - 0x1p-11 - 0x1p-40), -1 - 0x1p-10f);
  EXPECT_EQ(half(1 + 0x3p-11 - 0x1p-40), 1 + 0x1p-10f);
  EXPECT_EQ(half(65519.99), 65504);
  EXPECT_EQ(half(65520), INFINITY);
  EXPECT_EQ(half(0x1p-25), 0);
  EXPECT_EQ(half(0x1.0001p-25), 0x1p-24f);
  EXPECT_EQ(half(1e300), INFINITY);
  auto bfloat = [](double x) { return float(cast<BFloat16, double>({x})[0]); };
  EXPECT_EQ(bfloat(1 + 0x1p-8), 1);
  EXPECT_EQ(bfloat(1 + 0x1p-8 + 0x1p-40), 1 + 0x1p-7f);
  EXPECT_EQ(bfloat(1e300), INFINITY);
  EXPECT_TRUE(std::isnan(bfloat(NAN)));
}

TEST(Cast, KnowsBool) {
  EXPECT_EQ((cast<bool, float>({0, -0.0f, 0.5f, NAN})),
            (std::vector<bool>{false, false, true, true}));
  EXPECT_EQ((cast<bool, int32_t>({0, 256, -1})), (std::vector<bool>{false, true, true}));
  EXPECT_EQ((cast<float, bool>({true, false})), (std::vector<float>{1, 0}));
}

TEST(Cast, CrossesTheBordersOfItsChunks) {
  std::vector<int32_t> values(3000);
  std::vector<double> expected(3000);
  for (int32_t i = 0; i < 3000; ++i)
    expected[i] = values[i] = i;
  EXPECT_EQ((cast<double>(values)), expected);
}

TEST(Cast, PrintsNumbers) {
  EXPECT_EQ((toStrings<float>({0.1f, 1, -2.5f, 1e-5f, 1e20f, 0, -0.0f, 123456.79f})),
            (std::vector<std::string>{"0.1", "1.0", "-2.5", "1e-05", "1e+20", "0.0", "-0.0",
                                      "123456.79"}));
  EXPECT_EQ((toStrings<double>({0.1, 1.0 / 3})),
            (std::vector<std::string>{"0.1", "0.3333333333333333"}));
  EXPECT_EQ((toStrings<Float16>({Float16(0.1f), Float16(65504)})),
            (std::vector<std::string>{"0.1", "65500.0"}));
  EXPECT_EQ((toStrings<float>({NAN, INFINITY, -INFINITY})),
            (std::vector<std::string>{"NaN", "INF", "-INF"}));
  EXPECT_EQ((toStrings<int8_t>({-128, 7})), (std::vector<std::string>{"-128", "7"}));
  EXPECT_EQ((toStrings<uint64_t>({UINT64_MAX})),
            (std::vector<std::string>{"18446744073709551615"}));
  EXPECT_EQ((toStrings<bool>({true, false})), (std::vector<std::string>{"1", "0"}));
}

TEST(Cast, ReadsNumbers) {
  EXPECT_EQ((fromStrings<float>({"0.5", "-1e-5", "+3", " 4 ", "INF", "+inf", "-INF", "1E8"})),
            (std::vector<float>{0.5f, -1e-5f, 3, 4, INFINITY, INFINITY, -INFINITY, 1e8f}));
  EXPECT_TRUE(std::isnan(fromStrings<double>({"NaN"})[0]));
  EXPECT_EQ((fromStrings<int64_t>({"9223372036854775807", "-5", "100.5"})),
            (std::vector<int64_t>{INT64_MAX, -5, 100}));
  EXPECT_EQ((fromStrings<uint8_t>({"255", "-1"})), (std::vector<uint8_t>{255, 0}));
  EXPECT_EQ((fromStrings<bool>({"0", "1", "2.5"})), (std::vector<bool>{false, true, true}));
  for (const char *wrong : {"", " ", "abc", "1x", "+-1", "--1", "1e999", "0x10"})
    EXPECT_EQ(evaluateError("nn.cast", {stringTensor({wrong})}, to(DType::Float32)).message(),
              "'" + std::string(wrong) + "' is not a number or out of range");
}

static std::vector<uint8_t> bytesOf(const Tensor &tensor) {
  auto *bytes = static_cast<const uint8_t *>(tensor.rawData());
  return {bytes, bytes + tensor.numBytes()};
}

TEST(Cast, TypesOfFewBits) {
  Tensor x = Tensor::of<float>({5}, {1.5f, -3, 1000, NAN, -1000});
  using Bytes = std::vector<uint8_t>;
  auto cast = [](const Tensor &x, DType dtype) { return evaluate("nn.cast", {x}, to(dtype)); };
  EXPECT_EQ(bytesOf(cast(x, DType::Float8E4M3FN)), (Bytes{0x3c, 0xc4, 0x7e, 0x7f, 0xfe}));
  EXPECT_EQ(bytesOf(cast(x, DType::Int4)), (Bytes{1, 0xfd, 7, 0, 0xf8}));
  EXPECT_EQ(bytesOf(cast(x, DType::UInt2)), (Bytes{1, 0, 3, 0, 0}));
  Tensor wide = Tensor::of<int32_t>({3}, {-9, 200, 6});
  EXPECT_EQ(bytesOf(cast(wide, DType::Int4)), (Bytes{7, 0xf8, 6}));
  EXPECT_EQ(bytesOf(cast(wide, DType::Float4E2M1)), (Bytes{0xf, 7, 7}));
  // And back.
  EXPECT_EQ(elementsOf<float>(cast(cast(wide, DType::Int4), DType::Float32)),
            (std::vector<float>{7, -8, 6}));
  EXPECT_EQ(elementsOf<int8_t>(cast(cast(x, DType::Float4E2M1), DType::Int8)),
            (std::vector<int8_t>{1, -3, 6, 0, -6}));
  EXPECT_EQ(elementsOf<std::string>(cast(cast(wide, DType::Float8E5M2), DType::String)),
            (std::vector<std::string>{"-8.0", "192.0", "6.0"}));
  EXPECT_EQ(bytesOf(cast(stringTensor({"2.5", "-1"}), DType::UInt4)), (Bytes{2, 0}));
}

TEST(Cast, SaysHowMiniFloatsRound) {
  Tensor x = Tensor::of<float>({3}, {3, 1e9f, 0});
  Attributes wraps = to(DType::Float8E5M2);
  wraps.set("saturate", int64_t{0});
  EXPECT_EQ(bytesOf(evaluate("nn.cast", {x}, wraps)), (std::vector<uint8_t>{0x42, 0x7c, 0}));
  Attributes down = to(DType::Float8E8M0);
  down.set("rounding", static_cast<int64_t>(CastRounding::Down));
  EXPECT_EQ(bytesOf(evaluate("nn.cast", {x}, down)), (std::vector<uint8_t>{128, 156, 0}));
}

TEST(Cast, SharesWhatStaysTheSame) {
  Tensor x = Tensor::of<float>({2}, {1, 2});
  EXPECT_EQ(evaluate("nn.cast", {x}, to(DType::Float32)).rawData(), x.rawData());
  EXPECT_TRUE((cast<int32_t, float>({})).empty());
  EXPECT_EQ(evaluateError("nn.cast", {x}, to(DType::Complex64)).code(), StatusCode::Unsupported);
}
