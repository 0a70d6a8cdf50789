//===- Graph.h - graphs that tests write op by op -------------------------===//
#pragma once

#include "ir/OwnedModule.h"
#include "quern/Limits.h"
#include "quern/Tensor.h"

#include <map>
#include <string>
#include <vector>

namespace quern::test {

/// A value of a Graph: "%v3" and "tensor<2x3xf32>".
struct GraphValue {
  std::string name;
  std::string type;
};

/// Writes the text of a module with one function, @main.
class Graph {
public:
  /// A graph input; `type` is the inside of a tensor type ("2x3xf32").
  GraphValue input(const std::string &type);
  /// A weight of small integers (or of `values`).
  GraphValue weight(const std::string &type);
  GraphValue weight(const Tensor &values);
  /// A weight of int64 in one dimension.
  GraphValue ints(const std::vector<int64_t> &values);
  /// "nn.constant dense<1.0> : tensor<3xf32>" is constant("dense<1.0>", "3xf32").
  GraphValue constant(const std::string &value, const std::string &type);
  GraphValue none();
  /// A location of the name "v<number>" is given to the op. The result has the
  /// element type of the first operand unless `type` says otherwise.
  GraphValue op(const std::string &name, const std::vector<GraphValue> &operands,
                const std::string &attributes = "", const std::string &type = "");
  /// An op with several results, each with the element type of the first operand unless
  /// `elements` says otherwise.
  std::vector<GraphValue> multi(const std::string &name, const std::vector<GraphValue> &operands,
                                const std::string &attributes, size_t results,
                                const std::vector<std::string> &elements = {});
  /// Makes `value` a result; mismatches are reported under `label`.
  void output(const GraphValue &value, const std::string &label = "");

  std::string text() const;
  /// Parses the text into `context`, with all shapes inferred that can be.
  mlir::OwningOpRef<mlir::ModuleOp> parse(mlir::MLIRContext &context) const;
  const std::vector<std::string> &labels() const { return outputLabels; }

private:
  std::string fresh() { return "%v" + std::to_string(nextValue++); }

  std::string arguments, body, results, resultTypes;
  std::vector<std::string> outputLabels;
  std::map<std::string, Tensor> weights;
  int nextValue = 0;
};

/// Tensors of small integers for the inputs of `graph`; `dims` are needed where
/// shapes are dynamic.
std::vector<Tensor> integerInputs(const Graph &graph, const std::vector<Tensor::Dims> &dims = {});
Tensor integerTensor(DType dtype, const Tensor::Dims &dims, unsigned seed);
/// Numbers of float32, of a normal distribution with this deviation.
Tensor normalTensor(const Tensor::Dims &dims, float deviation, unsigned seed);

Expected<std::vector<Tensor>> runInterpreted(const Graph &graph, const std::vector<Tensor> &inputs,
                                             const Limits &limits = {});

void expectSameTensors(const std::vector<Tensor> &found, const std::vector<Tensor> &wanted,
                       const std::vector<std::string> &labels);

} // namespace quern::test
