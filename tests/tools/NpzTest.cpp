//===- NpzTest.cpp --------------------------------------------------------===//
#include "tools/quern/Npz.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace quern;
using namespace quern::cli;

namespace {
FileBytes bytesOf(const std::string &text) {
  auto copy = std::make_shared<std::string>(text);
  return {std::shared_ptr<const std::byte>(copy, reinterpret_cast<const std::byte *>(copy->data())),
          text.size()};
}

/// The bytes that writeNpz makes of two arrays.
std::string goodArchive() {
  std::string path = testing::TempDir() + "quern_npz_" + std::to_string(getpid()) + ".npz";
  AtomicFile file = AtomicFile::create(path).take();
  std::vector<NamedArray> arrays = {{"a", Tensor::of<float>({2}, {1, 2})},
                                    {"b/ü", Tensor::ofInts({7})}};
  EXPECT_TRUE(writeNpz(file, arrays).isOk());
  EXPECT_TRUE(file.commit().isOk());
  FileBytes bytes = readFile(path, 1 << 20).take();
  std::filesystem::remove(path);
  return {reinterpret_cast<const char *>(bytes.data.get()), bytes.size};
}
} // namespace

TEST(Npz, ReadsWhatItWrites) {
  auto arrays = parseNpz(bytesOf(goodArchive()));
  ASSERT_TRUE(arrays) << arrays.status().message();
  ASSERT_EQ(arrays->size(), 2u);
  EXPECT_EQ((*arrays)[0].name, "a");
  EXPECT_EQ((*arrays)[0].tensor.data<float>()[1], 2.0f);
  EXPECT_EQ((*arrays)[1].name, "b/ü");
  EXPECT_EQ((*arrays)[1].tensor.data<int64_t>()[0], 7);
}

TEST(Npz, TensorsOutliveTheFile) {
  auto arrays = parseNpz(bytesOf(goodArchive()));
  Tensor tensor = (*arrays)[0].tensor;
  arrays->clear();
  EXPECT_EQ(tensor.data<float>()[0], 1.0f);
}

TEST(Npz, EveryPrefixIsRefused) {
  std::string good = goodArchive();
  for (size_t length = 0; length < good.size(); ++length) {
    auto arrays = parseNpz(bytesOf(good.substr(0, length)));
    EXPECT_FALSE(arrays) << length;
  }
}

TEST(Npz, DamageIsNeverRead) {
  std::string good = goodArchive();
  auto wanted = parseNpz(bytesOf(good));
  for (size_t i = 0; i < good.size(); ++i)
    for (char change : {'\x01', '\x80', '\xff'}) {
      std::string damaged = good;
      damaged[i] = static_cast<char>(damaged[i] ^ change);
      auto arrays = parseNpz(bytesOf(damaged));
      if (!arrays) // a field that says nothing about the elements may change
        continue;
      ASSERT_LE(arrays->size(), 2u);
      for (size_t a = 0; a < arrays->size(); ++a)
        EXPECT_EQ((*arrays)[a].tensor.numBytes(), (*wanted)[a].tensor.numBytes()) << i;
    }
}

TEST(Npz, ChecksumsCount) {
  std::string damaged = goodArchive();
  size_t data = damaged.find("\n") + 1;
  damaged[data] = 'x';
  auto arrays = parseNpz(bytesOf(damaged));
  ASSERT_FALSE(arrays);
  EXPECT_EQ(arrays.status().message(),
            "array 'a': the checksum does not match: the .npz file is damaged");
}
