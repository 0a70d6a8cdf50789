//===- ImportStructureTest.cpp - the function, weights and constants ------===//
#include "tests/frontend/ModelBuilder.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <cstring>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;
using proto::AttributeProto;

TEST(ImportFunction, ArgumentsResultsAndNames) {
  ModelBuilder b;
  b.input("x", {-1, 3}).input("w", {3}).input("z", {}).output("y").output("x");
  b.initializer("w", Tensor::of<float>({3}, {1, 2, 3}));
  b.graph().mutable_input(2)->mutable_type()->mutable_tensor_type()->clear_shape();
  b.node("Add", {"x", "w"}, {"y"});
  Imported m(b);
  ASSERT_TRUE(m.module) << m.text();
  auto main = (*m.module)->lookupSymbol<mlir::func::FuncOp>("main");
  ASSERT_TRUE(main);
  // The initializer is no argument.
  ASSERT_EQ(main.getNumArguments(), 2u);
  EXPECT_EQ(main.getArgAttrOfType<mlir::StringAttr>(0, "nn.name").getValue(), "x");
  EXPECT_EQ(main.getArgAttrOfType<mlir::StringAttr>(1, "nn.name").getValue(), "z");
  EXPECT_EQ(main.getResultAttrOfType<mlir::StringAttr>(0, "nn.name").getValue(), "y");
  EXPECT_EQ(main.getResultAttrOfType<mlir::StringAttr>(1, "nn.name").getValue(), "x");
  EXPECT_EQ(nn::shapeOf(main.getArgumentTypes()[0])->str(), "Nx3");
  EXPECT_FALSE(nn::shapeOf(main.getArgumentTypes()[1]));
}

/// The names of the nodes of @main, in its order.
static std::string nodesInOrder(Imported &m) {
  if (!m.module)
    return m.text();
  std::string text;
  for (mlir::Operation &op : m.find<mlir::func::FuncOp>().getBody().front().without_terminator())
    if (!mlir::isa<nn::NoneOp>(op))
      text += (text.empty() ? "" : " ") + nn::nodeName(op.getLoc());
  return text;
}

TEST(ImportFunction, UnsortedNodesAreSorted) {
  // As converters to float16 write them: casts behind all that they feed.
  ModelBuilder b;
  b.input("x", {2}).output("d");
  b.node("Abs", {"x"}, {"a"}).node("Add", {"late1", "a"}, {"b"}).node("Neg", {"b"}, {"c"});
  b.node("Add", {"c", "late2"}, {"d"}).node("Relu", {"late0"}, {"late1"});
  b.node("Relu", {"x"}, {"late0"}).node("Abs", {"late1"}, {""}).node("Abs", {"x"}, {"late2"});
  b.graph().mutable_node(6)->set_output(0, "unused");
  b.graph().mutable_node(7)->clear_name();
  Imported m(b);
  // What comes late is put before its first user; all else keeps its place and its name.
  EXPECT_EQ(nodesInOrder(m), "a_node late0_node late1_node b_node c_node Abs_7 d_node _node");
}

TEST(ImportFunction, SortedNodesKeepTheirPlaces) {
  // Sorted, although not depth first.
  ModelBuilder b;
  b.input("x", {2}).output("e");
  b.node("Abs", {"x"}, {"c"}).node("Neg", {"x"}, {"b"}).node("Relu", {"x"}, {"a"});
  b.node("Add", {"a", "b"}, {"d"}).node("Add", {"d", "c"}, {"e"});
  Imported m(b);
  EXPECT_EQ(nodesInOrder(m), "c_node b_node a_node d_node e_node");
}

TEST(ImportFunction, ManyInputsAndOutputs) {
  // This neither ends nor fits into memory when the names are set one by one.
  ModelBuilder b;
  constexpr int kPorts = 100'000;
  for (int i = 0; i < kPorts; ++i)
    b.input("x" + std::to_string(i), {2}).output("x" + std::to_string(i));
  Imported m(b);
  auto main = m.find<mlir::func::FuncOp>();
  ASSERT_TRUE(main) << m.text();
  ASSERT_EQ(main.getNumArguments(), static_cast<unsigned>(kPorts));
  ASSERT_EQ(main.getNumResults(), static_cast<unsigned>(kPorts));
  auto last = mlir::StringAttr::get(main.getContext(), "x" + std::to_string(kPorts - 1));
  EXPECT_EQ(main.getArgAttr(kPorts - 1, "nn.name"), last);
  EXPECT_EQ(main.getResultAttr(kPorts - 1, "nn.name"), last);
}

TEST(ImportFunction, ReversedChainsOfAnyLengthAreSorted) {
  // Neither the stack nor time must depend on how far a node is from its place.
  ModelBuilder b;
  constexpr int kNodes = 100'000;
  b.input("v0", {2}).output("v" + std::to_string(kNodes));
  for (int i = kNodes; i > 0; --i)
    b.node("Relu", {"v" + std::to_string(i - 1)}, {"v" + std::to_string(i)});
  Imported m(b);
  EXPECT_EQ(m.count<nn::ReluOp>(), kNodes);
}

TEST(ImportFunction, LocationsCarryNodeNames) {
  ModelBuilder b;
  b.input("x", {2}).node("Relu", {"x"}, {"a"}).node("Abs", {"a"}, {"y"}).output("y");
  b.graph().mutable_node(1)->clear_name();
  Imported m(b);
  ASSERT_TRUE(m.find<nn::ReluOp>()) << m.text();
  EXPECT_EQ(nn::nodeName(m.find<nn::ReluOp>().getLoc()), "a_node");
  EXPECT_EQ(nn::nodeName(m.find<nn::AbsOp>().getLoc()), "Abs_1");
}

