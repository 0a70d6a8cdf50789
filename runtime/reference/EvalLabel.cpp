//===- EvalLabel.cpp - reference kernels of labels and maps from them -----===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/ValueEvaluator.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

using namespace quern;
using namespace quern::reference;

//===----------------------------------------------------------------------===//
// Lookup
//===----------------------------------------------------------------------===//

/// Calls visitor.operator()<T>() with the C++ type of numbers, bools and strings.
template <typename Visitor> static auto visitLabel(DType dtype, Visitor &&visitor) {
  return dtype == DType::String ? visitor.template operator()<std::string>()
                                : visitNumberOrBool(dtype, visitor);
}

/// What keys are compared by: numbers by their value, with NaN above all others.
template <typename T> static auto keyOf(const T &key) {
  if constexpr (std::is_same_v<T, std::string>)
    return std::string_view(key);
  else
    return widen(key);
}

template <typename Key> static bool isBelow(const Key &a, const Key &b) {
  if constexpr (std::is_same_v<Key, double>)
    if (a != a || b != b)
      return a == a && b != b;
  return a < b;
}

/// "'cat'", "7": an element as messages have it.
template <typename T> static std::string describeKey(const T &key) {
  if constexpr (std::is_same_v<T, std::string>)
    return fmt::format("'{}'", key);
  else
    return fmt::format("{}", widen(key));
}

namespace {
/// The keys of a table in ascending order.
template <typename T> class KeyIndex {
public:
  static Expected<KeyIndex> of(const Tensor &keys, Budget &budget) {
    KeyIndex index;
    index.keys = keys.data<T>();
    int64_t count = keys.numElements();
    int64_t levels = std::bit_width(static_cast<uint64_t>(count));
    QUERN_TRY(budget.require(CheckedSize(count) * CheckedSize(16 * levels)));
    QUERN_ASSIGN(index.order, budget.scratch<int64_t>(count));
    QUERN_TRY(budget.spend(count * 16 * levels));
    std::iota(index.order.begin(), index.order.end(), 0);
    std::sort(index.order.begin(), index.order.end(), [&](int64_t a, int64_t b) {
      auto left = keyOf(index.keys[a]), right = keyOf(index.keys[b]);
      return isBelow(left, right) || (!isBelow(right, left) && a < b);
    });
    return index;
  }

  /// The number of the last key that equals `wanted`; -1 when there is none.
  int64_t find(const T &wanted) const {
    auto key = keyOf(wanted);
    auto above = std::partition_point(order.begin(), order.end(),
                                      [&](int64_t i) { return !isBelow(key, keyOf(keys[i])); });
    bool isThere = above != order.begin() && !isBelow(keyOf(keys[above[-1]]), key);
    return isThere ? above[-1] : -1;
  }

private:
  const T *keys = nullptr;
  std::span<int64_t> order;
};
} // namespace

/// For each element the number of its key, or -1 where `mayMiss`.
static Expected<Tensor> findKeys(const Tensor &input, const Tensor &keys, bool mayMiss,
                                 Budget &budget) {
  QUERN_ASSIGN(Tensor found, budget.allocateUninitialized(DType::Int64, input.dims()));
  QUERN_TRY(visitLabel(input.dtype(), [&]<typename T>() -> Status {
    QUERN_ASSIGN(KeyIndex<T> index, KeyIndex<T>::of(keys, budget));
    int64_t work = 8 * (1 + std::bit_width(static_cast<uint64_t>(keys.numElements())));
    for (int64_t i = 0; i < input.numElements(); ++i) {
      QUERN_TRY(budget.spend(work));
      int64_t number = index.find(input.data<T>()[i]);
      if (number < 0 && !mayMiss)
        return invalidInput(fmt::format("{} is none of the {} keys",
                                        describeKey(input.data<T>()[i]), keys.numElements()));
      found.mutableData<int64_t>()[i] = number;
    }
    return Status::ok();
  }));
  return found;
}

static Expected<std::vector<Tensor>> evalLookup(const OpCall &call) {
  const Tensor &input = call.inputs[0], &keys = call.inputs[1], &values = call.inputs[2],
               &otherwise = call.inputs[3];
  if (keys.dtype() != input.dtype() || keys.rank() != 1 || values.dims() != keys.dims())
    return invalidInput(fmt::format("keys {} and values {} do not fit input {}", keys.describe(),
                                    values.describe(), input.describe()));
  if (otherwise.isPresent() &&
      (otherwise.dtype() != values.dtype() || otherwise.numElements() != 1))
    return invalidInput("otherwise must be one " + std::string(dtypeName(values.dtype())) +
                        ", found " + otherwise.describe());
  QUERN_ASSIGN(Tensor numbers, findKeys(input, keys, otherwise.isPresent(), call.budget));
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, values.dtype(), input.dims()));
  QUERN_TRY(visitStorage(values.dtype(), [&]<typename T>() {
    return call.budget.forParts(input.numElements(), 4, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        int64_t number = numbers.data<int64_t>()[i];
        result.mutableData<T>()[i] = number < 0 ? *otherwise.data<T>() : values.data<T>()[number];
      }
    });
  }));
  return std::vector<Tensor>{result};
}

