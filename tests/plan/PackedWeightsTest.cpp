//===- PackedWeightsTest.cpp - packed once, then let go -------------------===//
#include "backends/plan/PackedWeights.h"

#include <gtest/gtest.h>

#include <atomic>

using namespace quern;
using namespace quern::plan;
using nn::WeightSource;

namespace {
constexpr int64_t kElements = 4096;

Tensor ramp() {
  Tensor tensor = Tensor::allocate(DType::Float32, {kElements}).take();
  for (int64_t i = 0; i < kElements; ++i)
    tensor.mutableData<float>()[i] = static_cast<float>(i);
  return tensor;
}

/// Counts the packings.
StepBuffer counting(const WeightSource &source, const std::string &how, std::atomic<int> &calls) {
  return StepBuffer::packed(source, how,
                            [&calls](const Tensor &view, const auto &) -> Expected<Tensor> {
                              ++calls;
                              return view.clone();
                            });
}
} // namespace

TEST(PackedWeights, PacksOncePerWeightAndWay) {
  PackedWeights weights(/*threads=*/2);
  std::atomic<int> calls = 0;
  WeightSource a = WeightSource::of(ramp()), b = WeightSource::of(ramp());
  std::vector<StepBuffer> buffers = {counting(a, "x", calls), counting(a, "x", calls),
                                     counting(a, "y", calls), counting(b, "x", calls)};
  std::vector<const StepBuffer *> pointers;
  for (const StepBuffer &buffer : buffers)
    pointers.push_back(&buffer);
  auto first = weights.pack(pointers);
  ASSERT_TRUE(first);
  EXPECT_EQ(calls, 3);
  EXPECT_EQ((*first)[0].rawData(), (*first)[1].rawData());
  EXPECT_NE((*first)[0].rawData(), (*first)[2].rawData());
  auto second = weights.pack(pointers);
  ASSERT_TRUE(second);
  EXPECT_EQ(calls, 3);
  EXPECT_EQ((*second)[3].rawData(), (*first)[3].rawData());
}

TEST(PackedWeights, LetGoOfWhatIsPacked) {
  PackedWeights weights(/*threads=*/1);
  std::atomic<int> calls = 0;
  Tensor folded = ramp();
  WeightSource source = WeightSource::computed(
      DType::Float32, {kElements}, []() -> Expected<Tensor> { return ramp(); }, {}, folded);
  StepBuffer buffer = counting(source, "x", calls);
  EXPECT_FALSE(folded.isSoleOwner());
  ASSERT_TRUE(weights.pack({&buffer}));
  EXPECT_TRUE(folded.isSoleOwner()) << "the source is still held beside what was packed";
  // Another way to pack it computes it again.
  StepBuffer other = counting(source, "y", calls);
  auto packed = weights.pack({&other});
  ASSERT_TRUE(packed);
  EXPECT_EQ((*packed)[0].data<float>()[kElements - 1], static_cast<float>(kElements - 1));
}

TEST(PackedWeights, ErrorsComeThrough) {
  PackedWeights weights(/*threads=*/2);
  std::atomic<int> calls = 0;
  WeightSource source = WeightSource::computed(
      DType::Float32, {kElements}, []() -> Expected<Tensor> { return resourceLimit("no memory"); });
  StepBuffer buffer = counting(source, "x", calls);
  auto packed = weights.pack({&buffer});
  ASSERT_FALSE(packed);
  EXPECT_EQ(packed.status().message(), "no memory");
  EXPECT_FALSE(weights.unpacked(source));
  EXPECT_FALSE(weights.unpacked(source)) << "a failure must not be remembered as a result";
}

TEST(PackedWeights, UnpackedOnesAreCopiedOnce) {
  std::vector<std::byte> bytes(1 + kElements * 4);
  nn::WeightStore store;
  store.addBlob("odd", bytes.data(), static_cast<int64_t>(bytes.size()), nullptr);
  auto odd = store.find("odd", 1, DType::Float32, {kElements});
  ASSERT_TRUE(odd);
  PackedWeights weights(/*threads=*/1);
  auto first = weights.unpacked(*odd), second = weights.unpacked(*odd);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->rawData(), second->rawData());
  EXPECT_NE(first->rawData(), bytes.data() + 1);
  // Those that are aligned stay where they are.
  Tensor tensor = ramp();
  EXPECT_EQ(weights.unpacked(WeightSource::of(tensor))->rawData(), tensor.rawData());
}
