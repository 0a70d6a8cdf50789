//===- ExternalDataTest.cpp - weights in files beside the model -----------===//
#include "frontend/onnx/ExternalData.h"
#include "tests/frontend/ModelBuilder.h"

#include <google/protobuf/unknown_field_set.h>

#include <filesystem>
#include <fstream>
#include <sys/stat.h>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;
namespace fs = std::filesystem;

namespace {
/// 1000 floats 0, 1, 2, ... in `model/weights.bin` and in `outside.bin`.
class ExternalDataTest : public testing::Test {
protected:
  void SetUp() override {
    root =
        fs::temp_directory_path() / ("quern_external_" + std::to_string(getpid()) + "_" +
                                     testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(root / "model" / "sub");
    std::vector<float> values(1000);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(i);
    for (const char *name : {"model/weights.bin", "model/sub/weights.bin", "outside.bin"})
      std::ofstream(root / name, std::ios::binary)
          .write(reinterpret_cast<const char *>(values.data()), 4000);
  }
  void TearDown() override { fs::remove_all(root); }

  /// Imports y = x + w with w (`dims`) at `location`.
  Expected<mlir::OwningOpRef<mlir::ModuleOp>> import(const std::string &location,
                                                     const std::string &offset,
                                                     const std::string &length,
                                                     std::vector<int64_t> dims = {500}) {
    ModelBuilder b;
    b.input("x", {500}).node("Add", {"x", "w"}, {"y"}).output("y");
    proto::TensorProto *w = b.graph().add_initializer();
    w->set_name("w");
    w->set_data_type(1);
    for (int64_t dim : dims)
      w->add_dims(dim);
    w->set_data_location(proto::TensorProto::EXTERNAL);
    const std::pair<const char *, std::string> entries[] = {
        {"location", location}, {"offset", offset}, {"length", length}};
    for (const auto &[key, value] : entries) {
      if (value.empty())
        continue;
      auto *entry = w->add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    }
    std::string path = root / "model" / "m.onnx";
    std::ofstream(path, std::ios::binary) << b.bytes();
    return importOnnxFile(path, context);
  }

  void expectRefused(const std::string &location, const std::string &part,
                     const std::string &offset = "0", const std::string &length = "2000",
                     StatusCode code = StatusCode::InvalidModel) {
    auto module = import(location, offset, length);
    ASSERT_FALSE(module) << location << " " << offset;
    EXPECT_EQ(module.status().code(), code) << module.status().message();
    for (const std::string &wanted : {std::string("m.onnx"), std::string("'w'"), part})
      expectContains(module.status().message(), wanted);
  }

  fs::path root;
  mlir::MLIRContext context;
};
} // namespace

TEST_F(ExternalDataTest, MapsTheFile) {
  for (const char *location : {"weights.bin", "./weights.bin", "sub/weights.bin"}) {
    auto module = import(location, "400", "2000");
    ASSERT_TRUE(module) << module.status().message();
    nn::WeightOp weight;
    (*module)->walk([&](nn::WeightOp op) { weight = op; });
    ASSERT_TRUE(weight);
    EXPECT_EQ(weight.getOffset(), 400u);
    auto tensor = nn::constantTensor(weight);
    ASSERT_TRUE(tensor);
    EXPECT_EQ(tensor->data<float>()[0], 100.0f);
    EXPECT_EQ(tensor->data<float>()[499], 599.0f);
  }
}

TEST_F(ExternalDataTest, CopiesSmallTensors) {
  ASSERT_FALSE(import("weights.bin", "0", "8", {2})); // x has 500 elements
  auto module = import("weights.bin", "4", "4", {1});
  ASSERT_TRUE(module) << module.status().message();
  nn::ConstantOp constant;
  (*module)->walk([&](nn::ConstantOp op) { constant = op; });
  ASSERT_TRUE(constant);
  EXPECT_EQ(nn::constantTensor(constant)->data<float>()[0], 1.0f);
}

TEST_F(ExternalDataTest, StaysBeneathTheModel) {
  expectRefused("../outside.bin", "'..'");
  expectRefused("sub/../../outside.bin", "'..'");
  expectRefused(root / "outside.bin", "absolute");
  expectRefused("/etc/passwd", "absolute");
  expectRefused(".", "names no file");
  expectRefused("", "no location");
}

TEST_F(ExternalDataTest, FollowsNoLinks) {
  fs::create_symlink("../outside.bin", root / "model/symlink.bin");
  expectRefused("symlink.bin", "symbolic link");
  fs::create_directory_symlink("..", root / "model/up");
  expectRefused("up/outside.bin", "symbolic link");
  fs::create_hard_link(root / "outside.bin", root / "model/hardlink.bin");
  expectRefused("hardlink.bin", "hard links");
}

TEST_F(ExternalDataTest, WantsRegularFiles) {
  ASSERT_EQ(mkfifo((root / "model/fifo.bin").c_str(), 0600), 0);
  expectRefused("fifo.bin", "not a regular file");
  expectRefused("sub", "not a regular file");
  expectRefused("missing.bin", "No such file", "0", "2000", StatusCode::Io);
}

TEST_F(ExternalDataTest, StaysInsideTheFile) {
  expectRefused("weights.bin", "do not lie in the file of 4000 bytes", "4004", "2000");
  expectRefused("weights.bin", "do not lie in the file of 4000 bytes", "2004", "2000");
  expectRefused("weights.bin", "do not lie in the file", "9223372036854775807", "2000");
  expectRefused("weights.bin", "is no byte count", "9223372036854775808", "2000");
  expectRefused("weights.bin", "is no byte count", "-4", "2000");
  expectRefused("weights.bin", "is no byte count", "0", "2000 ");
  expectRefused("weights.bin", "gives 1000 bytes, float32 500 needs 2000", "0", "1000");
  expectRefused("weights.bin", "gives 4000 bytes", "0", "");
}

/// Says that the elements are in a file.
static void putInto(const std::string &file, proto::TensorProto &tensor) {
  tensor.set_data_location(proto::TensorProto::EXTERNAL);
  auto *entry = tensor.add_external_data();
  entry->set_key("location");
  entry->set_value(file);
}

// What must not be replaced while the model is in use.
TEST(ExternalData, FilesAreFoundWhereverTheyAreNamed) {
  ModelBuilder b;
  b.node("Constant", {}, {"y"}).output("y");
  putInto("initializer", *b.graph().add_initializer());
  putInto("attribute", *b.attribute("value", proto::AttributeProto::TENSOR).mutable_t());
  auto &branch = b.attribute("then_branch", proto::AttributeProto::GRAPH);
  putInto("body", *branch.mutable_g()->add_initializer());
  proto::FunctionProto &function = *b.model.add_functions();
  putInto("function", *function.add_node()->add_attribute()->mutable_t());
  // A field that the generated classes do not know.
  proto::AttributeProto attribute;
  putInto("default", *attribute.mutable_t());
  constexpr int kAttributeProto = 11;
  function.GetReflection()->MutableUnknownFields(&function)->AddLengthDelimited(
      kAttributeProto, attribute.SerializeAsString());
  EXPECT_EQ(externalFilesOf(b.model, "model"),
            (std::vector<std::string>{"model/attribute", "model/body", "model/default",
                                      "model/function", "model/initializer"}));
}

TEST(ExternalData, NeedsAFile) {
  ModelBuilder b;
  b.input("x", {1}).node("Add", {"x", "w"}, {"y"}).output("y");
  proto::TensorProto &w = b.initializer("w", Tensor::of<float>({1}, {1}));
  w.clear_raw_data();
  putInto("weights.bin", w);
  expectError(b, StatusCode::InvalidModel, {"initializer 'w'", "in memory"});
}
