//===- TemporaryPathTest.cpp ----------------------------------------------===//
#include "quern/TemporaryPath.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <vector>

using namespace quern;
namespace fs = std::filesystem;

namespace {
class TemporaryPathTest : public testing::Test {
protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/quern-temporary-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root = name;
  }
  void TearDown() override { fs::remove_all(root); }

  std::string file(const std::string &name) {
    std::ofstream(root / name) << "content";
    return root / name;
  }
  std::string folder(const std::string &name, int files) {
    fs::create_directory(root / name);
    // Names of a length that makes the kernel list them in several turns.
    for (int i = 0; i < files; ++i)
      file(name + "/" + std::string(100, 'x') + std::to_string(i));
    return root / name;
  }

  fs::path root;
};
} // namespace

TEST_F(TemporaryPathTest, GoesAwayWithTheObject) {
  {
    TemporaryPath first(file("file")), second(folder("folder", 100));
    EXPECT_EQ(first.path(), root / "file");
    TemporaryPath moved(std::move(second));
    EXPECT_EQ(moved.path(), root / "folder");
    EXPECT_TRUE(fs::exists(moved.path()));
  }
  EXPECT_TRUE(fs::is_empty(root));
}

TEST_F(TemporaryPathTest, ReleasedPathsStay) {
  {
    TemporaryPath kept(file("file"));
    kept.release();
    EXPECT_EQ(kept.path(), "");
    TemporaryPath::removeAll();
  }
  EXPECT_TRUE(fs::exists(root / "file"));
}

TEST_F(TemporaryPathTest, AllAreRemovedAtOnce) {
  TemporaryPath first(file("file")), second(folder("folder", 100));
  file("other");
  TemporaryPath::removeAll();
  EXPECT_FALSE(fs::exists(first.path()));
  EXPECT_FALSE(fs::exists(second.path()));
  EXPECT_TRUE(fs::exists(root / "other"));
  TemporaryPath::removeAll();
}

TEST_F(TemporaryPathTest, ThereMayBeMany) {
  {
    std::vector<TemporaryPath> many;
    for (int i = 0; i < 200; ++i)
      many.emplace_back(file(std::to_string(i)));
    TemporaryPath::removeAll();
    EXPECT_FALSE(fs::exists(root / "0"));
  }
  EXPECT_TRUE(fs::is_empty(root));
  // All places are free again.
  TemporaryPath last(file("last"));
  TemporaryPath::removeAll();
  EXPECT_TRUE(fs::is_empty(root));
}

TEST_F(TemporaryPathTest, LinksAreNotFollowed) {
  folder("target", 1);
  fs::create_directory_symlink(root / "target", root / "link");
  {
    TemporaryPath link(root / "link");
  }
  EXPECT_FALSE(fs::exists(root / "link"));
  EXPECT_FALSE(fs::is_empty(root / "target"));
}
