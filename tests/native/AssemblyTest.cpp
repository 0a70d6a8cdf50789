//===- AssemblyTest.cpp - the inner loops of products, for CPUs of all kinds ===//
//
// What code for CPUs that may not be here multiplies with, and that its sums stay in registers.
//
//===----------------------------------------------------------------------===//
#include "backends/native/Compiler.h"
#include "backends/native/codegen/AssemblyLoops.h"
#include "tests/native/NarrowFactors.h"

#include <algorithm>
#include <regex>

using namespace quern;
using namespace quern::native;

namespace {
std::string assemblyOf(const Graph &graph, const std::string &cpu,
                       Precision precision = Precision::Float32) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = graph.parse(context);
  CompileOptions options;
  options.targetCpu = cpu;
  options.precision = precision;
  // Its transforms take more vectors than there are registers.
  options.winograd = WinogradUse::Off;
  auto text = module ? compileToPhase(*module, passes::Phase::Object, options)
                     : Expected<std::string>(internalError("the graph does not parse"));
  EXPECT_TRUE(text) << text.status().message();
  return text ? *text : "";
}

/// What a product of so many rows is computed with on a CPU, and how many of it, at least, the
/// loop of the largest tile has.
struct Case {
  const char *cpu;
  NarrowTypes types;
  int64_t rows;
  const char *instruction;
  int64_t atLeast;
};
constexpr NarrowTypes kFloats = {"f32", "f32", "f32"}, kBytes = {"ui8", "i8", "i32"},
                      kBf16 = {"bf16", "bf16", "f32"}, kByFloat16 = {"f32", "f16", "f32"},
                      kByBf16 = {"f32", "bf16", "f32"};

void expectLoops(const Graph &graph, const Case &c, bool maySpill = false) {
  SCOPED_TRACE(std::string(c.cpu) + ", " + c.types.a + ", " + std::to_string(c.rows));
  int64_t most = 0, spills = 0;
  for (const AssemblyLoop &loop : innermostLoops(assemblyOf(graph, c.cpu))) {
    int64_t count = loop.count(c.instruction);
    most = std::max(most, count);
    if (count > 0)
      spills += loop.facts().spills;
  }
  EXPECT_GE(most, c.atLeast) << c.instruction;
  if (!maySpill)
    EXPECT_EQ(spills, 0);
}

Graph productOf(const Case &c) {
  Graph graph;
  GraphValue a = graph.input(typeText({c.rows, 256}, c.types.a));
  GraphValue b = graph.weight(drawTensor(dtypeOfName(c.types.b), {256, 128}, 1));
  graph.output(graph.op("nn.matmul", {a, b}, "", fmt::format("*x{}", c.types.sums)));
  return graph;
}

Graph convOf(const Case &c) {
  Graph graph;
  NarrowConv conv{{1, 64, 28, 28}, {128, 64, 3, 3}, 2, 1};
  GraphValue x = graph.input(typeText(conv.input, c.types.a));
  graph.output(addConv(graph, conv, c.types, x, 1));
  return graph;
}
} // namespace

TEST(AssemblyTest, Products) {
  const Case cases[] = {
      {"haswell", kFloats, 64, "vfmadd\\w+ps", 12},
      {"znver4", kFloats, 64, "vfmadd\\w+ps", 24},
      {"znver4", kBytes, 64, "vpdpbusd", 24},
      {"znver4", kBf16, 64, "vdpbf16ps", 24},
      {"sapphirerapids", kFloats, 64, "vfmadd\\w+ps", 24},
      {"sapphirerapids", kBytes, 2, "vpdpbusd", 8},
      {"sapphirerapids", kBf16, 1, "tdpbf16ps", 4},
      {"sapphirerapids", kBytes, 64, "tdpbusd", 4},
      {"sapphirerapids", kBf16, 64, "tdpbf16ps", 4},
      {"graniterapids", kFloats, 64, "vfmadd\\w+ps", 24},
      {"graniterapids", kBytes, 2, "vpdpbusd", 8},
      {"graniterapids", kBf16, 1, "tdpbf16ps", 4},
      {"graniterapids", kBytes, 64, "tdpbusd", 4},
      {"graniterapids", kBf16, 64, "tdpbf16ps", 4},
  };
  for (const Case &c : cases)
    expectLoops(productOf(c), c);
}

