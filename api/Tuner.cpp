//===- Tuner.cpp - measures the ways of computing a model's ops -----------===//
//
// The model itself is what is measured: it is compiled once for each trial, in which all of its
// problems have one of their ways, so that a way meets the caches, the neighbours and the epilogues
// that it will have. Then it runs in turns with the one that has the ways of the cost model. At the
// end whole runs with the ways that were best must be faster, or nothing changes.
//
//===----------------------------------------------------------------------===//
#include "api/Tuner.h"

#include "api/WayTrials.h"
#include "backends/native/CompilerParts.h"
#include "backends/native/TuningFile.h"
#include "backends/native/target/CpuFeatures.h"
#include "quern/CacheFolder.h"
#include "quern/Progress.h"
#include "quern/Statistics.h"

#include <fmt/format.h>

using namespace quern;

static constexpr char kNotKept[] = "what is measured is not kept: ";
static constexpr char kNotUsed[] = "nothing that was measured before is used: ";

/// Of the time, for whole runs at the end.
static constexpr double kWholeShare = 1.0 / 3;

namespace {
class Tuner {
public:
  Tuner(const nn::OwnedModule &source, const CompileOptions &options, native::Target target)
      : source(source), options(options), target(std::move(target)) {}

  Expected<TuningChoice> run();

private:
  using Ways = std::map<std::string, std::string>;

  native::NativeOptions optionsOf(const Ways &ways) const;
  Expected<std::unique_ptr<Runner>> createRunner(const Ways &ways, bool profile,
                                                 std::shared_ptr<native::WayLog> log = nullptr);
  Expected<bool> timeTrials(WayTrials &trials, Runner &first);
  Status timeTrial(WayTrials &trials, size_t trial, Runner &first, double until);
  std::optional<native::TuningFile> openFile();
  Ways knownWays(const native::TuningFile &file);
  void keep(const native::TuningFile &file, Ways ways, const Ways &known);
  Expected<Ways> measure(WayTrials &trials, Runner &first, const Ways &known);
  Status checkWhole(const Ways &before, const Ways &after);
  Status runOnce(Runner &runner);
  Expected<double> timeOf(Runner &runner);
  double secondsLeft() const { return budget - watch.milliseconds() * 1e-3; }

  const nn::OwnedModule &source;
  const CompileOptions &options;
  native::Target target;
  std::shared_ptr<native::LinkedKernels> kernels;
  TuningChoice result;
  Stopwatch watch;
  double budget = 0;
};
} // namespace

/// How the model is compiled with these ways.
native::NativeOptions Tuner::optionsOf(const Ways &ways) const {
  native::NativeOptions settings(options);
  settings.samples.clear();
  settings.dumpPhasesTo.clear();
  if (options.kernelCache)
    if (Expected<std::string> folder = kernelFolder())
      settings.kernelFolder = folder.take();
  settings.kernels = kernels;
  settings.ways = std::make_shared<const native::TuningTable>(ways);
  return settings;
}

Expected<std::unique_ptr<Runner>> Tuner::createRunner(const Ways &ways, bool profile,
                                                      std::shared_ptr<native::WayLog> log) {
  native::NativeOptions settings = optionsOf(ways);
  settings.wayLog = std::move(log);
  QUERN_ASSIGN(nn::OwnedModule copy, nn::copyModule(*source.module));
  QUERN_ASSIGN(std::shared_ptr<Executable> compiled,
               native::compileForJit(std::move(copy), settings));
  QUERN_TRY(compiled->planForInputs(options.samples, options.limits.deadline));
  QUERN_ASSIGN(std::unique_ptr<Runner> runner,
               compiled->createRunner(
                   {.threads = options.threads, .profile = profile, .limits = options.limits}));
  // Bodies and stages are planned by the first run.
  QUERN_TRY(runOnce(*runner));
  return runner;
}

Status Tuner::runOnce(Runner &runner) { return runner.run(options.samples).status(); }

Expected<double> Tuner::timeOf(Runner &runner) {
  Stopwatch run;
  QUERN_TRY(runOnce(runner));
  return run.milliseconds();
}

/// In turns with the ways of the cost model.
Status Tuner::timeTrial(WayTrials &trials, size_t trial, Runner &first, double until) {
  QUERN_ASSIGN(std::unique_ptr<Runner> other, createRunner(trials.waysOf(trial), true));
  constexpr int kFewestRuns = 3, kMostRuns = 40;
  for (int run = 0; run < kMostRuns && (run < kFewestRuns || secondsLeft() > until); ++run) {
    QUERN_TRY(
        ProgressScope::check(fmt::format("measuring ways: {} of {}", trial, trials.trials() - 1)));
    for (auto [runner, number] : {std::pair(&first, size_t{0}), std::pair(other.get(), trial)}) {
      runner->clearProfile();
      QUERN_TRY(runOnce(*runner));
      trials.add(number, runner->profile());
    }
  }
  return Status::ok();
}

/// Whether there was time for all of them.
Expected<bool> Tuner::timeTrials(WayTrials &trials, Runner &first) {
  double reserved = budget * kWholeShare;
  for (size_t trial = 1; trial < trials.trials(); ++trial) {
    double left = secondsLeft() - reserved;
    if (left <= 0 && trial > 1)
      return false;
    QUERN_TRY(timeTrial(trials, trial, first,
                        secondsLeft() - left / static_cast<double>(trials.trials() - trial)));
  }
  return true;
}

