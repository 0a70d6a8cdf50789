//===- PoolTest.cpp - pooling kernels -------------------------------------===//
#include "tests/native/KernelTest.h"

using namespace quern::native;

namespace {
class PoolTest : public KernelTest {
protected:
  /// `sizes` is the shape of the input as far as the window: "2x3x" and "10x12x".
  struct Window {
    std::string kernel, strides, dilations, pads;
    bool ceil = false;
    std::string autoPad = "NOTSET";
  };
  static std::string attributes(const Window &w) {
    return "kernel = array<i64: " + w.kernel + ">, strides = array<i64: " + w.strides +
           ">, dilations = array<i64: " + w.dilations + ">, pads = array<i64: " + w.pads +
           ">, ceil_mode = " + (w.ceil ? "true" : "false") + ", auto_pad = #nn<auto_pad " +
           w.autoPad + ">";
  }
  /// A float32 image; `block` as in the last of its sizes, 0 when it is row-major.
  static std::string image(const std::string &sizes, int block) {
    return "tensor<" + sizes + "xf32" +
           (block ? ", #nn.blocked<" + std::to_string(block) + ">>" : ">");
  }
  /// Checks max_pool and both kinds of average_pool.
  void expectPools(const Window &w, const std::string &input, const std::string &output,
                   int block = 0, const KernelCheck &check = {.tolerance = 1e-5}) {
    std::string from = image(input, block), to = image(output, block);
    KernelCheck exact = check;
    exact.tolerance = 0;
    expectOpMatches("nn.max_pool %a {" + attributes(w) + "}", {from}, to, exact);
    for (std::string includes : {"true", "false"})
      expectOpMatches("nn.average_pool %a {" + attributes(w) + ", count_include_pad = " + includes +
                          "}",
                      {from}, to, check);
  }
};
} // namespace

INSTANTIATE_TEST_SUITE_P(Targets, PoolTest, testing::ValuesIn(runnableTargets()));

TEST_P(PoolTest, plainTwoDimensional) {
  expectPools({"3, 3", "1, 1", "1, 1", "1, 1, 1, 1"}, "2x3x17x53", "2x3x17x53");
  expectPools({"3, 3", "2, 2", "1, 1", "1, 1, 1, 1"}, "2x3x17x90", "2x3x9x45");
  expectPools({"2, 2", "2, 2", "1, 1", "0, 0, 0, 0"}, "1x2x64x64", "1x2x32x32");
  expectPools({"2, 3", "3, 3", "1, 1", "0, 0, 0, 0"}, "1x2x9x33", "1x2x3x11");
  expectPools({"3, 3", "2, 2", "2, 2", "2, 2, 2, 2"}, "1x2x20x20", "1x2x10x10");
  expectPools({"9, 9", "1, 1", "1, 1", "4, 4, 4, 4"}, "1x2x20x40", "1x2x20x40");
  expectPools({"3, 3", "2, 2", "1, 1", "0, 0, 0, 0", true}, "1x2x8x8", "1x2x4x4");
  expectPools({"2, 2", "1, 1", "1, 1", "0, 0, 0, 0", false, "SAME_UPPER"}, "1x2x8x9", "1x2x8x9");
  expectPools({"5, 5", "2, 2", "1, 1", "2, 2, 2, 2", true}, "1x1x3x3", "1x1x2x2");
}

TEST_P(PoolTest, narrowElements) {
  std::string window = attributes({"3, 3", "2, 2", "1, 1", "1, 1, 1, 1"});
  KernelCheck rounded{.tolerance = 8e-3};
  for (std::string encoding : {">", ", #nn.blocked<16>>"}) {
    bool isBlocked = encoding != ">";
    std::string from = isBlocked ? "tensor<2x2x17x31x16x" : "tensor<2x3x17x31x",
                to = isBlocked ? "tensor<2x2x9x16x16x" : "tensor<2x3x9x16x";
    for (std::string element : {"bf16", "f16", "i8", "ui8"})
      expectOpMatches("nn.max_pool %a {" + window + "}", {from + element + encoding},
                      to + element + encoding, {.tolerance = 0});
    for (std::string element : {"bf16", "f16"})
      expectOpMatches("nn.average_pool %a {" + window + ", count_include_pad = false}",
                      {from + element + encoding}, to + element + encoding, rounded);
  }
}

