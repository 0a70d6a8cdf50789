//===- Models.h - small models to quantize --------------------------------===//
#pragma once

#include "api/quantize/EditableModel.h"
#include "quern/SampleInputs.h"
#include "tests/frontend/ModelBuilder.h"

namespace quern::quantization::test {

using onnx::test::ModelBuilder;

/// Numbers in [-scale, scale], the same for the same seed.
inline Tensor randomFloats(const Tensor::Dims &dims, uint64_t seed, float scale = 1) {
  Tensor tensor = randomTensor(DType::Float32, dims, seed).take();
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    tensor.mutableData<float>()[i] *= scale;
  return tensor;
}

inline ModelBytes asModel(const std::string &bytes) {
  return {.bytes = std::as_bytes(std::span(bytes))};
}

/// The model, or a failure of the test.
inline EditableModel edit(const ModelBuilder &builder) {
  auto model = EditableModel::read(asModel(builder.bytes()), {});
  EXPECT_TRUE(model) << model.status().message();
  return model ? model.take() : EditableModel();
}

/// What native code, or the interpreter, gives for a model.
inline std::vector<Tensor> runModel(const std::string &bytes, const std::vector<Tensor> &inputs,
                                    Backend backend = Backend::Interpreter) {
  auto model = Model::load(asModel(bytes));
  EXPECT_TRUE(model) << model.status().message();
  if (!model)
    return {};
  auto compiled = model->compile({.backend = backend, .threads = 1, .kernelCache = false});
  EXPECT_TRUE(compiled) << compiled.status().message();
  if (!compiled)
    return {};
  auto outputs =
      (*compiled)->createRunner({.threads = 1}).take()->run(std::span<const Tensor>(inputs));
  EXPECT_TRUE(outputs) << outputs.status().message();
  return outputs ? outputs.take() : std::vector<Tensor>();
}

inline double largestDifference(const Tensor &a, const Tensor &b) {
  EXPECT_EQ(a.dims(), b.dims());
  double largest = 0;
  for (int64_t i = 0; i < a.numElements(); ++i)
    largest = std::max<double>(largest, std::abs(a.data<float>()[i] - b.data<float>()[i]));
  return largest;
}

inline int64_t countOps(const EditableModel &model, std::string_view op) {
  int64_t count = 0;
  for (const proto::NodeProto &node : model.graph().node())
    count += isOp(node, op);
  return count;
}

/// The node that makes a value.
inline const proto::NodeProto &makerOf(const EditableModel &model, const std::string &value) {
  int at = model.index().producer(value);
  EXPECT_GE(at, 0) << value;
  return model.graph().node(std::max(at, 0));
}

/// Two convolutions with batch norm and ReLU around a residual, pooled, and a Gemm.
inline ModelBuilder residualNetwork() {
  ModelBuilder m(13);
  m.input("x", {-1, 3, 8, 8}).output("y");
  for (const char *name : {"a", "b"}) {
    std::string n = name;
    m.initializer(n + "_w", randomFloats({8, n == "a" ? 3 : 8, 3, 3}, n[0], 0.3f));
    m.initializer(n + "_scale", randomFloats({8}, n[0] + 1, 0.5f));
    m.initializer(n + "_shift", randomFloats({8}, n[0] + 2, 0.5f));
    m.initializer(n + "_mean", randomFloats({8}, n[0] + 3, 0.2f));
    m.initializer(n + "_var", Tensor::of<float>({8}, std::vector<float>(8, 0.7f)));
  }
  auto convolve = [&](const std::string &n, const std::string &from) {
    m.node("Conv", {from, n + "_w"}, {n + "_conv"}).attr("pads", std::vector<int64_t>{1, 1, 1, 1});
    m.node("BatchNormalization", {n + "_conv", n + "_scale", n + "_shift", n + "_mean", n + "_var"},
           {n + "_norm"});
  };
  convolve("a", "x");
  m.node("Relu", {"a_norm"}, {"a_relu"});
  convolve("b", "a_relu");
  m.node("Add", {"b_norm", "a_relu"}, {"sum"});
  m.node("Relu", {"sum"}, {"sum_relu"});
  m.node("MaxPool", {"sum_relu"}, {"pool"}).attr("kernel_shape", std::vector<int64_t>{2, 2});
  m.node("GlobalAveragePool", {"pool"}, {"mean"});
  m.node("Flatten", {"mean"}, {"flat"});
  m.initializer("fc_w", randomFloats({10, 8}, 77));
  m.initializer("fc_b", randomFloats({10}, 78, 0.1f));
  m.node("Gemm", {"flat", "fc_w", "fc_b"}, {"y"}).attr("transB", int64_t{1});
  return m;
}

/// 16 -> 32 -> 10, by MatMul and Add, and by Gemm.
inline ModelBuilder perceptron() {
  ModelBuilder m(13);
  m.input("x", {-1, 16}).output("y");
  m.initializer("w1", randomFloats({16, 32}, 1, 0.4f));
  m.initializer("b1", randomFloats({32}, 2, 0.2f));
  m.initializer("w2", randomFloats({32, 10}, 3, 0.4f));
  m.initializer("b2", randomFloats({10}, 4, 0.2f));
  m.node("MatMul", {"x", "w1"}, {"p1"});
  m.node("Add", {"p1", "b1"}, {"s1"});
  m.node("Relu", {"s1"}, {"r1"});
  m.node("Gemm", {"r1", "w2", "b2"}, {"y"});
  return m;
}

/// A head of attention with a residual and a feed-forward part.
inline ModelBuilder attentionBlock() {
  ModelBuilder m(17);
  m.input("x", {-1, 6, 32}).output("y");
  for (const char *name : {"q", "k", "v", "o"})
    m.initializer(std::string(name) + "_w", randomFloats({32, 32}, name[0], 0.3f));
  m.initializer("up_w", randomFloats({32, 64}, 5, 0.3f));
  m.initializer("down_w", randomFloats({64, 32}, 6, 0.3f));
  m.initializer("gain", Tensor::of<float>({32}, std::vector<float>(32, 1.0f)));
  m.initializer("root", Tensor::of<float>({}, {0.177f}));
  for (const char *name : {"q", "k", "v"})
    m.node("MatMul", {"x", std::string(name) + "_w"}, {name});
  m.node("Transpose", {"k"}, {"kt"}).attr("perm", std::vector<int64_t>{0, 2, 1});
  m.node("MatMul", {"q", "kt"}, {"scores"});
  m.node("Mul", {"scores", "root"}, {"scaled"});
  m.node("Softmax", {"scaled"}, {"weights"}).attr("axis", int64_t{-1});
  m.node("MatMul", {"weights", "v"}, {"mixed"});
  m.node("MatMul", {"mixed", "o_w"}, {"o"});
  m.node("Add", {"x", "o"}, {"h"});
  m.node("LayerNormalization", {"h", "gain"}, {"n"});
  m.node("MatMul", {"n", "up_w"}, {"up"});
  m.node("Relu", {"up"}, {"act"});
  m.node("MatMul", {"act", "down_w"}, {"down"});
  m.node("Add", {"h", "down"}, {"y"});
  return m;
}

} // namespace quern::quantization::test
