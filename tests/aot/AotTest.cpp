//===- AotTest.cpp - compiles models for the tests of ahead-of-time output ===//
#include "tests/aot/AotTest.h"

#include "frontend/onnx/OnnxImporter.h"
#include "ir/Signature.h"
#include "passes/SpecializeInputs.h"

#include "mlir/Parser/Parser.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sys/wait.h>

using namespace quern;
using namespace quern::native;

void AotTest::SetUp() {
  context = std::make_unique<mlir::MLIRContext>();
  nn::loadDialects(*context);
  folder = testing::TempDir() + "/quern-aot-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
}

void AotTest::TearDown() { std::filesystem::remove_all(folder); }

mlir::OwningOpRef<mlir::ModuleOp> AotTest::digits(int64_t batch) {
  auto module = onnx::importOnnxFile(QUERN_SOURCE_DIR "/examples/digits/digits.onnx", *context);
  EXPECT_TRUE(module) << module.status().message();
  if (batch > 0) {
    Status status =
        passes::specializeInputs(nn::findMain(**module), {.shapes = {}, .dims = {{"N", batch}}});
    EXPECT_TRUE(status.isOk()) << status.message();
  }
  return module.take();
}

mlir::OwningOpRef<mlir::ModuleOp> AotTest::parse(const std::string &text) {
  return mlir::parseSourceString<mlir::ModuleOp>(text, context.get());
}

Status AotTest::compile(mlir::ModuleOp module, const std::string &name, const std::string &prefix,
                        const std::string &cpu) {
  AotOptions options;
  options.targetCpu = cpu;
  options.outputPath = path(name);
  options.headerPath = path(std::filesystem::path(name).stem().string() + ".h");
  options.prefix = prefix;
  return compileToArtifact(module, options);
}

std::vector<float> AotTest::jitProbabilities() {
  std::vector<float> images = digitImages(), results;
  auto source = nn::copyModule(*digits());
  EXPECT_TRUE(source) << source.status().message();
  auto executable = compileForJit(source.take(), {});
  EXPECT_TRUE(executable) << executable.status().message();
  Session session(*executable);
  for (size_t i = 0; i < images.size(); i += kPixels) {
    std::vector<Tensor> inputs = {Tensor::borrow(DType::Float32, {1, 1, 8, 8}, &images[i])};
    auto outputs = session.run(inputs);
    EXPECT_TRUE(outputs) << outputs.status().message();
    auto row = outputs->front().elementsAs<float>();
    results.insert(results.end(), row.begin(), row.end());
  }
  return results;
}

/// The elements of a version 1 .npy file.
template <typename T> static std::vector<T> readNpy(const std::string &name) {
  std::ifstream file(QUERN_SOURCE_DIR "/examples/digits/" + name, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  EXPECT_GT(bytes.size(), 10u) << name;
  size_t start = 10 + static_cast<unsigned char>(bytes[8]) +
                 256 * static_cast<size_t>(static_cast<unsigned char>(bytes[9]));
  std::vector<T> values((bytes.size() - start) / sizeof(T));
  std::memcpy(values.data(), bytes.data() + start, values.size() * sizeof(T));
  return values;
}

std::vector<float> native::digitImages() { return readNpy<float>("images.npy"); }
std::vector<int64_t> native::digitLabels() { return readNpy<int64_t>("labels.npy"); }

std::string native::accuracy(const std::vector<float> &probabilities) {
  std::vector<int64_t> labels = digitLabels();
  size_t right = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const float *row = &probabilities[i * kClasses];
    right += std::max_element(row, row + kClasses) - row == labels[i];
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.2f%%\n", 100.0 * right / labels.size());
  return text;
}

CommandResult native::runCommand(const std::string &command) {
  CommandResult result;
  FILE *pipe = popen((command + " 2>&1").c_str(), "r");
  if (!pipe)
    return result;
  char buffer[4096];
  while (size_t count = fread(buffer, 1, sizeof buffer, pipe))
    result.output.append(buffer, count);
  int status = pclose(pipe);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}
