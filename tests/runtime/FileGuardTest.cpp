//===- FileGuardTest.cpp --------------------------------------------------===//
#include "quern/FileGuard.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <unistd.h>

using namespace quern;
namespace fs = std::filesystem;

namespace {
class FileGuardTest : public testing::Test {
protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/quern-guard-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root = name;
    std::ofstream(root / "m.onnx") << "model";
    fs::create_directory(root / "a");
    ASSERT_TRUE(guard.reads("model", at("m.onnx")).isOk());
  }
  void TearDown() override { fs::remove_all(root); }
  std::string at(const std::string &name) { return root.string() + "/" + name; }

  fs::path root;
  FileGuard guard;
};
} // namespace

TEST_F(FileGuardTest, OtherFilesPass) {
  EXPECT_TRUE(guard.writes("artefact", at("m.so")).isOk());
  EXPECT_TRUE(guard.writes("header", at("a/m.so")).isOk());
  EXPECT_TRUE(guard.writes("program", at("none/m.so")).isOk());
  EXPECT_TRUE(guard.fills("folder", at("m.c-test")).isOk());
  EXPECT_TRUE(guard.reads("input", at("m.onnx")).isOk()) << "a file may be read twice";
}

TEST_F(FileGuardTest, SpellingsOfOneFile) {
  fs::create_symlink("m.onnx", root / "soft.onnx");
  fs::create_hard_link(root / "m.onnx", root / "hard.onnx");
  fs::create_symlink(".", root / "here");
  for (const char *name :
       {"m.onnx", "a/../m.onnx", ".//m.onnx", "soft.onnx", "hard.onnx", "here/m.onnx"}) {
    Status status = guard.writes("header", at(name));
    EXPECT_EQ(status.code(), StatusCode::Usage) << name;
    EXPECT_EQ(status.message(),
              "the header '" + at(name) + "' would replace the model '" + at("m.onnx") + "'");
  }
}

TEST_F(FileGuardTest, FilesThatAreNotThereYet) {
  fs::create_symlink("a", root / "b");
  ASSERT_TRUE(guard.writes("artefact", at("a/new.o")).isOk());
  for (const char *name : {"a/new.o", "a/../a/./new.o", "b/new.o"})
    EXPECT_EQ(guard.writes("header", at(name)).message(),
              "the header '" + at(name) + "' would replace the artefact '" + at("a/new.o") + "'");
  ASSERT_TRUE(guard.writes("output", at("none/0.pb")).isOk());
  EXPECT_FALSE(guard.writes("output", at("none/x/../0.pb")).isOk());
}

TEST_F(FileGuardTest, RelativePaths) {
  fs::path before = fs::current_path();
  fs::current_path(root / "a");
  EXPECT_FALSE(guard.writes("header", "../m.onnx").isOk());
  EXPECT_TRUE(guard.writes("header", "m.h").isOk());
  EXPECT_FALSE(guard.writes("report", at("a/m.h")).isOk());
  fs::current_path(before);
}

TEST_F(FileGuardTest, OrderDoesNotMatter) {
  ASSERT_TRUE(guard.writes("weights", at("net.weights")).isOk());
  EXPECT_EQ(guard.reads("external data", at("./net.weights")).message(),
            "the weights '" + at("net.weights") + "' would replace the external data '" +
                at("./net.weights") + "'");
}

TEST_F(FileGuardTest, FoldersThatAreFilled) {
  EXPECT_FALSE(guard.fills("folder", root).isOk()) << "the model is in there";
  EXPECT_FALSE(guard.fills("folder", root.parent_path()).isOk());
  ASSERT_TRUE(guard.fills("folder", at("a/")).isOk());
  EXPECT_FALSE(guard.writes("report", at("a/b/report.json")).isOk());
  EXPECT_FALSE(guard.reads("input", at("a/x.npy")).isOk());
  EXPECT_FALSE(guard.fills("folder", at("a")).isOk());
  EXPECT_TRUE(guard.writes("report", at("ab.json")).isOk());
  ASSERT_TRUE(guard.fills("folder", at("new/")).isOk());
  EXPECT_FALSE(guard.writes("report", at("new/report.json")).isOk());
}