//===----------------------------------------------------------------------===//
// Pairwise coupling
//===----------------------------------------------------------------------===//

/// Wu, Lin and Weng, "Probability estimates for multi-class classification by pairwise
/// coupling", algorithm 2: `p`, the result, minimizes p' Q p. The steps are those of
/// float32, since the iteration ends well before it converges.
static void couplePairs(const float *pairs, int64_t classes, float *q, float *qp, float *p) {
  auto pair = [&](int64_t i, int64_t j) { return pairs[i * classes + j]; };
  for (int64_t i = 0; i < classes; ++i) {
    p[i] = 1.0f / static_cast<float>(classes);
    q[i * classes + i] = 0;
    for (int64_t j = 0; j < classes; ++j) {
      if (j == i)
        continue;
      q[i * classes + i] += pair(j, i) * pair(j, i);
      q[i * classes + j] = -pair(j, i) * pair(i, j);
    }
  }
  const float tolerance = 0.005f / static_cast<float>(classes);
  for (int iteration = 0; iteration < 100; ++iteration) {
    float energy = 0, error = 0;
    for (int64_t i = 0; i < classes; ++i) {
      qp[i] = 0;
      for (int64_t j = 0; j < classes; ++j)
        qp[i] += q[i * classes + j] * p[j];
      energy += p[i] * qp[i];
    }
    for (int64_t i = 0; i < classes; ++i)
      error = std::max(error, std::abs(qp[i] - energy));
    if (error < tolerance)
      return;
    for (int64_t i = 0; i < classes; ++i) {
      float diagonal = q[i * classes + i], change = (energy - qp[i]) / diagonal;
      float norm = 1 + change;
      p[i] += change;
      energy = (energy + change * (change * diagonal + 2 * qp[i])) / norm / norm;
      for (int64_t j = 0; j < classes; ++j) {
        qp[j] = (qp[j] + change * q[i * classes + j]) / norm;
        p[j] /= norm;
      }
    }
  }
}

static Expected<std::vector<Tensor>> evalCouplePairs(const OpCall &call) {
  const Tensor &pairs = call.inputs[0];
  if (pairs.rank() != 3 || pairs.dim(1) != pairs.dim(2))
    return invalidInput("pairs must be [rows, classes, classes], found " + pairs.describe());
  int64_t rows = pairs.dim(0), classes = pairs.dim(1);
  CheckedSize square = CheckedSize(classes) * CheckedSize(classes);
  QUERN_TRY(call.budget.require(square * CheckedSize(rows) * CheckedSize(4)));
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, pairs.dtype(), {rows, classes}));
  QUERN_ASSIGN(std::span<float> memory,
               call.budget.scratch<float>(square * CheckedSize(2) + CheckedSize(2 * classes)));
  float *row = memory.data(), *q = row + square.value(), *qp = q + square.value(),
        *p = qp + classes;
  QUERN_TRY(visitFloat(pairs.dtype(), [&]<typename T>() -> Status {
    for (int64_t r = 0; r < rows; ++r) {
      QUERN_TRY(call.budget.spend(square.value() * 300));
      for (int64_t i = 0; i < square.value(); ++i)
        row[i] = static_cast<float>(widen(pairs.data<T>()[r * square.value() + i]));
      couplePairs(row, classes, q, qp, p);
      for (int64_t i = 0; i < classes; ++i)
        result.mutableData<T>()[r * classes + i] = narrow<T>(p[i]);
    }
    return Status::ok();
  }));
  return std::vector<Tensor>{result};
}

//===----------------------------------------------------------------------===//
// Maps
//===----------------------------------------------------------------------===//

/// A copy that values may share for ever.
static Expected<std::shared_ptr<const Tensor>> copyOf(const Tensor &tensor, Budget &budget) {
  QUERN_ASSIGN(Tensor copy, budget.allocateUninitialized(tensor.dtype(), tensor.dims()));
  QUERN_TRY(visitStorage(tensor.dtype(), [&]<typename T>() {
    return budget.forParts(tensor.numElements(), 2, [&](int64_t begin, int64_t end) {
      std::copy(tensor.data<T>() + begin, tensor.data<T>() + end, copy.mutableData<T>() + begin);
    });
  }));
  return std::make_shared<const Tensor>(copy);
}