TEST(AssemblyTest, Convolutions) {
  const Case cases[] = {
      {"haswell", kFloats, 0, "vfmadd\\w+ps", 12},
      {"znver4", kFloats, 0, "vfmadd\\w+ps", 24},
      {"znver4", kBytes, 0, "vpdpbusd", 14},
      {"znver4", kBf16, 0, "vdpbf16ps", 14},
      {"sapphirerapids", kFloats, 0, "vfmadd\\w+ps", 24},
      {"sapphirerapids", kBytes, 0, "tdpbusd", 4},
      {"graniterapids", kFloats, 0, "vfmadd\\w+ps", 24},
      {"graniterapids", kBytes, 0, "tdpbusd", 4},
      {"graniterapids", kBf16, 0, "tdpbf16ps", 4},
  };
  for (const Case &c : cases)
    expectLoops(convOf(c), c);
}

// A group of A that one vector of B meets is read by the product itself: broadcast as float32 it
// takes longer.
TEST(AssemblyTest, ProductsOfBFloat16ReadWhatOneVectorMeets) {
  Graph graph;
  NarrowConv conv{{1, 64, 28, 28}, {16, 64, 1, 1}};
  GraphValue x = graph.input(typeText(conv.input, kBf16.a));
  graph.output(addConv(graph, conv, kBf16, x, 1));
  int64_t products = 0;
  for (const AssemblyLoop &loop : innermostLoops(assemblyOf(graph, "znver4"))) {
    int64_t count = loop.count("vdpbf16ps");
    products += count;
    if (count > 0)
      EXPECT_EQ(loop.count("vbroadcastss"), 0);
  }
  EXPECT_GE(products, 14);
}

// While a tile is multiplied, two lines of what the next task reads are asked for in each step; two
// steps are a trip of the loop. One row waits for memory anyway.
TEST(AssemblyTest, WeightsAreAskedForAhead) {
  for (const NarrowTypes &types : {kFloats, kBytes, kBf16}) {
    expectLoops(productOf({"znver4", types, 64, "", 0}), {"znver4", types, 64, "prefetcht1", 4});
    EXPECT_EQ(assemblyOf(productOf({"znver4", types, 1, "", 0}), "znver4").find("prefetch"),
              std::string::npos);
  }
}

// Weights of 16 bits are widened by an instruction for a vector, and nothing else is added.
TEST(AssemblyTest, HalfWeights) {
  const Case cases[] = {
      {"haswell", kByFloat16, 1, "vcvtph2ps", 4},
      {"haswell", kByFloat16, 64, "vcvtph2ps", 4},
      {"haswell", kByFloat16, 64, "vfmadd\\w+ps", 24},
      {"haswell", kByBf16, 64, "vpmovzxwd", 4},
      {"znver4", kByFloat16, 1, "vcvtph2ps", 8},
      {"znver4", kByFloat16, 64, "vcvtph2ps", 8},
      {"znver5", kByFloat16, 64, "vfmadd\\w+ps", 48},
      {"znver5", kByBf16, 64, "vpmovzxwd", 8},
      {"sapphirerapids", kByFloat16, 1, "vcvtph2psx?", 8},
      {"sapphirerapids", kByBf16, 64, "vpmovzxwd", 8},
  };
  for (const Case &c : cases)
    expectLoops(productOf(c), c);
}

// Parts of bytes fill the 16 registers of AVX2 beside the sums. Tiles that leave more room were
// slower (docs/decisions/code-generation.md, "Tiles").
TEST(AssemblyTest, PairsOfBytes) {
  Case c{"haswell", kBytes, 64, "vpmaddwd", 24};
  expectLoops(productOf(c), c, /*maySpill=*/true);
  expectLoops(convOf(c), c, /*maySpill=*/true);
}

