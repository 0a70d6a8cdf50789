//===- TuningTable.h - which ways of computing problems measured best -----===//
#pragma once

#include "mlir/IR/Operation.h"

#include <map>
#include <string>

namespace quern::native {

struct LoweringContext;

/// The way that measured best, for problems on one machine: it comes before what the ways cost by
/// estimate.
class TuningTable {
public:
  TuningTable() = default;
  explicit TuningTable(std::map<std::string, std::string> ways) : ways(std::move(ways)) {}

  /// `problem` is a problemKey, `way` a Way::name of its op.
  void add(std::string problem, std::string way) { ways[std::move(problem)] = std::move(way); }
  /// Null when the problem was not measured.
  const std::string *find(const std::string &problem) const {
    auto at = ways.find(problem);
    return at == ways.end() ? nullptr : &at->second;
  }
  bool isEmpty() const { return ways.empty(); }
  /// All of them.
  const std::map<std::string, std::string> &all() const { return ways; }

private:
  std::map<std::string, std::string> ways;
};

/// What the time of an op depends on, as 32 digits, a hash of: the op, its attributes, and the
/// element types, layouts and sizes of its operands and results, and which of them are constants.
/// `op` is the anchor of a group, whose epilogue is no part of the problem.
std::string problemKey(mlir::Operation *op, const LoweringContext &context);

} // namespace quern::native
