//===- AotReferenceTest.cpp - reference kernels in artefacts --------------===//
#include "runtime/reference/ReferenceEntry.h"
#include "runtime/reference/StepRecord.h"
#include "tests/aot/BothWays.h"

#include <fstream>
#include <gmock/gmock.h>

using namespace quern;
using namespace quern::native;
using namespace quern::reference;
using testing::HasSubstr;

static const std::string kArchive = QUERN_RUNTIME_ARCHIVE;

/// Native steps around three ops without native code.
static const char kSignals[] = R"mlir(
  func.func @main(%x: tensor<2x8x2xf32>, %m: tensor<3x4x4xf32>, %w: tensor<2x6xi32>)
      -> (tensor<2x8x2xf32>, tensor<3xf32>, tensor<2x3xf32>) {
    %axis = nn.constant dense<1> : tensor<i64>
    %r = nn.tanh %x : (tensor<2x8x2xf32>) -> tensor<2x8x2xf32>
    %f = nn.dft %r, %axis {inverse = false} : (tensor<2x8x2xf32>, tensor<i64>) -> tensor<2x8x2xf32> loc("spectrum")
    %n = nn.neg %f : (tensor<2x8x2xf32>) -> tensor<2x8x2xf32>
    %d = nn.det %m : (tensor<3x4x4xf32>) -> tensor<3xf32> loc("determinants")
    %pool = nn.constant dense<[1, 2, 3]> : tensor<3xi64>
    %t = nn.tf_idf %w, %pool {mode = "TFIDF", min_gram_length = 1 : i64, max_gram_length = 2 : i64,
      max_skip_count = 1 : i64, ngram_counts = array<i64: 0, 1>, ngram_indexes = array<i64: 0, 2>,
      weights = array<f64: 0.5, 2.0>} : (tensor<2x6xi32>, tensor<3xi64>) -> tensor<2x3xf32> loc("n-grams")
    return %n, %d, %t : tensor<2x8x2xf32>, tensor<3xf32>, tensor<2x3xf32>
  })mlir";

namespace {
class AotReferenceTest : public AotTest {
protected:
  void SetUp() override {
    if (archiveTrouble())
      GTEST_SKIP() << archiveTrouble();
    AotTest::SetUp();
  }
  std::vector<Tensor> inputs() {
    auto floats = [](const Tensor::Dims &dims) {
      Tensor tensor = Tensor::allocate(DType::Float32, dims).take();
      for (int64_t i = 0; i < tensor.numElements(); ++i)
        tensor.mutableData<float>()[i] = 0.37f * static_cast<float>(i * i % 11) - 1.5f;
      return tensor;
    };
    return {floats({2, 8, 2}), floats({3, 4, 4}),
            Tensor::of<int32_t>({2, 6}, {1, 2, 3, 2, 2, 1, 3, 3, 2, 5, 3, 1})};
  }
  std::string difference(const std::string &text, const std::vector<Tensor> &given) {
    AotOptions options;
    options.runtimeArchive = kArchive;
    auto both = BothWays::compile(*parse(text), folder, options);
    if (!both)
      return both.status().message();
    library = both->path();
    return both->difference(given);
  }
  std::string tool(const std::string &name) { return QUERN_LLVM_BIN "/llvm-" + name + " "; }
  std::string library;
};
} // namespace

TEST_F(AotReferenceTest, HasTheBitsOfTheJit) {
  EXPECT_EQ(difference(kSignals, inputs()), "");
  // Nothing of the runtime can be seen from outside, and nothing of Quern is needed.
  EXPECT_EQ(
      runCommand(tool("nm") + "-D --defined-only -j " + library + " | grep -v quern_model_").output,
      "m_cpu_ok\nm_info\nm_run\nm_run_parallel\n");
  EXPECT_EQ(runCommand(tool("readelf") + "--needed-libs " + library +
                       " | grep -v -e libc.so.6 -e libm.so.6 -e libstdc++.so.6 -e libgcc_s.so.1 "
                       "-e ld-linux")
                .output,
            "NeededLibraries [\n]\n");
}

TEST_F(AotReferenceTest, RunsInBodies) {
  EXPECT_EQ(difference(R"mlir(
    func.func @main(%n: tensor<i64>, %x: tensor<1x4x2xf32>) -> tensor<1x4x2xf32> {
      %none = nn.none
      %0 = nn.loop %n, %none, %x {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<1x4x2xf32>):
        %axis = nn.constant dense<1> : tensor<i64>
        %f = nn.dft %v, %axis {inverse = true} : (tensor<1x4x2xf32>, tensor<i64>) -> tensor<1x4x2xf32>
        %w = nn.add %f, %x : (tensor<1x4x2xf32>, tensor<1x4x2xf32>) -> tensor<1x4x2xf32>
        nn.yield %c, %w : tensor<i1>, tensor<1x4x2xf32>
      } : (tensor<i64>, none, tensor<1x4x2xf32>) -> tensor<1x4x2xf32>
      return %0 : tensor<1x4x2xf32>
    })mlir",
                       {Tensor::of<int64_t>({}, {5}),
                        Tensor::of<float>({1, 4, 2}, {1, 2, -3, 4, 0.5f, 6, 7, -8})}),
            "");
}

