//===- PlanCache.cpp - plans by the sizes they are made for ---------------===//
#include "runtime/plan/PlanCache.h"

#include <algorithm>

using namespace quern;

void quern::appendDims(PlanKey &key, std::span<const Tensor::Dims> dims) {
  for (const Tensor::Dims &sizes : dims) {
    key.push_back(static_cast<int64_t>(sizes.size()));
    key.insert(key.end(), sizes.begin(), sizes.end());
  }
}

/// FNV-1a.
static size_t hashOf(const PlanKey &key) {
  uint64_t hash = 0xcbf29ce484222325;
  for (int64_t value : key)
    hash = (hash ^ static_cast<uint64_t>(value)) * 0x100000001b3;
  return hash;
}

std::shared_ptr<const Plan> PlanCache::find(const PlanKey &key) {
  size_t hash = hashOf(key);
  std::lock_guard lock(mutex);
  return findLocked(key, hash);
}

std::shared_ptr<const Plan> PlanCache::insert(const PlanKey &key,
                                              std::shared_ptr<const Plan> plan) {
  size_t hash = hashOf(key);
  std::lock_guard lock(mutex);
  if (auto kept = findLocked(key, hash))
    return kept;
  entries.push_front({hash, key, plan, approximateBytes(*plan)});
  byHash.emplace(hash, entries.begin());
  bytes += entries.front().bytes;
  while (bytes > maxBytes && entries.size() > 1)
    dropOldest();
  return plan;
}

std::shared_ptr<const Plan> PlanCache::findLocked(const PlanKey &key, size_t hash) {
  auto [begin, end] = byHash.equal_range(hash);
  for (auto at = begin; at != end; ++at)
    if (at->second->key == key) {
      entries.splice(entries.begin(), entries, at->second);
      return at->second->plan;
    }
  return nullptr;
}

void PlanCache::dropOldest() {
  auto oldest = std::prev(entries.end());
  auto [begin, end] = byHash.equal_range(oldest->hash);
  byHash.erase(std::find_if(begin, end, [&](auto &row) { return row.second == oldest; }));
  bytes -= oldest->bytes;
  entries.erase(oldest);
}
