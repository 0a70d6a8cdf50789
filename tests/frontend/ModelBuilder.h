//===- ModelBuilder.h - small ONNX models for tests -----------------------===//
#pragma once

#include "frontend/onnx/OnnxImporter.h"
#include "frontend/onnx/OnnxProto.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

namespace quern::onnx::test {

/// Builds a model node by node; `model` is open for damage.
class ModelBuilder {
public:
  explicit ModelBuilder(int64_t opset = 13);

  /// A float32 (or other) graph input; a negative dim is symbolic, "N" for -1.
  ModelBuilder &input(const std::string &name, const std::vector<int64_t> &dims,
                      DType dtype = DType::Float32);
  /// A float32 graph input without a shape.
  ModelBuilder &unrankedInput(const std::string &name);
  ModelBuilder &output(const std::string &name);
  /// An initializer with raw_data.
  proto::TensorProto &initializer(const std::string &name, const Tensor &tensor);
  ModelBuilder &ints(const std::string &name, const std::vector<int64_t> &values) {
    initializer(name, Tensor::ofInts(values));
    return *this;
  }
  /// A node named like its first output.
  ModelBuilder &node(const std::string &op, const std::vector<std::string> &inputs,
                     const std::vector<std::string> &outputs);
  /// The domain, at version 1, of the node added last.
  ModelBuilder &domain(const std::string &name);
  // Attributes of the node added last.
  ModelBuilder &attr(const std::string &name, int64_t value);
  ModelBuilder &attr(const std::string &name, float value);
  ModelBuilder &attr(const std::string &name, const char *value);
  ModelBuilder &attr(const std::string &name, const std::vector<int64_t> &values);
  proto::AttributeProto &attribute(const std::string &name,
                                   proto::AttributeProto::AttributeType type);

  proto::GraphProto &graph() { return *model.mutable_graph(); }
  std::string bytes() const { return model.SerializeAsString(); }

  proto::ModelProto model;
};

/// A context, and what came of importing into it.
struct Imported {
  mlir::MLIRContext context;
  Expected<mlir::OwningOpRef<mlir::ModuleOp>> module;

  explicit Imported(const ModelBuilder &builder, const Limits &limits = {})
      : Imported(builder.bytes(), limits) {}
  explicit Imported(const std::string &bytes, const Limits &limits = {});

  /// The module as text, or the error.
  std::string text();
  /// The type of graph output `i` as text, e.g. "tensor<1x2xf32>".
  std::string outputType(int i = 0);
  /// The first op of this class.
  template <typename Op> Op find() {
    Op found;
    if (module)
      (*module)->walk([&](Op op) { found = found ? found : op; });
    return found;
  }
  template <typename Op> int count() {
    int n = 0;
    if (module)
      (*module)->walk([&](Op) { ++n; });
    return n;
  }
};

/// Expects the import to fail with `code` and a message that has all the parts.
void expectError(const ModelBuilder &builder, StatusCode code,
                 std::initializer_list<const char *> parts, const Limits &limits = {});

/// Fails unless `text` contains `part`.
void expectContains(const std::string &text, const std::string &part);

} // namespace quern::onnx::test
