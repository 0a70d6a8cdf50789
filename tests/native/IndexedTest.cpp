//===- IndexedTest.cpp - gathers and scatters -----------------------------===//
#include "tests/native/KernelTest.h"

using namespace quern::native;

namespace {
/// Indices are drawn from -2 to 2, so that many meet and all sizes of at least 3 do.
class IndexedTest : public KernelTest {
protected:
  static std::string tensor(const std::string &sizes, const std::string &element) {
    return "tensor<" + sizes + (sizes.empty() ? "" : "x") + element + ">";
  }
  void expectGathers(const std::string &input, const std::string &indices, int axis,
                     const std::string &type = "f32", const std::string &index = "i64") {
    expectOpMatches("nn.gather_elements %a, %b {axis = " + std::to_string(axis) + " : i64}",
                    {tensor(input, type), tensor(indices, index)}, tensor(indices, type));
  }
  void expectGathersSlices(const std::string &input, const std::string &indices,
                           const std::string &result, int batchDims,
                           const std::string &type = "f32", const std::string &index = "i64") {
    expectOpMatches("nn.gather_nd %a, %b {batch_dims = " + std::to_string(batchDims) + " : i64}",
                    {tensor(input, type), tensor(indices, index)}, tensor(result, type));
  }
  void expectScatters(const std::string &input, const std::string &indices, int axis,
                      const std::string &reduction, const std::string &type = "f32",
                      const KernelCheck &check = {}) {
    expectOpMatches("nn.scatter_elements " + reduction +
                        " %a, %b, %c {axis = " + std::to_string(axis) + " : i64}",
                    {tensor(input, type), tensor(indices, "i64"), tensor(indices, type)},
                    tensor(input, type), check);
  }
  void expectScattersSlices(const std::string &input, const std::string &indices,
                            const std::string &updates, const std::string &reduction,
                            const std::string &type = "f32", const std::string &index = "i64") {
    expectOpMatches("nn.scatter_nd " + reduction + " %a, %b, %c",
                    {tensor(input, type), tensor(indices, index), tensor(updates, type)},
                    tensor(input, type));
  }
};

const std::vector<std::string> kTypes = {"f32", "f64", "f16", "bf16", "i8", "ui8",
                                         "i16", "i32", "i64", "ui64", "i1"};
const std::vector<std::string> kNumbers = {"f32", "f64", "f16", "bf16", "i8",
                                           "ui8", "i16", "i32", "i64",  "ui64"};
const std::vector<std::string> kReductions = {"none", "add", "mul", "min", "max"};
} // namespace

INSTANTIATE_TEST_SUITE_P(Targets, IndexedTest, testing::ValuesIn(runnableTargets()));

TEST_P(IndexedTest, GatherElements) {
  for (const std::string &index : {"i64", "i32"}) {
    expectGathers("7", "20", 0, "f32", index);
    for (int axis : {0, 1, 2, -1})
      expectGathers("5x6x7", "4x3x5", axis, "f32", index);
  }
  for (int axis : {0, 1, 2, 3, 4})
    expectGathers("3x4x5x6x7", "3x2x5x3x4", axis);
  for (const std::string &type : kTypes)
    expectGathers("5x40", "5x33", 1, type);
  expectGathers("5x6x40", "5x9x40", 1); // rows merge with what is around them
  expectGathers("3x7000", "2x7000", 0); // several tasks
  expectGathers("300x100", "300x1", 1);
  expectGathers("4x5", "0x5", 0);
}

TEST_P(IndexedTest, GatherND) {
  for (const std::string &index : {"i64", "i32"}) {
    expectGathersSlices("5", "9x1", "9", 0, "f32", index);
    expectGathersSlices("4x5x6", "3x2x3", "3x2", 0, "f32", index);
    expectGathersSlices("4x5x6", "3x2x2", "3x2x6", 0, "f32", index);
    expectGathersSlices("4x5x70", "9x1", "9x5x70", 0, "f32", index);
  }
  expectGathersSlices("3x4x5x6", "3x7x1", "3x7x5x6", 1);
  expectGathersSlices("3x4x5x6", "3x4x7x1", "3x4x7x6", 2);
  expectGathersSlices("3x4x5x6", "3x4x2", "3x4", 2);
  expectGathersSlices("3x4x5x6", "3x2x0", "3x2x4x5x6", 1);
  expectGathersSlices("3x20000", "4x1", "4x20000", 0); // slices of several tasks
  expectGathersSlices("3x4", "2000x2", "2000", 0);
  expectGathersSlices("3x4x0", "5x2", "5x0", 0);
  expectGathersSlices("3x4", "0x1", "0x4", 0);
  for (const std::string &type : kTypes)
    expectGathersSlices("3x4x37", "5x2", "5x37", 0, type);
}

