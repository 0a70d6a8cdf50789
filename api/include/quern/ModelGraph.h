//===- ModelGraph.h - the nodes of a model, and what they take ------------===//
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace quern {

/// A node of the model's graph, as it was loaded; what is in branches and bodies is not there.
struct ModelNode {
  /// As errors, profiles and explanations call it.
  std::string name;
  /// What it takes: places in the same list, each once, all before this one.
  std::vector<size_t> inputs = {};
};

} // namespace quern
