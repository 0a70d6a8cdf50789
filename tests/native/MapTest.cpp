//===- MapTest.cpp - elementwise kernels ----------------------------------===//
#include "tests/native/KernelTest.h"

using namespace quern::native;

INSTANTIATE_TEST_SUITE_P(Targets, KernelTest, testing::ValuesIn(runnableTargets()));

namespace {
std::string sized(const std::string &shape, const std::string &type) {
  return "tensor<" + shape + type + ">";
}
} // namespace

TEST_P(KernelTest, unaryOpsHandleAllTailLengths) {
  for (int n : {1, 3, 15, 16, 17, 63, 64, 65, 130, 1000, 20001})
    expectOpMatches("nn.relu %a", {sized(std::to_string(n) + "x", "f32")},
                    sized(std::to_string(n) + "x", "f32"), {.specialValues = true});
}

TEST_P(KernelTest, arithmeticOnEveryElementType) {
  for (std::string type : {"f32", "f64", "i8", "i16", "i32", "i64", "ui8", "ui16", "ui32", "ui64"})
    for (std::string op : {"add", "sub", "mul", "div", "min", "max"})
      expectOpMatches("nn." + op + " %a, %b", {sized("3x37x", type), sized("3x37x", type)},
                      sized("3x37x", type), {.low = 0, .high = 100});
  for (std::string type : {"f16", "bf16"})
    for (std::string second : {"3x37x", ""})
      for (std::string op : {"add", "mul", "div"})
        expectOpMatches("nn." + op + " %a, %b", {sized("3x37x", type), sized(second, type)},
                        sized("3x37x", type), {.specialValues = true});
}

// What all pixels of a block of channels read stays in registers, where a pixel is whole vectors.
TEST_P(KernelTest, channelsInBlocks) {
  for (std::string type : {"f32", "f64", "bf16", "i32", "ui8"})
    for (std::string block : {"4", "16", "32", "64"}) {
      auto image = [&](const std::string &sizes) {
        return sized(sizes + block + "x", type + ", #nn.blocked<" + block + ">");
      };
      std::string whole = image("2x3x5x7x");
      expectOpMatches("nn.mul %a, %b", {whole, image("1x3x1x1x")}, whole);
      expectOpMatches("nn.sub %a, %b", {image("2x3x1x1x"), whole}, whole);
      expectOpMatches("nn.where %a, %b, %c",
                      {sized("1x3x1x1x" + block + "x", "i1, #nn.blocked<" + block + ">"), whole,
                       image("2x3x1x1x")},
                      whole);
    }
}

TEST_P(KernelTest, signedIntegersDivideLikeTheReference) {
  for (std::string type : {"i8", "i16", "i32", "i64"})
    expectOpMatches("nn.div %a, %b", {sized("999x", type), sized("999x", type)},
                    sized("999x", type), {.low = -100, .high = 100});
}

TEST_P(KernelTest, specialFloatsInMinAndMax) {
  for (std::string op : {"add", "sub", "mul", "div", "min", "max"})
    expectOpMatches("nn." + op + " %a, %b", {sized("4099x", "f32"), sized("4099x", "f32")},
                    sized("4099x", "f32"), {.specialValues = true});
}

TEST_P(KernelTest, broadcasting) {
  auto add = [&](const std::string &a, const std::string &b, const std::string &r) {
    expectOpMatches("nn.add %a, %b", {sized(a, "f32"), sized(b, "f32")}, sized(r, "f32"));
  };
  add("2x3x5x7x", "3x1x1x", "2x3x5x7x");
  add("2x3x5x37x", "1x1x1x37x", "2x3x5x37x");
  add("2x3x5x37x", "1x3x1x37x", "2x3x5x37x");
  add("5x1x33x", "1x4x1x", "5x4x33x");
  add("", "100x", "100x");
  add("1x", "", "1x");
  add("", "", "");
  add("0x4x", "1x4x", "0x4x");
  add("70x1x", "1x70x", "70x70x");
  add("2x4x7x7x16x", "4x1x1x16x", "2x4x7x7x16x");
  add("1x1x3000x100x", "1x1x1x100x", "1x1x3000x100x");
  // Rows of several tasks: a part of all begins within one.
  add("3x20001x", "3x1x", "3x20001x");
}