// NaN of either sign wins, infinities are the least and the greatest.
TEST_P(PoolTest, specialHalves) {
  KernelCheck check{.tolerance = 0, .specialValues = true};
  for (std::string element : {"bf16", "f16"}) {
    std::string window = attributes({"3, 3", "2, 2", "1, 1", "1, 1, 1, 1"});
    expectOpMatches("nn.max_pool %a {" + window + "}", {"tensor<2x3x17x71x" + element + ">"},
                    "tensor<2x3x9x36x" + element + ">", check);
    for (std::string block : {"16", "32"})
      expectOpMatches(
          "nn.max_pool %a {" + window + "}",
          {"tensor<2x1x17x31x" + block + "x" + element + ", #nn.blocked<" + block + ">>"},
          "tensor<2x1x9x16x" + block + "x" + element + ", #nn.blocked<" + block + ">>", check);
  }
}

TEST_P(PoolTest, blockedTwoDimensional) {
  for (int block : {4, 8, 16, 32}) {
    std::string b = "x" + std::to_string(block);
    expectPools({"3, 3", "2, 2", "1, 1", "1, 1, 1, 1"}, "2x2x17x31" + b, "2x2x9x16" + b, block);
    expectPools({"3, 3", "1, 1", "1, 1", "1, 1, 1, 1"}, "1x3x7x7" + b, "1x3x7x7" + b, block);
    expectPools({"2, 2", "2, 2", "1, 1", "0, 0, 0, 0"}, "1x1x14x14" + b, "1x1x7x7" + b, block);
  }
}

TEST_P(PoolTest, oneAndThreeDimensions) {
  expectPools({"3", "1", "1", "1, 1"}, "2x3x100", "2x3x100");
  expectPools({"4", "4", "1", "0, 0"}, "2x3x100", "2x3x25");
  expectPools({"3, 2, 3", "2, 1, 2", "1, 1, 1", "1, 0, 1, 1, 1, 1"}, "1x2x9x6x40", "1x2x5x6x20");
  expectPools({"2, 2, 2", "2, 2, 2", "1, 1, 1", "0, 0, 0, 0, 0, 0"}, "1x2x4x4x4x8", "1x2x2x2x2x8",
              8);
}

TEST_P(PoolTest, specialValuesInMaxima) {
  Window w{"3, 3", "2, 2", "1, 1", "1, 1, 1, 1"};
  expectOpMatches("nn.max_pool %a {" + attributes(w) + "}", {"tensor<2x3x17x90xf32>"},
                  "tensor<2x3x9x45xf32>", {.specialValues = true});
  expectOpMatches("nn.max_pool %a {" + attributes(w) + "}", {image("2x1x17x31x16", 16)},
                  image("2x1x9x16x16", 16), {.specialValues = true});
}

TEST_P(PoolTest, maximaOfOtherTypes) {
  Window w{"2, 2", "2, 2", "1, 1", "0, 0, 0, 0"};
  for (std::string type : {"f64", "i8", "ui8", "i32", "i64"})
    expectOpMatches("nn.max_pool %a {" + attributes(w) + "}", {"tensor<1x2x8x140x" + type + ">"},
                    "tensor<1x2x4x70x" + type + ">",
                    {.low = type[0] == 'u' ? 0.0 : -100, .high = 100});
}

TEST_P(PoolTest, globalPools) {
  for (std::string op : {"nn.global_pool mean", "nn.global_pool max"}) {
    for (std::string sizes : {"1x1", "7x7", "13x31"}) {
      expectOpMatches(op + " %a", {"tensor<2x5x" + sizes + "xf32>"}, "tensor<2x5x1x1xf32>",
                      {.tolerance = 1e-5});
      expectOpMatches(op + " %a", {image("2x5x" + sizes + "x16", 16)}, image("2x5x1x1x16", 16),
                      {.tolerance = 1e-5});
    }
    expectOpMatches(op + " %a", {image("2x3x7x7x8", 8)}, image("2x3x1x1x8", 8),
                    {.tolerance = 1e-5, .specialValues = true});
  }
}

