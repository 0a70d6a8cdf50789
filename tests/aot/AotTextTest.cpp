//===- AotTextTest.cpp - the code of artefacts as text --------------------===//
#include "tests/aot/AotTest.h"
#include "tests/aot/LoadedModel.h"

#include <fstream>
#include <gmock/gmock.h>

using namespace quern;
using namespace quern::native;
using testing::HasSubstr;

namespace {
class AotTextTest : public AotTest {
protected:
  void compileDigits(AotOptions options, const std::string &name) {
    options.outputPath = path(name);
    options.headerPath = path("digits.h");
    options.prefix = "digits";
    Status status = compileToArtifact(*digits(), options);
    ASSERT_TRUE(status.isOk()) << status.message();
  }
  void run(const std::string &command) {
    CommandResult done = runCommand("cd " + folder + " && " + command);
    ASSERT_EQ(done.code, 0) << command << ": " << done.output;
  }
  std::string textOf(const std::string &name) {
    std::ifstream file(path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// Builds the example program with this object and the weights of an object file.
  void expectRightAnswers(const std::string &object) {
    compileDigits({}, "whole.o");
    run("objcopy -j .rodata.quern whole.o weights.o");
    run(QUERN_C_COMPILER " -I. -o program " QUERN_SOURCE_DIR "/examples/digits/main.c " + object +
        " weights.o -lm");
    CommandResult ran = runCommand(path("program") + " " QUERN_SOURCE_DIR
                                                     "/examples/digits/images.npy " QUERN_SOURCE_DIR
                                                     "/examples/digits/labels.npy");
    EXPECT_EQ(ran.code, 0);
    EXPECT_EQ(ran.output, accuracy(jitProbabilities()));
  }
  std::string llvm(const std::string &name) { return QUERN_LLVM_BIN "/" + name + " "; }
  /// The global symbols that an object file defines.
  std::string publicNames(const std::string &object) {
    return runCommand(llvm("llvm-nm") + "--extern-only --defined-only -j " + path(object)).output;
  }
};

constexpr const char *kInterface = "digits_cpu_ok\ndigits_info\ndigits_run\ndigits_run_parallel\n";
} // namespace

TEST_F(AotTextTest, AssemblyIsTheCode) {
  compileDigits({}, "digits.s");
  EXPECT_THAT(textOf("digits.s"),
              testing::ContainsRegex("digits_weights stands for [0-9]+ bytes of weights"));
  run(QUERN_C_COMPILER " -c digits.s -o text.o");
  EXPECT_EQ(publicNames("text.o"), kInterface);
  expectRightAnswers("text.o");
  run(llvm("llvm-mc") + "-filetype=obj digits.s -o mc.o");
  EXPECT_EQ(publicNames("mc.o"), kInterface);
}

TEST_F(AotTextTest, IrIsTheCode) {
  compileDigits({}, "digits.ll");
  EXPECT_THAT(textOf("digits.ll"), HasSubstr("; digits_weights stands for"));
  run(llvm("opt") + "-passes=verify digits.ll -o digits.bc");
  run(llvm("llc") + "-O3 -filetype=obj -relocation-model=pic digits.bc -o text.o");
  EXPECT_EQ(publicNames("text.o"), kInterface);
  expectRightAnswers("text.o");
}

TEST_F(AotTextTest, IsWholeWithWeightsInAFile) {
  AotOptions options;
  options.weightsInFile = true;
  compileDigits(options, "digits.s");
  EXPECT_THAT(textOf("digits.s"), testing::Not(HasSubstr("stands for")));
  run(QUERN_C_COMPILER
      " -c digits.s -o text.o && " QUERN_C_COMPILER " -shared -o text.so text.o -lm"
      " -Wl,--defsym=m_cpu_ok=digits_cpu_ok,--defsym=m_run=digits_run"
      " -Wl,--defsym=m_run_parallel=digits_run_parallel"
      " -Wl,--defsym=m_info=digits_info,--defsym=m_use_weights=digits_use_weights");
  LoadedModel model(path("text.so"));
  FileInMemory weights(path("digits.weights"));
  ASSERT_EQ(model.useWeights(weights.bytes, weights.size), QUERN_MODEL_OK);
  std::vector<float> images = digitImages(), row(kClasses), wanted = jitProbabilities();
  const void *inputs[] = {images.data()};
  void *outputs[] = {row.data()};
  ASSERT_EQ(model.run(inputs, outputs, model.workspace), QUERN_MODEL_OK);
  EXPECT_TRUE(std::equal(row.begin(), row.end(), wanted.begin()));
}

TEST_F(AotTextTest, SeveralCpusAreInOneText) {
  AotOptions options;
  options.targetCpus = {"x86-64-v3", "x86-64-v2", "x86-64-v4"};
  for (std::string name : {"many.s", "many.ll"}) {
    compileDigits(options, name);
    EXPECT_THAT(textOf(name), HasSubstr("for x86-64-v4, x86-64-v3, x86-64-v2. "));
    EXPECT_THAT(textOf(name), HasSubstr("digits_x86_64_v2_weights stands for"));
    run(name == "many.s" ? llvm("llvm-mc") + "-filetype=obj many.s -o many.o"
                         : llvm("llc") + "-filetype=obj -relocation-model=pic many.ll -o many.o");
    EXPECT_EQ(publicNames("many.o"), kInterface);
  }
}

TEST_F(AotTextTest, IsForAnotherMachine) {
  AotOptions options;
  options.targetTriple = "aarch64-linux-gnu";
  options.targetCpu = "baseline";
  for (std::string name : {"arm.s", "arm.ll"}) {
    compileDigits(options, name);
    run(name == "arm.s" ? llvm("llvm-mc") + "-triple=aarch64-linux-gnu -filetype=obj arm.s -o arm.o"
                        : llvm("llc") + "-filetype=obj arm.ll -o arm.o");
    EXPECT_EQ(publicNames("arm.o"), kInterface);
  }
}

TEST_F(AotTextTest, SaysWhatToLinkWith) {
  auto module = parse(R"(func.func @main(%m: tensor<3x4x4xf32>) -> tensor<3xf32> {
    %d = nn.det %m : (tensor<3x4x4xf32>) -> tensor<3xf32>
    return %d : tensor<3xf32>
  })");
  AotOptions options;
  options.outputPath = path("det.s");
  Status status = compileToArtifact(*module, options);
  ASSERT_TRUE(status.isOk()) << status.message();
  EXPECT_THAT(textOf("det.s"), HasSubstr("linked with libquern_runtime.a -lstdc++ -lm."));
}