TEST(ImportWeights, LargeOnesAreReferences) {
  std::vector<float> values(1000, 0.5f);
  values[999] = 7;
  ModelBuilder b;
  b.input("x", {1000}).node("Add", {"x", "w"}, {"y"}).output("y");
  b.initializer("w", Tensor::of<float>({1000}, values));
  Imported m(b);
  auto weight = m.find<nn::WeightOp>();
  ASSERT_TRUE(weight) << m.text();
  EXPECT_EQ(nn::constantTensor(weight)->data<float>()[999], 7.0f);
  EXPECT_EQ(weight.getBlob(), "m.onnx");
  std::string bytes = b.bytes();
  float first = 0;
  std::memcpy(&first, bytes.data() + weight.getOffset(), sizeof first);
  EXPECT_EQ(first, 0.5f);
}

TEST(ImportWeights, TwoModelsInOneContext) {
  mlir::MLIRContext context;
  std::vector<mlir::OwningOpRef<mlir::ModuleOp>> modules;
  for (float value : {1.0f, 2.0f}) {
    ModelBuilder b;
    b.input("x", {1000}).node("Add", {"x", "w"}, {"y"}).output("y");
    b.initializer("w", Tensor::of<float>({1000}, std::vector<float>(1000, value)));
    std::string bytes = b.bytes();
    auto module = importOnnxBytes(std::as_bytes(std::span(bytes)), "m.onnx", context);
    ASSERT_TRUE(module) << module.status().message();
    modules.push_back(module.take());
  }
  for (size_t i = 0; i < modules.size(); ++i)
    modules[i]->walk([&](nn::WeightOp weight) {
      EXPECT_EQ(nn::constantTensor(weight)->data<float>()[0], static_cast<float>(i + 1));
    });
}

TEST(ImportWeights, AllElementTypes) {
  for (int type = 1; isDTypeNumber(type); ++type) {
    auto dtype = static_cast<DType>(type);
    ModelBuilder b(13);
    b.node("Identity", {"w"}, {"y"}).output("y");
    for (int64_t elements : {3, 3000}) {
      b.graph().clear_initializer();
      auto *w = b.graph().add_initializer();
      w->set_name("w");
      w->set_data_type(type);
      w->add_dims(elements);
      int64_t bytes = (elements * dtypeBits(dtype) + 7) / 8;
      if (dtype == DType::String)
        for (int64_t i = 0; i < elements; ++i)
          w->add_string_data("s");
      else
        w->set_raw_data(std::string(static_cast<size_t>(bytes), '\1'));
      Imported m(b);
      EXPECT_TRUE(m.module) << dtypeName(dtype) << ": " << m.text();
    }
  }
}

TEST(ImportConstant, EveryForm) {
  ModelBuilder b;
  for (const char *name : {"a", "b", "c", "d", "e", "f"})
    b.node("Constant", {}, {name}).output(name);
  auto attribute = [&](int node, const char *name, AttributeProto::AttributeType type) {
    auto *out = b.graph().mutable_node(node)->add_attribute();
    out->set_name(name);
    out->set_type(type);
    return out;
  };
  attribute(0, "value_float", AttributeProto::FLOAT)->set_f(2);
  attribute(1, "value_floats", AttributeProto::FLOATS)->add_floats(2);
  attribute(2, "value_int", AttributeProto::INT)->set_i(2);
  attribute(3, "value_ints", AttributeProto::INTS)->add_ints(2);
  attribute(4, "value_strings", AttributeProto::STRINGS)->add_strings("s");
  auto *tensor = attribute(5, "value", AttributeProto::TENSOR)->mutable_t();
  tensor->set_data_type(static_cast<int>(DType::Float64));
  tensor->add_double_data(3);
  Imported m(b);
  ASSERT_TRUE(m.module) << m.text();
  const char *types[] = {"tensor<f32>",   "tensor<1xf32>",        "tensor<i64>",
                         "tensor<1xi64>", "tensor<1x!nn.string>", "tensor<f64>"};
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(m.outputType(i), types[i]);
}

TEST(ImportConstant, NeedsAValue) {
  ModelBuilder b;
  b.node("Constant", {}, {"y"}).output("y");
  expectError(b, StatusCode::InvalidModel, {"'y_node' (Constant", "no value"});
}

TEST(ImportConstant, OfShape) {
  ModelBuilder b;
  b.node("ConstantOfShape", {"s"}, {"y"}).ints("s", {2, 3}).output("y");
  EXPECT_EQ(Imported(b).outputType(), "tensor<2x3xf32>");
  auto *value = b.attribute("value", AttributeProto::TENSOR).mutable_t();
  value->set_data_type(static_cast<int>(DType::Int64));
  value->add_dims(1);
  value->add_int64_data(5);
  EXPECT_EQ(Imported(b).outputType(), "tensor<2x3xi64>");
  value->set_dims(0, 2);
  value->add_int64_data(6);
  expectError(b, StatusCode::InvalidModel, {"'value' has 2 elements, need 1"});
}

TEST(ImportDropout, IsIdentityWithAMask) {
  for (int64_t opset : {7, 10, 13}) {
    ModelBuilder b(opset);
    b.input("x", {2, 3}).node("Dropout", {"x"}, {"y", "mask"}).output("y").output("mask");
    Imported m(b);
    EXPECT_EQ(m.outputType(0), "tensor<2x3xf32>") << m.text();
    EXPECT_EQ(m.outputType(1), opset < 10 ? "tensor<2x3xf32>" : "tensor<2x3xi1>");
  }
}
