//===- ReductionTest.cpp - reductions, softmax, arg max -------------------===//
#include "tests/native/KernelTest.h"

using namespace quern::native;

namespace {
class ReductionTest : public KernelTest {
protected:
  void expectReduces(const std::string &kind, const std::string &axes, const std::string &input,
                     const std::string &result, const KernelCheck &check) {
    auto count = std::count(axes.begin(), axes.end(), ',') + 1;
    std::string axesType = axes.empty() ? "none" : "tensor<" + std::to_string(count) + "xi64>";
    std::string axesOp =
        axes.empty() ? "nn.none" : "nn.constant dense<[" + axes + "]> : " + axesType;
    expectMatches("func.func @main(%a: " + input + ") -> " + result + " {\n  %c = " + axesOp +
                      "\n  %r = nn.reduce " + kind +
                      " %a, %c {keepdims = false, noop_with_empty_axes = false} : (" + input +
                      ", " + axesType + ") -> " + result + "\n  return %r : " + result + "\n}",
                  check);
  }
};
} // namespace

INSTANTIATE_TEST_SUITE_P(Targets, ReductionTest, testing::ValuesIn(runnableTargets()));

TEST_P(ReductionTest, allKindsAndPlaces) {
  for (std::string kind :
       {"sum", "mean", "max", "min", "l1", "l2", "log_sum", "log_sum_exp", "sum_square", "prod"}) {
    KernelCheck check{.tolerance = 1e-5, .low = 0.5, .high = 1.5};
    expectReduces(kind, "2", "tensor<3x5x37xf32>", "tensor<3x5xf32>", check);
    expectReduces(kind, "1", "tensor<3x5x37xf32>", "tensor<3x37xf32>", check);
    expectReduces(kind, "0", "tensor<9x300xf32>", "tensor<300xf32>", check);
    expectReduces(kind, "-1, -2", "tensor<4x6x13xf32>", "tensor<4xf32>", check);
    expectReduces(kind, "0, 2", "tensor<6x5x7xf32>", "tensor<5xf32>", check);
    expectReduces(kind, "", "tensor<6x7xf32>", "tensor<f32>", check);
    expectReduces(kind, "1", "tensor<6x1x7xf32>", "tensor<6x7xf32>", check);
    expectReduces(kind, "0", "tensor<11x40xf64>", "tensor<40xf64>", check);
    expectReduces(kind, "1", "tensor<11x40xf64>", "tensor<11xf64>", check);
  }
}

TEST_P(ReductionTest, longRowsAreSummedAccurately) {
  KernelCheck check{.tolerance = 1e-6, .low = 0, .high = 1};
  expectReduces("mean", "1", "tensor<2x100000xf32>", "tensor<2xf32>", check);
}

TEST_P(ReductionTest, integers) {
  for (std::string type : {"i8", "ui8", "i32", "i64", "ui64"})
    for (std::string kind : {"sum", "max", "min", "prod", "l1", "sum_square"}) {
      KernelCheck check{.low = type[0] == 'u' ? 0.0 : -100, .high = 100};
      expectReduces(kind, "1", "tensor<5x77x" + type + ">", "tensor<5x" + type + ">", check);
      expectReduces(kind, "0", "tensor<5x77x" + type + ">", "tensor<77x" + type + ">", check);
      expectReduces(kind, "0", "tensor<7x300x" + type + ">", "tensor<300x" + type + ">", check);
    }
}

TEST_P(ReductionTest, nothingToReduce) {
  for (std::string kind : {"sum", "max", "min", "prod", "mean", "log_sum_exp"}) {
    expectReduces(kind, "1", "tensor<3x0xf32>", "tensor<3xf32>", {});
    expectReduces(kind, "0", "tensor<0x5xf32>", "tensor<5xf32>", {});
    expectReduces(kind, "0", "tensor<5x0xf32>", "tensor<0xf32>", {});
  }
}

TEST_P(ReductionTest, specialValues) {
  for (std::string kind : {"max", "min", "sum", "log_sum_exp"})
    for (int n : {3, 20, 100}) {
      std::string size = std::to_string(n);
      KernelCheck check{.tolerance = 1e-5, .specialValues = n == 3};
      expectReduces(kind, "1", "tensor<50x" + size + "xf32>", "tensor<50xf32>", check);
      expectReduces(kind, "0", "tensor<" + size + "x50xf32>", "tensor<50xf32>", check);
    }
}

TEST_P(ReductionTest, softmax) {
  for (std::string logarithm : {"false", "true"})
    for (bool special : {false, true}) {
      KernelCheck check{.tolerance = 2e-6, .low = -20, .high = 20, .specialValues = special};
      auto along = [&](int axis, bool trailing, const std::string &type) {
        expectOpMatches("nn.softmax %a {axis = " + std::to_string(axis) + ", trailing = " +
                            (trailing ? "true" : "false") + ", logarithm = " + logarithm + "}",
                        {type}, type, check);
      };
      along(-1, false, "tensor<4x10xf32>");
      along(1, false, "tensor<3x1000xf32>");
      along(2, false, "tensor<2x3x67xf32>");
      along(1, false, "tensor<2x21x50xf32>");
      along(0, false, "tensor<7x300xf32>");
      along(1, true, "tensor<2x3x5x7xf32>");
      along(0, true, "tensor<4x7xf64>");
      along(1, false, "tensor<4x0xf32>");
    }
}

TEST_P(ReductionTest, argMaxAndArgMin) {
  for (std::string op : {"nn.arg_reduce max", "nn.arg_reduce min"})
    for (std::string last : {"true", "false"}) {
      auto along = [&](int axis, const std::string &type, const std::string &result) {
        KernelCheck check{.low = 0, .high = 6, .specialValues = true};
        expectOpMatches(op + " %a {axis = " + std::to_string(axis) +
                            ", keepdims = false, select_last_index = " + last + "}",
                        {type}, result, check);
      };
      along(1, "tensor<30x10xf32>", "tensor<30xi64>");
      along(0, "tensor<10x300xf32>", "tensor<300xi64>");
      along(1, "tensor<3x21x50xf64>", "tensor<3x50xi64>");
      along(1, "tensor<3x21x50xi32>", "tensor<3x50xi64>");
      along(-1, "tensor<3x50xui8>", "tensor<3xi64>");
      along(0, "tensor<50x3xi8>", "tensor<3xi64>");
    }
}
