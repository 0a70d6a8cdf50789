//===- DataMovementTest.cpp - copies, transpositions, packing -------------===//
#include "tests/native/KernelTest.h"

#include <fmt/format.h>

using namespace quern::native;

namespace {
class DataMovementTest : public KernelTest {
protected:
  /// `op` with constant int64 operands, given as their MLIR text; "none" leaves
  /// an operand out.
  void expectWithConstants(const std::string &op, const std::vector<std::string> &constants,
                           const std::string &attributes, const std::string &input,
                           const std::string &result) {
    std::string body, names, types;
    for (size_t i = 0; i < constants.size(); ++i) {
      std::string name = "%c" + std::to_string(i);
      size_t count = std::count(constants[i].begin(), constants[i].end(), ',') + 1;
      std::string type =
          constants[i] == "none" ? "none" : "tensor<" + std::to_string(count) + "xi64>";
      body += constants[i] == "none"
                  ? "  " + name + " = nn.none\n"
                  : "  " + name + " = nn.constant dense<" + constants[i] + "> : " + type + "\n";
      names += ", " + name;
      types += ", " + type;
    }
    expectMatches("func.func @main(%a: " + input + ") -> " + result + " {\n" + body +
                  "  %r = " + op + " %a" + names + " " + attributes + " : (" + input + types +
                  ") -> " + result + "\n  return %r : " + result + "\n}\n");
  }
};
} // namespace

INSTANTIATE_TEST_SUITE_P(Targets, DataMovementTest, testing::ValuesIn(runnableTargets()));

TEST_P(DataMovementTest, transposesOfAllWidths) {
  for (std::string type : {"i8", "f16", "f32", "f64", "i1"})
    for (auto [r, c] : {std::pair(1, 1), {3, 5}, {16, 16}, {17, 33}, {64, 100}, {130, 131}}) {
      std::string rows = std::to_string(r), columns = std::to_string(c);
      expectOpMatches("nn.transpose %a {perm = array<i64: 1, 0>}",
                      {"tensor<" + rows + "x" + columns + "x" + type + ">"},
                      "tensor<" + columns + "x" + rows + "x" + type + ">");
    }
}

TEST_P(DataMovementTest, transposesOfHigherRank) {
  expectOpMatches("nn.transpose %a {perm = array<i64: 0, 2, 3, 1>}", {"tensor<2x37x5x7xf32>"},
                  "tensor<2x5x7x37xf32>");
  expectOpMatches("nn.transpose %a {perm = array<i64: 0, 3, 1, 2>}", {"tensor<2x5x7x37xf32>"},
                  "tensor<2x37x5x7xf32>");
  expectOpMatches("nn.transpose %a {perm = array<i64: 0, 2, 1, 3>}", {"tensor<2x5x7x19xf32>"},
                  "tensor<2x7x5x19xf32>");
  expectOpMatches("nn.transpose %a {perm = array<i64: 3, 2, 1, 0>}", {"tensor<20x5x18x19xf32>"},
                  "tensor<19x18x5x20xf32>");
  expectOpMatches("nn.transpose %a {perm = array<i64>}", {"tensor<2x3x4xi64>"},
                  "tensor<4x3x2xi64>");
  expectOpMatches("nn.transpose %a {perm = array<i64: 0, 2, 1, 3, 4>}",
                  {"tensor<1x2x58x28x28xf32>"}, "tensor<1x58x2x28x28xf32>");
}

TEST_P(DataMovementTest, keepsBits) {
  expectOpMatches("nn.bitcast %a {to = i32}", {"tensor<3x7xf32>"}, "tensor<3x7xi32>");
  expectOpMatches("nn.bitcast %a {to = ui8}", {"tensor<17xi8>"}, "tensor<17xui8>");
  expectOpMatches("nn.bitcast %a {to = complex<f32>}", {"tensor<5x2xf32>"},
                  "tensor<5xcomplex<f32>>");
}

