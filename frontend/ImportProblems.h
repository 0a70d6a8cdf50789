//===- ImportProblems.h - all that keeps a model from being imported ------===//
#pragma once

#include "quern/Status.h"

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace quern::frontend {

/// One reason why a model cannot be imported.
struct ImportProblem {
  StatusCode code = StatusCode::Unsupported;
  /// The node's label, its op and the version of the op's domain; none of what is no node.
  std::string node = {};
  std::string op = {};
  int64_t version = 0;
  /// Names the node, too.
  std::string message = {};
};

/// The problems found so far. An import goes on after what is wrong with one node, so
/// that all such nodes are named at once.
class ImportProblems {
public:
  /// The import ends at so many: more would help nobody, and cost time in a hostile file.
  static constexpr size_t kMost = 100;

  /// `first`: what is known before the import, or ok.
  explicit ImportProblems(Status first) : first(std::move(first)) {}

  /// Whether an error is one node's alone: no limit that is used up, no file that
  /// cannot be read.
  static bool isOfOneNode(const Status &error) {
    return error.code() == StatusCode::Unsupported || error.code() == StatusCode::InvalidModel;
  }

  /// Each message once: bodies may be imported several times.
  void add(ImportProblem problem);
  bool isFull() const { return problems.size() >= kMost; }
  /// One error that names all of them, a line each when there are several; ok without any.
  /// Its code is that of the first.
  Status status() const;
  const std::vector<ImportProblem> &all() const { return problems; }

private:
  Status first;
  std::vector<ImportProblem> problems;
  std::set<std::string> messages;
};

} // namespace quern::frontend
