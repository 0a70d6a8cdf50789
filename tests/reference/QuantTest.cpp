//===- QuantTest.cpp - reference kernels of quantization ------------------===//
//
// Numbers computed by hand. What ONNX's ops mean is tested where they are imported.
//
//===----------------------------------------------------------------------===//
#include "tests/reference/KernelCall.h"

#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::reference;

static Attributes quantizing(DType to, int64_t axis = 0, int64_t blockSize = 0,
                             DType precision = DType::Float32) {
  return makeAttributes({{"to", to},
                         {"precision", precision},
                         {"axis", axis},
                         {"block_size", blockSize},
                         {"saturate", int64_t{0}}});
}

static Tensor floats(const Tensor::Dims &dims, const std::vector<float> &values) {
  return Tensor::of<float>(dims, values);
}

/// A tensor of a type of a byte or less, by the bytes it has in memory.
static Tensor bytesOf(DType dtype, const Tensor::Dims &dims, const std::vector<int> &values) {
  Tensor tensor = Tensor::allocate(dtype, dims).take();
  std::copy(values.begin(), values.end(), static_cast<uint8_t *>(tensor.mutableRawData()));
  return tensor;
}

TEST(Quantize, AlongAnAxisInTheMiddle) {
  Tensor x = floats({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  expectTensor<int8_t>(evaluate("nn.quantize",
                                {x, floats({2}, {1, 2}), Tensor::of<int8_t>({2}, {0, -10})},
                                quantizing(DType::Int8, 1), DType::Int8),
                       {2, 2, 2}, {1, 2, -8, -8, 5, 6, -6, -6});
}

TEST(Quantize, BlocksOfWhichTheLastIsSmaller) {
  Tensor x = floats({3, 2}, {1, 2, 3, 4, 5, 6});
  for (int64_t axis : {0, -2})
    expectTensor<uint8_t>(evaluate("nn.quantize",
                                   {x, floats({2, 1}, {1, 0.5}), Tensor::of<uint8_t>({}, {1})},
                                   quantizing(DType::UInt8, axis, 2), DType::UInt8),
                          {3, 2}, {2, 3, 4, 5, 11, 13});
}

// What is not a number is 0; an infinity is at the end.
TEST(Quantize, WhatIsNoNumber) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  Tensor x = floats({4}, {kInf, -kInf, NAN, 0});
  expectTensor<int8_t>(evaluate("nn.quantize", {x, floats({}, {0}), Tensor::of<int8_t>({}, {5})},
                                quantizing(DType::Int8), DType::Int8),
                       {4}, {127, -128, 0, 0});
}

// A zero point that is left out does not change the sign of zero.
TEST(Quantize, NegativeZeroOfMiniFloats) {
  Tensor x = floats({2}, {-0.0f, -0.5f}), one = floats({}, {1});
  auto bits = [&](const Tensor &zeroPoint) {
    Tensor y = evaluate("nn.quantize", {x, one, zeroPoint}, quantizing(DType::Float8E5M2),
                        DType::Float8E5M2);
    return std::vector<int>{static_cast<const uint8_t *>(y.rawData())[0],
                            static_cast<const uint8_t *>(y.rawData())[1]};
  };
  EXPECT_EQ(bits(Tensor()), (std::vector<int>{0x80, 0xb8}));
  EXPECT_EQ(bits(bytesOf(DType::Float8E5M2, {}, {0})), (std::vector<int>{0, 0xb8}));
}

// 2348 / 7 is 335.43; in bfloat16, which has 8 bits, 336.
TEST(Quantize, TheQuotientIsOfItsPrecision) {
  Tensor x = floats({1}, {2348}), scale = floats({}, {7});
  auto quotient = [&](DType precision) {
    return evaluate("nn.quantize", {x, scale, Tensor()}, quantizing(DType::UInt16, 0, 0, precision),
                    DType::UInt16);
  };
  expectTensor<uint16_t>(quotient(DType::Float32), {1}, {335});
  expectTensor<uint16_t>(quotient(DType::BFloat16), {1}, {336});
}

TEST(Dequantize, DifferencesOfInt32Wrap) {
  Tensor x = Tensor::of<int32_t>({1}, {INT32_MIN}), zero = Tensor::of<int32_t>({}, {1});
  expectTensor<float>(evaluate("nn.dequantize", {x, floats({}, {0.5}), zero},
                               makeAttributes({{"to", DType::Float32}})),
                      {1}, {0x1p30f});
}

TEST(Dequantize, BlocksOfFewBits) {
  Tensor x = bytesOf(DType::UInt4, {2, 3}, {0, 15, 8, 1, 2, 3});
  Tensor zeros = bytesOf(DType::UInt4, {2, 2}, {8, 0, 1, 3});
  expectTensor<float>(
      evaluate("nn.dequantize", {x, floats({2, 2}, {1, 0.5, 2, 4}), zeros},
               makeAttributes(
                   {{"to", DType::Float32}, {"axis", int64_t{1}}, {"block_size", int64_t{2}}})),
      {2, 3}, {-8, 7, 4, 0, 2, 0});
}

TEST(Quantize, Errors) {
  auto messageOf = [](const Tensor &x, const Tensor &scale, const Attributes &attributes) {
    auto results = evaluateAll("nn.quantize", {x, scale, Tensor()}, attributes, {DType::Int8});
    return results ? std::string() : results.status().message();
  };
  Tensor x = floats({2, 3}, {0, 0, 0, 0, 0, 0}), two = floats({2}, {1, 1});
  EXPECT_EQ(messageOf(x, two, quantizing(DType::Int8, 1)),
            "a scale or zero point does not fit: 2 to 2x3");
  EXPECT_EQ(messageOf(x, floats({1, 2}, {1, 1}), quantizing(DType::Int8, 1, 2)), "");
  EXPECT_EQ(messageOf(x, floats({2, 1}, {1, 1}), quantizing(DType::Int8, 1, 2)),
            "a scale or zero point does not fit: 2x1 to 2x3");
  EXPECT_NE(messageOf(x, two, quantizing(DType::Int8, 2)), "");
}

TEST(ConvInteger, BeyondTheEdgesLiesTheZeroPoint) {
  Tensor x = Tensor::of<uint8_t>({1, 1, 1, 2}, {10, 12});
  Tensor w = Tensor::of<int8_t>({2, 1, 1, 3}, {1, 2, 3, 4, 5, 6});
  Attributes attributes = makeAttributes({{"strides", std::vector<int64_t>{1, 1}},
                                          {"dilations", std::vector<int64_t>{1, 1}},
                                          {"pads", std::vector<int64_t>{0, 1, 0, 1}},
                                          {"group", int64_t{1}}});
  // 1 and 3 between zeros; weights 0 1 2 and 3 4 5; a bias of 100 and 0.
  expectTensor<int32_t>(evaluate("nn.conv_integer",
                                 {x, w, Tensor::of<uint8_t>({1}, {9}), Tensor::of<int8_t>({}, {1}),
                                  Tensor::of<int32_t>({2}, {100, 0})},
                                 attributes, DType::Int32),
                        {1, 2, 1, 2}, {107, 103, 19, 15});
}

TEST(MatMulInteger, ZeroPointsOfRowsAndColumns) {
  Tensor a = Tensor::of<uint8_t>({2, 2}, {255, 0, 1, 2}),
         b = Tensor::of<int8_t>({2, 1}, {-128, 127});
  expectTensor<int32_t>(
      evaluate("nn.matmul_integer",
               {a, b, Tensor::of<uint8_t>({2}, {255, 0}), Tensor::of<int8_t>({1}, {127})}, {},
               DType::Int32),
      {2, 1}, {0, -255});
}

TEST(ByteLookup, EntriesByTheBitsOfANumber) {
  std::vector<uint8_t> entries(256);
  for (size_t i = 0; i < entries.size(); ++i)
    entries[i] = static_cast<uint8_t>(255 - i);
  Tensor table = Tensor::of<uint8_t>({256}, entries);
  expectTensor<uint8_t>(
      evaluate("nn.byte_lookup", {Tensor::of<uint8_t>({3}, {0, 7, 255}), table}, {}, DType::UInt8),
      {3}, {255, 248, 0});
  expectTensor<uint8_t>(
      evaluate("nn.byte_lookup", {Tensor::of<int8_t>({1, 2}, {-1, 127}), table}, {}, DType::UInt8),
      {1, 2}, {0, 128});
}
