//===- HalfTest.cpp - graphs in float16 and bfloat16 ----------------------===//
//
// Ops that have no native code for these types are computed in float32 between
// casts, and must give what the interpreter gives: each rounded once.
//
//===----------------------------------------------------------------------===//
#include "tests/native/GraphCheck.h"

#include "mlir/IR/MLIRContext.h"

#include <cmath>
#include <random>

using namespace quern;
using namespace quern::native;

namespace {
const std::string kNoPads = "pads = array<i64: 0, 0, 0, 0>";
const std::string kWindow = "kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = "
                            "array<i64: 1, 1>, ceil_mode = false, " +
                            kNoPads;
const std::string kConv = "strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, group = 1, ";

class HalfTest : public testing::TestWithParam<std::string> {
protected:
  GraphValue input(const std::string &shape) { return graph.input(shape + "x" + GetParam()); }
  GraphValue weight(const std::string &shape) { return graph.weight(shape + "x" + GetParam()); }

  Graph graph;
};

/// The distance between neighbours of `value` in a type with `digits` of mantissa.
double spacing(double value, int digits, int lowestExponent) {
  return std::ldexp(1.0, std::max(std::ilogb(value), lowestExponent) - digits);
}

/// Fills a tensor with numbers in [-1, 1].
template <typename T> Tensor fractions(const Tensor::Dims &dims) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> numbers(-1, 1);
  Tensor tensor = Tensor::allocate(dtypeOf<T>(), dims).take();
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    tensor.mutableData<T>()[i] = T(numbers(random));
  return tensor;
}

template <typename T>
void expectNeighbours(const Tensor &found, const Tensor &wanted, int digits, int lowestExponent,
                      const std::string &label) {
  ASSERT_EQ(found.describe(), wanted.describe()) << label;
  for (int64_t i = 0; i < wanted.numElements(); ++i) {
    auto f = float(found.data<T>()[i]), w = float(wanted.data<T>()[i]);
    ASSERT_LE(std::abs(f - w), spacing(w, digits, lowestExponent))
        << label << " element " << i << " is " << f << " instead of " << w;
  }
}
} // namespace

INSTANTIATE_TEST_SUITE_P(Types, HalfTest, testing::Values("f16", "bf16"));

// With sums of integers there is no rounding to hide behind.
TEST_P(HalfTest, everyFamilyIsNativeAndExact) {
  GraphValue image = input("1x16x8x8"), matrix = input("5x7");
  GraphValue conv =
      graph.op("nn.conv", {image, weight("16x16x1x1"), weight("16")}, kConv + kNoPads);
  graph.output(graph.op("nn.relu", {conv}), "conv and relu");
  graph.output(graph.op("nn.max_pool", {image}, kWindow), "max_pool");
  graph.output(graph.op("nn.average_pool", {image}, kWindow + ", count_include_pad = false"),
               "average_pool");
  graph.output(graph.op("nn.global_pool max", {image}), "global_max_pool");
  graph.output(graph.op("nn.matmul", {matrix, weight("7x6")}), "matmul");
  graph.output(graph.op("nn.gemm", {matrix, weight("3x7"), weight("3")},
                        "alpha = 1.0, beta = 2.0, trans_a = false, trans_b = true"),
               "gemm");
  GraphValue axes = graph.constant("dense<1>", "1xi64");
  graph.output(
      graph.op("nn.reduce sum", {matrix, axes}, "keepdims = true, noop_with_empty_axes = false"),
      "reduce");
  graph.output(graph.op("nn.arg_reduce max", {matrix},
                        "axis = 1, keepdims = false, select_last_index = false", "5xi64"),
               "arg_max");
  expectExact(graph);
}

// A residual block: the sum is read by a convolution and by the next addition.
TEST_P(HalfTest, residualsAreExact) {
  GraphValue x = input("1x16x6x6");
  GraphValue sum = x;
  for (int i = 0; i < 2; ++i) {
    GraphValue conv =
        graph.op("nn.conv", {sum, weight("16x16x1x1"), graph.none()}, kConv + kNoPads);
    GraphValue low = graph.op("nn.min", {conv, graph.constant("dense<2.0>", GetParam())});
    GraphValue small = graph.op("nn.max", {low, graph.constant("dense<-2.0>", GetParam())});
    sum = graph.op("nn.add", {small, sum});
  }
  graph.output(sum);
  expectExact(graph);
}

// Rounded once by op, results are those of the interpreter or, where float32 and
// double lie on two sides of the middle, their neighbours.
TEST_P(HalfTest, fractionsRoundAsInTheInterpreter) {
  GraphValue image = input("2x16x8x8");
  std::string suffix = GetParam();
  graph.output(graph.op("nn.softmax", {image}, "axis = 1, trailing = false"), "softmax");
  graph.output(graph.op("nn.softmax", {image}, "axis = 1, trailing = false, logarithm = true"),
               "log_softmax");
  graph.output(graph.op("nn.average_pool", {image}, kWindow + ", count_include_pad = false"),
               "pool");
  graph.output(graph.op("nn.lrn", {image}, "alpha = 0.1, beta = 0.75, bias = 1.0, size = 3"),
               "lrn");
  GraphValue one = graph.constant("dense<1.0>", "16x" + suffix),
             third = graph.constant("dense<0.3>", "16x" + suffix);
  graph.output(graph.op("nn.instance_norm", {image, one, third}, "epsilon = 0.01"),
               "instance_norm");
  graph.output(graph.op("nn.batch_norm", {image, third, third, third, one}, "epsilon = 0.01"),
               "batch_norm");
  bool isBrain = suffix == "bf16";
  Tensor values = isBrain ? fractions<BFloat16>({2, 16, 8, 8}) : fractions<Float16>({2, 16, 8, 8});
  auto wanted = runInterpreted(graph, {values});
  ASSERT_TRUE(wanted) << wanted.status().message();
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  auto run = runCompiled(*executable, {values});
  ASSERT_TRUE(run) << run.status().message();
  for (const ProfileRow &step : run->steps)
    EXPECT_FALSE(step.reference) << step.nodes << " has no native code";
  for (size_t i = 0; i < wanted->size(); ++i) {
    if (isBrain)
      expectNeighbours<BFloat16>(run->results[i], (*wanted)[i], 7, -126, graph.labels()[i]);
    else
      expectNeighbours<Float16>(run->results[i], (*wanted)[i], 10, -14, graph.labels()[i]);
  }
}

// LLVM would rather compare float16 than extended numbers, one lane at a time.
TEST(HalfCodeTest, comparesWholeVectors) {
  Graph graph;
  GraphValue relu = graph.op("nn.relu", {graph.input("4096xf16")});
  graph.output(graph.op("nn.min", {relu, graph.constant("dense<6.0>", "f16")}));
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = graph.parse(context);
  ASSERT_TRUE(module);
  CompileOptions options;
  options.targetCpu = "skylake-avx512";
  auto assembly = compileToPhase(*module, passes::Phase::Object, options);
  ASSERT_TRUE(assembly) << assembly.status().message();
  EXPECT_NE(assembly->find("vcvtph2ps"), std::string::npos) << *assembly;
  EXPECT_EQ(assembly->find("ucomiss"), std::string::npos) << *assembly;
}
