//===- AotTest.h - compiles models for the tests of ahead-of-time output --===//
#pragma once

#include "backends/native/aot/AotCompiler.h"
#include "quern/model_abi.h"
#include "runtime/running/Session.h"

#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

namespace quern::native {

/// A folder of its own for each test, and the digits network with one image.
class AotTest : public testing::Test {
protected:
  void SetUp() override;
  void TearDown() override;

  std::string path(const std::string &name) const { return folder + "/" + name; }
  /// examples/digits/digits.onnx with N = `batch`; 0 leaves it open.
  mlir::OwningOpRef<mlir::ModuleOp> digits(int64_t batch = 1);
  mlir::OwningOpRef<mlir::ModuleOp> parse(const std::string &text);
  /// Compiles to `name` in the folder, with a header `<stem>.h`.
  Status compile(mlir::ModuleOp module, const std::string &name, const std::string &prefix = "",
                 const std::string &cpu = "host");
  /// Runs the digits network with the JIT, image by image.
  std::vector<float> jitProbabilities();

  /// Why a test that links libquern_runtime.a is left out: sanitizers have changed that so that
  /// only programs of theirs can hold it. Null otherwise.
  static const char *archiveTrouble() {
#ifdef QUERN_SANITIZED
    return "libquern_runtime.a is built with sanitizers";
#else
    return nullptr;
#endif
  }

  std::unique_ptr<mlir::MLIRContext> context;
  std::string folder;
};

/// The 360 images of 64 pixels, and their digits.
std::vector<float> digitImages();
std::vector<int64_t> digitLabels();
constexpr int64_t kPixels = 64;
constexpr int64_t kClasses = 10;

/// The exact share of right answers, as examples/digits/main.c prints it.
std::string accuracy(const std::vector<float> &probabilities);

/// What a shell command prints, on both streams, and its exit code.
struct CommandResult {
  int code = -1;
  std::string output;
};
CommandResult runCommand(const std::string &command);

} // namespace quern::native