static Expected<std::vector<AnyValue>> evalZipMap(const ValueCall &call) {
  QUERN_ASSIGN(TensorList inputs, TensorList::of(call.inputs));
  const Tensor &input = inputs[0], &keys = inputs[1];
  if (input.rank() != 2 || keys.rank() != 1 || input.dim(1) != keys.dim(0))
    return invalidInput(
        fmt::format("keys {} do not fit input {}", keys.describe(), input.describe()));
  // A scalar of its own, and its place in a map, for each element.
  constexpr int64_t kScalarBytes = 128;
  QUERN_TRY(call.budget.require(CheckedSize(input.numElements()) * CheckedSize(kScalarBytes)));
  QUERN_ASSIGN(std::shared_ptr<const Tensor> ownInput, copyOf(input, call.budget));
  QUERN_ASSIGN(std::shared_ptr<const Tensor> ownKeys, copyOf(keys, call.budget));
  ValueType valueType = ValueType::tensor(input.dtype(), PortShape());
  ValueType mapType = ValueType::mapOf(keys.dtype(), valueType);
  auto elementAt = [&](int64_t i) -> AnyValue {
    const char *bytes = ownInput->data<char>() + i * dtypeBytes(input.dtype());
    return Tensor::borrow(input.dtype(), {}, bytes, ownInput);
  };
  std::vector<AnyValue> maps;
  for (int64_t row = 0; row < input.dim(0); ++row) {
    QUERN_TRY(call.budget.spend(kScalarBytes * (1 + input.dim(1))));
    std::vector<AnyValue> values;
    for (int64_t i = 0; i < input.dim(1); ++i)
      values.push_back(elementAt(row * input.dim(1) + i));
    QUERN_ASSIGN(AnyValue map, AnyValue::map(*ownKeys, valueType, std::move(values)));
    maps.push_back(std::move(map));
  }
  QUERN_ASSIGN(AnyValue sequence, AnyValue::sequence(mapType, std::move(maps)));
  return std::vector<AnyValue>{sequence};
}

/// The elements of a tensor of keys in this order.
static Expected<Tensor> inOrder(const Tensor &keys, std::span<const int64_t> order,
                                Budget &budget) {
  QUERN_ASSIGN(Tensor sorted, budget.allocateUninitialized(keys.dtype(), keys.dims()));
  QUERN_TRY(visitStorage(keys.dtype(), [&]<typename T>() {
    for (size_t i = 0; i < order.size(); ++i)
      sorted.mutableData<T>()[i] = keys.data<T>()[order[i]];
    return Status::ok();
  }));
  return sorted;
}

static Expected<std::vector<AnyValue>> evalMapEntries(const ValueCall &call) {
  AnyValue operand = call.inputs[0];
  const MapValue *map = operand.asMap();
  if (!map)
    return invalidInput("the operand must be a map, found " + operand.describe());
  if (!map->valueType.isTensor())
    return invalidInput("the values must be tensors, found " + map->valueType.describe());
  auto count = static_cast<int64_t>(map->values.size());
  QUERN_TRY(call.budget.spend(count * 32));
  QUERN_ASSIGN(std::span<int64_t> order, call.budget.scratch<int64_t>(count));
  std::iota(order.begin(), order.end(), 0);
  auto sortBy = [&]<typename T>() {
    const T *keys = map->keys.data<T>();
    std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return keys[a] < keys[b] || (keys[a] == keys[b] && a < b);
    });
  };
  if (map->keys.dtype() == DType::String)
    sortBy.operator()<std::string>();
  else
    sortBy.operator()<int64_t>();
  QUERN_ASSIGN(Tensor keys, inOrder(map->keys, order, call.budget));
  QUERN_ASSIGN(Tensor values, call.budget.allocate(map->valueType.dtype, {count}));
  QUERN_TRY(visitStorage(values.dtype(), [&]<typename T>() -> Status {
    for (int64_t i = 0; i < count; ++i) {
      const Tensor *value = map->values[order[i]].asTensor();
      if (!value || value->numElements() != 1)
        return invalidInput("every value must have one element, found " +
                            map->values[order[i]].describe());
      values.mutableData<T>()[i] = *value->data<T>();
    }
    return Status::ok();
  }));
  return std::vector<AnyValue>{keys, values};
}

std::span<const EvaluatorRow> reference::labelEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.lookup", evalLookup},
      {"nn.couple_pairs", evalCouplePairs},
  };
  return rows;
}

std::span<const ValueEvaluatorRow> reference::labelValueEvaluators() {
  static constexpr ValueEvaluatorRow rows[] = {
      {"nn.zip_map", evalZipMap},
      {"nn.map_entries", evalMapEntries},
  };
  return rows;
}
