//===- Interpret.h - what small models compute ----------------------------===//
#pragma once

#include "backends/interpreter/Interpreter.h"
#include "ir/Signature.h"
#include "tests/frontend/ModelBuilder.h"

#include <algorithm>

namespace quern::onnx::test {

/// What the first output of a model is for these inputs.
inline Expected<std::vector<Tensor>> runModel(const ModelBuilder &builder,
                                              const std::vector<Tensor> &inputs) {
  Imported imported(builder);
  if (!imported.module)
    return imported.module.status();
  return interpreter::interpret(nn::findMain(**imported.module), inputs);
}

/// Expects dims and elements of the first output; they are exact.
template <typename T>
void expectRuns(const ModelBuilder &builder, const std::vector<Tensor> &inputs,
                const Tensor::Dims &dims, const std::vector<T> &elements) {
  auto outputs = runModel(builder, inputs);
  ASSERT_TRUE(outputs) << outputs.status().message();
  const Tensor &found = outputs->front();
  ASSERT_EQ(found.dtype(), dtypeOf<T>());
  EXPECT_EQ(found.dims(), dims);
  ASSERT_EQ(found.numElements(), static_cast<int64_t>(elements.size()));
  for (size_t i = 0; i < elements.size(); ++i)
    EXPECT_EQ(found.data<T>()[i], elements[i]) << "element " << i;
}

/// Expects a run to fail with a message that has both parts.
inline void expectRunError(const ModelBuilder &builder, const std::vector<Tensor> &inputs,
                           const std::string &node, const std::string &reason) {
  auto outputs = runModel(builder, inputs);
  ASSERT_FALSE(outputs);
  expectContains(outputs.status().message(), node);
  expectContains(outputs.status().message(), reason);
}

} // namespace quern::onnx::test
