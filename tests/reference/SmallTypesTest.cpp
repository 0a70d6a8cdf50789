//===- SmallTypesTest.cpp - floats of 8 bits and less, integers of 2 and 4 ===//
#include "tests/reference/KernelCall.h"

#include "runtime/reference/SmallTypes.h"

#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::reference;

static constexpr double kInf = std::numeric_limits<double>::infinity();
static constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
static constexpr MiniFloatRules kWrap = {/*saturate=*/false, CastRounding::Nearest};

static void expectCodes(DType dtype, const std::vector<std::pair<double, int>> &rows,
                        MiniFloatRules rules = {}) {
  for (auto [value, code] : rows)
    EXPECT_EQ(encodeMiniFloat(dtype, value, rules), code) << dtypeName(dtype) << " of " << value;
}

TEST(MiniFloat, EveryCodeIsThatOfItsValue) {
  for (int number = 1; isDTypeNumber(number); ++number) {
    auto dtype = static_cast<DType>(number);
    if (!isMiniFloat(dtype))
      continue;
    for (int code = 0; code < 1 << dtypeBits(dtype); ++code) {
      double value = decodeMiniFloat(dtype, static_cast<uint8_t>(code));
      if (!std::isnan(value))
        EXPECT_EQ(encodeMiniFloat(dtype, value, kWrap), code) << dtypeName(dtype);
    }
  }
}

TEST(MiniFloat, RoundsHalvesToEven) {
  expectCodes(DType::Float8E4M3FN,
              {{1, 0x38}, {0, 0}, {-0.0, 0x80}, {-0x1p-9, 0x81}, {0x1p-10, 0}, {0x1.8p-9, 2}});
  expectCodes(DType::Float8E5M2, {{1, 0x3c}, {1.125, 0x3c}, {1.375, 0x3e}, {-0x1p-16, 0x81}});
  expectCodes(DType::Float4E2M1, {{0.25, 0}, {0.75, 2}, {2.5, 4}, {3.5, 6}, {-3.5, 14}, {5, 6}});
  expectCodes(DType::Float6E2M3, {{0.125, 1}, {7.5, 0x1f}, {-1, 0x28}});
  expectCodes(DType::Float6E3M2, {{28, 0x1f}, {0.0625, 1}, {1, 0x0c}});
}

TEST(MiniFloat, BeyondTheLargest) {
  // 464 is the half way to 480, which the type would have without its NaN.
  expectCodes(DType::Float8E4M3FN, {{464, 0x7e}, {465, 0x7e}, {kInf, 0x7e}, {-kInf, 0xfe}});
  expectCodes(DType::Float8E4M3FN, {{464, 0x7e}, {465, 0x7f}, {-kInf, 0xff}}, kWrap);
  expectCodes(DType::Float8E5M2, {{61439, 0x7b}, {61440, 0x7b}, {-1e9, 0xfb}});
  expectCodes(DType::Float8E5M2, {{61439, 0x7b}, {61440, 0x7c}, {-kInf, 0xfc}}, kWrap);
  expectCodes(DType::Float8E4M3FNUZ, {{240, 0x7f}, {248, 0x7f}, {-1e6, 0xff}});
  expectCodes(DType::Float8E4M3FNUZ, {{247, 0x7f}, {248, 0x80}, {-1e6, 0x80}}, kWrap);
  // Without infinity and NaN there is nothing else.
  for (MiniFloatRules rules : {MiniFloatRules{}, kWrap}) {
    expectCodes(DType::Float4E2M1, {{100, 7}, {-kInf, 15}}, rules);
    expectCodes(DType::Float6E2M3, {{100, 0x1f}}, rules);
  }
}

TEST(MiniFloat, NanAndMinusZero) {
  expectCodes(DType::Float8E4M3FN, {{kNan, 0x7f}});
  expectCodes(DType::Float8E5M2, {{kNan, 0x7e}});
  expectCodes(DType::Float8E4M3FNUZ, {{kNan, 0x80}, {-0.0, 0}, {-1e-9, 0}, {1, 0x40}});
  expectCodes(DType::Float8E5M2FNUZ, {{kNan, 0x80}, {-0.0, 0}, {1, 0x40}});
  expectCodes(DType::Float8E8M0, {{kNan, 0xff}});
  expectCodes(DType::Float4E2M1, {{kNan, 8}, {-0.0, 8}});
  EXPECT_TRUE(std::isnan(decodeMiniFloat(DType::Float8E4M3FN, 0xff)));
  EXPECT_EQ(decodeMiniFloat(DType::Float8E5M2, 0xfc), -kInf);
  EXPECT_TRUE(std::isnan(decodeMiniFloat(DType::Float8E5M2, 0x7d)));
}

TEST(MiniFloat, PowersOfTwo) {
  MiniFloatRules up{true, CastRounding::Up}, down{true, CastRounding::Down};
  expectCodes(DType::Float8E8M0, {{1, 127}, {1.1, 128}, {0, 0}, {kInf, 254}, {0x1p-140, 0}}, up);
  expectCodes(DType::Float8E8M0, {{1.9, 127}, {0.3, 125}}, down);
  expectCodes(DType::Float8E8M0, {{1.4, 127}, {1.5, 128}, {3, 129}});
  expectCodes(DType::Float8E8M0, {{0, 255}, {kInf, 255}, {0x1p-128, 255}, {2, 128}}, kWrap);
}

template <DType kDType> static std::vector<int64_t> valuesOf(const std::vector<int64_t> &numbers) {
  std::vector<int64_t> values;
  for (int64_t number : numbers)
    values.push_back(SmallInt<kDType>(number).value());
  return values;
}

TEST(SmallInt, KeepsTheLowBits) {
  EXPECT_EQ(valuesOf<DType::Int4>({7, 8, -8, -9, 255}), (std::vector<int64_t>{7, -8, -8, 7, -1}));
  EXPECT_EQ(valuesOf<DType::UInt4>({15, 16, -1}), (std::vector<int64_t>{15, 0, 15}));
  EXPECT_EQ(valuesOf<DType::Int2>({1, 2, 3, -3}), (std::vector<int64_t>{1, -2, -1, 1}));
  EXPECT_EQ(valuesOf<DType::UInt2>({3, 4, -2}), (std::vector<int64_t>{3, 0, 2}));
}