/// Times whole runs in turns, and says in `result` what that came to.
Status Tuner::checkWhole(const Ways &before, const Ways &after) {
  QUERN_ASSIGN(std::unique_ptr<Runner> first, createRunner(before, false));
  QUERN_ASSIGN(std::unique_ptr<Runner> second, createRunner(after, false));
  constexpr size_t kFewestRuns = 7, kMostRuns = 1000;
  std::vector<double> times[2];
  SampleSet samples[2];
  double until = secondsLeft() - std::min(secondsLeft(), budget * kWholeShare);
  for (size_t run = 0; run < kMostRuns && (run < kFewestRuns || secondsLeft() > until); ++run) {
    QUERN_TRY(ProgressScope::check("comparing whole runs"));
    for (size_t i : {run % 2, 1 - run % 2}) {
      QUERN_ASSIGN(double time, timeOf(i == 0 ? *first : *second));
      times[i].push_back(time);
      samples[i].add(time);
    }
  }
  result.beforeMs = samples[0].summarize().p50;
  result.afterMs = samples[1].summarize().p50;
  constexpr double kLeast = 0.002;
  if (!areFaster(times[0], times[1], kLeast))
    result.refusal = fmt::format("whole runs are not faster: {:.3f} ms, before {:.3f} ms",
                                 result.afterMs, result.beforeMs);
  return Status::ok();
}

std::optional<native::TuningFile> Tuner::openFile() {
  Expected<std::string> folder = tuningFolder();
  if (folder)
    return native::TuningFile(folder.take(), target, native::machineText());
  result.trouble = (budget > 0 ? kNotKept : kNotUsed) + folder.status().message();
  return std::nullopt;
}

Tuner::Ways Tuner::knownWays(const native::TuningFile &file) {
  Expected<native::TuningTable> table = file.load();
  if (table)
    return table->all();
  result.trouble = kNotUsed + table.status().message();
  return {};
}

/// Leaves what is new in the file.
void Tuner::keep(const native::TuningFile &file, Ways ways, const Ways &known) {
  std::erase_if(ways, [&](const auto &way) {
    auto at = known.find(way.first);
    return at != known.end() && at->second == way.second;
  });
  if (ways.empty())
    return;
  if (Status status = file.add(native::TuningTable(std::move(ways))); !status.isOk())
    result.trouble = kNotKept + status.message();
}

/// In the order in which the steps of a run come.
static std::vector<native::WayRecord> inOrder(std::vector<native::WayRecord> records,
                                              std::span<const ProfileRow> rows) {
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < rows.size(); ++i)
    places.try_emplace(rows[i].nodes, i);
  auto placeOf = [&](const native::WayRecord &record) {
    auto at = places.find(record.nodes);
    return at == places.end() ? rows.size() : at->second;
  };
  std::ranges::stable_sort(records, {}, placeOf);
  return records;
}

/// What the file has of models with these problems, for which these ways together were faster;
/// empty where all are those of the cost model.
static std::string combinationKey(std::span<const TunedProblem> problems) {
  std::string key;
  bool isAnyOther = false;
  for (const TunedProblem &problem : problems) {
    key += fmt::format("{} {};", problem.problem, problem.chosen);
    isAnyOther |= problem.chosen != problem.ways.front().name;
  }
  return isAnyOther ? key : "";
}

/// The ways that measured best, those of the cost model where whole runs do not get faster. What
/// another model has left is compared like what was measured now.
Expected<Tuner::Ways> Tuner::measure(WayTrials &trials, Runner &first, const Ways &known) {
  bool areAllTried = true;
  if (trials.isNeeded()) {
    QUERN_ASSIGN(areAllTried, timeTrials(trials, first));
  }
  Ways before = trials.expected(), after = trials.best();
  if (!areAllTried)
    std::erase_if(after, [&](const auto &way) {
      return !known.contains(way.first) && !trials.isMeasured(way.first);
    });
  std::string combination = combinationKey(trials.problems(after));
  if (combination.empty() || known.contains(combination))
    return after;
  QUERN_TRY(checkWhole(before, after));
  if (result.refusal.empty())
    after[combination] = "faster";
  else
    for (auto &[problem, way] : after)
      way = before.at(problem);
  return after;
}

Expected<TuningChoice> Tuner::run() {
  budget = options.tuneSeconds.value_or(0);
  std::optional<native::TuningFile> file = openFile();
  Ways known = file ? knownWays(*file) : Ways();
  result.ways = known;
  if (budget <= 0)
    return std::move(result);
  QUERN_TRY(ProgressScope::check("measuring ways"));
  kernels =
      std::make_shared<native::LinkedKernels>(native::createKernelStore(target, optionsOf(known)));
  auto log = std::make_shared<native::WayLog>();
  QUERN_ASSIGN(std::unique_ptr<Runner> first, createRunner(known, true, log));
  WayTrials trials(inOrder(log->take(), first->profile()), known);
  QUERN_ASSIGN(Ways after, measure(trials, *first, known));
  if (file)
    keep(*file, after, known);
  result.problems = trials.problems(after);
  result.ways = std::move(after);
  result.seconds = watch.milliseconds() * 1e-3;
  return std::move(result);
}

Expected<TuningChoice> quern::tuneWays(const nn::OwnedModule &source,
                                       const CompileOptions &options) {
  QUERN_ASSIGN(native::Target target,
               native::resolveTarget(options.targetCpu, options.targetTriple));
  if (*options.tuneSeconds > 0)
    QUERN_TRY(native::checkRunsHere(target));
  return Tuner(source, options, std::move(target)).run();
}
