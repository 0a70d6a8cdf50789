//===- PackedWeights.cpp - constants as kernels read them -----------------===//
#include "backends/plan/PackedWeights.h"

#include "runtime/running/ParallelTasks.h"
#include "runtime/running/TraceScope.h"

#include <algorithm>
#include <map>

using namespace quern;
using namespace quern::plan;

/// From this size on weights are packed one after the other, each by all threads, so
/// that no two of them are in memory together with what they are packed from.
static constexpr int64_t kPackAloneBytes = int64_t{8} << 20;
static constexpr std::string_view kDoing = "packing weights";

/// Packs one buffer after the other and hands the tensors over.
Status PackedWeights::packMissing(std::vector<const StepBuffer *> missing, const Deadline &deadline,
                                  const Take &take) {
  if (missing.empty())
    return Status::ok();
  // The largest come first, while the least is in memory.
  std::stable_sort(missing.begin(), missing.end(), [](const StepBuffer *a, const StepBuffer *b) {
    return a->sourceBytes > b->sourceBytes;
  });
  auto packOne = [&](size_t i) -> Status {
    QUERN_TRY(deadline.check(kDoing));
    TraceScope span("compile", kDoing);
    QUERN_ASSIGN(Tensor tensor, missing[i]->pack());
    take(*missing[i], std::move(tensor));
    return Status::ok();
  };
  size_t alone = 0;
  for (; alone < missing.size() && missing[alone]->sourceBytes >= kPackAloneBytes; ++alone)
    QUERN_TRY(runParallelTasks(1, threads, [&](size_t) { return packOne(alone); }));
  return runParallelTasks(missing.size() - alone, threads,
                          [&](size_t job) { return packOne(alone + job); });
}

Status PackedWeights::packShared(const std::vector<const StepBuffer *> &buffers,
                                 const Deadline &deadline) {
  std::map<std::string_view, const StepBuffer *> byKey;
  std::vector<std::string> keys;
  for (const StepBuffer *buffer : buffers)
    if (buffer->isShared() && byKey.emplace(buffer->packKey, buffer).second)
      keys.push_back(buffer->packKey);
  while (true) {
    OncePerKey<Tensor>::Undertaking mine(packed);
    if (packed.undertake(keys, mine))
      return Status::ok();
    if (mine.keys().empty()) {
      QUERN_TRY(packed.waitFor(keys, deadline, kDoing));
      continue;
    }
    std::vector<const StepBuffer *> missing;
    for (const std::string &key : mine.keys())
      missing.push_back(byKey.at(key));
    QUERN_TRY(
        packMissing(std::move(missing), deadline, [&](const StepBuffer &buffer, Tensor tensor) {
          packed.provide(buffer.packKey, std::move(tensor));
        }));
  }
}

Expected<std::vector<Tensor>> PackedWeights::pack(const std::vector<const StepBuffer *> &buffers,
                                                  const Deadline &deadline) {
  QUERN_TRY(packShared(buffers, deadline));
  std::vector<Tensor> results(buffers.size());
  std::map<const StepBuffer *, Tensor *> own;
  std::vector<const StepBuffer *> missing;
  for (size_t i = 0; i < buffers.size(); ++i) {
    const StepBuffer &buffer = *buffers[i];
    if (!buffer.pack)
      results[i] = buffer.tensor;
    else if (buffer.isShared())
      results[i] = *packed.find(buffer.packKey);
    else if (own.emplace(&buffer, &results[i]).second)
      missing.push_back(&buffer);
  }
  QUERN_TRY(packMissing(std::move(missing), deadline, [&](const StepBuffer &buffer, Tensor tensor) {
    *own.at(&buffer) = std::move(tensor);
  }));
  return results;
}

Expected<Tensor> PackedWeights::unpacked(const nn::WeightSource &weight) {
  if (weight.numBytes() <= StepBuffer::kKeptBytes)
    return weight.load();
  const std::string keys[] = {weight.key()};
  while (true) {
    OncePerKey<Tensor>::Undertaking mine(packed);
    if (packed.undertake(keys, mine))
      return *packed.find(keys[0]);
    if (mine.keys().empty()) {
      QUERN_TRY(packed.waitFor(keys, Deadline(), kDoing));
      continue;
    }
    QUERN_ASSIGN(Tensor loaded, weight.load());
    auto view = weight.view();
    if (!view || view->rawData() != loaded.rawData())
      weight.release();
    return packed.provide(keys[0], std::move(loaded));
  }
}
