//===- EvalAttention.cpp - reference kernel of attention ------------------===//
//
// One row of scores at a time, in double.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/AttentionShape.h"
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Evaluator.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::reference;

namespace {
enum Operand { kQuery, kKey, kValue, kMask, kScale, kOffset, kCondition };
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// What one call computes, of factors F and sums T.
template <typename F, typename T> struct Attention {
  const OpCall &call;
  const AttentionShape &s;
  double scale, softcap;
  bool causal, zeroMaskedRows;
  int64_t offset;
  /// What scores become that the condition hides.
  double hidden;
  /// What scores are rounded to, and whether so are their sums with the mask.
  std::optional<DType> scoreType;
  bool roundSums;

  const F *factors(int operand) const { return call.inputs[operand].data<F>(); }
  /// How many keys a query sees, at most.
  int64_t visible(int64_t query) const {
    if (!causal)
      return s.keys;
    return std::clamp<int64_t>(query + 1 + std::clamp(offset, -s.queries - 1, s.keys), 0, s.keys);
  }
  double maskAt(int64_t batch, int64_t head, int64_t query, int64_t key) const {
    if (!call.inputs[kMask].isPresent())
      return 0;
    return widen(
        call.inputs[kMask].data<T>()[s.mask.offset(batch, head, query) + key * s.mask.strides[3]]);
  }
  bool isHidden(int64_t batch, int64_t head, int64_t query, int64_t key) const {
    return call.inputs[kCondition].isPresent() &&
           !call.inputs[kCondition].data<bool>()[s.condition.offset(batch, head, query) +
                                                 key * s.condition.strides[3]];
  }
  double rounded(double value) const {
    if (scoreType == DType::Float16)
      return widen(narrow<Float16>(value));
    if (scoreType == DType::BFloat16)
      return widen(narrow<BFloat16>(value));
    return value;
  }
  double score(int64_t batch, int64_t head, int64_t query, int64_t key) const {
    double sum = isHidden(batch, head, query, key) ? hidden : product(batch, head, query, key);
    sum += maskAt(batch, head, query, key);
    return roundSums ? rounded(sum) : sum;
  }
  /// The product of a query and a key, scaled and bent.
  double product(int64_t batch, int64_t head, int64_t query, int64_t key) const {
    const F *q = factors(kQuery) + s.query.offset(batch, head, query);
    const F *k = factors(kKey) + s.key.offset(batch, head, key);
    double sum = 0;
    for (int64_t i = 0; i < s.size; ++i)
      sum += widen(q[i * s.query.strides[3]]) * widen(k[i * s.key.strides[3]]);
    sum = rounded(rounded(sum) * scale);
    if (softcap != 0)
      sum = rounded(softcap * rounded(std::tanh(rounded(sum / softcap))));
    return sum;
  }
  /// exp(score - largest) of the first keys; their sum. `weights` has place for all.
  double weigh(int64_t batch, int64_t head, int64_t query, std::span<double> weights) const {
    double largest = -kInfinity, sum = 0;
    bool isNan = false;
    for (size_t key = 0; key < weights.size(); ++key) {
      weights[key] = score(batch, head, query, static_cast<int64_t>(key));
      largest = std::max(largest, weights[key]);
      isNan |= std::isnan(weights[key]);
    }
    for (double &weight : weights)
      sum += weight = std::exp(weight - largest);
    return isNan ? std::numeric_limits<double>::quiet_NaN() : sum;
  }
  /// Whether the mask hides all of the first keys.
  bool isMasked(int64_t batch, int64_t head, int64_t query, int64_t keys) const {
    for (int64_t key = 0; key < keys; ++key)
      if (maskAt(batch, head, query, key) != -kInfinity)
        return false;
    return true;
  }
  Status computeRow(int64_t batch, int64_t head, int64_t query, std::span<double> memory,
                    T *result) const;
};
} // namespace

template <typename F, typename T>
Status Attention<F, T>::computeRow(int64_t batch, int64_t head, int64_t query,
                                   std::span<double> memory, T *result) const {
  QUERN_TRY(call.budget.spend(s.keys * (s.size + s.valueSize + 16)));
  int64_t keys = visible(query);
  bool isZero = s.keys == 0 || (zeroMaskedRows && isMasked(batch, head, query, keys));
  std::span<double> weights = memory.first(keys);
  double sum = weigh(batch, head, query, weights);
  T *row = result + s.result.offset(batch, head, query);
  for (int64_t i = 0; i < s.valueSize; ++i) {
    double total = 0;
    for (int64_t key = 0; key < keys && !isZero; ++key)
      total += weights[key] / sum *
               widen(factors(kValue)[s.value.offset(batch, head, key) + i * s.value.strides[3]]);
    if (!isZero && keys == 0)
      total = std::numeric_limits<double>::quiet_NaN();
    row[i * s.result.strides[3]] = narrow<T>(total);
  }
  return Status::ok();
}

