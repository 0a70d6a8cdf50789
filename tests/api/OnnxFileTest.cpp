//===- OnnxFileTest.cpp - what an ONNX file says --------------------------===//
#include "quern/OnnxFile.h"
#include "Models.h"
#include "quern/HostCpu.h"

#include <filesystem>
#include <unistd.h>

using namespace quern;
using namespace quern::test;
namespace fs = std::filesystem;

namespace {
class OnnxFileTest : public testing::Test {
protected:
  ~OnnxFileTest() override { fs::remove(path); }

  void write(const std::string &bytes) { std::ofstream(path, std::ios::binary) << bytes; }

  std::string path = testing::TempDir() + "quern_onnx_file_" + std::to_string(getpid()) + ".onnx";
};
} // namespace

TEST_F(OnnxFileTest, TellsWhatIsInAModel) {
  ModelFacts facts = expectValue(inspectModelFile(kDigits));
  EXPECT_EQ(facts.producer, "quern-example");
  EXPECT_EQ(facts.opsets, (std::vector<std::pair<std::string, int64_t>>{{"ai.onnx", 13}}));
  EXPECT_EQ(facts.inputs[0].describe(), "float32 Nx1x8x8");
  EXPECT_EQ(facts.outputs[0].name, "probabilities");
  EXPECT_EQ(facts.nodes, 14);
  EXPECT_EQ(facts.initializers, 17);
  EXPECT_EQ(facts.parameters, 26202);
  EXPECT_EQ(facts.ops.front(), (std::pair<std::string, int64_t>("BatchNormalization", 3)));
}

TEST_F(OnnxFileTest, TellsWhatAModelSaysOfItself) {
  std::string bytes = readFile(kDigits);
  // graph.name is there; what follows is appended: fields of a message may come in any order.
  bytes += std::string("\x22\x03"
                       "d.e"
                       "\x28\x07"
                       "\x32\x04"
                       "text",
                       13);
  bytes += std::string("\x72\x0a\x0a\x03"
                       "key"
                       "\x12\x03"
                       "val",
                       12);
  ModelFacts facts = expectValue(inspectModelBytes(std::as_bytes(std::span(bytes))));
  EXPECT_EQ(facts.graphName, "digits");
  EXPECT_EQ(facts.domain, "d.e");
  EXPECT_EQ(facts.modelVersion, 7);
  EXPECT_EQ(facts.description, "text");
  EXPECT_EQ(facts.metadata, (std::vector<std::pair<std::string, std::string>>{{"key", "val"}}));
  EXPECT_EQ(inspectModelBytes({}).status().message().substr(0, 7), "model: ");
}

TEST_F(OnnxFileTest, TellsWhatIsNotSupported) {
  EXPECT_TRUE(expectValue(findUnsupportedOps(kDigits)).empty());
  write(digitsWith("MaxPool", "MaxPond"));
  EXPECT_EQ(expectValue(inspectModelFile(path)).nodes, 14);
  std::vector<UnsupportedOp> ops = expectValue(findUnsupportedOps(path));
  ASSERT_EQ(ops.size(), 1u);
  EXPECT_EQ(ops[0].op, "MaxPond");
  EXPECT_EQ(ops[0].domain, "ai.onnx");
  EXPECT_EQ(ops[0].version, 13);
  EXPECT_EQ(ops[0].nodes.size(), 2u);
}

TEST_F(OnnxFileTest, ValuesAreReadAsTheyWereWritten) {
  ValueType element = ValueType::tensor(DType::Float32);
  AnyValue sequence = AnyValue::sequence(element, {Tensor::of<float>({2}, {1, 2})}).take();
  write(expectValue(serializeValue(sequence, "s")));
  AnyValue found = expectValue(readValueFile(path, ValueType::sequenceOf(element)));
  EXPECT_EQ(found.describe(), "sequence of 1 value");
  EXPECT_EQ(found.asSequence()->elements[0].asTensor()->data<float>()[1], 2);
  ValueType others = ValueType::sequenceOf(ValueType::tensor(DType::Int64));
  EXPECT_EQ(readValueFile(path, others).status().code(), StatusCode::InvalidInput);
}

TEST_F(OnnxFileTest, ErrorsNameTheFile) {
  const std::string missing = "no-such-file: cannot open: No such file or directory";
  EXPECT_EQ(inspectModelFile("no-such-file").status().message(), missing);
  EXPECT_EQ(findUnsupportedOps("no-such-file").status().message(), missing);
  EXPECT_EQ(readTensorFile("no-such-file").status().message(), missing);
}

TEST_F(OnnxFileTest, TheHostIsDescribed) {
  HostCpu host = describeHostCpu();
  EXPECT_FALSE(host.name.empty());
  EXPECT_TRUE(std::is_sorted(host.features.begin(), host.features.end()));
  EXPECT_EQ(measurePeaks("abacus").status().code(), StatusCode::Usage);
}
