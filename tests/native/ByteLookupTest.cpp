//===- ByteLookupTest.cpp - tables of bytes in kernels --------------------===//
#include "backends/native/target/CpuFeatures.h"
#include "tests/native/GraphCheck.h"

using namespace quern;
using namespace quern::native;

namespace {
/// Entries in no order.
GraphValue addTable(Graph &graph, DType dtype = DType::UInt8) {
  Tensor table = Tensor::allocate(dtype, {256}).take();
  auto *entries = static_cast<uint8_t *>(table.mutableRawData());
  for (int i = 0; i < 256; ++i)
    entries[i] = static_cast<uint8_t>(i * 37 + 11);
  return graph.weight(table);
}

/// All bytes, of inputs that are small integers.
GraphValue addBytes(Graph &graph, const GraphValue &x, const std::string &dims,
                    const std::string &element) {
  GraphValue spread =
      graph.op("nn.mul", {x, graph.weight(Tensor::of<int32_t>({}, {41}))}, "", dims + "xi32");
  return graph.op("nn.cast", {spread}, "to = " + element, dims + "x" + element);
}

GraphValue addLookup(Graph &graph, const GraphValue &x, const GraphValue &table,
                     const std::string &type) {
  return graph.op("nn.byte_lookup", {x, table}, "", type);
}

/// Convolution of 32-bit integers, bytes of its sums, and what a table has for these; of 256
/// channels, as many as the table has entries.
GraphValue addConv(Graph &graph) {
  GraphValue x = graph.input("1x16x5x7xi32");
  GraphValue w = graph.weight(integerTensor(DType::Int32, {256, 16, 1, 1}, 5));
  GraphValue sums = graph.op("nn.conv", {x, w, graph.none()},
                             "strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = "
                             "array<i64: 0, 0, 0, 0>, group = 1",
                             "1x256x5x7xi32");
  GraphValue bytes = graph.op("nn.cast", {sums}, "to = ui8", "1x256x5x7xui8");
  return addLookup(graph, bytes, addTable(graph), "1x256x5x7xui8");
}
} // namespace

TEST(ByteLookupTest, SizesAndEpiloguesOnAllTargets) {
  for (const char *target : {"baseline", "haswell", "skylake-avx512", "host"}) {
    if (!checkRunsHere(resolveTarget(target).take()).isOk())
      continue;
    SCOPED_TRACE(target);
    Graph graph;
    for (const char *dims : {"1", "63", "64", "3x5", "2x200", "1x16x5x7"}) {
      GraphValue x = graph.input(std::string(dims) + "xi32");
      GraphValue bytes = addBytes(graph, x, dims, "ui8"), numbers = addBytes(graph, x, dims, "i8");
      graph.output(addLookup(graph, bytes, addTable(graph), std::string(dims) + "xui8"), dims);
      graph.output(
          addLookup(graph, numbers, addTable(graph, DType::Int8), std::string(dims) + "xi8"),
          std::string("int8 ") + dims);
    }
    graph.output(addConv(graph), "conv");
    GraphCheck check;
    check.options.targetCpu = target;
    expectExact(graph, check);
  }
}

// One kernel serves all tables, and the table may be an operand as well.
TEST(ByteLookupTest, TablesAreOperands) {
  Graph graph;
  GraphValue x = graph.input("2x256xi32"), table = addTable(graph);
  GraphValue bytes = addBytes(graph, x, "2x256", "ui8");
  GraphValue found = addLookup(graph, bytes, table, "2x256xui8");
  graph.output(graph.op("nn.max", {found, table}, "", "2x256xui8"), "table as row");
  expectExact(graph);
}
