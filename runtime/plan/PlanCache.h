//===- PlanCache.h - plans by the sizes they are made for -----------------===//
#pragma once

#include "runtime/plan/Plan.h"

#include <list>
#include <mutex>
#include <span>
#include <unordered_map>

namespace quern {

/// What tells plans apart: sizes, and numbers of whatever else does.
using PlanKey = std::vector<int64_t>;

/// Adds the sizes of each input, with their number.
void appendDims(PlanKey &key, std::span<const Tensor::Dims> dims);

/// Plans by key, as many of the most recently used as fit into a number of bytes.
/// Thread-safe.
class PlanCache {
public:
  explicit PlanCache(int64_t maxBytes) : maxBytes(maxBytes) {}

  /// The kept plan, or null.
  std::shared_ptr<const Plan> find(const PlanKey &key);
  /// Keeps `plan`, unless another thread has been faster, and returns what is kept.
  std::shared_ptr<const Plan> insert(const PlanKey &key, std::shared_ptr<const Plan> plan);

private:
  struct Entry {
    size_t hash;
    PlanKey key;
    std::shared_ptr<const Plan> plan;
    int64_t bytes;
  };
  using Entries = std::list<Entry>;

  std::shared_ptr<const Plan> findLocked(const PlanKey &key, size_t hash);
  void dropOldest();

  int64_t maxBytes;
  int64_t bytes = 0;
  std::mutex mutex;
  /// The most recently used first.
  Entries entries;
  std::unordered_multimap<size_t, Entries::iterator> byHash;
};

} // namespace quern
