//===- RunModel.h - the interpreter's results of small ONNX models --------===//
#pragma once

#include "backends/interpreter/Interpreter.h"
#include "ir/Signature.h"
#include "tests/FloatElement.h"
#include "tests/frontend/ModelBuilder.h"

namespace quern::onnx::test {

/// The outputs for these inputs; none after a failure, which the test then has.
inline std::vector<Tensor> run(const ModelBuilder &model, const std::vector<Tensor> &inputs) {
  Imported imported(model);
  EXPECT_TRUE(imported.module) << imported.text();
  if (!imported.module)
    return {};
  auto outputs = interpreter::interpret(nn::findMain(**imported.module), inputs);
  EXPECT_TRUE(outputs) << outputs.status().message();
  return outputs ? outputs.take() : std::vector<Tensor>();
}

/// Expects a float tensor with these elements, up to a few units in the last place of
/// float32 or, of a smaller type, its own.
inline void expectFloats(const Tensor &found, const Tensor::Dims &dims,
                         const std::vector<double> &wanted) {
  ASSERT_TRUE(found.isPresent() && isFloat(found.dtype()));
  ASSERT_EQ(found.dims(), dims) << found.describe();
  ASSERT_EQ(found.numElements(), static_cast<int64_t>(wanted.size()));
  double tolerance = dtypeBits(found.dtype()) < 32 ? 1e-3 : 2e-6;
  for (size_t i = 0; i < wanted.size(); ++i)
    EXPECT_NEAR(floatAt(found, static_cast<int64_t>(i)), wanted[i],
                tolerance * std::max(1.0, std::abs(wanted[i])))
        << "element " << i;
}

} // namespace quern::onnx::test
