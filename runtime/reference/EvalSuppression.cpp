//===- EvalSuppression.cpp - reference kernels of boxes with the best scores -===//
#include "runtime/reference/BoxIndex.h"
#include "runtime/reference/Evaluator.h"
#include "runtime/reference/Indexing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <queue>

using namespace quern;
using namespace quern::reference;

namespace {
/// What an overlap costs, in units of the budget.
constexpr int64_t kOverlapWork = 8;
} // namespace

static Box boxOf(const float *numbers, bool isCentered) {
  if (isCentered) {
    float halfWidth = numbers[2] / 2, halfHeight = numbers[3] / 2;
    return {numbers[0] - halfWidth, numbers[0] + halfWidth, numbers[1] - halfHeight,
            numbers[1] + halfHeight};
  }
  return {std::min(numbers[1], numbers[3]), std::max(numbers[1], numbers[3]),
          std::min(numbers[0], numbers[2]), std::max(numbers[0], numbers[2])};
}

//===----------------------------------------------------------------------===//
// Non-maximum suppression
//===----------------------------------------------------------------------===//

namespace {
/// A box and what it is ordered by.
struct Scored {
  float score;
  int64_t box;

  Scored(float score, int64_t box)
      : score(score == score ? score : -std::numeric_limits<float>::infinity()), box(box) {}
  /// Comes before; of equal scores the first box leads.
  bool operator<(const Scored &other) const {
    return score > other.score || (score == other.score && box < other.box);
  }
};

struct Suppression {
  const float *boxes;
  int64_t count;
  int64_t most;
  float iouThreshold;
  std::optional<float> scoreThreshold;
  bool isCentered;

  Box boxAt(int64_t i) const { return boxOf(boxes + 4 * i, isCentered); }
  BoxIndex makeIndex(const std::vector<Scored> &candidates) const;
  Expected<std::vector<int64_t>> select(const float *scores, Budget &budget) const;
};
} // namespace

/// An empty one, for the candidates.
BoxIndex Suppression::makeIndex(const std::vector<Scored> &candidates) const {
  float least = std::numeric_limits<float>::infinity(), greatest = -least;
  for (const Scored &candidate : candidates) {
    Box box = boxAt(candidate.box);
    if (std::isfinite(box.left) && std::isfinite(box.right)) {
      least = std::min(least, box.left);
      greatest = std::max(greatest, box.right);
    }
  }
  return {least, greatest, static_cast<int64_t>(candidates.size())};
}

/// The boxes of one class that stay, best first.
Expected<std::vector<int64_t>> Suppression::select(const float *scores, Budget &budget) const {
  std::vector<Scored> candidates;
  QUERN_TRY(budget.forParts(count, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      if (!scoreThreshold || scores[i] > *scoreThreshold)
        candidates.emplace_back(scores[i], i);
  }));
  std::sort(candidates.begin(), candidates.end());
  BoxIndex better = makeIndex(candidates);
  std::vector<int64_t> selected;
  for (const Scored &candidate : candidates) {
    if (static_cast<int64_t>(selected.size()) >= most)
      break;
    Box box = boxAt(candidate.box);
    int64_t looks = 1;
    bool isSuppressed = better.overlapsAny(box, iouThreshold, looks);
    QUERN_TRY(budget.spend(kOverlapWork * looks));
    if (!isSuppressed) {
      better.add(box);
      selected.push_back(candidate.box);
    }
  }
  return selected;
}

static Expected<float> readThreshold(const Tensor &tensor, const char *what) {
  if (tensor.dtype() != DType::Float32 || tensor.numElements() != 1)
    return invalidInput(fmt::format("{} must be one float32, found {}", what, tensor.describe()));
  return tensor.data<float>()[0];
}

/// 0 when it is not given, and for what is below.
static Expected<int64_t> readMost(const Tensor &tensor) {
  if (!tensor.isPresent())
    return 0;
  QUERN_ASSIGN(std::vector<int64_t> most, readInts(tensor, "max_output"));
  if (most.size() != 1)
    return invalidInput("max_output must be one number, found " + tensor.describe());
  return std::max<int64_t>(most[0], 0);
}

static Expected<std::vector<Tensor>> evalNonMaxSuppression(const OpCall &call) {
  const Tensor &boxes = call.inputs[0], &scores = call.inputs[1];
  if (boxes.rank() != 3 || scores.rank() != 3 || boxes.dim(2) != 4 ||
      scores.dim(0) != boxes.dim(0) || scores.dim(2) != boxes.dim(1))
    return invalidInput("boxes [batch, n, 4] and scores [batch, class, n] do not agree: " +
                        boxes.describe() + " and " + scores.describe());
  int64_t classes = scores.dim(1), count = boxes.dim(1);
  Suppression suppression{nullptr, count,        0,
                          0,       std::nullopt, call.attributes.getInt("center_point_box") != 0};
  QUERN_ASSIGN(suppression.most, readMost(call.inputs[2]));
  if (call.inputs[3].isPresent()) {
    QUERN_ASSIGN(suppression.iouThreshold, readThreshold(call.inputs[3], "iou_threshold"));
  }
  if (call.inputs[4].isPresent()) {
    QUERN_ASSIGN(suppression.scoreThreshold, readThreshold(call.inputs[4], "score_threshold"));
  }
  std::vector<int64_t> rows;
  for (int64_t batch = 0; batch < boxes.dim(0) && suppression.most > 0; ++batch)
    for (int64_t each = 0; each < classes; ++each) {
      QUERN_TRY(call.budget.spend(kOverlapWork));
      suppression.boxes = boxes.data<float>() + batch * count * 4;
      QUERN_ASSIGN(
          std::vector<int64_t> selected,
          suppression.select(scores.data<float>() + (batch * classes + each) * count, call.budget));
      for (int64_t box : selected)
        rows.insert(rows.end(), {batch, each, box});
    }
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(
                                  0, DType::Int64, {static_cast<int64_t>(rows.size() / 3), 3}));
  std::copy(rows.begin(), rows.end(), result.mutableData<int64_t>());
  return std::vector<Tensor>{result};
}

