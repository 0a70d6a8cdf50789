//===- Turns.cpp - runners timed in turn ----------------------------------===//
#include "api/Turns.h"

#include "api/RunCount.h"

using namespace quern;

Expected<std::vector<Statistics>> quern::timeInTurns(std::span<Runner *const> runners,
                                                     std::span<const AnyValue> inputs,
                                                     double seconds, const std::string &doing) {
  constexpr int kCountedRuns = 3;
  std::vector<SampleSet> samples(runners.size());
  std::vector<std::vector<AnyValue>> outputs;
  for (Runner *runner : runners)
    outputs.emplace_back(runner->outputs().size());
  RunCount count(doing + ": turn ", "");
  Stopwatch total;
  do {
    for (size_t r = 0; r < runners.size(); ++r) {
      QUERN_TRY(runners[r]->run(inputs, outputs[r]));
      for (int i = 0; i < kCountedRuns; ++i) {
        QUERN_TRY(count.add());
        Stopwatch watch;
        QUERN_TRY(runners[r]->run(inputs, outputs[r]));
        samples[r].add(watch.milliseconds());
      }
    }
  } while (total.milliseconds() < seconds * 1e3);
  std::vector<Statistics> result;
  for (const SampleSet &set : samples)
    result.push_back(set.summarize());
  return result;
}
