//===- ReaderTest.cpp - files that are no models --------------------------===//
#include "tests/frontend/ModelBuilder.h"

#include "frontend/onnx/OnnxReader.h"

#include <filesystem>
#include <fstream>
#include <sys/stat.h>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;
namespace fs = std::filesystem;

namespace {
/// A directory that goes away with the test.
class ReaderTest : public testing::Test {
protected:
  void SetUp() override {
    directory =
        fs::temp_directory_path() / ("quern_reader_" + std::to_string(getpid()) + "_" +
                                     testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(directory);
  }
  void TearDown() override { fs::remove_all(directory); }

  std::string write(const std::string &name, const std::string &content) {
    std::string path = directory / name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  void expectFileError(const std::string &path, StatusCode code, const std::string &part) {
    mlir::MLIRContext context;
    auto module = importOnnxFile(path, context);
    ASSERT_FALSE(module);
    EXPECT_EQ(module.status().code(), code) << module.status().message();
    expectContains(module.status().message(), path);
    expectContains(module.status().message(), part);
  }

  fs::path directory;
};

/// One of each field whose truncation could go unnoticed; opset_import comes last.
ModelBuilder smallModel() {
  ModelBuilder b;
  b.input("x", {1, 2}).output("y");
  b.initializer("w", Tensor::of<float>({2, 2}, {1, 2, 3, 4}));
  b.node("Gemm", {"x", "w"}, {"g"}).attr("alpha", 2.0f).attr("transB", int64_t{1});
  b.node("Relu", {"g"}, {"y"});
  return b;
}
} // namespace

TEST_F(ReaderTest, ReadsAFile) {
  mlir::MLIRContext context;
  auto module = importOnnxFile(write("m.onnx", smallModel().bytes()), context);
  EXPECT_TRUE(module) << module.status().message();
}

TEST_F(ReaderTest, RefusesAnEmptyFile) {
  expectFileError(write("empty.onnx", ""), StatusCode::InvalidModel, "empty");
}

TEST_F(ReaderTest, RefusesATextFile) {
  expectFileError(write("text.onnx", "This is not a model.\nIt is a text.\n"),
                  StatusCode::InvalidModel, "text file");
}

TEST_F(ReaderTest, RefusesAMissingFile) {
  expectFileError(directory / "missing.onnx", StatusCode::Io, "No such file");
}

TEST_F(ReaderTest, RefusesADirectory) {
  expectFileError(directory, StatusCode::Io, "this is a folder");
}

TEST_F(ReaderTest, RefusesAFifoWithoutWaiting) {
  std::string path = directory / "fifo.onnx";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  expectFileError(path, StatusCode::Io, "not a regular file");
}

TEST_F(ReaderTest, RefusesZeros) {
  expectFileError(write("zeros.onnx", std::string(100, '\0')), StatusCode::InvalidModel,
                  "not an ONNX model");
}

TEST(Reader, RefusesEveryTruncation) {
  std::string bytes = smallModel().bytes();
  ASSERT_TRUE(Imported(bytes).module) << Imported(bytes).text();
  for (size_t length = 0; length < bytes.size(); ++length) {
    Imported imported(bytes.substr(0, length));
    ASSERT_FALSE(imported.module) << "truncated to " << length;
    EXPECT_EQ(imported.module.status().code(), StatusCode::InvalidModel) << imported.text();
  }
}

TEST(Reader, SurvivesEveryFlippedByte) {
  std::string bytes = smallModel().bytes();
  for (size_t at = 0; at < bytes.size(); ++at)
    for (unsigned char flip : {0x01, 0x08, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      Imported imported(damaged);
      if (!imported.module)
        EXPECT_FALSE(imported.text().empty());
    }
}

TEST(Reader, RefusesAFileAboveTheLimit) {
  Limits limits;
  limits.maxModelBytes = 10;
  expectError(smallModel(), StatusCode::ResourceLimit, {"m.onnx", "maxModelBytes"}, limits);
}
