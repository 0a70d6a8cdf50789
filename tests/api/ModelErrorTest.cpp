//===- ModelErrorTest.cpp - what the library refuses ----------------------===//
#include "Models.h"

#include <filesystem>
#include <unistd.h>

using namespace quern;
using namespace quern::test;

template <typename T>
static void expectError(const Expected<T> &found, StatusCode code, const std::string &message) {
  EXPECT_FALSE(found);
  EXPECT_EQ(found.status().code(), code);
  EXPECT_EQ(found.status().message(), message);
}

TEST(ModelErrorTest, FilesThatAreNoModels) {
  expectError(Model::load("no-such-model.onnx"), StatusCode::Io,
              "no-such-model.onnx: cannot open: No such file or directory");
  expectError(Model::load(QUERN_SOURCE_DIR "/README.md"), StatusCode::InvalidModel,
              QUERN_SOURCE_DIR "/README.md: not an ONNX model: this is a text file");
  expectError(Model::load(ModelBytes{.name = "nothing"}), StatusCode::InvalidModel,
              "nothing: the file is empty");
}

TEST(ModelErrorTest, BrokenModels) {
  std::string half = readFile(kDigits);
  half.resize(half.size() / 2);
  auto model = Model::load(asModel(half));
  EXPECT_EQ(model.status().code(), StatusCode::InvalidModel);
  EXPECT_TRUE(model.status().message().starts_with("model: not an ONNX model: ")) << half.size();
}

TEST(ModelErrorTest, UnsupportedOpsAreNamed) {
  expectError(Model::load(asModel(digitsWith("MaxPool", "MaxPond"))), StatusCode::Unsupported,
              "model: unsupported ops: MaxPond (opset 13, 2 nodes: op is not supported)");
}

TEST(ModelErrorTest, SizesThatDoNotFit) {
  expectError(Model::load(kDigits, {.dims = {{"M", 2}}}), StatusCode::InvalidInput,
              "no input has a dimension 'M'; the dimensions are N");
}

TEST(ModelErrorTest, LimitsOfLoading) {
  Limits few;
  few.maxNodes = 3;
  expectError(Model::load(kDigits, {}, few), StatusCode::ResourceLimit,
              kDigits + ": the graph has more nodes than maxNodes 3");
  Limits late;
  late.deadline = Deadline::after(std::chrono::nanoseconds(1));
  EXPECT_EQ(Model::load(kDigits, {}, late).status().code(), StatusCode::ResourceLimit);
}

TEST(ModelErrorTest, LimitsOfCompilingAndRunning) {
  // Loading had a deadline, which is over; what follows has its own.
  Limits limits;
  limits.deadline = Deadline::after(std::chrono::seconds(60));
  Model model = expectValue(Model::load(kDigits, {}, limits));
  Limits late;
  late.deadline = Deadline::after(std::chrono::nanoseconds(1));
  auto compiled = model.compile({.limits = late});
  EXPECT_EQ(compiled.status().code(), StatusCode::ResourceLimit);
  EXPECT_TRUE(compiled.status().message().starts_with("time limit of 1e-06ms exceeded"))
      << compiled.status().message();
  Limits little;
  little.maxActivationBytes = 1000;
  for (Backend backend : {Backend::Native, Backend::Interpreter}) {
    auto runner = makeRunner(model, backend, {.threads = 1, .limits = little});
    auto outputs = runner->run(images(64));
    EXPECT_EQ(outputs.status().code(), StatusCode::ResourceLimit);
    EXPECT_NE(outputs.status().message().find("the limit is 1000"), std::string::npos)
        << outputs.status().message();
  }
}

TEST(ModelErrorTest, InputsThatDoNotFit) {
  Model model = expectValue(Model::load(kDigits));
  for (Backend backend : {Backend::Native, Backend::Interpreter}) {
    auto compiled = expectValue(model.compile({.backend = backend, .threads = 1}));
    EXPECT_EQ(compiled->planFor(std::vector<Tensor::Dims>{{2, 8}}).code(),
              StatusCode::InvalidInput);
    auto runner = expectValue(compiled->createRunner({.threads = 1}));
    expectError(runner->run(std::vector<Tensor>()), StatusCode::InvalidInput,
                "wanted 1 inputs (image), found 0");
    expectError(runner->run(std::vector<Tensor>{Tensor::ofInts({1, 2})}), StatusCode::InvalidInput,
                "input 'image': wanted float32 Nx1x8x8, found int64 2");
  }
}

TEST(ModelErrorTest, OptionsThatMakeNoSense) {
  Model model = expectValue(Model::load(kDigits));
  EXPECT_EQ(model.compile({.targetCpu = "abacus"}).status().code(), StatusCode::Usage);
  expectError(model.compile({.optLevel = 4}), StatusCode::Usage,
              "there is no optimisation level 4; wanted 0 to 3");
  EXPECT_EQ(model.explainWithoutSizes({.optLevel = -1}).status().code(), StatusCode::Usage);
  expectError(model.compile({.backend = Backend::Interpreter, .threads = -2}), StatusCode::Usage,
              "the number of threads is -2; wanted 1 or more, or 0 for all CPUs");
  expectError(
      model.compile({.precision = Precision::Int8}), StatusCode::Unsupported,
      "int8 needs ranges of activations, which only inputs like those of real use tell: "
      "quantize the model with quern quantize, which measures what that costs, and run what "
      "it writes; or ask for bf16 or auto");
  expectError(model.compile({.backend = Backend::Interpreter, .precision = Precision::BFloat16}),
              StatusCode::Usage,
              "the interpreter computes as the model says: precision bf16 is for native code");
  for (Backend backend : {Backend::Native, Backend::Interpreter}) {
    auto compiled = expectValue(model.compile({.backend = backend, .threads = 1}));
    expectError(compiled->createRunner({.threads = -1}), StatusCode::Usage,
                "the number of threads is -1; wanted 1 or more, or 0 for all CPUs");
  }
  Status status = model.compileToArtifact({.dumpPhasesTo = QUERN_SOURCE_DIR "/README.md/folder"},
                                          {.outputPath = "x.so"});
  EXPECT_EQ(status.code(), StatusCode::Io);
  EXPECT_EQ(status.message(),
            "cannot make folder '" QUERN_SOURCE_DIR "/README.md/folder': Not a directory");
}

TEST(ModelErrorTest, NoOutputReplacesTheModel) {
  namespace fs = std::filesystem;
  fs::path folder = fs::path(testing::TempDir()) / ("quern_kept_" + std::to_string(getpid()));
  fs::create_directory(folder);
  fs::path path = folder / "digits.o";
  fs::copy_file(kDigits, path);
  fs::create_symlink(path, folder / "link");
  auto size = fs::file_size(path);
  Model model = expectValue(Model::load(folder / "link", {.dims = {{"N", 1}}}));
  EXPECT_EQ(model.files(), std::vector<std::string>{folder / "link"});
  const std::string other = folder / "x.o";
  for (const ArtifactOptions &options : {ArtifactOptions{.outputPath = path},
                                         ArtifactOptions{.outputPath = other, .headerPath = path},
                                         ArtifactOptions{.outputPath = other, .mainPath = path},
                                         ArtifactOptions{.outputPath = other, .headerPath = other}})
    EXPECT_NE(model.compileToArtifact({}, options).message().find("would replace"),
              std::string::npos);
  EXPECT_EQ(fs::file_size(path), size);
  fs::remove_all(folder);
}
