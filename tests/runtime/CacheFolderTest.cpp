//===- CacheFolderTest.cpp ------------------------------------------------===//
#include "quern/CacheFolder.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace quern;

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

TEST(CacheFolder, CountsArtefacts) {
  std::string folder = testing::TempDir() + "/quern-cache-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::ofstream(folder + "/one.so") << "123";
  std::ofstream(folder + "/two.so") << "4567";
  std::ofstream(folder + "/two.lock") << "not counted";
  CacheUse use = cacheUse(folder);
  EXPECT_EQ(use.artefacts, 2);
  EXPECT_EQ(use.bytes, 7);
  std::filesystem::remove_all(folder);
  EXPECT_EQ(cacheUse(folder).artefacts, 0);
}
