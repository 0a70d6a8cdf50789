//===- WeightStoreTest.cpp - blobs that weights refer to ------------------===//
#include "ir/WeightStore.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

using namespace quern;
using namespace quern::nn;

namespace {
/// A weight that computes 1, 2, 3, ... and counts how often.
WeightSource counted(int64_t elements, int &calls, bool hasResult) {
  auto recipe = [elements, &calls]() -> Expected<Tensor> {
    ++calls;
    QUERN_ASSIGN(Tensor tensor, Tensor::allocate(DType::Float32, {elements}));
    for (int64_t i = 0; i < elements; ++i)
      tensor.mutableData<float>()[i] = static_cast<float>(i + 1);
    return tensor;
  };
  Tensor now;
  if (hasResult)
    now = recipe().take();
  return WeightSource::computed(DType::Float32, {elements}, recipe, {}, now);
}

/// A temporary file of floats 0, 1, 2, ... after one byte, mapped.
class MappedFloats {
public:
  explicit MappedFloats(int64_t count) : size(1 + count * 4) {
    std::FILE *file = std::tmpfile();
    std::fputc('x', file);
    for (int64_t i = 0; i < count; ++i) {
      auto value = static_cast<float>(i);
      std::fwrite(&value, sizeof value, 1, file);
    }
    std::fflush(file);
    data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fileno(file), 0);
    std::fclose(file);
  }
  ~MappedFloats() { ::munmap(data, size); }
  /// Of the pages of the mapping, how many this process holds.
  int64_t residentPages() const {
    std::FILE *smaps = std::fopen("/proc/self/smaps", "r");
    char line[512], start[32];
    std::snprintf(start, sizeof start, "%lx-", reinterpret_cast<unsigned long>(data));
    bool inside = false;
    long kilobytes = -1;
    while (std::fgets(line, sizeof line, smaps)) {
      if (std::strchr(line, '-') && !std::strncmp(line, start, std::strlen(start)))
        inside = true;
      if (inside && std::sscanf(line, "Rss: %ld kB", &kilobytes) == 1)
        break;
    }
    std::fclose(smaps);
    return kilobytes * 1024 / ::sysconf(_SC_PAGESIZE);
  }

  size_t size;
  void *data;
};
} // namespace

TEST(WeightSource, ComputedOnesAreHadAgain) {
  int calls = 0;
  WeightSource weight = counted(1000, calls, /*hasResult=*/true);
  auto first = weight.load();
  ASSERT_TRUE(first);
  EXPECT_EQ(calls, 1);
  weight.release();
  EXPECT_TRUE(first->isSoleOwner()) << "the weight still holds what was released";
  auto again = weight.load();
  ASSERT_TRUE(again);
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(again->data<float>()[999], 1000.0f);
  EXPECT_EQ(first->data<float>()[999], 1000.0f);
}

TEST(WeightSource, LazyOnesAreComputedWhenTheyAreRead) {
  int calls = 0;
  WeightSource weight = counted(10, calls, /*hasResult=*/false);
  EXPECT_EQ(weight.numBytes(), 40);
  EXPECT_EQ(calls, 0);
  ASSERT_TRUE(weight.load());
  EXPECT_EQ(calls, 1);
}

TEST(WeightSource, WhatIsNotAtHandIsNotComputed) {
  int calls = 0;
  WeightSource weight = counted(4, calls, /*hasResult=*/true);
  ASSERT_TRUE(weight.viewAtHand());
  EXPECT_EQ(weight.viewAtHand()->numElements(), 4);
  weight.release();
  calls = 0;
  EXPECT_FALSE(weight.viewAtHand());
  EXPECT_EQ(calls, 0);
}

TEST(WeightSource, AWrongRecipeIsAnError) {
  auto recipe = []() -> Expected<Tensor> { return Tensor::of<float>({3}, {1, 2, 3}); };
  WeightSource weight = WeightSource::computed(DType::Float32, {4}, recipe);
  auto loaded = weight.load();
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.status().message(), "a folded weight is float32 3, wanted float32 4");
}

