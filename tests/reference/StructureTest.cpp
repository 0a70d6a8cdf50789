//===- StructureTest.cpp - into blocks of channels, and between them ------===//
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

// Blocks of two and of three channels, of which the second tensor has two images' pixels.
TEST(GatherChannels, CountsLanesOfAllInputs) {
  Tensor x = Tensor::of<int32_t>({1, 2, 2, 2}, {1, 11, 2, 12, 21, 31, 22, 32});
  Tensor y = Tensor::of<int32_t>({1, 1, 2, 3}, {41, 51, 61, 42, 52, 62});
  Attributes attributes = makeAttributes(
      {{"lanes", std::vector<int64_t>{6, 0, -1, 3, 4}}, {"output_block", int64_t{4}}});
  expectTensor<int32_t>(evaluate("nn.gather_channels", {x, y}, attributes), {1, 2, 2, 4},
                        {61, 1, 0, 31, 62, 2, 0, 32, 41, 0, 0, 0, 42, 0, 0, 0});
}

TEST(GatherChannels, RefusesWhatIsNotThere) {
  Tensor x = Tensor::of<float>({1, 1, 2, 2}, {1, 2, 3, 4});
  Tensor other = Tensor::of<float>({1, 1, 1, 2}, {1, 2});
  auto errorOf = [&](std::vector<Tensor> inputs, std::vector<int64_t> lanes, int64_t size) {
    return evaluateError("nn.gather_channels", std::move(inputs),
                         makeAttributes({{"lanes", std::move(lanes)}, {"output_block", size}}))
        .message();
  };
  EXPECT_EQ(errorOf({x}, {2}, 2), "there is no lane 2");
  EXPECT_EQ(errorOf({x, other}, {2}, 2), "inputs must be of as many pixels, found float32 1x1x1x2");
  EXPECT_EQ(errorOf({x}, {0}, 0), "block must be positive, found 0");
  EXPECT_EQ(errorOf({Tensor::of<float>({1, 2}, {1, 2})}, {0}, 2),
            "inputs must be alike and in blocks, found float32 1x2");
}
