//===- AssemblyTest.cpp - the inner loops of products, for CPUs of all kinds ===//
//
// What code for CPUs that may not be here multiplies with, and that its sums stay in registers.
//
//===----------------------------------------------------------------------===//
#include "backends/native/Compiler.h"
#include "tests/native/NarrowFactors.h"

#include <algorithm>
#include <map>
#include <regex>
#include <sstream>

using namespace quern;
using namespace quern::native;

namespace {
/// The instructions of a loop without another one inside, as text.
using Loop = std::vector<std::string>;

/// The loops of functions in AT&T's syntax: from a label to a jump back to it.
std::vector<Loop> innermostLoops(const std::string &assembly) {
  static const std::regex label(R"(^(\.LBB\w+):)"), jump(R"(^\s*j\w+\s+(\.LBB\w+))");
  std::vector<std::string> lines;
  std::map<std::string, size_t> labels; // of the function so far
  std::vector<std::pair<size_t, size_t>> found;
  std::istringstream text(assembly);
  for (std::string line; std::getline(text, line); lines.push_back(line)) {
    std::smatch match;
    if (std::regex_search(line, match, label))
      labels[match[1]] = lines.size();
    else if (std::regex_search(line, match, jump) && labels.count(match[1]))
      found.emplace_back(labels[match[1]], lines.size());
    else if (line.starts_with(".Lfunc_end"))
      labels.clear();
  }
  std::vector<Loop> loops;
  for (auto [begin, end] : found) {
    auto isInside = [begin = begin, end = end](const auto &other) {
      return other != std::pair(begin, end) && begin <= other.first && other.second <= end;
    };
    if (std::none_of(found.begin(), found.end(), isInside))
      loops.emplace_back(lines.begin() + static_cast<ptrdiff_t>(begin),
                         lines.begin() + static_cast<ptrdiff_t>(end));
  }
  return loops;
}

int64_t countOf(const Loop &loop, const std::string &instruction) {
  std::regex line("^\\s*" + instruction + "\\s");
  return std::count_if(loop.begin(), loop.end(),
                       [&](const std::string &text) { return std::regex_search(text, line); });
}

/// Vectors or tiles that a loop keeps on the stack.
int64_t countSpills(const Loop &loop) {
  static const std::regex stack(R"(\(%rsp)"), vector(R"(%[xyzt]mm\d)");
  return std::count_if(loop.begin(), loop.end(), [&](const std::string &text) {
    return std::regex_search(text, stack) && std::regex_search(text, vector);
  });
}

std::string assemblyOf(const Graph &graph, const std::string &cpu) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = graph.parse(context);
  CompileOptions options;
  options.targetCpu = cpu;
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
                      kBf16 = {"bf16", "bf16", "f32"};

void expectLoops(const Graph &graph, const Case &c, bool maySpill = false) {
  SCOPED_TRACE(std::string(c.cpu) + ", " + c.types.a + ", " + std::to_string(c.rows));
  int64_t most = 0, spills = 0;
  for (const Loop &loop : innermostLoops(assemblyOf(graph, c.cpu))) {
    int64_t count = countOf(loop, c.instruction);
    most = std::max(most, count);
    if (count > 0)
      spills += countSpills(loop);
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
      {"sapphirerapids", kBf16, 1, "vdpbf16ps", 4},
      {"sapphirerapids", kBytes, 64, "tdpbusd", 4},
      {"sapphirerapids", kBf16, 64, "tdpbf16ps", 4},
      {"graniterapids", kFloats, 64, "vfmadd\\w+ps", 24},
      {"graniterapids", kBytes, 2, "vpdpbusd", 8},
      {"graniterapids", kBf16, 1, "vdpbf16ps", 4},
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

// Parts of bytes fill the 16 registers of AVX2 beside the sums. Tiles that leave more room were
// slower (docs/decisions/code-generation.md, "Tiles").
TEST(AssemblyTest, PairsOfBytes) {
  Case c{"haswell", kBytes, 64, "vpmaddwd", 24};
  expectLoops(productOf(c), c, /*maySpill=*/true);
  expectLoops(convOf(c), c, /*maySpill=*/true);
}
