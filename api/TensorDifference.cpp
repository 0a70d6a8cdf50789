//===- TensorDifference.cpp - how far two tensors are apart ---------------===//
#include "quern/TensorDifference.h"

#include "api/Noise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <fmt/format.h>

using namespace quern;

template <typename T>
static std::vector<double> convert(const Tensor &tensor, int64_t perElement = 1) {
  std::vector<double> values(static_cast<size_t>(tensor.numElements() * perElement));
  const T *data = tensor.data<T>();
  std::transform(data, data + values.size(), values.begin(), [](const T &v) {
    if constexpr (std::is_arithmetic_v<T>)
      return static_cast<double>(v);
    else
      return static_cast<double>(static_cast<float>(v));
  });
  return values;
}

std::vector<double> quern::elementsAsDouble(const Tensor &tensor) {
  switch (tensor.dtype()) {
  case DType::Float32:
    return convert<float>(tensor);
  case DType::Float64:
    return convert<double>(tensor);
  case DType::Float16:
    return convert<Float16>(tensor);
  case DType::BFloat16:
    return convert<BFloat16>(tensor);
  case DType::Int8:
  case DType::Int4:
  case DType::Int2:
    return convert<int8_t>(tensor);
  case DType::Int16:
    return convert<int16_t>(tensor);
  case DType::Int32:
    return convert<int32_t>(tensor);
  case DType::Int64:
    return convert<int64_t>(tensor);
  case DType::UInt16:
    return convert<uint16_t>(tensor);
  case DType::UInt32:
    return convert<uint32_t>(tensor);
  case DType::UInt64:
    return convert<uint64_t>(tensor);
  case DType::Complex64:
    return convert<float>(tensor, 2);
  case DType::Complex128:
    return convert<double>(tensor, 2);
  case DType::String:
  case DType::Undefined:
    return {};
  case DType::UInt8:
  case DType::UInt4:
  case DType::UInt2:
  case DType::Bool:
  case DType::Float8E4M3FN:
  case DType::Float8E4M3FNUZ:
  case DType::Float8E5M2:
  case DType::Float8E5M2FNUZ:
  case DType::Float4E2M1:
  case DType::Float8E8M0:
  case DType::Float6E2M3:
  case DType::Float6E3M2:
    break; // their bits, which are compared exactly
  }
  return convert<uint8_t>(tensor);
}

static bool isExact(DType dtype) {
  return (!isFloat(dtype) || isMiniFloat(dtype)) && dtype != DType::Complex64 &&
         dtype != DType::Complex128;
}

/// Forty steps of 11 bits, thirteen of 8: the errors of a model that rounds after each node,
/// ours are less. Networks of 5 to 120 nodes in float16 were off by 0.03 to 0.2 %.
static double boundOfUnrounded(DType type) {
  return type == DType::BFloat16 ? 0.1 : type == DType::Float16 ? 0.02 : 0;
}

Tolerance quern::toleranceOf(Precision precision, bool multipliesBytes,
                             const PrecisionChoice *choice, DType unrounded) {
  double added = boundOfUnrounded(unrounded);
  if (precision == Precision::Auto && choice)
    return {.relative = 0, .ofLargest = choice->maxError + added};
  if (precision == Precision::Float32 && !multipliesBytes)
    return added > 0 ? Tolerance{.relative = 0, .ofLargest = added} : Tolerance();
  // bfloat16 and bytes have 8 bits each: ten of their steps. Layer by layer a value may fall on the
  // other side of a half; networks of 20 to 160 layers were off by 0.5 to 2.6 %
  // (docs/precision.md).
  return {.relative = 0, .ofLargest = 0.04 + added};
}

static double largestMagnitude(const std::vector<double> &values) {
  double largest = 0;
  for (double value : values)
    if (std::isfinite(value))
      largest = std::max(largest, std::abs(value));
  return largest;
}

