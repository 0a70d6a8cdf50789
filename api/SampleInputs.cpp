//===- SampleInputs.cpp - something to run a model on ---------------------===//
#include "quern/SampleInputs.h"

using namespace quern;

namespace {
/// SplitMix64.
class RandomBits {
public:
  explicit RandomBits(uint64_t seed) : state(seed) {}
  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// Exact in float32.
  float uniform() { return static_cast<float>(next() >> 40) * 0x1p-23f - 1.0f; }

private:
  uint64_t state;
};

template <typename T> void fill(Tensor &tensor, RandomBits &bits) {
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    tensor.mutableData<T>()[i] = T(bits.uniform());
}
} // namespace

Tensor::Dims quern::defaultDims(const ValueType &port) {
  Tensor::Dims dims;
  for (const PortDim &dim : port.shape.dims())
    dims.push_back(dim.isStatic() ? dim.size() : 1);
  return dims;
}

std::vector<Tensor::Dims> quern::defaultDims(std::span<const PortSignature> ports) {
  std::vector<Tensor::Dims> dims;
  for (const PortSignature &port : ports)
    dims.push_back(defaultDims(port));
  return dims;
}

Expected<Tensor> quern::randomTensor(DType dtype, Tensor::Dims dims, uint64_t seed,
                                     const Limits &limits) {
  QUERN_ASSIGN(Tensor tensor, Tensor::allocate(dtype, std::move(dims), limits));
  RandomBits bits(seed);
  if (dtype == DType::Float32)
    fill<float>(tensor, bits);
  else if (dtype == DType::Float64)
    fill<double>(tensor, bits);
  else if (dtype == DType::Float16)
    fill<Float16>(tensor, bits);
  else if (dtype == DType::BFloat16)
    fill<BFloat16>(tensor, bits);
  else if (isSignedInteger(dtype) || isUnsignedInteger(dtype) || dtype == DType::Bool)
    // The lowest byte of a little-endian integer.
    for (int64_t i = 0, width = dtypeBytes(dtype); i < tensor.numElements(); ++i)
      static_cast<std::byte *>(tensor.mutableRawData())[i * width] = std::byte(bits.next() >> 63);
  return tensor;
}

/// One key: 0 or "0".
static Expected<Tensor> makeKey(DType dtype) {
  if (dtype == DType::Int64)
    return Tensor::ofInts({0});
  QUERN_ASSIGN(Tensor key, Tensor::allocate(DType::String, {1}));
  *key.mutableData<std::string>() = "0";
  return key;
}

Expected<AnyValue> quern::sampleValue(const ValueType &type, bool zeros, uint64_t seed,
                                      const Limits &limits) {
  if (type.isTensor()) {
    auto tensor = zeros ? Tensor::allocate(type.dtype, defaultDims(type), limits)
                        : randomTensor(type.dtype, defaultDims(type), seed, limits);
    return tensor ? Expected<AnyValue>(tensor.take()) : tensor.status();
  }
  const ValueType &inner = type.nested.front();
  QUERN_ASSIGN(AnyValue first, sampleValue(inner, zeros, seed, limits));
  if (type.kind == ValueType::Kind::Optional)
    return AnyValue::optional(inner, std::move(first));
  if (type.kind == ValueType::Kind::Map) {
    QUERN_ASSIGN(Tensor key, makeKey(type.dtype));
    return AnyValue::map(std::move(key), inner, {std::move(first)});
  }
  if (!inner.isTensor())
    return AnyValue::sequence(inner, {std::move(first)}); // two each would be 2^depth
  QUERN_ASSIGN(AnyValue second, sampleValue(inner, zeros, seed + 1, limits));
  return AnyValue::sequence(inner, {std::move(first), std::move(second)});
}

Expected<std::vector<AnyValue>> quern::sampleInputs(std::span<const PortSignature> ports,
                                                    uint64_t seed, const Limits &limits) {
  std::vector<AnyValue> values;
  for (const PortSignature &port : ports) {
    auto value = sampleValue(port, /*zeros=*/false, seed + values.size(), limits);
    if (!value)
      return value.status().withContext("input '" + port.name + "'");
    values.push_back(value.take());
  }
  return values;
}

Expected<std::vector<AnyValue>> quern::sampleInputs(const CompiledModel &model, uint64_t seed,
                                                    const Limits &limits) {
  std::vector<PortSignature> ports = model.inputs();
  if (std::vector<std::vector<Tensor::Dims>> listed = model.listedInputDims(); !listed.empty())
    for (size_t i = 0; i < ports.size(); ++i)
      ports[i].shape = PortShape::fromSizes(listed.front()[i]);
  return sampleInputs(ports, seed, limits);
}