// Each is computed from the one before, twice: 2^60 recipes for the last.
TEST(WeightSource, TooManyRecipesAreNotRunAgain) {
  int calls = 0;
  WeightSource weight = counted(4, calls, /*hasResult=*/true);
  for (int i = 0; i < 60; ++i) {
    WeightSource operands[] = {weight, weight};
    auto recipe = [weight]() -> Expected<Tensor> {
      QUERN_ASSIGN(Tensor first, weight.load());
      return weight.load();
    };
    Tensor now = weight.load().take();
    weight.release();
    weight = WeightSource::computed(DType::Float32, {4}, recipe, operands, now);
    EXPECT_LE(weight.recipes(), WeightSource::kMaxRecipes);
  }
  calls = 0;
  weight.release();
  auto loaded = weight.load();
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->data<float>()[3], 4.0f);
  EXPECT_LE(calls, WeightSource::kMaxRecipes);
}

TEST(WeightSource, KeysNameWeightsNotAddresses) {
  WeightStore store;
  std::string text(64, 'x');
  store.addBlob("a", text.data(), 64, nullptr);
  store.addBlob("b", text.data(), 64, nullptr);
  auto key = [&](const char *blob, int64_t offset, Tensor::Dims dims) {
    auto found = store.find(blob, offset, DType::Float32, std::move(dims));
    return found ? found->key() : "";
  };
  EXPECT_EQ(key("a", 4, {2, 3}), key("a", 4, {2, 3}));
  EXPECT_NE(key("a", 4, {2, 3}), key("a", 8, {2, 3}));
  EXPECT_NE(key("a", 4, {2, 3}), key("a", 4, {3, 2}));
  EXPECT_NE(key("a", 4, {2, 3}), key("b", 4, {2, 3}));
  // Shared with another store it is the same weight.
  WeightStore other;
  other.shareBlobs(store);
  EXPECT_EQ(other.find("a", 4, DType::Float32, {2, 3})->key(), key("a", 4, {2, 3}));
}

TEST(WeightStore, ReadsAtAnyAddress) {
  std::string bytes(9, '\0');
  float value = 2.5f;
  std::memcpy(bytes.data() + 1, &value, sizeof value);
  WeightStore store;
  store.addBlob("odd", bytes.data(), 9, nullptr);
  auto tensor = store.read("odd", 1, DType::Float32, {2});
  ASSERT_TRUE(tensor);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor->rawData()) % alignof(float), 0u);
  EXPECT_EQ(tensor->data<float>()[0], 2.5f);
  // A view is where the bytes are.
  EXPECT_EQ(store.find("odd", 1, DType::Float32, {2})->view()->rawData(), bytes.data() + 1);
}

TEST(WeightStore, ReadsNothingOutsideABlob) {
  std::string bytes(64, '\0');
  WeightStore store;
  store.addBlob("w", bytes.data(), 64, nullptr);
  EXPECT_TRUE(store.find("w", 32, DType::Float32, {8}));
  EXPECT_TRUE(store.find("w", 64, DType::Float32, {0}));
  for (auto [offset, elements] :
       {std::pair<int64_t, int64_t>{36, 8}, {-4, 1}, {65, 0}, {INT64_MAX, 1}, {0, INT64_MAX}}) {
    auto found = store.find("w", offset, DType::Float32, {elements});
    ASSERT_FALSE(found) << offset;
    EXPECT_EQ(found.status().code(), StatusCode::InvalidModel);
  }
  int calls = 0;
  std::string name = store.add(counted(8, calls, /*hasResult=*/false));
  EXPECT_TRUE(store.find(name, 0, DType::Float32, {2, 4}));
  EXPECT_FALSE(store.find(name, 4, DType::Float32, {7})) << "a part of what is computed";
}

TEST(WeightStore, PagesOfAFileComeAndGo) {
  constexpr int64_t kCount = 1 << 20;
  MappedFloats file(kCount);
  WeightStore store;
  store.addMappedFile("file", file.data, static_cast<int64_t>(file.size), nullptr);
  auto weight = store.find("file", 1, DType::Float32, {kCount});
  ASSERT_TRUE(weight);
  EXPECT_EQ(weight->load()->data<float>()[kCount - 1], static_cast<float>(kCount - 1));
  EXPECT_GT(file.residentPages(), 1000);
  weight->release(0, weight->numBytes() / 2);
  EXPECT_LT(file.residentPages(), 600);
  weight->release();
  EXPECT_LT(file.residentPages(), 20);
  EXPECT_EQ(weight->load()->data<float>()[kCount / 2], static_cast<float>(kCount / 2));
}
