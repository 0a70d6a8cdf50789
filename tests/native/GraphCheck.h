//===- GraphCheck.h - whole graphs, compiled against interpreted ----------===//
//
// A test writes a graph op by op; it is compiled for this process and must give
// exactly what the interpreter gives. All numbers are small integers, so that
// sums are exact in any order.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/Compiler.h"
#include "runtime/running/Session.h"
#include "tests/native/GuardedMemory.h"
#include "tests/plan/Graph.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace quern::native {

using test::expectSameTensors;
using test::Graph;
using test::GraphValue;
using test::integerInputs;
using test::integerTensor;
using test::normalTensor;
using test::runInterpreted;

/// What a compiled graph did.
struct GraphRun {
  std::vector<Tensor> results;
  std::vector<ProfileRow> steps;
};

Expected<std::shared_ptr<Executable>> compileForTest(const Graph &graph,
                                                     const NativeOptions &options = {});
Expected<GraphRun> runCompiled(std::shared_ptr<const Executable> executable,
                               const std::vector<Tensor> &inputs, int threads = 2);
/// Runs with the inputs, the outputs, the weights and the arena at `side` of
/// inaccessible pages, and with no byte to spare.
Expected<std::vector<Tensor>> runGuarded(const Executable &executable,
                                         const std::vector<Tensor> &inputs,
                                         GuardedMemory::Side side);
/// How expectExact runs a graph.
struct GraphCheck {
  NativeOptions options;
  /// Whether steps may run on reference kernels.
  bool allowReference = false;
  /// None: small integers.
  std::vector<Tensor> inputs = {};
};
/// Compiles, runs (beside inaccessible pages, too) and compares; gives what the
/// compiled graph did.
GraphRun expectExact(const Graph &graph, const GraphCheck &check = {});

/// Runs `executable`, made of `graph`, on inputs of the given sizes and compares.
void expectExactAt(const Graph &graph, const std::shared_ptr<Executable> &executable,
                   const std::vector<Tensor::Dims> &dims);

} // namespace quern::native
