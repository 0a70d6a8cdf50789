//===- Reduce.cpp - the smallest model that still shows a fault -----------===//
//
// Most faults are of a few nodes that stand one after the other: the end of the model is found by
// bisection, then the beginning. What is left is taken apart by delta debugging (A. Zeller, R.
// Hildebrandt, "Simplifying and isolating failure-inducing input", 2002), until no node can be left
// out any more.
//
//===----------------------------------------------------------------------===//
#include "quern/Reduction.h"

#include "api/compare/CutModel.h"
#include "api/compare/ShrinkSizes.h"
#include "quern/Progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

using namespace quern;

using Nodes = std::vector<size_t>;

namespace {
class Reducer {
public:
  Reducer(const CutModel &model, const ShowsFault &showsFault, const ReductionOptions &options)
      : model(model), showsFault(showsFault), options(options) {}

  Status run();
  ReducedModel result() const;
  bool hasResult() const { return best.has_value(); }
  bool isComplete = true;

private:
  Expected<bool> shows(const Nodes &nodes);
  Expected<bool> shows(ModelPart part);
  Status cutEnds();
  Status leaveOut();
  Status shrink();

  const CutModel &model;
  const ShowsFault &showsFault;
  const ReductionOptions &options;
  /// The smallest so far.
  Nodes kept;
  std::optional<ModelPart> best;
  /// What does not show it.
  std::set<Nodes> failed;
  std::set<SizeChange> refused;
  size_t trials = 0, sizeTrials = 0;
};
} // namespace

Expected<bool> Reducer::shows(ModelPart part) {
  ++trials;
  size_t nodes = static_cast<size_t>(part.model.graph().node_size());
  QUERN_TRY(ProgressScope::check(
      fmt::format("reducing: trial {}, {} of {} nodes", trials, nodes, model.numNodes())));
  QUERN_ASSIGN(bool found, showsFault(part.finished(model.numNodes())));
  if (found)
    best = std::move(part);
  return found;
}

/// Keeps them if they do.
Expected<bool> Reducer::shows(const Nodes &nodes) {
  if (nodes.empty() || failed.count(nodes))
    return false;
  if (trials >= options.maxTrials) {
    isComplete = false;
    return false;
  }
  std::optional<ModelPart> part = model.cut(nodes);
  if (!part)
    return false;
  QUERN_ASSIGN(bool found, shows(std::move(*part)));
  if (found)
    kept = nodes;
  else
    failed.insert(nodes);
  return found;
}

static Nodes slice(const Nodes &nodes, size_t begin, size_t end) {
  return Nodes(nodes.begin() + static_cast<std::ptrdiff_t>(begin),
               nodes.begin() + static_cast<std::ptrdiff_t>(end));
}

/// As few nodes as show it at the end, then at the beginning.
Status Reducer::cutEnds() {
  Nodes all = kept;
  size_t low = 1, high = all.size();
  while (low < high) {
    size_t middle = (low + high) / 2;
    QUERN_ASSIGN(bool found, shows(slice(all, 0, middle)));
    (found ? high : low) = found ? middle : middle + 1;
  }
  all = kept;
  size_t begin = 0, last = all.size() - 1;
  while (begin < last) {
    size_t middle = (begin + last + 1) / 2;
    QUERN_ASSIGN(bool found, shows(slice(all, middle, all.size())));
    (found ? begin : last) = found ? middle : middle - 1;
  }
  return Status::ok();
}

/// Parts of ever fewer nodes, until no single one can be left out.
Status Reducer::leaveOut() {
  size_t parts = 2;
  while (kept.size() > 1) {
    Nodes all = kept;
    bool isSmaller = false;
    for (size_t i = 0; i < parts && !isSmaller; ++i) {
      size_t begin = all.size() * i / parts, end = all.size() * (i + 1) / parts;
      Nodes rest = slice(all, 0, begin);
      rest.insert(rest.end(), all.begin() + static_cast<std::ptrdiff_t>(end), all.end());
      for (const Nodes &candidate : {slice(all, begin, end), rest}) {
        if (candidate.size() >= all.size())
          continue;
        QUERN_ASSIGN(isSmaller, shows(candidate));
        if (isSmaller)
          break;
      }
    }
    if (!isSmaller && parts >= all.size())
      break;
    parts = isSmaller ? 2 : std::min(parts * 2, all.size());
  }
  return Status::ok();
}

Status Reducer::shrink() {
  bool isSmaller = true;
  while (isSmaller) {
    isSmaller = false;
    for (const SizeChange &change : possibleChanges(*best)) {
      if (refused.count(change))
        continue;
      if (sizeTrials++ >= options.maxSizeTrials)
        return Status::ok();
      std::optional<ModelPart> part = changeSizes(*best, change);
      if (!part)
        continue;
      QUERN_ASSIGN(isSmaller, shows(std::move(*part)));
      if (isSmaller)
        break;
      refused.insert(change);
    }
  }
  return Status::ok();
}

Status Reducer::run() {
  Nodes all(model.numNodes());
  std::iota(all.begin(), all.end(), size_t{0});
  QUERN_ASSIGN(bool found, shows(all));
  if (!found)
    return usageError("the whole model does not show it: there is nothing to reduce");
  QUERN_TRY(cutEnds());
  QUERN_TRY(leaveOut());
  return shrink();
}

ReducedModel Reducer::result() const {
  ReducedModel reduced = best->finished(model.numNodes());
  reduced.trials = trials;
  reduced.isComplete = isComplete;
  return reduced;
}

Expected<ReducedModel> quern::reduceModel(const std::string &path, std::span<const AnyValue> inputs,
                                          const ShowsFault &shows,
                                          const ReductionOptions &options) {
  QUERN_ASSIGN(CutModel model, CutModel::create(path, inputs, options));
  Reducer reducer(model, shows, options);
  Status status = reducer.run();
  bool isKept = status.code() == StatusCode::Cancelled && reducer.hasResult();
  if (!status.isOk() && !isKept)
    return status;
  ReducedModel reduced = reducer.result();
  reduced.isComplete &= status.isOk();
  return reduced;
}
