//===- ImportedNodes.h - the nodes of a model by name ---------------------===//
#pragma once

#include "quern/AnyValue.h"
#include "quern/Status.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace quern {

/// The nodes of a graph as it was imported, those in bodies aside, and what the interpreter gives
/// for them.
class ImportedNodes {
public:
  explicit ImportedNodes(mlir::func::FuncOp main);

  bool has(const std::string &node) const { return entries.count(node) > 0; }
  /// The last in the graph's order of those that are in it; the last of all, if none is.
  std::string lastOf(const std::vector<std::string> &nodes) const;

  /// That the value of a node's result is to be kept.
  void want(const std::string &node, size_t result) { wanted.insert({node, result}); }
  /// Runs the graph on the interpreter: its outputs. Wanted values are kept.
  Expected<std::vector<AnyValue>> interpret(std::span<const AnyValue> inputs, const Limits &limits);
  /// Null when it is not there.
  const AnyValue *valueOf(const std::string &node, size_t result) const;

private:
  struct Entry {
    /// Of the last op that it became.
    size_t place = 0;
    size_t results = 0;
  };
  mlir::func::FuncOp main;
  std::map<std::string, Entry> entries;
  std::set<std::pair<std::string, size_t>> wanted;
  std::map<std::pair<std::string, size_t>, AnyValue> values;
};

} // namespace quern
