//===- AotProgramTest.cpp - C programs with compiled models ---------------===//
#include "tests/aot/AotTest.h"

#include <fstream>

using namespace quern;
using namespace quern::native;

namespace {
class AotProgramTest : public AotTest {
protected:
  void compileDigits(const std::string &name, const std::string &prefix = "") {
    Status status = compile(*digits(), name, prefix);
    ASSERT_TRUE(status.isOk()) << status.message();
  }
  void write(const std::string &name, const std::string &text) {
    std::ofstream(path(name)) << text;
  }
  /// Builds a C program `program` in the folder; `inputs` are sources and models.
  CommandResult build(const std::string &inputs) {
    return runCommand("cd " + folder +
                      " && " QUERN_C_COMPILER
                      " -std=c11 -pedantic -Wall -Wextra -Werror -I. -o program " +
                      inputs + " -Wl,-rpath," + folder);
  }
  std::string tool(const std::string &name) { return QUERN_LLVM_BIN "/llvm-" + name + " "; }
};
} // namespace

static const char kExample[] = QUERN_SOURCE_DIR "/examples/digits/main.c ";

TEST_F(AotProgramTest, ExampleHasTheAccuracyOfTheJit) {
  std::string expected = accuracy(jitProbabilities());
  for (std::string name : {"digits.so", "digits.o", "digits.a"}) {
    compileDigits(name);
    CommandResult built = build(kExample + name + (name == "digits.so" ? "" : " -lm"));
    ASSERT_EQ(built.code, 0) << name << ": " << built.output;
    CommandResult ran = runCommand(path("program") + " " QUERN_SOURCE_DIR
                                                     "/examples/digits/images.npy " QUERN_SOURCE_DIR
                                                     "/examples/digits/labels.npy");
    EXPECT_EQ(ran.code, 0) << name;
    EXPECT_EQ(ran.output, expected) << name;
  }
}

TEST_F(AotProgramTest, HeaderIsForOldCAndForCxx) {
  compileDigits("digits.o");
  write("user.c", "#include \"digits.h\"\n#include \"digits.h\"\n"
                  "static const int64_t dims[DIGITS_INPUT_0_RANK] = DIGITS_INPUT_0_DIMS;\n"
                  "int main(void) { return DIGITS_INPUT_COUNT == 1 && dims[3] == 8 ? 0 : 1; }\n");
  for (std::string standard : {"-std=c89", "-std=c99", "-std=c17", "-x c++ -std=c++98"}) {
    CommandResult built =
        runCommand("cd " + folder + " && " QUERN_C_COMPILER " " + standard +
                   " -pedantic -Wall -Wextra -Werror -Wno-long-long -c user.c -o user.o");
    EXPECT_EQ(built.code, 0) << standard << ": " << built.output;
  }
}

TEST_F(AotProgramTest, HeaderQuotesNames) {
  auto module = parse(R"(func.func @main(
      %x: tensor<f32> {nn.name = "a\22 */ \0A \C3\A97 ??/"}) -> (tensor<f32> {nn.name = "out"}) {
    %y = nn.relu %x : (tensor<f32>) -> tensor<f32>
    return %y : tensor<f32>
  })");
  ASSERT_TRUE(module);
  Status status = compile(*module, "odd name.o");
  ASSERT_TRUE(status.isOk()) << status.message();
  write("user.c", "#include \"odd name.h\"\n#include <string.h>\n"
                  "int main(void) { const char *name = odd_name_info()->inputs[0].name;\n"
                  "return strcmp(name, ODD_NAME_INPUT_0_NAME) != 0 ||\n"
                  " strlen(name) != 15 || ODD_NAME_INPUT_0_RANK != 0; }\n");
  CommandResult built = build("user.c 'odd name.o'");
  ASSERT_EQ(built.code, 0) << built.output;
  EXPECT_EQ(runCommand(path("program")).code, 0);
}

TEST_F(AotProgramTest, TwoModelsInOneProgram) {
  compileDigits("one.o", "one");
  compileDigits("two.a", "two");
  write("both.c", R"(
#include "one.h"
#include "two.h"
#include <string.h>
static float image[64], first[10], second[10];
static union { double alignment; char bytes[ONE_WORKSPACE_BYTES + 128]; } memory;
int main(void) {
  const void *inputs[1];
  void *outputs[1];
  char *workspace = memory.bytes + (64 - (uintptr_t)memory.bytes % 64);
  int i;
  for (i = 0; i < 64; ++i)
    image[i] = (float)(i % 16);
  inputs[0] = image;
  outputs[0] = first;
  if (one_run(inputs, outputs, workspace) != QUERN_MODEL_OK)
    return 1;
  outputs[0] = second;
  if (two_run(inputs, outputs, workspace) != QUERN_MODEL_OK)
    return 2;
  return first[0] + first[1] > 0 && memcmp(first, second, sizeof first) == 0 ? 0 : 3;
}
)");
  CommandResult built = build("both.c one.o two.a -lm");
  ASSERT_EQ(built.code, 0) << built.output;
  EXPECT_EQ(runCommand(path("program")).code, 0);
}

TEST_F(AotProgramTest, ShowsItsInterfaceAlone) {
  const std::string wanted = "m_cpu_ok\nm_info\nm_run\nm_run_parallel\n";
  compileDigits("digits.so", "m");
  // A library has its functions under names that do not depend on the prefix, too.
  EXPECT_EQ(runCommand(tool("nm") + "-D --defined-only -j " + path("digits.so")).output,
            wanted + "quern_model_cpu_ok\nquern_model_info\nquern_model_run\n"
                     "quern_model_run_parallel\n");
  compileDigits("digits.o", "m");
  // The weights are global, for the linker's sake, and hidden.
  CommandResult weights = runCommand(tool("readelf") + "-sW " + path("digits.o") +
                                     " | grep ' GLOBAL ' | grep -v ' UND ' | grep -v DEFAULT");
  EXPECT_NE(weights.output.find("HIDDEN"), std::string::npos);
  EXPECT_NE(weights.output.find("m_weights"), std::string::npos);
  EXPECT_EQ(runCommand(tool("nm") + "--extern-only --defined-only -j " + path("digits.o") +
                       " | grep -v m_weights | sort")
                .output,
            wanted);
}

TEST_F(AotProgramTest, NeedsNothingButTheCLibrary) {
  compileDigits("digits.so");
  CommandResult needed = runCommand(tool("readelf") + "--needed-libs " + path("digits.so") +
                                    " | grep -v -e libc.so.6 -e libm.so.6");
  EXPECT_EQ(needed.output, "NeededLibraries [\n]\n");
  CommandResult dynamic = runCommand(tool("readelf") + "-d " + path("digits.so"));
  EXPECT_NE(dynamic.output.find("[digits.so]"), std::string::npos) << "soname";
  EXPECT_EQ(dynamic.output.find("TEXTREL"), std::string::npos);
}
