//===- NpzTest.cpp --------------------------------------------------------===//
#include "tools/quern/Npz.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace quern;
using namespace quern::cli;

namespace {
std::string pathOf(const char *name) {
  return testing::TempDir() + "quern_" + name + std::to_string(getpid()) + ".npz";
}

Expected<std::vector<NamedArray>> parse(const std::string &bytes, const Limits &limits = {}) {
  std::string path = pathOf("given");
  std::ofstream(path, std::ios::binary) << bytes;
  auto arrays = readNpz(path, limits);
  std::filesystem::remove(path);
  return arrays;
}

/// The bytes that writeNpz makes of these.
std::string archiveOf(const std::vector<NamedArray> &arrays) {
  std::string path = pathOf("made");
  AtomicFile file = AtomicFile::create(path).take();
  EXPECT_TRUE(writeNpz(file, arrays).isOk());
  EXPECT_TRUE(file.commit().isOk());
  FileBytes bytes = readFile(path, 1 << 26).take();
  std::filesystem::remove(path);
  return {reinterpret_cast<const char *>(bytes.data.get()), bytes.size};
}

std::string goodArchive() {
  return archiveOf({{"a", Tensor::of<float>({2}, {1, 2})}, {"b/ü", Tensor::ofInts({7})}});
}
} // namespace

TEST(Npz, ReadsWhatItWrites) {
  auto arrays = parse(goodArchive());
  ASSERT_TRUE(arrays) << arrays.status().message();
  ASSERT_EQ(arrays->size(), 2u);
  EXPECT_EQ((*arrays)[0].name, "a");
  EXPECT_EQ((*arrays)[0].tensor.data<float>()[1], 2.0f);
  EXPECT_EQ((*arrays)[1].name, "b/ü");
  EXPECT_EQ((*arrays)[1].tensor.data<int64_t>()[0], 7);
}

TEST(Npz, TensorsOutliveTheFile) {
  auto arrays = parse(goodArchive());
  Tensor tensor = (*arrays)[0].tensor;
  arrays->clear();
  EXPECT_EQ(tensor.data<float>()[0], 1.0f);
}

TEST(Npz, EveryPrefixIsRefused) {
  std::string good = goodArchive();
  for (size_t length = 0; length < good.size(); ++length) {
    auto arrays = parse(good.substr(0, length));
    EXPECT_FALSE(arrays) << length;
  }
}

TEST(Npz, DamageIsNeverRead) {
  std::string good = goodArchive();
  auto wanted = parse(good);
  for (size_t i = 0; i < good.size(); ++i)
    for (char change : {'\x01', '\x80', '\xff'}) {
      std::string damaged = good;
      damaged[i] = static_cast<char>(damaged[i] ^ change);
      auto arrays = parse(damaged);
      if (!arrays) // a field that says nothing about the elements may change
        continue;
      ASSERT_LE(arrays->size(), 2u);
      for (size_t a = 0; a < arrays->size(); ++a)
        EXPECT_EQ((*arrays)[a].tensor.numBytes(), (*wanted)[a].tensor.numBytes()) << i;
    }
}

TEST(Npz, ChecksumsCount) {
  std::string damaged = goodArchive();
  size_t data = damaged.find("\n", damaged.find("NUMPY")) + 1; // behind the header
  damaged[data] = 'x';
  auto arrays = parse(damaged);
  ASSERT_FALSE(arrays);
  EXPECT_EQ(arrays.status().message(),
            "array 'a': the checksum does not match: the .npz file is damaged");
}

TEST(Npz, EqualArraysAreEqualFiles) { EXPECT_EQ(goodArchive(), goodArchive()); }

TEST(Npz, MoreArraysThanAnOldZipHolds) {
  constexpr size_t kCount = 66'000;
  std::vector<NamedArray> arrays;
  for (size_t i = 0; i < kCount; ++i)
    arrays.push_back({std::to_string(i), Tensor::ofInts({static_cast<int64_t>(i)})});
  auto found = parse(archiveOf(arrays));
  ASSERT_TRUE(found) << found.status().message();
  ASSERT_EQ(found->size(), kCount);
  EXPECT_EQ(found->back().name, arrays.back().name);
  EXPECT_EQ(found->back().tensor.data<int64_t>()[0], static_cast<int64_t>(kCount - 1));
}

TEST(Npz, NoArrays) {
  auto found = parse(archiveOf({}));
  ASSERT_TRUE(found) << found.status().message();
  EXPECT_TRUE(found->empty());
}

TEST(Npz, LongNames) {
  std::string path = pathOf("long");
  AtomicFile file = AtomicFile::create(path).take();
  Tensor tensor = Tensor::ofInts({7});
  std::string longest(65'531, 'n');
  EXPECT_EQ(parse(archiveOf({{longest, tensor}}))->front().name, longest);
  Status status = writeNpz(file, {{longest + "n", tensor}});
  EXPECT_EQ(status.message(), "a name of 65536 bytes in a .npz file: write NAME=FILE.npy");
  status = writeNpz(file, {{std::string("a\0b", 3), tensor}});
  EXPECT_EQ(status.code(), StatusCode::Unsupported);
}

TEST(Npz, NamesThatAreNoUtf8) {
  auto found = parse(archiveOf({{"a\xff", Tensor::ofInts({7})}}));
  ASSERT_TRUE(found) << found.status().message();
  EXPECT_EQ(found->front().name, "a\xff");
}

TEST(Npz, AllArraysTogetherAreBounded) {
  Limits limits;
  limits.maxActivationBytes = 200;
  auto found = parse(goodArchive(), limits);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.status().code(), StatusCode::ResourceLimit);
}