TEST_F(AotReferenceTest, CProgramsLinkTheArchive) {
  AotOptions options;
  options.outputPath = path("signals.o");
  options.headerPath = path("signals.h");
  Status status = compileToArtifact(*parse(kSignals), options);
  ASSERT_TRUE(status.isOk()) << status.message();
  std::ifstream header(path("signals.h"));
  EXPECT_THAT(std::string(std::istreambuf_iterator<char>(header), {}),
              HasSubstr("linked with libquern_runtime.a -lstdc++ -lm"));
  std::ofstream(path("user.c")) << R"(
#include "signals.h"
static float x[32], m[48], spectrum[32], determinants[3], counts[6];
static int32_t words[12] = {1, 2, 3, 2, 2, 1, 3, 3, 2, 5, 3, 1};
static union { double alignment; char bytes[SIGNALS_WORKSPACE_BYTES + 128]; } memory;
int main(void) {
  const void *inputs[3] = {x, m, words};
  void *outputs[3] = {spectrum, determinants, counts};
  char *workspace = memory.bytes + (64 - (uintptr_t)memory.bytes % 64);
  int i, status;
  for (i = 0; i < 16; ++i)
    m[i * 5 % 16] = i < 4 ? 2.0f : 0.0f;
  m[0] = m[5] = m[10] = m[15] = 2;
  status = signals_run(inputs, outputs, workspace);
  return status ? status : determinants[0] == 16 && counts[0] == 1 ? 0 : 1;
}
)";
  CommandResult built = runCommand("cd " + folder +
                                   " && " QUERN_C_COMPILER
                                   " -std=c11 -Wall -Wextra -Werror -o program user.c signals.o " +
                                   kArchive + " -lstdc++ -lm");
  ASSERT_EQ(built.code, 0) << built.output;
  EXPECT_EQ(runCommand(path("program")).code, 0);
}

TEST_F(AotReferenceTest, NamesNodesWhenThereIsNoArchive) {
  Status status = compile(*parse(kSignals), "signals.so");
  EXPECT_EQ(status.code(), StatusCode::Unsupported);
  for (const char *part :
       {"node 'spectrum' (nn.dft): no native code for Fourier transforms, and libquern_runtime.a",
        "node 'determinants' (nn.det): ", "node 'n-grams' (nn.tf_idf): "})
    EXPECT_THAT(status.message(), HasSubstr(part));
}

TEST(StepRecordTest, IsReadAsWritten) {
  Tensor words = Tensor::allocate(DType::String, {2}).take();
  words.mutableData<std::string>()[1] = "word";
  StepRecord record{"nn.op",
                    {{"number", int64_t{-3}},
                     {"real", 0.25},
                     {"text", std::string("a\0b", 3)},
                     {"numbers", std::vector<int64_t>{1, 2, 3}},
                     {"reals", std::vector<double>{}},
                     {"type", DType::Float16},
                     {"table", Tensor::of<float>({2, 1}, {1, 2})},
                     {"words", words}},
                    {{DType::Float32, {2, 3}}, {}},
                    {{DType::Int64, {}}}};
  std::string bytes = writeStepRecord(record);
  auto read = readStepRecord(bytes);
  ASSERT_TRUE(read) << read.status().message();
  EXPECT_EQ(writeStepRecord(*read), bytes);
  EXPECT_EQ(read->opName, "nn.op");
  EXPECT_EQ(std::get<Tensor>(read->attributes[7].second).data<std::string>()[1], "word");
  EXPECT_EQ(read->inputs[0].dims, (Tensor::Dims{2, 3}));
  // A part of it is none.
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(readStepRecord(std::string_view(bytes).substr(0, size))) << size;
  EXPECT_FALSE(readStepRecord(bytes + "x"));
}

TEST(ReferenceEntryTest, RefusesWhatItCannotRun) {
  auto table = reinterpret_cast<const void *>(&signalEvaluators);
  EXPECT_EQ(quern_run_reference_step_v1(table, "junk", 4, nullptr, nullptr),
            QUERN_MODEL_FAILED_STEP);
  float x[4] = {1, 2, 3, 4}, y[4];
  int64_t axis = 5;
  const void *inputs[] = {x, &axis};
  void *outputs[] = {y};
  auto run = [&](const std::string &op) {
    std::string bytes = writeStepRecord({op,
                                         {{"inverse", int64_t{0}}},
                                         {{DType::Float32, {1, 2, 2}}, {DType::Int64, {}}},
                                         {{DType::Float32, {1, 2, 2}}}});
    return quern_run_reference_step_v1(table, bytes.data(), static_cast<int64_t>(bytes.size()),
                                       inputs, outputs);
  };
  EXPECT_EQ(run("nn.dft"), QUERN_MODEL_FAILED_STEP) << "an axis out of range";
  EXPECT_EQ(run("nn.conv"), QUERN_MODEL_FAILED_STEP) << "another family's";
  axis = 1;
  EXPECT_EQ(run("nn.dft"), QUERN_MODEL_OK);
  EXPECT_EQ(y[0], 4);
}

TEST(ReferenceEntryTest, ArchiveHasTheTablesOfAllFamilies) {
  CommandResult symbols =
      runCommand(QUERN_LLVM_BIN "/llvm-nm --defined-only --extern-only -j " + kArchive);
  for (std::span<const EvaluatorRow> family : evaluatorFamilies())
    for (const EvaluatorRow &row : family) {
      std::optional<std::string> symbol = evaluatorTableSymbol(row.opName);
      ASSERT_TRUE(symbol) << row.opName;
      EXPECT_THAT(symbols.output, HasSubstr("\n" + *symbol + "\n"));
    }
  EXPECT_FALSE(evaluatorTableSymbol("nn.add"));
}