TEST_P(DataMovementTest, packsAndUnpacks) {
  auto expectBlocks = [&](int channels, int block, const std::string &element) {
    for (std::string spatial : {"1x1", "5x7", "16x17"}) {
      std::string plain = fmt::format("tensor<2x{}x{}x{}>", channels, spatial, element);
      std::string packed =
          fmt::format("tensor<2x{}x{}x{}x{}, #nn.blocked<{}>>", (channels + block - 1) / block,
                      spatial, block, element, block);
      expectOpMatches("nn.pack %a", {plain}, packed);
      expectOpMatches(fmt::format("nn.unpack %a {{channels = {}}}", channels), {packed}, plain);
    }
  };
  for (int channels : {1, 3, 16, 20, 32, 40})
    for (int block : {4, 8, 16})
      expectBlocks(channels, block, "f32");
  // Blocks that fill a word of four or eight bytes, and others.
  for (std::string element : {"i8", "ui8", "f16", "bf16", "i16"})
    for (int block : {2, 4, 8})
      for (int channels : {1, 2, 3, 4, 7, 9})
        expectBlocks(channels, block, element);
}

TEST_P(DataMovementTest, concatsAndSplits) {
  expectOpMatches("nn.concat %a, %b {axis = 1}", {"tensor<2x3x5xf32>", "tensor<2x4x5xf32>"},
                  "tensor<2x7x5xf32>");
  expectOpMatches("nn.concat %a, %b {axis = -1}", {"tensor<20x1xf32>", "tensor<20x2xf32>"},
                  "tensor<20x3xf32>");
  expectOpMatches("nn.concat %a, %b {axis = 0}", {"tensor<0x3xi8>", "tensor<2x3xi8>"},
                  "tensor<2x3xi8>");
  expectMatches(R"(
    func.func @main(%a: tensor<2x7x3xi32>) -> (tensor<2x4x3xi32>, tensor<2x3x3xi32>) {
      %n = nn.none
      %r:2 = nn.split %a, %n {axis = 1} : (tensor<2x7x3xi32>, none) -> (tensor<2x4x3xi32>, tensor<2x3x3xi32>)
      return %r#0, %r#1 : tensor<2x4x3xi32>, tensor<2x3x3xi32>
    })");
}

TEST_P(DataMovementTest, slices) {
  auto slice = [&](std::string starts, std::string ends, std::string axes, std::string steps,
                   std::string result) {
    expectWithConstants("nn.slice", {starts, ends, axes, steps}, "", "tensor<5x20x33xf32>", result);
  };
  slice("[1, 2]", "[3, 1000]", "none", "none", "tensor<2x18x33xf32>");
  slice("[-3]", "[-1]", "[1]", "none", "tensor<5x2x33xf32>");
  slice("[30]", "[-1000]", "[2]", "[-2]", "tensor<5x20x16xf32>");
  slice("[0]", "[33]", "[-1]", "[3]", "tensor<5x20x11xf32>");
  slice("[4, 19]", "[-9, -99]", "[0, 1]", "[-1, -1]", "tensor<5x20x33xf32>");
  slice("[3]", "[3]", "[0]", "none", "tensor<0x20x33xf32>");
}

TEST_P(DataMovementTest, expandsAndTiles) {
  expectWithConstants("nn.expand", {"[2, 3, 4, 5]"}, "", "tensor<3x1x5xf32>",
                      "tensor<2x3x4x5xf32>");
  expectWithConstants("nn.expand", {"[7, 9]"}, "", "tensor<7x1xi1>", "tensor<7x9xi1>");
  expectWithConstants("nn.tile", {"[2, 1, 3]"}, "", "tensor<3x4x5xf32>", "tensor<6x4x15xf32>");
  expectWithConstants("nn.tile", {"[1, 0]"}, "", "tensor<3x4xf32>", "tensor<3x0xf32>");
}

TEST_P(DataMovementTest, pads) {
  for (std::string mode : {"constant", "edge", "reflect"}) {
    expectWithConstants("nn.pad " + mode, {"[0, 1, 2, 0, 3, 1]", "none"}, "", "tensor<2x5x6xf32>",
                        "tensor<2x9x9xf32>");
    expectWithConstants("nn.pad " + mode, {"[1, 2, 1, 0]", "none"}, "", "tensor<3x7xui8>",
                        "tensor<5x9xui8>");
  }
  expectWithConstants("nn.pad constant", {"[-1, 2, 1, -3]", "none"}, "", "tensor<3x7xi64>",
                      "tensor<3x6xi64>");
  expectMatches(R"(
    func.func @main(%a: tensor<3x7xf32>, %b: tensor<f32>) -> tensor<5x9xf32> {
      %p = nn.constant dense<[1, 1, 1, 1]> : tensor<4xi64>
      %r = nn.pad constant %a, %p, %b : (tensor<3x7xf32>, tensor<4xi64>, tensor<f32>) -> tensor<5x9xf32>
      return %r : tensor<5x9xf32>
    })");
}