TEST_P(PoolTest, epilogues) {
  auto group = [&](const std::string &input, const std::string &result, const std::string &scale,
                   const std::string &full) {
    Window w{"3, 3", "2, 2", "1, 1", "1, 1, 1, 1"};
    expectMatches("func.func @main(%a: " + input + ", %b: " + scale + ", %c: " + full + ") -> " +
                      result + " {\n %r = nn.group %a, %b, %c {\n ^bb0(%x: " + input + ", %y: " +
                      scale + ", %z: " + full + "):\n %0 = nn.max_pool %x {" + attributes(w) +
                      "} : (" + input + ") -> " + result + "\n %1 = nn.mul %0, %y : (" + result +
                      ", " + scale + ") -> " + result + "\n %2 = nn.add %1, %z : (" + result +
                      ", " + full + ") -> " + result + "\n %3 = nn.relu %2 : (" + result + ") -> " +
                      result + "\n nn.yield %3 : " + result + "\n } : (" + input + ", " + scale +
                      ", " + full + ") -> " + result + "\n return %r : " + result + "\n}",
                  {.tolerance = 1e-5});
  };
  group("tensor<2x3x17x90xf32>", "tensor<2x3x9x45xf32>", "tensor<3x1x1xf32>",
        "tensor<2x3x9x45xf32>");
  group("tensor<2x3x17x90xf32>", "tensor<2x3x9x45xf32>", "tensor<45xf32>", "tensor<f32>");
  group(image("2x3x17x31x16", 16), image("2x3x9x16x16", 16), image("1x3x1x1x16", 16),
        image("2x3x9x16x16", 16));
}

// The first of equal maxima counts; a window of padding only has none.
TEST_P(PoolTest, placesOfMaxima) {
  auto check = [&](const Window &w, const std::string &sizes, const std::string &resultSizes,
                   const std::string &type = "f32", bool special = false) {
    std::string input = "tensor<" + sizes + "x" + type + ">",
                values = "tensor<" + resultSizes + "x" + type + ">",
                places = "tensor<" + resultSizes + "xi64>";
    for (std::string order : {"0", "1"})
      expectMatches("func.func @main(%a: " + input + ") -> (" + values + ", " + places +
                        ") {\n  %v, %i = nn.max_pool_with_indices %a {" + attributes(w) +
                        ", storage_order = " + order + " : i64} : (" + input + ") -> (" + values +
                        ", " + places + ")\n  return %v, %i : " + values + ", " + places + "\n}\n",
                    {.low = type[0] == 'u' ? 0.0 : -4, .high = 4, .specialValues = special});
  };
  for (bool special : {false, true}) {
    check({"3, 3", "2, 2", "1, 1", "1, 1, 1, 1"}, "2x3x10x11", "2x3x5x6", "f32", special);
    check({"3", "1", "1", "0, 0"}, "2x3x17", "2x3x15", "f32", special);
  }
  check({"2, 3", "1, 2", "2, 1", "0, 1, 1, 0"}, "1x2x9x8", "1x2x8x4");
  check({"2, 2, 2", "2, 1, 2", "1, 2, 1", "1, 0, 0, 0, 1, 1"}, "2x2x5x6x7", "2x2x3x5x4");
  check({"2, 2", "3, 3", "1, 1", "0, 0, 0, 0", true}, "1x1x7x7", "1x1x3x3");
  check({"2, 2", "1, 1", "5, 5", "4, 4, 4, 4"}, "1x2x3x4", "1x2x6x7");
  check({"2, 2", "2, 2", "1, 1", "0, 0, 0, 0", false, "SAME_UPPER"}, "1x2x5x7", "1x2x3x4");
  for (const std::string &type : {"f64", "i8", "ui8", "i32", "i64"})
    check({"3, 2", "1, 2", "1, 1", "1, 0, 1, 0"}, "1x3x9x8", "1x3x9x4", type);
}
