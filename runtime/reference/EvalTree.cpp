//===- EvalTree.cpp - reference kernel of decision trees ------------------===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Enumerations.h"
#include "runtime/reference/Evaluator.h"
#include "runtime/reference/Trees.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::reference;

Status Trees::check() const {
  if (leaves.empty() || leaves.front() != 0 ||
      leaves.back() != static_cast<int64_t>(targets.size()) ||
      !std::is_sorted(leaves.begin(), leaves.end()))
    return invalidInput(fmt::format("leaves must ascend from 0 to {}", targets.size()));
  for (int64_t i = 0; i < nodeCount(); ++i) {
    std::span<const int32_t> node = nodes.subspan(3 * i, 3);
    if (node[0] < 0 || node[0] >= features)
      return invalidInput(fmt::format("node {} asks for feature {} of {}", i, node[0], features));
    if (!isPlace(node[1]) || !isPlace(node[2]))
      return invalidInput(fmt::format("node {} leads to nodes {} and {} of {} (leaves: {})", i,
                                      node[1], node[2], nodeCount(), leafCount()));
  }
  for (int32_t root : roots)
    if (!isPlace(root))
      return invalidInput(fmt::format("there is no root {}", root));
  for (int32_t target : targets)
    if (target < 0 || target >= targetCount)
      return invalidInput(fmt::format("target {} is not in [0, {})", target, targetCount));
  return Status::ok();
}

Status Trees::checkAcyclic() const {
  enum State : uint8_t { kNew, kOnPath, kDone };
  std::vector<uint8_t> states(tests.size(), kNew);
  std::vector<int32_t> path;
  for (int32_t root : roots) {
    if (root >= 0)
      path.push_back(root);
    while (!path.empty()) {
      int32_t node = path.back();
      if (states[node] != kNew) {
        states[node] = kDone;
        path.pop_back();
        continue;
      }
      states[node] = kOnPath;
      for (int64_t way : {1, 2}) {
        int32_t next = nodes[3 * node + way];
        if (next >= 0 && states[next] == kOnPath)
          return invalidInput("the nodes of a tree form a cycle");
        if (next >= 0 && states[next] == kNew)
          path.push_back(next);
      }
    }
  }
  return Status::ok();
}

static Expected<Trees> readTrees(const OpCall &call) {
  constexpr DType kTypes[] = {DType::Undefined, DType::Int32, DType::UInt8, DType::Undefined,
                              DType::Int32,     DType::Int32, DType::Int32, DType::Undefined};
  constexpr int64_t kRanks[] = {2, 2, 1, 1, 1, 1, 1, 1};
  for (size_t i = 0; i < std::size(kTypes); ++i) {
    const Tensor &table = call.inputs[i];
    DType wanted = kTypes[i] == DType::Undefined ? call.inputs[0].dtype() : kTypes[i];
    if (table.dtype() != wanted || table.rank() != kRanks[i])
      return invalidInput(fmt::format("operand {} must be {} of rank {}, found {}", i,
                                      dtypeName(wanted), kRanks[i], table.describe()));
  }
  auto ints = [&](size_t i) { return call.inputs[i].elementsAs<int32_t>(); };
  Trees trees{.nodes = ints(1),
              .tests = call.inputs[2].elementsAs<uint8_t>(),
              .roots = ints(4),
              .leaves = ints(5),
              .targets = ints(6),
              .features = call.inputs[0].dim(1),
              .targetCount = call.attributes.getInt("target_count", 1)};
  int64_t count = trees.nodeCount();
  if (call.inputs[1].dim(0) != count || call.inputs[1].dim(1) != 3 ||
      call.inputs[3].dim(0) != count || call.inputs[7].dim(0) != call.inputs[6].dim(0))
    return invalidInput("the tables of the trees differ in length");
  QUERN_TRY(call.budget.spend(count + static_cast<int64_t>(trees.targets.size())));
  QUERN_TRY(trees.check());
  return trees;
}

template <typename T> static uint8_t compare(T feature, T threshold) {
  if (feature < threshold)
    return kTreeLess;
  if (feature > threshold)
    return kTreeGreater;
  return feature == threshold ? kTreeEqual : kTreeUnordered;
}

/// The number of the leaf that a row leads to from a root.
template <typename T>
static Expected<int64_t> findLeaf(const Trees &trees, const T *thresholds, const T *row,
                                  int32_t root, Budget &budget) {
  int64_t place = root, steps = 0;
  for (; place >= 0; ++steps) {
    if (steps == trees.nodeCount())
      return invalidInput("the nodes of a tree form a cycle");
    std::span<const int32_t> node = trees.nodes.subspan(3 * place, 3);
    bool taken = trees.tests[place] & compare(row[node[0]], thresholds[place]);
    place = node[taken ? 1 : 2];
  }
  QUERN_TRY(budget.spend(4 * steps));
  return -1 - place;
}

/// Takes one more weight into what a target has of the others.
static double combine(ReduceKind kind, bool isFirst, double sum, double weight) {
  if (isFirst)
    return weight;
  switch (kind) {
  case ReduceKind::Min:
    return std::min(sum, weight);
  case ReduceKind::Max:
    return std::max(sum, weight);
  default:
    return sum + weight;
  }
}

static Expected<std::vector<Tensor>> evalTreeEnsemble(const OpCall &call) {
  QUERN_ASSIGN(Trees trees, readTrees(call));
  auto kind = call.attributes.getEnum("kind", ReduceKind::Sum);
  const Tensor &input = call.inputs[0];
  int64_t rows = input.dim(0), count = trees.targetCount;
  if (count < 1)
    return invalidInput(fmt::format("target_count must be positive, found {}", count));
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, input.dtype(), {rows, count}));
  QUERN_ASSIGN(std::span<double> sums, call.budget.scratch<double>(count));
  QUERN_ASSIGN(std::span<uint8_t> isGiven, call.budget.scratch<uint8_t>(count));
  auto evaluate = [&]<typename T>() -> Status {
    const T *thresholds = call.inputs[3].data<T>(), *weights = call.inputs[7].data<T>();
    for (int64_t row = 0; row < rows; ++row) {
      std::fill(isGiven.begin(), isGiven.end(), 0);
      QUERN_TRY(call.budget.spend(count));
      for (int32_t root : trees.roots) {
        QUERN_ASSIGN(
            int64_t leaf,
            findLeaf(trees, thresholds, input.data<T>() + row * trees.features, root, call.budget));
        for (int32_t j = trees.leaves[leaf]; j < trees.leaves[leaf + 1]; ++j) {
          QUERN_TRY(call.budget.spend(2));
          int32_t target = trees.targets[j];
          sums[target] = combine(kind, !isGiven[target], sums[target], weights[j]);
          isGiven[target] = 1;
        }
      }
      for (int64_t target = 0; target < count; ++target)
        result.mutableData<T>()[row * count + target] =
            isGiven[target] ? static_cast<T>(sums[target]) : T(0);
    }
    return Status::ok();
  };
  if (input.dtype() == DType::Float32)
    QUERN_TRY(evaluate.operator()<float>());
  else if (input.dtype() == DType::Float64)
    QUERN_TRY(evaluate.operator()<double>());
  else
    return unsupportedDType(input.dtype());
  return std::vector<Tensor>{result};
}

std::span<const EvaluatorRow> reference::treeEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.tree_ensemble", evalTreeEnsemble},
  };
  return rows;
}
