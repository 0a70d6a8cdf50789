//===- CacheFolderTest.cpp ------------------------------------------------===//
#include "quern/CacheFolder.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

using namespace quern;
namespace fs = std::filesystem;

TEST(CacheFolder, FollowsTheEnvironment) {
  auto set = [](const char *name, const char *value) {
    value ? setenv(name, value, 1) : unsetenv(name);
  };
  set("QUERN_CACHE_DIR", "/a/b");
  set("XDG_CACHE_HOME", "/c");
  set("HOME", "/d");
  EXPECT_EQ(cacheFolder(), "/a/b");
  set("QUERN_CACHE_DIR", "");
  EXPECT_EQ(cacheFolder(), "/c/quern");
  set("XDG_CACHE_HOME", nullptr);
  EXPECT_EQ(cacheFolder(), "/d/.cache/quern");
  set("HOME", nullptr);
  EXPECT_EQ(cacheFolder(), "");
}

namespace {
class CacheFolderFiles : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    setenv("QUERN_CACHE_DIR", folder.c_str(), 1);
    unsetenv("QUERN_KERNEL_CACHE");
  }
  void TearDown() override { fs::remove_all(folder); }
  void write(const std::string &name, const std::string &text) {
    std::ofstream(folder + "/" + name) << text;
  }

  std::string folder = testing::TempDir() + "/quern-cache-XXXXXX";
};
} // namespace

TEST_F(CacheFolderFiles, AreCountedAndCleared) {
  ASSERT_EQ(kernelFolder().take(), folder + "/kernels");
  write("one.so", "123");
  write("two.so", "4567");
  write("two.lock", "not counted");
  write("two.note", "not counted");
  write("mine.txt", "not Quern's");
  write("kernels/a.kernel", "12345");
  write("kernels/.b.begun", "not counted");
  write("kernels/mine.txt", "not Quern's");
  auto expectUse = [](const CacheUse &use) {
    EXPECT_EQ(use.artefacts, 2);
    EXPECT_EQ(use.artefactBytes, 7);
    EXPECT_EQ(use.kernels, 1);
    EXPECT_EQ(use.kernelBytes, 5);
  };
  expectUse(cacheUse(folder));
  Expected<CacheUse> cleared = clearCache(folder);
  ASSERT_TRUE(cleared) << cleared.status().message();
  expectUse(*cleared);
  EXPECT_EQ(cacheUse(folder).artefacts + cacheUse(folder).kernels, 0);
  std::set<std::string> left;
  for (const auto &entry : fs::recursive_directory_iterator(folder))
    left.insert(fs::relative(entry.path(), folder));
  EXPECT_EQ(left, (std::set<std::string>{"kernels", "kernels/mine.txt", "mine.txt"}));
  EXPECT_EQ(clearCache(folder + "/missing").take().kernels, 0);
}

TEST_F(CacheFolderFiles, WhyNoKernelsAreKept) {
  auto message = [] { return kernelFolder().status().message(); };
  std::string kernels = folder + "/kernels";
  EXPECT_EQ(message(), "");
  fs::permissions(kernels, fs::perms::all);
  EXPECT_EQ(message(), "the folder '" + kernels + "' is not this user's alone");
  fs::remove(kernels);
  fs::create_directory_symlink("/tmp", kernels);
  EXPECT_EQ(message(), "the folder '" + kernels + "' is not this user's alone");
  fs::remove(kernels);
  write("kernels", "a file");
  EXPECT_EQ(message(), "the folder '" + kernels + "' is not this user's alone");
  setenv("QUERN_CACHE_DIR", kernels.c_str(), 1);
  EXPECT_EQ(message(), "cannot make folder '" + kernels + "/kernels': Not a directory");
  setenv("QUERN_KERNEL_CACHE", "off", 1);
  EXPECT_EQ(message(), "QUERN_KERNEL_CACHE is off");
  unsetenv("QUERN_KERNEL_CACHE");
  for (const char *name : {"QUERN_CACHE_DIR", "XDG_CACHE_HOME", "HOME"})
    unsetenv(name);
  EXPECT_EQ(message(), "no folder: QUERN_CACHE_DIR and HOME are not set");
}
