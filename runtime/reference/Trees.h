//===- Trees.h - the tables of decision trees -----------------------------===//
#pragma once

#include "quern/Status.h"

#include <cstdint>
#include <span>

namespace quern::reference {

/// What comes of comparing a feature with a threshold: bits of `tests`.
enum TreeOutcome : uint8_t {
  kTreeLess = 1,
  kTreeEqual = 2,
  kTreeGreater = 4,
  kTreeUnordered = 8,
};

/// The tables of nn.tree_ensemble but those of floats.
struct Trees {
  /// Feature, place where the test holds and place where not, of each node.
  std::span<const int32_t> nodes;
  std::span<const uint8_t> tests;
  std::span<const int32_t> roots;
  std::span<const int32_t> leaves = {};
  std::span<const int32_t> targets = {};
  int64_t features = 0;
  int64_t targetCount = 0;

  int64_t nodeCount() const { return static_cast<int64_t>(tests.size()); }
  int64_t leafCount() const { return static_cast<int64_t>(leaves.size()) - 1; }
  bool isPlace(int32_t place) const { return place >= -leafCount() && place < nodeCount(); }
  /// Fails unless every table refers to what is there; `nodes` has three entries each.
  Status check() const;
  /// Fails when a path leads back to where it was. For tables that passed `check`.
  Status checkAcyclic() const;
};

} // namespace quern::reference
