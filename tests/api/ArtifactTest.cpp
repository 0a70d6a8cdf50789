//===- ArtifactTest.cpp - loading what was compiled ahead of time ---------===//
#include "quern/Artifact.h"
#include "Models.h"
#include "quern/Compare.h"
#include "quern/Reports.h"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <thread>

using namespace quern;
using namespace quern::test;
namespace fs = std::filesystem;

namespace {
class ArtifactTest : public testing::Test {
protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "quern-artifact-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { fs::remove_all(folder); }

  std::string path(const std::string &name) const { return (folder / name).string(); }
  Model digits(int64_t count = 2) {
    return expectValue(Model::load(kDigits, {.dims = {{"N", count}}}));
  }
  /// The digits network, for so many images.
  std::string compile(const std::string &name = "m.so", int64_t count = 2,
                      const std::string &cpu = "host") {
    Status status = digits(count).compileToArtifact({.targetCpu = cpu, .threads = 1},
                                                    {.outputPath = path(name)});
    EXPECT_TRUE(status.isOk()) << status.message();
    return path(name);
  }
  std::string write(const std::string &name, const std::string &bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }

  fs::path folder;
};

void expectRefusal(const std::string &file, StatusCode code, const std::string &part) {
  auto loaded = loadArtifact(file);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.status().code(), code) << loaded.status().message();
  EXPECT_NE(loaded.status().message().find(part), std::string::npos) << loaded.status().message();
}
} // namespace

TEST_F(ArtifactTest, HasTheBitsOfTheJit) {
  Model model = digits();
  auto wanted = expectValue(makeRunner(model, Backend::Native)->run(images(2)));
  auto loaded = expectValue(loadArtifact(compile()));
  ASSERT_EQ(loaded->inputs().size(), 1u);
  EXPECT_EQ(loaded->inputs()[0].name, model.inputs()[0].name);
  EXPECT_EQ(loaded->inputs()[0].describe(), "float32 2x1x8x8");
  EXPECT_EQ(loaded->outputs()[0].describe(), "float32 2x10");
  for (int threads : {1, 2}) {
    auto runner = expectValue(loaded->createRunner({.threads = threads}));
    for (int i = 0; i < 3; ++i)
      EXPECT_TRUE(sameBits(expectValue(runner->run(images(2)))[0], wanted[0]));
  }
}

TEST_F(ArtifactTest, PicksThePlanForTheInputs) {
  Model model = expectValue(Model::load(kDigits));
  Status status = model.compileToArtifact(
      {.threads = 1}, {.outputPath = path("sizes.so"), .listedSizes = {{"N", {1, 3, 8}}}});
  ASSERT_TRUE(status.isOk()) << status.message();
  ArtifactFacts facts = expectValue(inspectArtifact(path("sizes.so")));
  EXPECT_EQ(facts.plans.size(), 3u);
  EXPECT_EQ(facts.plans[1].outputDims[0], (Tensor::Dims{3, 10}));
  auto loaded = expectValue(loadArtifact(path("sizes.so")));
  EXPECT_EQ(loaded->inputs()[0].describe(), "float32 Nx1x8x8");
  EXPECT_EQ(loaded->outputs()[0].describe(), "float32 Nx10");
  EXPECT_EQ(loaded->listedInputDims()[2][0], (Tensor::Dims{8, 1, 8, 8}));
  auto jit = makeRunner(model, Backend::Native);
  for (int threads : {1, 2}) {
    auto runner = expectValue(loaded->createRunner({.threads = threads}));
    for (int64_t count : {3, 1, 3, 8, 1})
      EXPECT_TRUE(sameBits(expectValue(runner->run(images(count)))[0],
                           expectValue(jit->run(images(count)))[0]));
    EXPECT_EQ(runner->run(images(2)).status().message(),
              "there is no code for N=2: the nearest sizes compiled for are 1 and 3");
    // The runner goes on after an error, with outputs of the caller's too.
    std::vector<Tensor> outputs = {Tensor::allocate(DType::Float32, {3, 10}).take()};
    EXPECT_TRUE(runner->run(images(3), outputs).isOk());
    EXPECT_EQ(runner->run(images(8), outputs).code(), StatusCode::InvalidInput);
  }
  EXPECT_TRUE(loaded->planForInputs(std::vector<AnyValue>{images(8)[0]}).isOk());
  EXPECT_EQ(loaded->planForInputs(std::vector<AnyValue>{images(7)[0]}).code(),
            StatusCode::InvalidInput);
}

