//===- ImportGatherTest.cpp - gathers and scatters over all opsets --------===//
#include "ir/GatherOps.h"
#include "tests/frontend/Interpret.h"
#include "tests/frontend/ModelBuilder.h"

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

using Ints = std::vector<int64_t>;
static constexpr StatusCode kInvalid = StatusCode::InvalidModel;
static constexpr StatusCode kUnsupported = StatusCode::Unsupported;

/// y = op(x, indices [2, 1], updates [2, 1]).
static ModelBuilder scatter(const std::string &op, int64_t opset) {
  ModelBuilder b(opset);
  b.input("x", {2, 3}).input("i", {2, 1}, DType::Int64).input("u", {2, 1});
  b.node(op, {"x", "i", "u"}, {"y"}).output("y");
  return b;
}

TEST(ImportGather, Gathers) {
  ModelBuilder elements(13);
  elements.input("x", {2, 3}).input("i", {2, 5}, DType::Int32).output("y");
  elements.node("GatherElements", {"x", "i"}, {"y"}).attr("axis", int64_t{-1});
  EXPECT_EQ(Imported(elements).outputType(), "tensor<2x5xf32>");
  ModelBuilder nd(12);
  nd.input("x", {2, 3, 4}).input("i", {2, 1}, DType::Int64).output("y");
  nd.node("GatherND", {"x", "i"}, {"y"});
  EXPECT_EQ(Imported(nd).outputType(), "tensor<2x3x4xf32>");
  nd.attr("batch_dims", int64_t{1});
  EXPECT_EQ(Imported(nd).outputType(), "tensor<2x4xf32>");
  nd.model.mutable_opset_import(0)->set_version(11);
  expectError(nd, kUnsupported, {"attribute 'batch_dims' is unknown"});
}

TEST(ImportGather, ReductionsOfScatters) {
  EXPECT_EQ(Imported(scatter("Scatter", 9)).outputType(), "tensor<2x3xf32>");
  EXPECT_EQ(Imported(scatter("ScatterElements", 13)).outputType(), "tensor<2x3xf32>");
  EXPECT_EQ(Imported(scatter("ScatterElements", 16).attr("reduction", "mul"))
                .find<nn::ScatterElementsOp>()
                .getReduction(),
            ScatterReduction::Mul);
  expectError(scatter("ScatterElements", 13).attr("reduction", "mul"), kUnsupported,
              {"attribute 'reduction' is unknown"});
  expectError(scatter("ScatterElements", 16).attr("reduction", "max"), kUnsupported,
              {"reduction 'max' before opset 18"});
  expectError(scatter("ScatterElements", 18).attr("reduction", "mean"), kUnsupported,
              {"reduction 'mean'"});
  expectError(scatter("Scatter", 11), kUnsupported, {"only known up to opset 10"});
}

TEST(ImportGather, CompressTakesWhereTrue) {
  Tensor x = Tensor::of<float>({3, 2}, {1, 2, 3, 4, 5, 6});
  Tensor condition = Tensor::of<bool>({3}, {false, true, true});
  ModelBuilder b(11);
  b.input("x", {3, 2}).input("c", {-1}, DType::Bool).output("y");
  b.node("Compress", {"x", "c"}, {"y"});
  expectRuns<float>(b, {x, condition}, {2}, {2, 3});
  b.attr("axis", int64_t{-2});
  expectRuns<float>(b, {x, condition}, {2, 2}, {3, 4, 5, 6});
  // A condition may be shorter than the axis, but nothing beyond it may be chosen.
  expectRuns<float>(b, {x, Tensor::of<bool>({1}, {true})}, {1, 2}, {1, 2});
  expectRunError(b, {x, Tensor::of<bool>({4}, {false, false, false, true})},
                 "node 'y_node' (nn.gather)", "index 3 is out of range for a size of 3");
  ModelBuilder matrix(11);
  matrix.input("x", {3, 2}).input("c", {3, 2}, DType::Bool).output("y");
  matrix.node("Compress", {"x", "c"}, {"y"});
  expectError(matrix, kInvalid, {"the condition must have rank 1, found 2"});
}

