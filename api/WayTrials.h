//===- WayTrials.h - which ways to try, and which are best ----------------===//
//
// What tuning decides, without a clock: profiles of runs come in, tables of ways go out.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/lowering/WayLog.h"
#include "quern/ProfileRow.h"
#include "quern/TuningChoice.h"

#include <set>
#include <span>

namespace quern {

class WayTrials {
public:
  /// Ways within this factor of the least cost may be the best: the model errs by less.
  static constexpr double kDoubt = 3;
  /// What another way must save: less is noise.
  static constexpr double kLeastSaving = 0.03;

  /// The problems among `records` that can be computed in several ways. Those in `known` are not
  /// tried again.
  WayTrials(std::span<const native::WayRecord> records,
            const std::map<std::string, std::string> &known);

  /// How many runs of the whole model have all ways between them: in trial 0 each problem has the
  /// way of the cost model, in each other one that was not tried yet where there is one.
  size_t trials() const;
  bool isNeeded() const { return trials() > 1; }
  /// The ways of the problems in a trial, with those that are known.
  std::map<std::string, std::string> waysOf(size_t trial) const;
  /// Takes in how long the steps of a model took that was compiled for a trial. Of several such
  /// profiles the fastest run counts.
  void add(size_t trial, std::span<const ProfileRow> rows);

  /// The ways of the cost model, with those that are known of other models' problems.
  std::map<std::string, std::string> expected() const;
  /// The ways that measured best, with those that are known; each was measured against that of the
  /// cost model.
  std::map<std::string, std::string> best() const;
  /// The problems with what was measured, and as chosen what `ways` says.
  std::vector<TunedProblem> problems(const std::map<std::string, std::string> &ways) const;
  /// Those that were measured in two ways at least.
  bool isMeasured(const std::string &problem) const;

private:
  struct Entry {
    TunedProblem problem;
    /// How often each step ran, fastest, by way and step.
    std::map<std::string, std::map<std::string, double>> times;
  };
  /// The way of an entry in a trial; null where that trial tries nothing new.
  static const TunedWay *wayIn(const Entry &entry, size_t trial);
  static void setTimes(Entry &entry);
  static std::string bestOf(const TunedProblem &problem);

  std::vector<Entry> entries;
  std::map<std::string, std::string> known;
};

/// Whether runs with other ways are faster than those before, taken in turns: the median of the
/// ratios of neighbours is below 1 - `least`, and so many of them are below 1 as two standard
/// deviations of chance would not explain.
bool areFaster(std::span<const double> before, std::span<const double> after, double least);

} // namespace quern
