//===- NormalizationTest.cpp - normalization kernels ----------------------===//
#include "tests/native/KernelTest.h"

using namespace quern::native;

namespace {
class NormalizationTest : public KernelTest {};
} // namespace

INSTANTIATE_TEST_SUITE_P(Targets, NormalizationTest, testing::ValuesIn(runnableTargets()));

TEST_P(NormalizationTest, batchNorm) {
  for (std::string type : {"f32", "f64"})
    for (std::string plane : {"7x9x", ""}) {
      std::string data = "tensor<2x5x" + plane + type + ">", channel = "tensor<5x" + type + ">";
      expectOpMatches("nn.batch_norm %a, %b, %c, %d, %e {epsilon = 1.0e-5}",
                      {data, channel, channel, channel, channel}, data,
                      {.tolerance = 1e-5, .low = 0.5, .high = 2});
    }
}

TEST_P(NormalizationTest, instanceNorm) {
  for (std::string sizes : {"2x3x7x9x", "2x3x100x100x", "2x3x40x", "1x2x1x3x5x"}) {
    std::string channels = sizes.substr(2, 1);
    expectOpMatches("nn.instance_norm %a, %b, %c {epsilon = 1.0e-5}",
                    {"tensor<" + sizes + "f32>", "tensor<" + channels + "xf32>",
                     "tensor<" + channels + "xf32>"},
                    "tensor<" + sizes + "f32>", {.tolerance = 2e-5});
  }
}

// In blocks, of which the last may not be full; of chunks that are put together.
TEST_P(NormalizationTest, blockedInstanceNorm) {
  for (int block : {4, 8, 16, 32})
    for (std::string pixels : {"1x7", "9x40", "33x47"}) {
      std::string image = fmt::format("tensor<2x2x{0}x{1}xf32, #nn.blocked<{1}>>", pixels, block);
      std::string channels = fmt::format("tensor<{}xf32>", 2 * block);
      expectOpMatches("nn.instance_norm %a, %b, %c {epsilon = 1.0e-5}", {image, channels, channels},
                      image, {.tolerance = 2e-5});
    }
}

/// nn.layer_norm of `data`; scale and bias are inputs of `row` or left out.
static std::string layerNorm(const std::string &data, const std::string &row, bool hasScale,
                             bool hasBias, bool center) {
  std::string text = "func.func @main(%x: " + data;
  text += (hasScale ? ", %s: " + row : "") + (hasBias ? ", %b: " + row : "");
  text += ") -> " + data + " {\n  %none = nn.none\n  %y = nn.layer_norm %x, ";
  text += std::string(hasScale ? "%s" : "%none") + (hasBias ? ", %b" : ", %none");
  text += " {axis = 1, center = " + std::string(center ? "true" : "false") + ", epsilon = 1.0e-5}";
  text += " : (" + data + ", " + (hasScale ? row : "none") + ", " + (hasBias ? row : "none");
  return text + ") -> " + data + "\n  return %y : " + data + "\n}\n";
}

TEST_P(NormalizationTest, layerNorm) {
  for (std::string type : {"f32", "f64"})
    for (std::string sizes : {"1x", "15x", "16x", "3x7x", "300x"})
      for (int which = 0; which < 8; ++which) {
        std::string data = "tensor<5x" + sizes + type + ">", row = "tensor<" + sizes + type + ">";
        expectMatches(layerNorm(data, row, which & 1, which & 2, which & 4), {.tolerance = 2e-5});
      }
}

TEST_P(NormalizationTest, localResponse) {
  for (std::string beta : {"0.75", "0.5", "1.0", "0.6"})
    for (std::string size : {"1", "2", "5", "100"})
      for (std::string sizes : {"2x7x5x9x", "1x3x40x40x", "2x3x"})
        expectOpMatches(
            "nn.lrn %a {alpha = 0.1, beta = " + beta + ", bias = 1.0, size = " + size + "}",
            {"tensor<" + sizes + "f32>"}, "tensor<" + sizes + "f32>", {.tolerance = 2e-6});
  // In blocks, by groups of pixels.
  for (std::string size : {"1", "2", "5", "12", "100"})
    for (int block : {4, 8, 16, 32})
      for (std::string sizes : {"2x3x5x9x", "1x1x1x1x", "1x2x11x13x"}) {
        std::string image = fmt::format("tensor<{0}{1}xf32, #nn.blocked<{1}>>", sizes, block);
        expectOpMatches("nn.lrn %a {alpha = 0.1, beta = 0.75, bias = 1.0, size = " + size + "}",
                        {image}, image, {.tolerance = 2e-6});
      }
  expectOpMatches("nn.lrn %a {alpha = 1.0e-4, beta = 0.75, bias = 2.0, size = 3}",
                  {"tensor<1x8x6x6xf64>"}, "tensor<1x8x6x6xf64>", {.tolerance = 1e-12});
}
