//===- RoiAlignTest.cpp - regions of images -------------------------------===//
#include "tests/native/KernelTest.h"

using namespace quern::native;

namespace {
class RoiAlignTest : public KernelTest {
protected:
  struct Rule {
    std::string kind = "mean", samples = "0", halfPixel = "false", scale = "1.0";
  };
  static std::string text(const Rule &rule, const std::string &channels, const std::string &type,
                          const std::string &rois, const std::string &images,
                          bool wholePixels = false) {
    std::string input = "tensor<3x" + channels + "x9x11x" + type + ">",
                regions = "tensor<5x4x" + type + ">",
                result = "tensor<5x" + channels + "x3x2x" + type + ">";
    return "func.func @main(%a: " + input + ") -> " + result + " {\n  %r = nn.constant dense<" +
           rois + "> : " + regions + "\n  %i = nn.constant dense<" + images +
           "> : tensor<5xi64>\n  %v = nn.roi_pool " + rule.kind +
           " %a, %r, %i {height = 3 : i64, width = 2 : i64, spatial_scale = " + rule.scale +
           " : f64, sampling_ratio = " + rule.samples + " : i64, half_pixel = " + rule.halfPixel +
           ", whole_pixels = " + (wholePixels ? "true" : "false") + "} : (" + input + ", " +
           regions + ", tensor<5xi64>) -> " + result + "\n  return %v : " + result + "\n}\n";
  }
};

// Inside, partly and wholly outside, of no size, turned around, far too large.
const char *kRegions = "[[1.3, 2.1, 7.7, 6.2], [-4.0, -3.0, 5.5, 4.5], [30.0, 1.0, 40.0, 3.0], "
                       "[2.0, 2.0, 2.0, 2.0], [-5000.0, 8.0, 9000.0, 1.0]]";
const char *kImages = "[0, 2, -1, 1, 0]";
} // namespace

INSTANTIATE_TEST_SUITE_P(Targets, RoiAlignTest, testing::ValuesIn(runnableTargets()));

TEST_P(RoiAlignTest, AllRules) {
  for (const char *kind : {"mean", "max"})
    for (const char *samples : {"0", "1", "3"})
      for (const char *half : {"true", "false"})
        for (const char *scale : {"1.0", "0.5"})
          for (const char *type : {"f32", "f64"})
            expectMatches(text({kind, samples, half, scale}, "10", type, kRegions, kImages),
                          {.tolerance = 1e-5});
  expectMatches(text({}, "8", "f32", kRegions, kImages), {.tolerance = 1e-5});
  expectMatches(text({}, "3", "f32", kRegions, kImages), {.tolerance = 1e-5});
}

TEST_P(RoiAlignTest, Refused) {
  EXPECT_EQ(refusalOf(text({}, "3", "f32", kRegions, kImages, /*wholePixels=*/true)),
            "no native code for pooling whole pixels");
  EXPECT_EQ(refusalOf(text({.samples = "65"}, "3", "f32", kRegions, kImages)), "so many samples");
}
