//===- WayTrials.cpp - which ways to try, and which are best --------------===//
#include "api/WayTrials.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using native::WayRecord;

/// The way of the cost model, then the others that it does not rule out, the cheapest first.
static std::vector<TunedWay> waysToTry(const WayRecord &record) {
  std::vector<TunedWay> ways;
  for (const WayRecord::Candidate &each : record.able)
    ways.push_back({each.name, each.cost});
  auto isExpected = [&](const TunedWay &way) { return way.name == record.expected; };
  std::stable_sort(ways.begin(), ways.end(), [&](const TunedWay &a, const TunedWay &b) {
    return std::pair(!isExpected(a), a.expectedNs) < std::pair(!isExpected(b), b.expectedNs);
  });
  double most = ways.front().expectedNs * WayTrials::kDoubt;
  std::erase_if(ways,
                [&](const TunedWay &way) { return !isExpected(way) && !(way.expectedNs <= most); });
  return ways;
}

WayTrials::WayTrials(std::span<const WayRecord> records,
                     const std::map<std::string, std::string> &known)
    : known(known) {
  for (const WayRecord &record : records) {
    auto at = std::ranges::find(entries, record.problem,
                                [](const Entry &entry) { return entry.problem.problem; });
    if (at == entries.end()) {
      TunedProblem problem;
      problem.problem = record.problem;
      problem.op = record.op;
      problem.ways = waysToTry(record);
      if (problem.ways.size() < 2)
        continue;
      problem.wasKnown = known.contains(record.problem);
      entries.push_back({std::move(problem), {}});
      at = entries.end() - 1;
    }
    if (std::ranges::find(at->problem.nodes, record.nodes) == at->problem.nodes.end())
      at->problem.nodes.push_back(record.nodes);
  }
}

const TunedWay *WayTrials::wayIn(const Entry &entry, size_t trial) {
  const TunedProblem &problem = entry.problem;
  return !problem.wasKnown && trial < problem.ways.size() ? &problem.ways[trial] : nullptr;
}

size_t WayTrials::trials() const {
  size_t most = 0;
  for (const Entry &entry : entries)
    if (!entry.problem.wasKnown)
      most = std::max(most, entry.problem.ways.size());
  return most;
}

std::map<std::string, std::string> WayTrials::waysOf(size_t trial) const {
  std::map<std::string, std::string> ways = known;
  for (const Entry &entry : entries)
    if (const TunedWay *way = wayIn(entry, trial))
      ways[entry.problem.problem] = way->name;
    else if (!entry.problem.wasKnown)
      ways[entry.problem.problem] = entry.problem.ways.front().name;
  return ways;
}

void WayTrials::add(size_t trial, std::span<const ProfileRow> rows) {
  for (Entry &entry : entries) {
    const TunedWay *way = wayIn(entry, trial);
    if (!way)
      continue;
    // Steps of one op have its name: together they are what the way takes.
    std::map<std::string, double> now;
    for (const ProfileRow &row : rows)
      if (row.runs > 0 &&
          std::ranges::find(entry.problem.nodes, row.nodes) != entry.problem.nodes.end())
        now[row.nodes] += static_cast<double>(row.fastestNanoseconds);
    for (const auto &[nodes, time] : now) {
      auto [at, isNew] = entry.times[way->name].try_emplace(nodes, time);
      at->second = isNew ? time : std::min(at->second, time);
    }
    setTimes(entry);
  }
}

/// Sums up the steps of each way, where all of them have run.
void WayTrials::setTimes(Entry &entry) {
  for (TunedWay &way : entry.problem.ways) {
    auto at = entry.times.find(way.name);
    if (at == entry.times.end() || at->second.size() != entry.problem.nodes.size())
      continue;
    way.measuredNs = 0;
    for (const auto &[nodes, time] : at->second)
      way.measuredNs += time;
  }
}

std::string WayTrials::bestOf(const TunedProblem &problem) {
  const TunedWay *best = &problem.ways.front();
  double limit = best->measuredNs * (1 - kLeastSaving);
  for (const TunedWay &way : problem.ways)
    if (way.measuredNs < limit &&
        (best == &problem.ways.front() || way.measuredNs < best->measuredNs))
      best = &way;
  return best->name;
}

std::map<std::string, std::string> WayTrials::expected() const {
  std::map<std::string, std::string> ways = known;
  for (const Entry &entry : entries)
    ways[entry.problem.problem] = entry.problem.ways.front().name;
  return ways;
}

std::map<std::string, std::string> WayTrials::best() const {
  std::map<std::string, std::string> ways = known;
  for (const Entry &entry : entries)
    if (!entry.problem.wasKnown)
      ways[entry.problem.problem] = bestOf(entry.problem);
  return ways;
}

bool WayTrials::isMeasured(const std::string &problem) const {
  for (const Entry &entry : entries)
    if (entry.problem.problem == problem)
      return std::ranges::none_of(entry.problem.ways,
                                  [](const TunedWay &way) { return std::isnan(way.measuredNs); });
  return false;
}

std::vector<TunedProblem>
WayTrials::problems(const std::map<std::string, std::string> &ways) const {
  std::vector<TunedProblem> found;
  for (const Entry &entry : entries) {
    found.push_back(entry.problem);
    auto at = ways.find(entry.problem.problem);
    found.back().chosen = at == ways.end() ? entry.problem.ways.front().name : at->second;
  }
  return found;
}

bool quern::areFaster(std::span<const double> before, std::span<const double> after, double least) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(before.size(), after.size()); ++i)
    ratios.push_back(after[i] / before[i]);
  if (ratios.empty())
    return false;
  auto middle = ratios.begin() + static_cast<std::ptrdiff_t>(ratios.size() / 2);
  std::nth_element(ratios.begin(), middle, ratios.end());
  auto runs = static_cast<double>(ratios.size());
  auto wins = static_cast<double>(std::ranges::count_if(ratios, [](double r) { return r < 1; }));
  return *middle < 1 - least && wins >= runs / 2 + std::sqrt(runs);
}
