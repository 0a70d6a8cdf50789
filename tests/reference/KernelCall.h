//===- KernelCall.h - how tests call a reference kernel -------------------===//
#pragma once

#include "runtime/reference/Evaluator.h"

#include <gtest/gtest.h>

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
  return function({opName, attributes, inputs, resultTypes, budget});
}

/// The only result of a kernel; a test failure and an absent tensor on error.
inline Tensor evaluate(std::string_view opName, const std::vector<Tensor> &inputs,
                       const Attributes &attributes = {}) {
  auto results = evaluateAll(opName, inputs, attributes, {inputs[0].dtype()});
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
