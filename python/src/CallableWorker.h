//===- CallableWorker.h - what a call of a compiled model works with ------===//
#pragma once

#include "CallableModel.h"

#include <algorithm>

namespace quern::python {

/// A runner, and the lists that its calls need, kept from call to call.
struct CallableModel::Worker {
  std::unique_ptr<Runner> runner;
  /// The inputs of a call as they were given: held until it is over, whatever Python code of
  /// other threads, or of arrays that are read later, does to the list or dict they came in.
  std::vector<nanobind::object> given;
  // Of a call; the second pair serves models with other values than tensors.
  std::vector<Tensor> inputs, outputs;
  std::vector<AnyValue> inputValues, outputValues;
  /// The arrays that outputs are computed in, given ones or small ones; null for others.
  std::vector<nanobind::object> arrays;
  /// Of the last call, whose outputs had these dims.
  std::vector<Tensor::Dims> inputDims, outputDims;
  /// Whether the last call took so long that a signal may come in the next.
  bool isSlow = true;

  /// Views of arrays stay, as numbers to compare with: whoever runs has made them anew.
  void forgetValues() {
    for (Tensor &tensor : inputs)
      if (tensor.isOwner())
        tensor = Tensor();
    std::fill(outputs.begin(), outputs.end(), Tensor());
    std::fill(arrays.begin(), arrays.end(), nanobind::object());
    std::fill(given.begin(), given.end(), nanobind::object());
    for (auto *values : {&inputValues, &outputValues})
      std::fill(values->begin(), values->end(), AnyValue());
  }
  bool hasDimsOfLastCall() const {
    return !outputDims.empty() &&
           std::equal(inputs.begin(), inputs.end(), inputDims.begin(), inputDims.end(),
                      [](const Tensor &tensor, const Tensor::Dims &dims) {
                        return tensor.dims() == dims;
                      });
  }
};

/// "'a'"
std::string quoted(nanobind::handle name);
/// "'a' and 'b'"
std::string quotedList(const std::vector<nanobind::object> &names);

} // namespace quern::python
