//===- StructureTest.cpp - pack and unpack --------------------------------===//
#include "tests/reference/KernelCall.h"

using namespace quern;
using namespace quern::reference;

static Attributes block(int64_t size) { return makeAttributes({{"output_block", size}}); }
static Attributes channels(int64_t count) { return makeAttributes({{"channels", count}}); }

TEST(Pack, BlocksChannelsAndPadsWithZeros) {
  Tensor x = Tensor::of<int32_t>({1, 3, 2}, {1, 2, 3, 4, 5, 6});
  expectTensor<int32_t>(evaluate("nn.pack", {x}, block(2)), {1, 2, 2, 2}, {1, 3, 2, 4, 5, 0, 6, 0});
}

TEST(Pack, KeepsBatchesApart) {
  Tensor x = Tensor::of<uint8_t>({2, 2}, {1, 2, 3, 4});
  expectTensor<uint8_t>(evaluate("nn.pack", {x}, block(4)), {2, 1, 4}, {1, 2, 0, 0, 3, 4, 0, 0});
}

TEST(Unpack, IsTheInverseOfPack) {
  Tensor x = Tensor::of<double>({2, 3, 2}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  for (int64_t size : {1, 2, 3, 5}) {
    Tensor packed = evaluate("nn.pack", {x}, block(size));
    expectTensor<double>(evaluate("nn.unpack", {packed}, channels(3)), {2, 3, 2},
                         elementsOf<double>(x));
  }
}

TEST(Pack, ServesEmptyTensors) {
  Tensor x = Tensor::of<float>({0, 3, 2}, {});
  Tensor packed = evaluate("nn.pack", {x}, block(2));
  expectTensor<float>(packed, {0, 2, 2, 2}, {});
  expectTensor<float>(evaluate("nn.unpack", {packed}, channels(3)), {0, 3, 2}, {});
  expectTensor<float>(evaluate("nn.pack", {Tensor::of<float>({1, 0, 2}, {})}, block(2)),
                      {1, 0, 2, 2}, {});
}

TEST(Pack, RefusesBadAttributes) {
  Tensor x = Tensor::of<float>({1, 2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(evaluateError("nn.pack", {x}, block(0)).message(), "block must be positive, found 0");
  EXPECT_EQ(evaluateError("nn.unpack", {x}, channels(5)).message(),
            "cannot keep 5 channels of float32 1x2x2");
  EXPECT_EQ(evaluateError("nn.pack", {x}, block(INT64_MAX)).code(), StatusCode::ResourceLimit);
}
