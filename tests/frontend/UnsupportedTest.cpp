//===- UnsupportedTest.cpp - what is refused by name ----------------------===//
#include "tests/frontend/ModelBuilder.h"

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

static constexpr StatusCode kUnsupported = StatusCode::Unsupported;

TEST(Unsupported, AllOpsAreListedAtOnce) {
  ModelBuilder b;
  b.input("x", {2}).output("y");
  b.node("Frobnicate", {"x"}, {"a"}).node("Frobnicate", {"a"}, {"b"});
  b.node("Relu", {"b"}, {"c"}).node("Twirl", {"c"}, {"y"});
  expectError(b, kUnsupported,
              {"m.onnx", "Frobnicate (opset 13, 2 nodes", "Twirl (opset 13, 1 node"});
}

TEST(Unsupported, EndlessListsAreCut) {
  ModelBuilder b;
  for (int i = 0; i < 1000; ++i)
    b.node("Op" + std::to_string(i), {}, {"v" + std::to_string(i)});
  expectError(b.output("v0"), kUnsupported, {"Op0 (opset 13", ", and 800 more"});
}

TEST(Unsupported, NewerOpsetIsSaidOnce) {
  ModelBuilder b(99);
  b.input("x", {2}).node("Relu", {"x"}, {"a"}).node("Abs", {"a"}, {"y"}).output("y");
  Imported imported(b);
  ASSERT_FALSE(imported.module);
  EXPECT_EQ(imported.module.status().code(), kUnsupported);
  EXPECT_EQ(imported.text(), "m.onnx: uses opset 99 of domain 'ai.onnx'; the newest known is 28");
  // What no opset knows is listed beside it.
  b.node("Frobnicate", {"x"}, {"z"});
  expectError(b, kUnsupported,
              {"opset 99 of domain 'ai.onnx'",
               "28; unsupported ops: Frobnicate (opset 99, 1 node: op is not supported)"});
}

TEST(Unsupported, OlderOpsets) {
  ModelBuilder dropped(13);
  dropped.input("x", {2}).node("Upsample", {"x", "x"}, {"y"}).output("y");
  expectError(dropped, kUnsupported, {"Upsample (opset 13, 1 node: only known up to opset 9)"});
  ModelBuilder older(8);
  older.input("x", {2}).node("Erf", {"x"}, {"y"}).output("y");
  expectError(older, kUnsupported, {"Erf (opset 8, 1 node: only known from opset 9)"});
}

TEST(Unsupported, OtherDomains) {
  ModelBuilder b;
  auto *opset = b.model.add_opset_import();
  opset->set_domain("com.example");
  opset->set_version(1);
  b.input("x", {2}).node("Relu", {"x"}, {"y"}).output("y");
  b.graph().mutable_node(0)->set_domain("com.example");
  expectError(b, kUnsupported, {"com.example.Relu (opset 1, 1 node"});
  // "ai.onnx" is another name of the default domain.
  b.graph().mutable_node(0)->set_domain("ai.onnx");
  EXPECT_TRUE(Imported(b).module) << Imported(b).text();
}

TEST(Unsupported, OpsInSubgraphsCount) {
  ModelBuilder b;
  b.input("x", {}, DType::Bool).node("If", {"x"}, {"y"}).output("y");
  auto &branch = b.attribute("then_branch", proto::AttributeProto::GRAPH);
  branch.mutable_g()->add_node()->set_op_type("Twirl");
  expectError(b, kUnsupported, {"Twirl (opset 13, 1 node"});
}

TEST(Unsupported, UnknownAttributes) {
  ModelBuilder b;
  b.input("x", {2}).node("Relu", {"x"}, {"y"}).attr("speed", int64_t{9}).output("y");
  expectError(b, kUnsupported, {"'y_node' (Relu, opset 13)", "attribute 'speed' is unknown"});
}

TEST(Unsupported, SparseTensors) {
  ModelBuilder sparse;
  sparse.input("x", {2}).node("Relu", {"x"}, {"y"}).output("y");
  sparse.graph().add_sparse_initializer()->mutable_values()->set_name("w");
  expectError(sparse, kUnsupported, {"sparse initializer 'w'"});
}