TEST_P(IndexedTest, ScatterElements) {
  for (const std::string &reduction : kReductions) {
    expectScatters("7", "20", 0, reduction);
    for (int axis : {0, 1, 2, -1})
      expectScatters("5x6x7", "4x3x5", axis, reduction);
    for (const std::string &type : kNumbers)
      for (int axis : {0, 1})
        expectScatters("5x40", "4x33", axis, reduction, type);
  }
  for (int axis : {0, 1, 2, 3, 4})
    expectScatters("3x4x5x6x7", "3x2x5x3x4", axis, "add");
  expectScatters("4x5", "3x4", 1, "none", "i1");
  expectScatters("3x7000", "9x7000", 0, "add"); // several tasks
  expectScatters("7000x3", "7000x9", 1, "add");
  expectScatters("3x1000", "3x1000", 1, "none"); // identical bits whatever comes last
  expectScatters("4x5", "0x5", 0, "add");
  expectScatters("4x5", "4x0", 1, "none");
}

TEST_P(IndexedTest, ScatterND) {
  for (const std::string &reduction : kReductions) {
    for (const std::string &index : {"i64", "i32"})
      expectScattersSlices("4x5x6", "3x2x2", "3x2x6", reduction, "f32", index);
    expectScattersSlices("5", "9x1", "9", reduction);
    expectScattersSlices("4x5x6", "30x3", "30", reduction);
    expectScattersSlices("4x70", "9x1", "9x70", reduction);
    expectScattersSlices("3x5", "2x0", "2x3x5", reduction);
    for (const std::string &type : kNumbers)
      expectScattersSlices("3x4x37", "5x2", "5x37", reduction, type);
  }
  expectScattersSlices("3x4x7", "5x2", "5x7", "none", "i1");
  expectScattersSlices("3x9000", "4x1", "4x9000", "add"); // slices of several tasks
  expectScattersSlices("3x4x0", "5x2", "5x0", "none");
  expectScattersSlices("3x4", "0x1", "0x4", "add");
}

// NaN stays the largest and the smallest, whichever comes first.
TEST_P(IndexedTest, ScatterSpecialValues) {
  for (const std::string &type : {"f32", "f64", "f16", "bf16"})
    for (const std::string &reduction : {"min", "max", "add"}) {
      std::string data = "tensor<5x60x" + type + ">", updates = "tensor<9x60x" + type + ">";
      expectMatches("func.func @main(%a: " + data + ", %c: " + updates + ") -> " + data +
                        " {\n  %b = nn.constant dense<[[0], [3], [0], [2], [0], [4], [3], [1], "
                        "[0]]> : tensor<9x1xi64>\n  %r = nn.scatter_nd " +
                        reduction + " %a, %b, %c : (" + data + ", tensor<9x1xi64>, " + updates +
                        ") -> " + data + "\n  return %r : " + data + "\n}\n",
                    {.specialValues = true});
    }
}

TEST_P(IndexedTest, RefusedTypes) {
  auto text = [](const std::string &type) {
    return "func.func @main(%a: tensor<4x" + type + ">, %b: tensor<4xi64>) -> tensor<4x" + type +
           "> {\n  %r = nn.scatter_elements add %a, %b, %a {axis = 0 : i64} : (tensor<4x" + type +
           ">, tensor<4xi64>, tensor<4x" + type + ">) -> tensor<4x" + type +
           ">\n  return %r : tensor<4x" + type + ">\n}\n";
  };
  EXPECT_EQ(refusalOf(text("i1")), "no native code to combine bool elements");
  EXPECT_EQ(refusalOf(text("f32")), "");
}