TEST_P(KernelTest, mixedElementTypes) {
  expectOpMatches("nn.less %a, %b", {sized("77x", "f32"), sized("77x", "f32")}, sized("77x", "i1"),
                  {.specialValues = true});
  expectOpMatches("nn.less %a, %b", {sized("77x", "ui8"), sized("1x", "ui8")}, sized("77x", "i1"),
                  {.low = 0, .high = 255});
}

TEST_P(KernelTest, casts) {
  for (std::string from : {"f32", "f64", "f16", "bf16", "i8", "i16", "i32", "i64", "ui8", "ui16",
                           "ui32", "ui64", "i1"})
    for (std::string to :
         {"f32", "f64", "i8", "i16", "i32", "i64", "ui8", "ui16", "ui32", "ui64", "i1"})
      expectOpMatches("nn.cast %a {to = " + to + "}", {sized("301x", from)}, sized("301x", to),
                      {.low = from[0] == 'u' ? 0.0 : -700, .high = 700, .specialValues = true});
  for (std::string from : {"f32", "i8", "ui8", "i16", "i1"})
    for (std::string to : {"f16", "bf16"})
      expectOpMatches("nn.cast %a {to = " + to + "}", {sized("301x", from)}, sized("301x", to),
                      {.low = from[0] == 'u' ? 0.0 : -700, .high = 700, .specialValues = true});
}

// A number, a row and a whole tensor of exponents, with the special values of C's pow.
TEST_P(KernelTest, powersOfEveryElementType) {
  for (std::string type : {"f32", "f64", "f16", "bf16"})
    for (std::string exponents : {"", "37x", "99x37x"})
      expectOpMatches("nn.pow %a, %b", {sized("99x37x", type), sized(exponents, type)},
                      sized("99x37x", type),
                      {.tolerance = type == "bf16"  ? 0.01
                                    : type == "f16" ? 1e-3
                                                    : 1e-6,
                       .specialValues = true});
  for (std::string type : {"i8", "ui16", "i32", "i64", "ui64"})
    expectOpMatches("nn.pow %a, %b", {sized("99x37x", type), sized("37x", type)},
                    sized("99x37x", type), {.low = 0, .high = 20});
}

TEST_P(KernelTest, remaindersOfFloats) {
  for (std::string type : {"f32", "f64", "f16"}) {
    std::vector<std::string> operands = {sized("99x37x", type), sized("37x", type)};
    for (std::string op : {"nn.fmod", "nn.mod"})
      for (double range : {3.0, 1e4})
        expectOpMatches(op + " %a, %b", operands, sized("99x37x", type),
                        {.tolerance = type == "f16" ? 1e-3 : 1e-7,
                         .low = -range,
                         .high = range,
                         .specialValues = true});
  }
  // Quotients that only libm can divide exactly.
  expectOpMatches("nn.fmod %a, %b", {sized("999x", "f32"), sized("", "f32")}, sized("999x", "f32"),
                  {.low = 1e9, .high = 1e30});
}

TEST_P(KernelTest, groupsOfSeveralOpsAndResults) {
  expectMatches(R"(
    func.func @main(%a: tensor<3x50xf32>, %b: tensor<50xf32>) -> (tensor<3x50xf32>, tensor<3x50xi1>) {
      %r:2 = nn.group %a, %b {
      ^bb0(%x: tensor<3x50xf32>, %y: tensor<50xf32>):
        %c = nn.constant dense<0.5> : tensor<f32>
        %0 = nn.mul %x, %y : (tensor<3x50xf32>, tensor<50xf32>) -> tensor<3x50xf32>
        %1 = nn.add %0, %c : (tensor<3x50xf32>, tensor<f32>) -> tensor<3x50xf32>
        %2 = nn.relu %1 : (tensor<3x50xf32>) -> tensor<3x50xf32>
        %3 = nn.less %2, %y : (tensor<3x50xf32>, tensor<50xf32>) -> tensor<3x50xi1>
        nn.yield %2, %3 : tensor<3x50xf32>, tensor<3x50xi1>
      } : (tensor<3x50xf32>, tensor<50xf32>) -> (tensor<3x50xf32>, tensor<3x50xi1>)
      return %r#0, %r#1 : tensor<3x50xf32>, tensor<3x50xi1>
    })",
                {.tolerance = 1e-6});
}