/// Where a number stands among all of its type; both zeros are at one place.
template <typename Bits> static int64_t placeAmongNumbers(Bits bits) {
  constexpr Bits kSign = Bits{1} << (sizeof(Bits) * 8 - 1);
  auto magnitude = static_cast<int64_t>(bits & static_cast<Bits>(kSign - 1));
  return bits & kSign ? -magnitude : magnitude;
}

/// Which of TensorDifference::ulps counts it.
static size_t placeOfUlps(double ulps) {
  return ulps < 1 ? 0 : static_cast<size_t>(std::ilogb(ulps)) + 1;
}

template <typename Bits>
static void addUlps(const Tensor &wanted, const Tensor &found, const std::vector<double> &a,
                    const std::vector<double> &b, TensorDifference &result) {
  auto *wantedBits = static_cast<const Bits *>(wanted.rawData());
  auto *foundBits = static_cast<const Bits *>(found.rawData());
  result.ulps.assign(1, 0);
  for (size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i]))
      continue;
    double ulps = std::abs(static_cast<double>(placeAmongNumbers(wantedBits[i])) -
                           static_cast<double>(placeAmongNumbers(foundBits[i])));
    size_t place = placeOfUlps(ulps);
    result.ulps.resize(std::max(result.ulps.size(), place + 1));
    ++result.ulps[place];
    result.maxUlp = std::max(result.maxUlp, ulps);
  }
  if (!std::isfinite(result.maxAbsolute))
    result.maxUlp = result.maxAbsolute;
}

static void addUlps(const Tensor &wanted, const Tensor &found, const std::vector<double> &a,
                    const std::vector<double> &b, TensorDifference &result) {
  switch (wanted.dtype()) {
  case DType::Float32:
    return addUlps<uint32_t>(wanted, found, a, b, result);
  case DType::Float64:
    return addUlps<uint64_t>(wanted, found, a, b, result);
  case DType::Float16:
  case DType::BFloat16:
    return addUlps<uint16_t>(wanted, found, a, b, result);
  default:
    break;
  }
}

static double cosineOf(const std::vector<double> &a, const std::vector<double> &b) {
  double largestA = largestMagnitude(a), largestB = largestMagnitude(b);
  if (largestA == 0 || largestB == 0)
    return largestA == largestB ? 1 : 0;
  double product = 0, ofA = 0, ofB = 0;
  for (size_t i = 0; i < a.size(); ++i)
    if (std::isfinite(a[i]) && std::isfinite(b[i])) {
      double x = a[i] / largestA, y = b[i] / largestB;
      product += x * y;
      ofA += x * x;
      ofB += y * y;
    }
  double lengths = std::sqrt(ofA * ofB);
  return lengths > 0 ? std::clamp(product / lengths, -1.0, 1.0) : 0;
}

/// What is not about single elements.
static void addWhole(const Tensor &wanted, const Tensor &found, const std::vector<double> &a,
                     const std::vector<double> &b, TensorDifference &result) {
  if (result.maxAbsolute > 0)
    result.cosine = cosineOf(a, b);
  addUlps(wanted, found, a, b, result);
  Agreement rows;
  rows.add(wanted, found, /*margin=*/0);
  if (rows.rows > 0)
    result.topAgreement = static_cast<double>(rows.agreeing) / static_cast<double>(rows.rows);
}

static int64_t differingStrings(const Tensor &wanted, const Tensor &found) {
  int64_t count = 0;
  for (int64_t i = 0; i < wanted.numElements(); ++i)
    count += wanted.data<std::string>()[i] != found.data<std::string>()[i];
  return count;
}

