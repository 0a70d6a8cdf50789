//===- KernelCall.h - how tests call a reference kernel -------------------===//
#pragma once

#include "runtime/reference/Enumerations.h"
#include "runtime/reference/Evaluator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace quern::reference {

inline Attributes
makeAttributes(std::initializer_list<std::pair<const char *, Attributes::Value>> values) {
  Attributes attributes;
  for (const auto &[name, value] : values)
    attributes.set(name, value);
  return attributes;
}

/// What an attribute holds for the value with this name.
template <typename E> int64_t numberOf(std::string_view name) {
  return static_cast<int64_t>(enumNamed<E>(name).value());
}

/// Calls the kernel again with places for its results, full of old values: it must
/// write the same there, unless it gives an operand back.
inline void expectSameInPlaces(EvalFunction function, const OpCall &call,
                               const std::vector<Tensor> &results) {
  std::vector<Tensor> places;
  for (const Tensor &result : results) {
    places.push_back(Tensor::allocate(result.dtype(), result.dims()).take());
    if (result.dtype() == DType::String)
      std::fill_n(places.back().mutableData<std::string>(), result.numElements(), "old");
    else
      std::memset(places.back().mutableRawData(), 0x5a, static_cast<size_t>(result.numBytes()));
  }
  Budget budget(call.budget.limits());
  auto again =
      function({call.opName, call.attributes, call.inputs, call.resultTypes, budget, places});
  ASSERT_TRUE(again) << again.status().message();
  for (size_t i = 0; i < results.size(); ++i) {
    const Tensor &found = (*again)[i], &wanted = results[i];
    bool givesBack = false;
    for (const Tensor &input : call.inputs)
      givesBack |= input.isPresent() && input.rawData() == found.rawData();
    EXPECT_TRUE(givesBack || found.rawData() == places[i].rawData()) << call.opName;
    ASSERT_EQ(found.describe(), wanted.describe());
    if (wanted.dtype() == DType::String)
      EXPECT_TRUE(std::equal(wanted.elementsAs<std::string>().begin(),
                             wanted.elementsAs<std::string>().end(), found.data<std::string>()));
    else if (wanted.numElements() > 0)
      EXPECT_EQ(std::memcmp(found.rawData(), wanted.rawData(), wanted.numBytes()), 0)
          << call.opName;
  }
}

/// The results of a kernel.
inline Expected<std::vector<Tensor>> evaluateAll(std::string_view opName,
                                                 const std::vector<Tensor> &inputs,
                                                 const Attributes &attributes,
                                                 const std::vector<DType> &resultTypes,
                                                 const Limits &limits = {}) {
  EvalFunction function = findEvaluator(opName);
  if (!function)
    return unsupported("no kernel for " + std::string(opName));
  Budget budget(limits);
  OpCall call{opName, attributes, inputs, resultTypes, budget};
  auto results = function(call);
  if (results)
    expectSameInPlaces(function, call, *results);
  return results;
}

/// The only result of a kernel; a test failure and an absent tensor on error.
inline Tensor evaluate(std::string_view opName, const std::vector<Tensor> &inputs,
                       const Attributes &attributes = {}, DType result = DType::Undefined) {
  DType declared = result == DType::Undefined ? inputs[0].dtype() : result;
  auto results = evaluateAll(opName, inputs, attributes, {declared});
  EXPECT_TRUE(results) << results.status().message();
  return results ? (*results)[0] : Tensor();
}

/// The error of a kernel; a test failure when it succeeds.
inline Status evaluateError(std::string_view opName, const std::vector<Tensor> &inputs,
                            const Attributes &attributes = {}, const Limits &limits = {}) {
  auto results = evaluateAll(opName, inputs, attributes, {inputs[0].dtype()}, limits);
  EXPECT_FALSE(results) << "the kernel should fail";
  return results.status();
}

template <typename T> std::vector<T> elementsOf(const Tensor &tensor) {
  auto span = tensor.elementsAs<T>();
  return {span.begin(), span.end()};
}

inline Tensor stringTensor(const Tensor::Dims &dims, const std::vector<std::string> &strings) {
  Tensor tensor = Tensor::allocate(DType::String, dims).take();
  EXPECT_EQ(tensor.numElements(), static_cast<int64_t>(strings.size()));
  std::copy(strings.begin(), strings.end(), tensor.mutableData<std::string>());
  return tensor;
}

inline void expectStrings(const Tensor &tensor, const Tensor::Dims &dims,
                          const std::vector<std::string> &strings) {
  ASSERT_TRUE(tensor.isPresent() && tensor.dtype() == DType::String);
  EXPECT_EQ(tensor.dims(), dims);
  EXPECT_EQ(elementsOf<std::string>(tensor), strings);
}

/// Checks dims and elements; floats to within 4 ulp, NaN equal to NaN.
template <typename T>
void expectTensor(const Tensor &tensor, const Tensor::Dims &dims, const std::vector<T> &elements) {
  ASSERT_TRUE(tensor.isPresent());
  ASSERT_EQ(tensor.dtype(), dtypeOf<T>());
  EXPECT_EQ(tensor.dims(), dims);
  ASSERT_EQ(tensor.numElements(), static_cast<int64_t>(elements.size()));
  for (size_t i = 0; i < elements.size(); ++i) {
    T found = tensor.data<T>()[i];
    if constexpr (std::is_same_v<T, float>) {
      if (elements[i] != elements[i])
        EXPECT_NE(found, found) << "element " << i;
      else
        EXPECT_FLOAT_EQ(found, elements[i]) << "element " << i;
    } else {
      EXPECT_EQ(found, elements[i]) << "element " << i;
    }
  }
}

} // namespace quern::reference
