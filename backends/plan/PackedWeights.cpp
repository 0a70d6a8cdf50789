//===- PackedWeights.cpp - constants as kernels read them -----------------===//
#include "backends/plan/PackedWeights.h"

#include "runtime/lib/ParallelTasks.h"

using namespace quern;
using namespace quern::plan;

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
      results[i] = it->second.result;
    else if (buffer.packKey.empty() || firstWithKey.emplace(buffer.packKey, i).second)
      missing.push_back(i);
  }
  QUERN_TRY(runParallelTasks(missing.size(), threads, [&](size_t job) -> Status {
    size_t i = missing[job];
    QUERN_TRY(deadline.check("packing weights"));
    QUERN_ASSIGN(results[i], buffers[i]->pack());
    return Status::ok();
  }));
  for (size_t i : missing)
    if (!buffers[i]->packKey.empty())
      packed[buffers[i]->packKey] = {buffers[i]->tensor, results[i]};
  for (size_t i = 0; i < buffers.size(); ++i)
    if (!results[i].isPresent())
      results[i] = packed.at(buffers[i]->packKey).result;
  return results;
}