TEST_F(ArtifactTest, FindsWeightsBesideTheLibrary) {
  auto write = [&](const std::string &name, int64_t count) {
    Status status = digits(count).compileToArtifact(
        {.threads = 1}, {.outputPath = path(name), .weightsInFile = true});
    ASSERT_TRUE(status.isOk()) << status.message();
  };
  write("m.so", 2);
  EXPECT_EQ(expectValue(inspectArtifact(path("m.so"))).weightsBytes,
            static_cast<int64_t>(fs::file_size(path("m.weights"))));
  EXPECT_EQ(expectValue(inspectArtifact(compile("whole.so"))).weightsBytes, 0);
  auto wanted = expectValue(makeRunner(digits(), Backend::Native)->run(images(2)));
  std::unique_ptr<Runner> runner;
  {
    auto loaded = expectValue(loadArtifact(path("m.so")));
    runner = expectValue(loaded->createRunner({.threads = 2}));
  }
  fs::rename(path("m.weights"), path("gone.weights"));
  EXPECT_TRUE(sameBits(expectValue(runner->run(images(2)))[0], wanted[0]));

  expectRefusal(path("m.so"), StatusCode::Io, "m.weights': No such file");
  fs::create_directory(path("m.weights"));
  expectRefusal(path("m.so"), StatusCode::Io, "m.weights': not a regular file");
  fs::remove(path("m.weights"));
  std::string bytes;
  {
    std::ifstream file(path("gone.weights"), std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  this->write("m.weights", bytes.substr(1));
  expectRefusal(path("m.so"), StatusCode::Incompatible, "wanted " + std::to_string(bytes.size()));
  bytes.back() ^= 1;
  this->write("m.weights", bytes);
  expectRefusal(path("m.so"), StatusCode::Incompatible, "are not the weights that");
  bytes.back() ^= 1;
  this->write("m.weights", bytes);
  EXPECT_TRUE(loadArtifact(path("m.so")));
}

TEST_F(ArtifactTest, WritesWhereTheCallerWants) {
  auto loaded = expectValue(loadArtifact(compile()));
  auto runner = expectValue(loaded->createRunner({.threads = 1}));
  auto wanted = expectValue(runner->run(images(2)));
  std::vector<float> memory(20);
  std::vector<Tensor> outputs = {Tensor::borrow(DType::Float32, {2, 10}, memory.data())};
  std::vector<Tensor> inputs = images(2);
  ASSERT_TRUE(runner->run(inputs, outputs).isOk());
  EXPECT_EQ(std::memcmp(memory.data(), wanted[0].rawData(), 80), 0);
  outputs = {Tensor::borrow(DType::Float32, {2, 10}, inputs[0].rawData())};
  EXPECT_EQ(runner->run(inputs, outputs).code(), StatusCode::InvalidInput);
  outputs = {Tensor::borrow(DType::Float32, {1, 20}, memory.data())};
  EXPECT_EQ(runner->run(inputs, outputs).code(), StatusCode::InvalidInput);
}

TEST_F(ArtifactTest, OutlivesEverything) {
  std::unique_ptr<Runner> runner;
  {
    auto loaded = expectValue(loadArtifact(compile()));
    runner = expectValue(loaded->createRunner({.threads = 1}));
  }
  fs::remove(path("m.so"));
  EXPECT_TRUE(runner->run(images(2)));
}

TEST_F(ArtifactTest, AFileWithTheNameOfAnotherIsAnother) {
  auto first = expectValue(loadArtifact(compile("m.so", 2)));
  auto second = expectValue(loadArtifact(compile("m.so", 3)));
  EXPECT_EQ(first->inputs()[0].describe(), "float32 2x1x8x8");
  EXPECT_EQ(second->inputs()[0].describe(), "float32 3x1x8x8");
  EXPECT_TRUE(expectValue(first->createRunner({.threads = 1}))->run(images(2)));
  EXPECT_TRUE(expectValue(second->createRunner({.threads = 1}))->run(images(3)));
}

// Also where the first one was loaded twice, and the number of its descriptor is used again.
TEST_F(ArtifactTest, ADescriptorWithTheNumberOfAnotherIsAnother) {
  std::string a = compile("a.so", 1), b = compile("b.so", 2);
  auto first = expectValue(loadArtifact(a));
  auto again = expectValue(loadArtifact(a));
  first = nullptr;
  EXPECT_EQ(expectValue(loadArtifact(b))->inputs()[0].describe(), "float32 2x1x8x8");
  EXPECT_TRUE(expectValue(again->createRunner({.threads = 1}))->run(images(1)));
}

TEST_F(ArtifactTest, ThreadsShareOne) {
  auto loaded = expectValue(loadArtifact(compile()));
  auto wanted = expectValue(expectValue(loaded->createRunner({.threads = 1}))->run(images(2)));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      auto runner = loaded->createRunner({.threads = 1 + i % 2});
      for (int k = 0; k < 20; ++k) {
        auto found = (*runner)->run(images(2));
        wrong += !found || !sameBits((*found)[0], wanted[0]);
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(ArtifactTest, RefusesWhatOtherModelsRefuse) {
  auto loaded = expectValue(loadArtifact(compile()));
  auto runner = expectValue(loaded->createRunner({.threads = 1}));
  EXPECT_EQ(runner->run(images(3)).status().code(), StatusCode::InvalidInput);
  EXPECT_EQ(runner->run(std::vector<Tensor>()).status().code(), StatusCode::InvalidInput);
  EXPECT_EQ(loaded->planFor(std::vector<Tensor::Dims>{{3, 1, 8, 8}}).code(),
            StatusCode::InvalidInput);
  EXPECT_TRUE(loaded->planFor(std::vector<Tensor::Dims>{{2, 1, 8, 8}}).isOk());
  EXPECT_EQ(loaded->createRunner({.threads = -1}).status().code(), StatusCode::Usage);
  EXPECT_EQ(loaded->createRunner({.profile = true}).status().code(), StatusCode::Unsupported);
  EXPECT_EQ(loaded->createRunner({.flushDenormals = false}).status().code(),
            StatusCode::Unsupported);
  RunnerOptions small;
  small.limits.maxActivationBytes = 16;
  EXPECT_EQ(loaded->createRunner(small).status().code(), StatusCode::ResourceLimit);
}

TEST_F(ArtifactTest, EndsWhenAsked) {
  auto runner = expectValue(expectValue(loadArtifact(compile()))->createRunner({.threads = 1}));
  runner->cancel();
  EXPECT_EQ(runner->run(images(2)).status().code(), StatusCode::Cancelled);
  EXPECT_TRUE(runner->run(images(2)));
  runner->setDeadline(Deadline::after(std::chrono::nanoseconds(1)));
  EXPECT_EQ(runner->run(images(2)).status().code(), StatusCode::ResourceLimit);
}

TEST_F(ArtifactTest, SaysWhatItIs) {
  std::string file = compile("my-model.so");
  EXPECT_TRUE(isLibraryFile(file));
  EXPECT_FALSE(isLibraryFile(kDigits));
  EXPECT_FALSE(isLibraryFile(path("missing")));
  ArtifactFacts facts = expectValue(inspectArtifact(file));
  EXPECT_EQ(facts.name, "digits");
  EXPECT_GT(facts.abiVersion, 0);
  EXPECT_GT(facts.workspaceBytes, 0);
  EXPECT_EQ(facts.outputs[0].describe(), "float32 2x10");
  std::string report = expectValue(inspectReport(file));
  EXPECT_NE(report.find(R"("target_cpu":")" + facts.targetCpu + "\""), std::string::npos) << report;
  EXPECT_NE(report.find(R"("shape":[2,1,8,8])"), std::string::npos) << report;
  EXPECT_NE(report.find(R"("precision":"f32")"), std::string::npos) << report;
}

TEST_F(ArtifactTest, SaysItsPrecision) {
  ArtifactOptions artifact;
  artifact.outputPath = path("lowered.so");
  Status status =
      digits(2).compileToArtifact({.precision = Precision::BFloat16, .threads = 1}, artifact);
  ASSERT_TRUE(status.isOk()) << status.message();
  EXPECT_EQ(expectValue(inspectArtifact(path("lowered.so"))).precision, Precision::BFloat16);
  EXPECT_EQ(expectValue(loadArtifact(path("lowered.so")))->precision(), Precision::BFloat16);
}

TEST_F(ArtifactTest, RefusesOtherFiles) {
  expectRefusal(path("missing.so"), StatusCode::Io, "cannot read '" + path("missing.so"));
  expectRefusal(folder.string(), StatusCode::Io, "not a regular file");
  expectRefusal(kDigits, StatusCode::InvalidModel, "it does not begin as one");
  expectRefusal(write("empty.so", ""), StatusCode::InvalidModel, "it does not begin as one");
  expectRefusal("/proc/self/exe", StatusCode::InvalidModel, "it has no function quern_model_info");
  expectRefusal(compile("m.o"), StatusCode::InvalidModel, "it is an object file or a program");
}

TEST_F(ArtifactTest, RefusesOtherProcessorsAndVersions) {
  std::string bytes = readFile(compile());
  std::string other = bytes;
  other[18] = '\xb7'; // e_machine: aarch64
  expectRefusal(write("arm.so", other), StatusCode::Incompatible, "the library is for AArch64");
  other = bytes;
  other[4] = 1; // 32 bits
  expectRefusal(write("small.so", other), StatusCode::Incompatible, "64-bit");
  // The start of quern_model_info: version, one input, one output, alignment.
  int32_t version = static_cast<int32_t>(expectValue(inspectArtifact(path("m.so"))).abiVersion);
  std::array<int32_t, 4> head = {version, 1, 1, 64};
  std::string pattern(reinterpret_cast<const char *>(head.data()), sizeof head);
  size_t at = bytes.find(pattern);
  ASSERT_NE(at, std::string::npos);
  other = bytes;
  other[at] = 99;
  expectRefusal(write("future.so", other), StatusCode::Incompatible,
                "the library has version 99 of the interface");
  // More inputs than there can be.
  other = bytes;
  other[at + 7] = '\x80';
  expectRefusal(write("many.so", other), StatusCode::InvalidModel, "damaged");
}

// Never a signal: not for what the file says of its CPU, nor for what is not there.
TEST_F(ArtifactTest, RefusesAnotherCpu) {
  for (const char *cpu : {"bdver2", "sapphirerapids"}) {
    auto loaded = loadArtifact(compile(std::string(cpu) + ".so", 1, cpu));
    if (loaded)
      continue;
    EXPECT_EQ(loaded.status().code(), StatusCode::Incompatible);
    EXPECT_NE(loaded.status().message().find(std::string("was compiled for ") + cpu),
              std::string::npos)
        << loaded.status().message();
    return;
  }
  FAIL() << "this CPU runs code for both";
}

TEST_F(ArtifactTest, RefusesAnyShortenedFile) {
  std::string bytes = readFile(compile());
  for (size_t size = 0; size < bytes.size(); size += size < 128 ? 7 : 1013) {
    auto loaded = loadArtifact(write("short.so", bytes.substr(0, size)));
    ASSERT_FALSE(loaded) << size;
    EXPECT_EQ(loaded.status().code(), StatusCode::InvalidModel) << loaded.status().message();
  }
}

TEST_F(ArtifactTest, ComparesWithItsModel) {
  Model model = digits();
  auto reference = makeRunner(model, Backend::Interpreter);
  auto compiled = expectValue(expectValue(loadArtifact(compile()))->createRunner({.threads = 1}));
  std::vector<AnyValue> inputs = {images(2)[0]};
  Comparison found = expectValue(compare(*reference, *compiled, inputs, {.seconds = 0}));
  EXPECT_TRUE(found.passes()) << found.verdict().message();
}