TensorDifference quern::compareTensors(const Tensor &wanted, const Tensor &found,
                                       const Tolerance &tolerance) {
  TensorDifference result;
  if (wanted.dtype() != found.dtype() || wanted.dims() != found.dims()) {
    result.incomparable = fmt::format("wanted {}, found {}", wanted.describe(), found.describe());
    return result;
  }
  if (wanted.dtype() == DType::String) {
    result.mismatches = differingStrings(wanted, found);
    return result;
  }
  // 64-bit integers do not all fit a double; equality decides on their bits.
  bool exact = isExact(wanted.dtype());
  int64_t width = dtypeBytes(wanted.dtype());
  auto *wantedBytes = static_cast<const std::byte *>(wanted.rawData());
  auto *foundBytes = static_cast<const std::byte *>(found.rawData());
  std::vector<double> a = elementsAsDouble(wanted), b = elementsAsDouble(found);
  double largest = exact ? 0 : largestMagnitude(a);
  double always = tolerance.absolute + tolerance.ofLargest * largest;
  for (size_t i = 0; i < a.size(); ++i) {
    if (exact) {
      auto offset = static_cast<int64_t>(i) * width;
      result.mismatches +=
          !std::equal(wantedBytes + offset, wantedBytes + offset + width, foundBytes + offset);
    }
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])))
      continue;
    double difference = std::abs(a[i] - b[i]);
    if (!std::isfinite(difference)) { // a NaN or infinity on one side only
      difference = std::numeric_limits<double>::infinity();
      result.maxRelative = difference;
    }
    result.maxAbsolute = std::max(result.maxAbsolute, difference);
    if (a[i] != 0)
      result.maxRelative = std::max(result.maxRelative, difference / std::abs(a[i]));
    double allowed = always + tolerance.relative * std::abs(a[i]);
    if (!exact && (difference > allowed || !std::isfinite(difference)))
      ++result.mismatches;
  }
  if (!exact && result.maxAbsolute > 0)
    result.maxOfLargest = result.maxAbsolute / largest;
  if (!exact)
    addWhole(wanted, found, a, b, result);
  return result;
}

/// What is in a value, one by one: its elements, its content, its keys and values.
static std::vector<AnyValue> partsOf(const AnyValue &value) {
  if (const SequenceValue *sequence = value.asSequence())
    return sequence->elements;
  if (const OptionalValue *optional = value.asOptional())
    return optional->content.isPresent() ? std::vector<AnyValue>{optional->content}
                                         : std::vector<AnyValue>();
  std::vector<AnyValue> parts;
  if (const MapValue *map = value.asMap()) {
    parts = map->values;
    parts.push_back(map->keys);
  }
  return parts;
}

TensorDifference quern::compareValues(const AnyValue &wanted, const AnyValue &found,
                                      const Tolerance &tolerance) {
  const Tensor *a = wanted.asTensor(), *b = found.asTensor();
  if (a && b)
    return compareTensors(*a, *b, tolerance);
  TensorDifference result;
  std::vector<AnyValue> wantedParts = partsOf(wanted), foundParts = partsOf(found);
  if (wanted.kind() != found.kind() || wantedParts.size() != foundParts.size()) {
    result.incomparable = fmt::format("wanted {}, found {}", wanted.describe(), found.describe());
    return result;
  }
  for (size_t i = 0; i < wantedParts.size(); ++i) {
    TensorDifference part = compareValues(wantedParts[i], foundParts[i], tolerance);
    result.maxAbsolute = std::max(result.maxAbsolute, part.maxAbsolute);
    result.maxRelative = std::max(result.maxRelative, part.maxRelative);
    result.maxOfLargest = std::max(result.maxOfLargest, part.maxOfLargest);
    result.maxUlp = std::max(result.maxUlp, part.maxUlp);
    result.ulps.resize(std::max(result.ulps.size(), part.ulps.size()));
    for (size_t place = 0; place < part.ulps.size(); ++place)
      result.ulps[place] += part.ulps[place];
    result.cosine = std::min(result.cosine, part.cosine);
    result.mismatches += part.mismatches;
    if (result.incomparable.empty() && !part.incomparable.empty())
      result.incomparable = fmt::format("value {}: {}", i, part.incomparable);
  }
  return result;
}
