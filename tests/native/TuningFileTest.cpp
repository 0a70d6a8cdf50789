//===- TuningFileTest.cpp - measured ways on disk -------------------------===//
#include "backends/native/TuningFile.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

using namespace quern;
using namespace quern::native;
namespace fs = std::filesystem;

namespace {
using Ways = std::map<std::string, std::string>;

class TuningFileTest : public testing::Test {
protected:
  void SetUp() override { ASSERT_NE(mkdtemp(folder.data()), nullptr); }
  void TearDown() override { fs::remove_all(folder); }

  TuningFile file(const std::string &cpu = "haswell", const std::string &machine = "a") {
    return {folder, resolveTarget(cpu).take(), machine};
  }
  /// What a file knows.
  static Ways load(const TuningFile &file) {
    Expected<TuningTable> table = file.load();
    EXPECT_TRUE(table) << table.status().message();
    return table ? table->all() : Ways();
  }
  void expectDamaged(const std::string &what) {
    Status status = file().load().status();
    EXPECT_EQ(status.code(), StatusCode::Io) << what;
    EXPECT_NE(status.message().find(".tuning' is not as it was written"), std::string::npos)
        << status.message();
  }
  void add(const Ways &ways) {
    Status status = file().add(TuningTable(ways));
    EXPECT_TRUE(status.isOk()) << status.message();
  }
  std::vector<fs::path> paths() {
    std::vector<fs::path> found;
    for (const auto &entry : fs::directory_iterator(folder))
      found.push_back(entry.path());
    return found;
  }

  std::string folder = testing::TempDir() + "tuning.XXXXXX";
};
} // namespace

TEST_F(TuningFileTest, KeepsWhatIsAdded) {
  EXPECT_TRUE(load(file()).empty());
  add({{"p", "x"}, {"q", "y"}});
  EXPECT_EQ(load(file()), (Ways{{"p", "x"}, {"q", "y"}}));
  add({{"q", "z"}, {"r", "x"}});
  EXPECT_EQ(load(file()), (Ways{{"p", "x"}, {"q", "z"}, {"r", "x"}}));
  ASSERT_EQ(paths().size(), 1u) << "nothing begun is left";
  EXPECT_EQ(paths()[0].extension(), ".tuning");
}

TEST_F(TuningFileTest, OfAnotherMachineNothingIsBelieved) {
  add({{"p", "x"}});
  EXPECT_TRUE(load(file("haswell", "b")).empty());
  EXPECT_TRUE(load(file("skylake")).empty());
  // Not under its name either.
  std::string whole = paths()[0];
  EXPECT_TRUE(file("haswell", "b").add(TuningTable(Ways{{"p", "y"}})).isOk());
  for (const fs::path &path : paths())
    if (path != whole)
      fs::copy_file(path, whole, fs::copy_options::overwrite_existing);
  expectDamaged("another machine's");
}

TEST_F(TuningFileTest, WhatIsDamagedIsNotThere) {
  add({{"p", "x"}, {"q", "y"}});
  fs::path path = paths()[0];
  std::ifstream in(path, std::ios::binary);
  std::string whole(std::istreambuf_iterator<char>(in), {});
  for (size_t size = 0; size < whole.size(); size += 7) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << whole.substr(0, size);
    expectDamaged(std::to_string(size) + " bytes");
  }
  for (size_t at = 0; at < whole.size(); at += 5) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged;
    expectDamaged("byte " + std::to_string(at));
  }
  // What comes next replaces it; what a killed process has begun does not matter.
  std::ofstream(folder + "/." + path.filename().string() + ".begun") << "quern";
  add({{"r", "x"}});
  EXPECT_EQ(load(file()), (Ways{{"r", "x"}}));
  EXPECT_EQ(paths().size(), 1u);
}

TEST_F(TuningFileTest, SeveralAtOnceLoseNothing) {
  constexpr int kWriters = 4, kEach = 20;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer)
    writers.emplace_back([&, writer] {
      for (int i = 0; i < kEach; ++i) {
        add({{std::to_string(writer * kEach + i), "x"}});
        EXPECT_FALSE(load(file()).empty()) << "it is there whole at any time";
      }
    });
  for (std::thread &writer : writers)
    writer.join();
  EXPECT_EQ(load(file()).size(), size_t{kWriters * kEach});
}

TEST_F(TuningFileTest, FoldersThatCannotBeWritten) {
  TuningFile nowhere(folder + "/missing", resolveTarget("haswell").take(), "a");
  EXPECT_TRUE(load(nowhere).empty());
  Status status = nowhere.add(TuningTable(Ways{{"p", "x"}}));
  EXPECT_EQ(status.code(), StatusCode::Io);
  EXPECT_NE(status.message().find("missing': No such file"), std::string::npos) << status.message();
}
