//===- TemporaryPathTest.cpp ----------------------------------------------===//
#include "quern/TemporaryPath.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
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

TEST_F(TemporaryPathTest, FoldersMayHaveFoldersOfOthers) {
  TemporaryPath outer(folder("outer", 3)), inner(folder("outer/inner", 3));
  TemporaryPath::removeAll();
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

TEST_F(TemporaryPathTest, IsMadeBesideItsTarget) {
  std::string target = root / (std::string(250, 'n') + ".so");
  {
    TemporaryPath made =
        TemporaryPath::create(target, [](const char *name) { return fs::create_directory(name); });
    EXPECT_TRUE(fs::is_directory(made.path()));
    EXPECT_EQ(fs::path(made.path()).parent_path(), root);
    EXPECT_TRUE(fs::path(made.path()).filename().string().starts_with(".quern-"));
  }
  EXPECT_TRUE(fs::is_empty(root));
  TemporaryPath none = TemporaryPath::create(
      root / "missing/x", [](const char *name) { return mkdir(name, 0700) == 0; });
  EXPECT_EQ(errno, ENOENT);
  EXPECT_EQ(none.path(), "");
}

TEST_F(TemporaryPathTest, WhatKilledProcessesLeaveIsRemoved) {
  std::string target = root / "m.so";
  TemporaryPath used =
      TemporaryPath::create(target, [](const char *name) { return fs::create_directory(name); });
  // As a child that is killed leaves them.
  pid_t child = fork();
  if (child == 0) {
    auto folderWithFile = [](const char *name) {
      return fs::create_directory(name) && (std::ofstream(fs::path(name) / "part") << 1);
    };
    TemporaryPath left = TemporaryPath::create(target, folderWithFile);
    TemporaryPath other = TemporaryPath::create(
        target, [](const char *name) { return bool(std::ofstream(name) << 1); });
    TemporaryPath::removeAbandoned(target); // nothing: both are in use
    raise(SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  // None of its own.
  for (std::string name : {".quern-x", ".quern-12345678x", "m.so.12345678"})
    file(name);
  fs::create_directory_symlink(root / "nowhere", root / ".quern-symbolic");
  auto entries = [&] { return std::distance(fs::directory_iterator(root), {}); };
  EXPECT_EQ(entries(), 7);
  TemporaryPath::removeAbandoned(target);
  EXPECT_EQ(entries(), 5);
  EXPECT_TRUE(fs::is_directory(used.path()));
  TemporaryPath::removeAbandoned(root / "missing/m.so");
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