static Expected<AttentionShape> shapeOfCall(const OpCall &call) {
  const Attributes &attributes = call.attributes;
  std::vector<int64_t> query = attributes.getInts("query_perm"),
                       key = attributes.getInts("key_perm"),
                       value = attributes.getInts("value_perm"),
                       result = attributes.getInts("result_perm");
  auto dims = [&](int operand) {
    const Tensor &tensor = call.inputs[operand];
    return tensor.isPresent() ? std::span<const int64_t>(tensor.dims())
                              : std::span<const int64_t>();
  };
  return attentionShape({dims(kQuery), dims(kKey), dims(kValue), dims(kMask), dims(kCondition),
                         query, key, value, result});
}

template <typename F, typename T>
static Expected<std::vector<Tensor>> computeAttention(const OpCall &call, const AttentionShape &s) {
  const Attributes &attributes = call.attributes;
  const Tensor &scale = call.inputs[kScale], &offset = call.inputs[kOffset];
  Attention<F, T> attention{call,
                            s,
                            attributes.getFloat("scale_factor", 1),
                            attributes.getFloat("softcap"),
                            attributes.getInt("causal") != 0,
                            attributes.getInt("zero_masked_rows") != 0,
                            offset.isPresent() ? *offset.data<int64_t>() : 0,
                            attributes.getFloat("hidden_score"),
                            attributes.has("score_type")
                                ? std::optional(attributes.getDType("score_type"))
                                : std::nullopt,
                            attributes.getInt("round_sums") != 0};
  if (scale.isPresent())
    attention.scale *= widen(*scale.data<T>());
  CheckedSize rows = CheckedSize(s.batch) * s.heads * s.queries;
  QUERN_TRY(call.budget.require(rows * s.keys * (CheckedSize(s.size) + s.valueSize)));
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(
                                  0, dtypeOf<T>(), {s.resultDims.begin(), s.resultDims.end()}));
  if (result.numElements() == 0)
    return std::vector<Tensor>{result};
  QUERN_ASSIGN(std::span<double> memory, call.budget.scratch<double>(s.keys));
  for (int64_t batch = 0; batch < s.batch; ++batch)
    for (int64_t head = 0; head < s.heads; ++head)
      for (int64_t query = 0; query < s.queries; ++query)
        QUERN_TRY(attention.computeRow(batch, head, query, memory, result.mutableData<T>()));
  return std::vector<Tensor>{result};
}

static Expected<std::vector<Tensor>> evalAttention(const OpCall &call) {
  const Tensor &query = call.inputs[kQuery], &scale = call.inputs[kScale],
               &offset = call.inputs[kOffset];
  DType sums = call.resultTypes.empty() ? query.dtype() : call.resultTypes[0];
  bool isSummedWider =
      sums == DType::Float32 && isFloat(query.dtype()) && dtypeBits(query.dtype()) == 16;
  if (sums != query.dtype() && !isSummedWider)
    return invalidInput("sums must be of the type of the factors, or of float32");
  auto isOther = [&](int operand, DType dtype) {
    return call.inputs[operand].isPresent() && call.inputs[operand].dtype() != dtype;
  };
  if (isOther(kKey, query.dtype()) || isOther(kValue, query.dtype()) || isOther(kMask, sums) ||
      isOther(kScale, sums))
    return invalidInput("operands are of different types");
  if (call.inputs[kCondition].isPresent() && call.inputs[kCondition].dtype() != DType::Bool)
    return invalidInput("the condition must hold bool");
  if ((scale.isPresent() && scale.numElements() != 1) ||
      (offset.isPresent() && (offset.numElements() != 1 || offset.dtype() != DType::Int64)))
    return invalidInput("scale and offset must be one number each");
  QUERN_ASSIGN(AttentionShape shape, shapeOfCall(call));
  return visitFloat(query.dtype(), [&]<typename F>() {
    return isSummedWider ? computeAttention<F, float>(call, shape)
                         : computeAttention<F, F>(call, shape);
  });
}

std::span<const EvaluatorRow> reference::attentionEvaluators() {
  static constexpr EvaluatorRow rows[] = {{"nn.attention", evalAttention}};
  return rows;
}
