//===- UnsupportedTest.cpp - what is refused by name ----------------------===//
#include "tests/frontend/ModelBuilder.h"

#include <chrono>
#include <span>

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

//===----------------------------------------------------------------------===//
// All at once
//===----------------------------------------------------------------------===//

TEST(Unsupported, EveryNodeIsNamedAtOnce) {
  ModelBuilder b;
  b.input("x", {2}).node("Relu", {"x"}, {"a"}).attr("speed", int64_t{9});
  b.node("Abs", {"a"}, {"b"}); // needs what is not known
  b.node("Frobnicate", {"b"}, {"c"}).node("Add", {"b", "c"}, {"d"});
  b.node("Elu", {"x"}, {"y"}).attr("alpha", "much").output("d").output("y");
  Imported imported(b);
  ASSERT_FALSE(imported.module);
  EXPECT_EQ(imported.module.status().code(), kUnsupported);
  EXPECT_EQ(imported.text(),
            "m.onnx: 3 problems:\n"
            "  unsupported ops: Frobnicate (opset 13, 1 node: op is not supported)\n"
            "  node 'a_node' (Relu, opset 13): attribute 'speed' is unknown\n"
            "  node 'y_node' (Elu, opset 13): attribute 'alpha': expected FLOAT, found STRING");
}

TEST(Unsupported, ProblemsComeOneByOne) {
  ModelBuilder b;
  b.input("x", {2}).node("Relu", {"x"}, {"a"}).attr("speed", int64_t{9});
  b.node("Elu", {"x"}, {"y"}).attr("alpha", "much").output("a").output("y");
  std::vector<ImportProblem> problems;
  mlir::MLIRContext context;
  std::string bytes = b.bytes();
  auto module =
      importOnnxBytes(std::as_bytes(std::span(bytes)), "m.onnx", context, {.problems = &problems});
  ASSERT_FALSE(module);
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_EQ(problems[0].node, "a_node");
  EXPECT_EQ(problems[0].op, "Relu");
  EXPECT_EQ(problems[0].version, 13);
  EXPECT_EQ(problems[0].code, StatusCode::Unsupported);
  EXPECT_EQ(problems[1].node, "y_node");
  EXPECT_EQ(problems[1].code, StatusCode::InvalidModel);
}

TEST(Unsupported, ProblemsInBodiesAreThoseOfTheirNodes) {
  ModelBuilder b;
  b.input("c", {}, DType::Bool).input("x", {2});
  b.node("Relu", {"x"}, {"a"}).attr("speed", int64_t{9});
  b.node("If", {"c"}, {"y"}).output("y");
  auto branch = [&](const char *name) -> proto::GraphProto & {
    return *b.attribute(name, proto::AttributeProto::GRAPH).mutable_g();
  };
  auto addNode = [](proto::GraphProto &graph, const char *op, const char *input,
                    const char *output) -> proto::NodeProto & {
    auto &node = *graph.add_node();
    node.set_op_type(op);
    node.set_name(output + std::string("_node"));
    node.add_input(input);
    node.add_output(output);
    return node;
  };
  auto &yes = branch("then_branch");
  yes.add_output()->set_name("t");
  addNode(yes, "Abs", "a", "t"); // needs what is not known
  auto &no = branch("else_branch");
  no.add_output()->set_name("e");
  auto &pace = *addNode(no, "Elu", "x", "e").add_attribute();
  pace.set_name("pace");
  pace.set_type(proto::AttributeProto::INT);
  EXPECT_EQ(Imported(b).text(), "m.onnx: 2 problems:\n"
                                "  node 'a_node' (Relu, opset 13): attribute 'speed' is unknown\n"
                                "  node 'e_node' (Elu, opset 13): attribute 'pace' is unknown");
}

TEST(Unsupported, EndlessProblemsAreCut) {
  ModelBuilder b;
  b.input("x", {2});
  for (int i = 0; i < 500; ++i)
    b.node("Relu", {"x"}, {"y" + std::to_string(i)}).attr("speed", int64_t{9});
  Imported imported(b.output("y0"));
  expectContains(imported.text(), "m.onnx: at least 100 problems:\n  node 'y0_node'");
  expectContains(imported.text(), "'y99_node'");
  EXPECT_EQ(imported.text().find("'y100_node'"), std::string::npos);
}

TEST(Unsupported, OutputsOfOtherTypesAreListed) {
  ModelBuilder b;
  b.input("x", {2}).node("Relu", {"x"}, {"y"}).node("Abs", {"x"}, {"z"}).output("y").output("z");
  for (auto &output : *b.graph().mutable_output())
    output.mutable_type()->mutable_tensor_type()->set_elem_type(proto::TensorProto::INT32);
  expectError(b, StatusCode::InvalidModel,
              {"2 problems", "graph output 'y' is declared int32 but computed as float32",
               "graph output 'z' is declared"});
}

// A limit ends the import, whatever has been found before.
TEST(Unsupported, LimitsAreNoProblemsOfANode) {
  ModelBuilder b;
  b.input("x", {2}).node("Relu", {"x"}, {"y"}).attr("speed", int64_t{9}).output("y");
  Limits limits;
  limits.deadline = Deadline::after(std::chrono::nanoseconds(0));
  expectError(b, StatusCode::ResourceLimit, {"time limit"}, limits);
}