TEST_P(DataMovementTest, gathersWithConstantIndices) {
  expectWithConstants("nn.gather", {"[0, -1, 2, 2]"}, "{axis = 0}", "tensor<5x37xf32>",
                      "tensor<4x37xf32>");
  expectWithConstants("nn.gather", {"[4, 0]"}, "{axis = -1}", "tensor<3x5xi64>", "tensor<3x2xi64>");
}

// Random indices are -2 to 2.
TEST_P(DataMovementTest, gathersWithIndicesOfTheRun) {
  for (std::string element : {"f32", "f64", "i8", "i1", "f16", "i64"})
    for (std::string index : {"i32", "i64"}) {
      expectOpMatches("nn.gather %a, %b {axis = 0}",
                      {"tensor<5x37x" + element + ">", "tensor<2x3x" + index + ">"},
                      "tensor<2x3x37x" + element + ">");
      expectOpMatches("nn.gather %a, %b {axis = 1}",
                      {"tensor<3x3x2x" + element + ">", "tensor<4x" + index + ">"},
                      "tensor<3x4x2x" + element + ">");
      expectOpMatches("nn.gather %a, %b {axis = -1}",
                      {"tensor<3x4x" + element + ">", "tensor<" + index + ">"},
                      "tensor<3x" + element + ">");
    }
}

TEST_P(DataMovementTest, reshapesCopy) {
  expectOpMatches("nn.flatten %a {axis = 1}", {"tensor<2x3x50xf32>"}, "tensor<2x150xf32>");
  expectWithConstants("nn.reshape", {"[-1, 9]"}, "{allowzero = false}", "tensor<3x3x4xi16>",
                      "tensor<4x9xi16>");
}

TEST_P(DataMovementTest, ranges) {
  auto check = [&](const std::string &type, const std::string &start, const std::string &limit,
                   const std::string &delta, int count) {
    std::string scalar = "tensor<" + type + ">";
    std::string result = "tensor<" + std::to_string(count) + "x" + type + ">";
    expectMatches("func.func @main() -> " + result + " {\n  %a = nn.constant dense<" + start +
                  "> : " + scalar + "\n  %b = nn.constant dense<" + limit + "> : " + scalar +
                  "\n  %c = nn.constant dense<" + delta + "> : " + scalar +
                  "\n  %r = nn.range %a, %b, %c : (" + scalar + ", " + scalar + ", " + scalar +
                  ") -> " + result + "\n  return %r : " + result + "\n}\n");
  };
  for (const char *type : {"i16", "i32", "i64"}) {
    check(type, "3", "10003", "1", 10000);
    check(type, "20", "-7", "-5", 6);
    check(type, "5", "5", "1", 0);
  }
  for (const char *type : {"f32", "f64"}) {
    check(type, "0.1", "1000.0", "0.25", 4000);
    check(type, "1.5", "-2.0", "-0.25", 14);
  }
}

TEST_P(DataMovementTest, constantsOfAShape) {
  for (auto [type, value] : std::vector<std::pair<std::string, std::string>>{
           {"f32", "1.5"}, {"f16", "1.5"}, {"i64", "-7"}, {"i1", "true"}, {"ui8", "7"}})
    for (std::string shape : {"3, 700", "0, 5"}) {
      std::string sizes = shape;
      sizes.replace(sizes.find(", "), 2, "x");
      std::string result = "tensor<" + sizes + "x" + type + ">";
      expectMatches("func.func @main() -> " + result + " {\n  %s = nn.constant dense<[" + shape +
                    "]> : tensor<2xi64>\n  %n = nn.constant dense<" + value + "> : tensor<" + type +
                    ">\n  %r = nn.expand %n, %s : (tensor<" + type + ">, tensor<2xi64>) -> " +
                    result + "\n  return %r : " + result + "\n}\n");
    }
}