// So that none lies on two cache lines, wherever the stack of the caller is.
// The instruction makes zero of subnormal numbers: only where less precision is asked for.
TEST(AssemblyTest, RoundingToBFloat16) {
  Graph graph;
  GraphValue x = graph.input("4x64xf32");
  GraphValue norm = graph.op("nn.layer_norm", {x, graph.none(), graph.none()},
                             "axis = 1 : i64, center = true, epsilon = 1.0e-5 : f64");
  graph.output(graph.op("nn.cast", {norm}, "to = bf16", "*xbf16"));
  graph.output(graph.op("nn.cast", {graph.op("nn.relu", {x})}, "to = bf16", "*xbf16"));
  auto count = [&](Precision precision) {
    std::string text = assemblyOf(graph, "sapphirerapids", precision);
    const std::regex rounding("vcvtneps2bf16");
    return std::distance(std::sregex_iterator(text.begin(), text.end(), rounding), {});
  };
  EXPECT_EQ(count(Precision::Float32), 0);
  EXPECT_GE(count(Precision::BFloat16), 2);
}

TEST(AssemblyTest, VectorsOnTheStackAreAligned) {
  const std::pair<const char *, const char *> cases[] = {{"haswell", "-32"}, {"znver4", "-64"}};
  for (auto [cpu, alignment] : cases) {
    std::string text = assemblyOf(convOf({cpu, kBytes, 0, "", 0}), cpu) +
                       assemblyOf(convOf({cpu, kFloats, 0, "", 0}), cpu);
    EXPECT_NE(text.find(fmt::format("andq\t${}, %rsp", alignment)), std::string::npos) << cpu;
    std::smatch found;
    std::regex unaligned(
        "vmov(up[sd]|dqu\\d*)\t([^\n]*\\(%rsp\\), %[yz]mm|%[yz]mm\\d+, [^\n]*\\(%rsp)");
    EXPECT_FALSE(std::regex_search(text, found, unaligned)) << cpu << ": " << found.str();
    if (cpu == std::string("haswell"))
      EXPECT_TRUE(std::regex_search(text, std::regex("vmov(ap[sd]|dqa)\t%ymm\\d+, [^\n]*\\(%rsp")))
          << cpu;
  }
}

TEST(AssemblyTest, WhatALoopDoes) {
  const char *text = R"(
f:
	xorl	%eax, %eax
.LBB0_1:
	movq	(%rdi,%rax,8), %rcx
.LBB0_2:                                # =>This Inner Loop Header: Depth=2
	vmovups	(%rsi,%rcx), %zmm0
	vbroadcastss	4(%rdx), %zmm1
	vfmadd231ps	%zmm0, %zmm1, %zmm2
	vfmadd231ps	(%rdx){1to16}, %zmm0, %zmm3 # comment (with parentheses)
	vfmadd231ss	(%rdx), %xmm0, %xmm4
	vdpbf16ps	%ymm5, %ymm6, %ymm7
	vmovaps	%zmm3, -64(%rsp)
	vmovups	%ymm7, (%rdi)
	prefetcht0	1024(%rsi)
	leaq	64(%rcx), %rcx
	cmpq	$100, (%rdi)
	jne	.LBB0_2
	incq	%rax
	jmp	.LBB0_1
.Lfunc_end0:
)";
  std::vector<AssemblyLoop> loops = innermostLoops(text);
  ASSERT_EQ(loops.size(), 1u);
  KernelLoop facts = loops[0].facts();
  EXPECT_EQ(facts.label, ".LBB0_2");
  EXPECT_EQ(facts.instructions, 12);
  EXPECT_EQ(facts.flops, 32 + 32 + 2 + 32);
  EXPECT_EQ(facts.loads, 5);
  EXPECT_EQ(facts.loadedBytes, 64 + 4 + 4 + 4 + 8);
  EXPECT_EQ(facts.stores, 2);
  EXPECT_EQ(facts.storedBytes, 64 + 32);
  EXPECT_EQ(facts.spills, 1);
  EXPECT_EQ(loops[0].count("vfmadd\\w+ps"), 2);
}