//===----------------------------------------------------------------------===//
// Soft suppression
//===----------------------------------------------------------------------===//

namespace {
/// A box that may be chosen, and how many of the chosen ones have lowered its score already.
struct Candidate {
  int64_t box;
  float score;
  size_t seen;

  /// Comes later; of equal scores the first box leads.
  bool operator<(const Candidate &other) const {
    return score < other.score || (score == other.score && box > other.box);
  }
};

struct SoftSuppression {
  const float *boxes;
  float iouThreshold, scoreThreshold, sigma;

  Box boxAt(int64_t i) const { return boxOf(boxes + 4 * i, /*isCentered=*/false); }
  /// Whether `candidate` overlaps none of `chosen` too much; lowers its score by those that it has
  /// not met, the last one first, until it is too low. Counts what it looks at.
  bool meet(Candidate &candidate, const std::vector<Candidate> &chosen, int64_t &looks) const;
  Expected<std::vector<Candidate>> select(const Tensor &scores, int64_t most, Budget &budget) const;
};
} // namespace

bool SoftSuppression::meet(Candidate &candidate, const std::vector<Candidate> &chosen,
                           int64_t &looks) const {
  Box box = boxAt(candidate.box);
  float scale = sigma > 0 ? -0.5F / sigma : 0;
  for (size_t i = chosen.size(); i > candidate.seen && candidate.score > scoreThreshold; --i) {
    ++looks;
    Box other = boxAt(chosen[i - 1].box);
    float overlap = overlapOf(box, box.area(), other, other.area());
    if (overlap >= iouThreshold)
      return false;
    if (sigma > 0)
      candidate.score *= std::exp(scale * overlap * overlap);
  }
  candidate.seen = chosen.size();
  return true;
}

Expected<std::vector<Candidate>> SoftSuppression::select(const Tensor &scores, int64_t most,
                                                         Budget &budget) const {
  std::vector<Candidate> waiting, chosen;
  QUERN_TRY(budget.forParts(scores.numElements(), 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      if (float score = scores.data<float>()[i]; score > scoreThreshold)
        waiting.push_back({i, score, 0});
  }));
  auto places = static_cast<size_t>(std::min(most, static_cast<int64_t>(waiting.size())));
  std::priority_queue<Candidate> queue({}, std::move(waiting));
  while (chosen.size() < places && !queue.empty()) {
    Candidate next = queue.top();
    queue.pop();
    float before = next.score;
    int64_t looks = 1;
    bool stays = meet(next, chosen, looks);
    QUERN_TRY(budget.spend(kOverlapWork * looks));
    if (!stays)
      continue;
    if (next.score == before)
      chosen.push_back(next);
    if (next.score > scoreThreshold)
      queue.push(next);
  }
  return chosen;
}

static Expected<std::vector<Tensor>> evalSoftSuppression(const OpCall &call) {
  const Tensor &boxes = call.inputs[0], &scores = call.inputs[1];
  if (boxes.rank() != 2 || scores.rank() != 1 || boxes.dim(1) != 4 || scores.dim(0) != boxes.dim(0))
    return invalidInput("boxes [n, 4] and scores [n] do not agree: " + boxes.describe() + " and " +
                        scores.describe());
  QUERN_ASSIGN(std::vector<int64_t> most, readInts(call.inputs[2], "max_output"));
  if (most.size() != 1 || most[0] < 0)
    return invalidInput("max_output must be one number, 0 or more, found " +
                        (most.size() == 1 ? std::to_string(most[0]) : call.inputs[2].describe()));
  SoftSuppression suppression{boxes.data<float>(), 0, 0, 0};
  QUERN_ASSIGN(suppression.iouThreshold, readThreshold(call.inputs[3], "iou_threshold"));
  QUERN_ASSIGN(suppression.scoreThreshold, readThreshold(call.inputs[4], "score_threshold"));
  QUERN_ASSIGN(suppression.sigma, readThreshold(call.inputs[5], "sigma"));
  if (!(suppression.sigma >= 0))
    return invalidInput(fmt::format("sigma must be 0 or more, found {}", suppression.sigma));
  QUERN_ASSIGN(Tensor indices, call.allocateResult(0, DType::Int64, {most[0]}));
  QUERN_ASSIGN(Tensor chosenScores, call.allocateResult(1, DType::Float32, {most[0]}));
  QUERN_ASSIGN(Tensor count, call.allocateResult(2, DType::Int64, {}));
  QUERN_ASSIGN(std::vector<Candidate> chosen, suppression.select(scores, most[0], call.budget));
  for (size_t i = 0; i < chosen.size(); ++i) {
    indices.mutableData<int64_t>()[i] = chosen[i].box;
    chosenScores.mutableData<float>()[i] = chosen[i].score;
  }
  *count.mutableData<int64_t>() = static_cast<int64_t>(chosen.size());
  return std::vector<Tensor>{indices, chosenScores, count};
}

std::span<const EvaluatorRow> reference::suppressionEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.non_max_suppression", evalNonMaxSuppression},
      {"nn.soft_suppression", evalSoftSuppression},
  };
  return rows;
}
