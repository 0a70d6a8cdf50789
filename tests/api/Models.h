//===- Models.h - models to use the library on ----------------------------===//
#pragma once

#include "quern/Model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace quern::test {

inline const std::string kDigits = QUERN_SOURCE_DIR "/examples/digits/digits.onnx";

inline std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/// examples/digits, with each `from` in the file replaced by the equally long `to`.
inline std::string digitsWith(const std::string &from, const std::string &to) {
  std::string bytes = readFile(kDigits);
  EXPECT_EQ(from.size(), to.size());
  size_t at = bytes.find(from);
  EXPECT_NE(at, std::string::npos);
  for (; at != std::string::npos; at = bytes.find(from, at))
    bytes.replace(at, to.size(), to);
  return bytes;
}

inline ModelBytes asModel(const std::string &bytes) {
  return {.bytes = std::as_bytes(std::span(bytes))};
}

/// Inputs for examples/digits.
inline std::vector<Tensor> images(int64_t count) {
  Tensor tensor = Tensor::allocate(DType::Float32, {count, 1, 8, 8}).take();
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    tensor.mutableData<float>()[i] = static_cast<float>(i % 17) / 17;
  return {tensor};
}

/// The result, or a failure of the test.
template <typename T> T expectValue(Expected<T> result) {
  EXPECT_TRUE(result) << result.status().message();
  if (!result)
    throw std::runtime_error(result.status().message());
  return result.take();
}

inline std::unique_ptr<Runner> makeRunner(const Model &model, Backend backend,
                                          const RunnerOptions &options = {.threads = 1}) {
  auto compiled = expectValue(model.compile({.backend = backend, .threads = 1}));
  return expectValue(compiled->createRunner(options));
}

inline bool sameBits(const Tensor &a, const Tensor &b) {
  return a.dtype() == b.dtype() && a.dims() == b.dims() &&
         std::memcmp(a.rawData(), b.rawData(), static_cast<size_t>(a.numBytes())) == 0;
}

/// Float tensors that differ by no more than rounding.
inline bool isClose(const Tensor &a, const Tensor &b) {
  if (a.dtype() != DType::Float32 || b.dtype() != DType::Float32 || a.dims() != b.dims())
    return false;
  for (int64_t i = 0; i < a.numElements(); ++i) {
    float x = a.data<float>()[i], y = b.data<float>()[i];
    if (!(std::abs(x - y) <= 1e-5f + 1e-3f * std::abs(y)))
      return false;
  }
  return true;
}

} // namespace quern::test
