//===- PackedWeights.cpp - constants as kernels read them -----------------===//
#include "backends/plan/PackedWeights.h"

#include "runtime/running/ParallelTasks.h"

#include <algorithm>

using namespace quern;
using namespace quern::plan;

/// From this size on weights are packed one after the other, each by all threads, so
/// that no two of them are in memory together with what they are packed from.
static constexpr int64_t kPackAloneBytes = int64_t{8} << 20;

Status PackedWeights::packMissing(std::vector<size_t> missing,
                                  const std::vector<const StepBuffer *> &buffers,
                                  std::vector<Tensor> &results, const Deadline &deadline) {
  // The largest come first, while the least is in memory.
  std::sort(missing.begin(), missing.end(), [&](size_t a, size_t b) {
    return std::pair(-buffers[a]->sourceBytes, a) < std::pair(-buffers[b]->sourceBytes, b);
  });
  auto packOne = [&](size_t i) -> Status {
    QUERN_TRY(deadline.check("packing weights"));
    QUERN_ASSIGN(results[i], buffers[i]->pack());
    return Status::ok();
  };
  size_t alone = 0;
  for (; alone < missing.size() && buffers[missing[alone]]->sourceBytes >= kPackAloneBytes; ++alone)
    QUERN_TRY(runParallelTasks(1, threads, [&](size_t) { return packOne(missing[alone]); }));
  return runParallelTasks(missing.size() - alone, threads,
                          [&](size_t job) { return packOne(missing[alone + job]); });
}

Expected<std::vector<Tensor>> PackedWeights::pack(const std::vector<const StepBuffer *> &buffers,
                                                  const Deadline &deadline) {
  std::lock_guard lock(mutex);
  std::vector<Tensor> results(buffers.size());
  std::vector<size_t> missing;
  std::map<std::string, size_t> firstWithKey;
  for (size_t i = 0; i < buffers.size(); ++i) {
    const StepBuffer &buffer = *buffers[i];
    if (!buffer.pack)
      results[i] = buffer.tensor;
    else if (auto it = packed.find(buffer.packKey); !buffer.packKey.empty() && it != packed.end())
      results[i] = it->second;
    else if (buffer.packKey.empty() || firstWithKey.emplace(buffer.packKey, i).second)
      missing.push_back(i);
  }
  QUERN_TRY(packMissing(missing, buffers, results, deadline));
  for (size_t i : missing)
    if (!buffers[i]->packKey.empty())
      packed[buffers[i]->packKey] = results[i];
  for (size_t i = 0; i < buffers.size(); ++i)
    if (!results[i].isPresent())
      results[i] = packed.at(buffers[i]->packKey);
  return results;
}

Expected<Tensor> PackedWeights::unpacked(const nn::WeightSource &weight) {
  if (weight.numBytes() <= StepBuffer::kKeptBytes)
    return weight.load();
  std::lock_guard lock(mutex);
  auto [it, isNew] = packed.try_emplace(weight.key());
  if (!isNew)
    return it->second;
  Expected<Tensor> loaded = weight.load();
  if (!loaded) {
    packed.erase(it);
    return loaded;
  }
  it->second = *loaded;
  auto view = weight.view();
  if (!view || view->rawData() != loaded->rawData())
    weight.release();
  return loaded;
}
