//===- TopKTest.cpp - the largest of rows, running sums -------------------===//
#include "tests/native/KernelTest.h"

using namespace quern::native;

namespace {
class TopKTest : public KernelTest {
protected:
  void expectSelects(const std::string &sizes, const std::string &resultSizes, int axis, int k,
                     bool largest, const std::string &type = "f32", const KernelCheck &check = {}) {
    std::string input = "tensor<" + sizes + "x" + type + ">",
                values = "tensor<" + resultSizes + "x" + type + ">",
                indices = "tensor<" + resultSizes + "xi64>";
    std::string results = "(" + values + ", " + indices + ")";
    expectMatches("func.func @main(%a: " + input + ") -> " + results +
                      " {\n  %k = nn.constant dense<" + std::to_string(k) +
                      "> : tensor<1xi64>\n  %v, %i = nn.topk %a, %k {axis = " +
                      std::to_string(axis) + " : i64, largest = " + (largest ? "true" : "false") +
                      "} : (" + input + ", tensor<1xi64>) -> " + results +
                      "\n  return %v, %i : " + values + ", " + indices + "\n}\n",
                  check);
  }
  void expectRuns(const std::string &kind, int axis, const std::string &type,
                  const KernelCheck &check,
                  const std::vector<std::string> &flags = {"true", "false"}) {
    for (const std::string &exclusive : flags)
      for (const std::string &reverse : flags)
        expectMatches("func.func @main(%a: " + type + ") -> " + type +
                          " {\n  %k = nn.constant dense<" + std::to_string(axis) +
                          "> : tensor<i32>\n  %r = nn.cumulate " + kind +
                          " %a, %k {exclusive = " + exclusive + ", reverse = " + reverse + "} : (" +
                          type + ", tensor<i32>) -> " + type + "\n  return %r : " + type + "\n}\n",
                      check);
  }
};

const std::vector<std::string> kNumbers = {"f32", "f64",  "f16", "bf16", "i8",  "ui8",
                                           "i16", "ui16", "i32", "ui32", "i64", "ui64"};
} // namespace

INSTANTIATE_TEST_SUITE_P(Targets, TopKTest, testing::ValuesIn(runnableTargets()));

TEST_P(TopKTest, EveryCountOfShortRows) {
  for (bool largest : {true, false})
    for (int k = 1; k <= 9; ++k)
      expectSelects("7x9", "7x" + std::to_string(k), 1, k, largest);
}

TEST_P(TopKTest, LongRows) {
  for (bool largest : {true, false})
    for (int k : {1, 2, 3, 10, 100, 999, 1000})
      expectSelects("5x1000", "5x" + std::to_string(k), -1, k, largest);
  expectSelects("1x100003", "1x50", 1, 50, true);
}

// Most elements are equal: the order of their places decides.
TEST_P(TopKTest, TypesAndTies) {
  for (const std::string &type : kNumbers)
    for (bool largest : {true, false}) {
      KernelCheck check{.low = type[0] == 'u' ? 0.0 : -4, .high = 4};
      expectSelects("6x777", "6x70", 1, 70, largest, type, check);
      expectSelects("6x5", "6x5", 1, 5, largest, type, check);
    }
}

TEST_P(TopKTest, WholeRangeOfIntegers) {
  for (const std::string &type : {"i8", "ui8", "i16", "ui16"})
    for (bool largest : {true, false})
      expectSelects("3x777", "3x20", 1, 20, largest, type,
                    {.low = type[0] == 'u' ? 0.0 : -120, .high = type[0] == 'u' ? 250.0 : 120});
}

// NaN is the largest; zeros of both signs are equal.
TEST_P(TopKTest, SpecialValues) {
  for (const std::string &type : {"f32", "f64", "f16", "bf16"})
    for (bool largest : {true, false})
      for (int k : {1, 7, 100, 300})
        expectSelects("8x300", "8x" + std::to_string(k), 1, k, largest, type,
                      {.specialValues = true});
}

TEST_P(TopKTest, OtherAxes) {
  for (const std::string &type : {"f32", "f16", "i8", "f64"}) {
    expectSelects("40x30", "7x30", 0, 7, true, type);
    expectSelects("3x40x30", "3x7x30", 1, 7, false, type);
    expectSelects("3x40x1", "3x7x1", 1, 7, true, type);
    expectSelects("3x4x5x6", "2x4x5x6", 0, 2, true, type);
  }
}

TEST_P(TopKTest, Nothing) {
  expectSelects("3x5", "3x0", 1, 0, true);
  expectSelects("0x5", "0x2", 1, 2, true);
  expectSelects("3x0", "3x0", 1, 0, true);
}

TEST_P(TopKTest, RunTimeCountIsRefused) {
  EXPECT_EQ(refusalOf("func.func @main(%a: tensor<5xf32>, %k: tensor<1xi64>) -> "
                      "(tensor<3xf32>, tensor<3xi64>) {\n  %v, %i = nn.topk %a, %k {axis = 0 : "
                      "i64, largest = true} : (tensor<5xf32>, tensor<1xi64>) -> (tensor<3xf32>, "
                      "tensor<3xi64>)\n  return %v, %i : tensor<3xf32>, tensor<3xi64>\n}\n"),
            "k is known only at run time");
}

//===----------------------------------------------------------------------===//
// Running sums and products
//===----------------------------------------------------------------------===//

TEST_P(TopKTest, RunningSums) {
  for (int axis : {0, 1, 2, -1})
    expectRuns("sum", axis, "tensor<5x6x70xf32>", {});
  expectRuns("sum", 0, "tensor<1000xf32>", {});
  expectRuns("sum", 1, "tensor<11x300xf32>", {});
  expectRuns("sum", 0, "tensor<9x1000xf32>", {});
  expectRuns("sum", 1, "tensor<3x0xf32>", {});
  expectRuns("sum", 0, "tensor<5x6xf32>", {.specialValues = true});
}

TEST_P(TopKTest, RunningProducts) {
  for (int axis : {0, 1})
    expectRuns("prod", axis, "tensor<9x50xf32>", {.low = 0.5, .high = 1.5});
}

TEST_P(TopKTest, RunningSumsOfAllTypes) {
  for (const std::string &type : kNumbers)
    for (int axis : {0, 1}) {
      // Half types run in float32, not in float64: ties may fall to the other side.
      KernelCheck check{.tolerance = type == "f16"    ? 2e-3
                                     : type == "bf16" ? 1e-2
                                                      : 0,
                        .low = type[0] == 'u' ? 0.0 : -100,
                        .high = 100};
      expectRuns("sum", axis, "tensor<6x33x" + type + ">", check, {"false"});
      expectRuns("prod", axis, "tensor<6x33x" + type + ">",
                 {.tolerance = check.tolerance, .low = 0.7, .high = 1.3}, {"true"});
    }
}

// The axis is -2 to 2, as drawn.
TEST_P(TopKTest, RunTimeAxis) {
  for (const char *axis : {"tensor<i64>", "tensor<1xi32>"})
    for (const char *type : {"tensor<3x4x5xf32>", "tensor<3x4x5xi32>", "tensor<5x3x1xf16>"})
      for (const char *flag : {"true", "false"})
        for (int repeat = 0; repeat < 4; ++repeat)
          expectOpMatches(std::string("nn.cumulate sum %a, %b {exclusive = ") + flag +
                              ", reverse = " + flag + "}",
                          {type, axis}, type, {.tolerance = 2e-3});
}