TEST(ImportGather, ReverseSequenceReversesTheBeginning) {
  Tensor x = Tensor::of<float>({3, 2}, {0, 1, 2, 3, 4, 5}), lengths = Tensor::ofInts({2, 3});
  ModelBuilder b(10);
  b.input("x", {3, 2}).input("l", {2}, DType::Int64).output("y");
  b.node("ReverseSequence", {"x", "l"}, {"y"});
  expectRuns<float>(b, {x, lengths}, {3, 2}, {2, 5, 0, 3, 4, 1});
  ModelBuilder batches(10);
  batches.input("x", {-1, 3}).input("l", {-1}, DType::Int64).output("y");
  batches.node("ReverseSequence", {"x", "l"}, {"y"});
  batches.attr("batch_axis", int64_t{0}).attr("time_axis", int64_t{1});
  Tensor rows = Tensor::of<float>({2, 3}, {0, 1, 2, 3, 4, 5});
  expectRuns<float>(batches, {rows, lengths}, {2, 3}, {1, 0, 2, 5, 4, 3});
  expectRuns<float>(batches, {rows, Tensor::ofInts({0, 1})}, {2, 3}, {0, 1, 2, 3, 4, 5});
  expectRunError(batches, {rows, Tensor::ofInts({1, 4})}, "node 'y_node' (nn.gather_nd)",
                 "index 3 is out of range for a size of 3");
  b.attr("batch_axis", int64_t{0});
  expectError(b, kInvalid, {"batch_axis and time_axis must be 0 and 1, found 0 and 0"});
}

/// y = TensorScatter of updates [2, 1, 2, 1] into a cache [2, 1, 3, 1].
static ModelBuilder tensorScatter(const char *mode, bool hasIndices, int64_t batch = 2) {
  ModelBuilder b(24);
  b.input("c", {batch, 1, 3, 1}).input("u", {batch, 1, 2, 1}).output("y");
  if (hasIndices)
    b.input("w", {batch}, DType::Int64).node("TensorScatter", {"c", "u", "w"}, {"y"});
  else
    b.node("TensorScatter", {"c", "u"}, {"y"});
  return b.attr("mode", mode);
}

TEST(ImportGather, TensorScatterWritesIntoACache) {
  Tensor cache = Tensor::of<float>({2, 1, 3, 1}, {1, 2, 3, 4, 5, 6});
  Tensor updates = Tensor::of<float>({2, 1, 2, 1}, {10, 20, 30, 40});
  for (int64_t batch : {int64_t{2}, int64_t{-1}}) {
    expectRuns<float>(tensorScatter("linear", false, batch), {cache, updates}, {2, 1, 3, 1},
                      {10, 20, 3, 30, 40, 6});
    expectRuns<float>(tensorScatter("linear", true, batch),
                      {cache, updates, Tensor::ofInts({1, 0})}, {2, 1, 3, 1},
                      {1, 10, 20, 30, 40, 6});
    expectRuns<float>(tensorScatter("circular", true, batch),
                      {cache, updates, Tensor::ofInts({2, 1})}, {2, 1, 3, 1},
                      {20, 2, 10, 4, 30, 40});
  }
  expectRunError(tensorScatter("linear", true), {cache, updates, Tensor::ofInts({2, 0})},
                 "node 'y_node'", "3");
  expectError(tensorScatter("spiral", false), StatusCode::InvalidModel, {"'mode'", "'spiral'"});
  ModelBuilder batchAxis = tensorScatter("linear", false);
  expectError(batchAxis.attr("axis", int64_t{0}), StatusCode::InvalidModel,
              {"axis 0 is none of 1 to 3"});
}
