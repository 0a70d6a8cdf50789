//===- TimeAnalysisTest.cpp - what is measured, and how it adds up --------===//
#include "quern/Progress.h"
#include "quern/Reports.h"
#include "tests/time/Models.h"

using namespace quern;
using namespace quern::timing::test;

namespace {
ModelBuilder network() {
  ModelBuilder model;
  model.initializer("w", randomFloats({32, 16, 3, 3}));
  model.input("x", {1, 16, 64, 64}).node("Conv", {"x", "w"}, {"c"}).node("Relu", {"c"}, {"r"});
  return model.node("Softmax", {"r"}, {"y"}).output("y");
}

/// Ends the work that says this.
class EndsAt : private ProgressWatcher {
public:
  explicit EndsAt(std::string word) : word(std::move(word)), scope(*this) {}

private:
  bool goOn(std::string_view doing) override { return doing.find(word) == std::string_view::npos; }
  std::string word;
  ProgressScope scope;
};
} // namespace

TEST(TimeAnalysisTest, StepsAddUpToRuns) {
  Settings settings;
  settings.options.seconds = 0.2;
  TimeAnalysis analysis = analyze(network(), settings);
  ASSERT_GE(analysis.steps.size(), 2u);
  double sum = 0;
  for (const StepTime &step : analysis.steps)
    sum += step.row.depth == 0 ? step.ms : 0;
  EXPECT_NEAR(sum, analysis.stepsMs, 1e-9);
  EXPECT_GT(analysis.stepsMs, 0.8 * analysis.run.steady.mean);
  EXPECT_LE(analysis.stepsMs, analysis.run.steady.mean);
  EXPECT_TRUE(analysis.isComplete);
  EXPECT_GE(analysis.shareNearRoof(), 0);
  EXPECT_LE(analysis.shareNearRoof(), 1);
}

TEST(TimeAnalysisTest, RoofsFollowFromCostsAndRates) {
  Settings settings;
  settings.options.rates->peaks.float32 = 100;
  settings.options.rates->readGBps = 10;
  TimeAnalysis analysis = analyze(network(), settings);
  bool hasConv = false;
  for (const StepTime &step : analysis.steps) {
    EXPECT_DOUBLE_EQ(step.computeMs, step.row.cost.flops / 1e8);
    EXPECT_DOUBLE_EQ(step.memoryMs, step.row.cost.bytes() / 1e7);
    // 32 x 62 x 62 sums of 144 products.
    hasConv |= step.row.cost.flops >= 2.0 * 32 * 62 * 62 * 144;
  }
  EXPECT_TRUE(hasConv);
}

TEST(TimeAnalysisTest, WhatIsNestedCountsOnce) {
  ModelBuilder body;
  body.input("i", {}, DType::Int64).input("go", {}, DType::Bool).input("v", {64, 64});
  body.node("Identity", {"go"}, {"on"}).node("Tanh", {"v"}, {"w"}).output("on").output("w");
  ModelBuilder model;
  model.initializer("count", Tensor::of<int64_t>({}, {50}));
  model.initializer("true", Tensor::of<bool>({}, {true}));
  model.input("x", {64, 64}).node("Loop", {"count", "true", "x"}, {"y"});
  auto &attribute = model.attribute("body", quern::onnx::proto::AttributeProto::GRAPH);
  *attribute.mutable_g() = body.graph();
  TimeAnalysis analysis = analyze(model.output("y"));
  double outer = 0, leaves = 0;
  for (const StepTime &step : analysis.steps) {
    outer += step.row.depth == 0 ? step.ms : 0;
    leaves += step.hasNested ? 0 : step.ms;
  }
  EXPECT_NEAR(outer, analysis.stepsMs, 1e-9);
  EXPECT_LE(leaves, outer * 1.0001);
}

TEST(TimeAnalysisTest, CausesAreRanked) {
  TimeAnalysis analysis = analyze(network());
  for (size_t i = 1; i < analysis.causes.size(); ++i) {
    const TimeCause &a = analysis.causes[i - 1], &b = analysis.causes[i];
    EXPECT_TRUE(a.isOnce < b.isOnce || (a.isOnce == b.isOnce && a.savedMs >= b.savedMs));
  }
}

TEST(TimeAnalysisTest, EndedEarlyItHasWhatWasMeasured) {
  EndsAt ends("trying");
  Settings settings;
  settings.options.tries = true;
  TimeAnalysis analysis = analyze(network(), settings);
  EXPECT_FALSE(analysis.isComplete);
  EXPECT_FALSE(analysis.steps.empty());
}

TEST(TimeAnalysisTest, ErrorsAreThoseOfRuns) {
  Model model = load(network());
  EXPECT_EQ(analyzeTime(model, {}).status().code(), StatusCode::InvalidInput);
  std::vector<AnyValue> inputs = sampleInputs(model.inputs(), 1).take();
  EXPECT_EQ(analyzeTime(model, inputs, {.backend = Backend::Interpreter}).status().code(),
            StatusCode::Usage);
  EndsAt ends("");
  EXPECT_EQ(analyzeTime(model, inputs).status().code(), StatusCode::Cancelled);
}

TEST(TimeAnalysisTest, TheGraphAsItWasLoaded) {
  ModelBuilder model;
  model.input("x", {4}).node("Exp", {"x"}, {"a"}).node("Neg", {"a"}, {"b"});
  model.node("Add", {"a", "b"}, {"c"}).node("Mul", {"c", "c"}, {"y"}).output("y");
  std::vector<ModelNode> nodes = load(model).graph();
  ASSERT_EQ(nodes.size(), 4u);
  EXPECT_EQ(nodes[0].name, "a_node");
  EXPECT_TRUE(nodes[0].inputs.empty());
  EXPECT_EQ(nodes[2].inputs, (std::vector<size_t>{0, 1}));
  EXPECT_EQ(nodes[3].inputs, std::vector<size_t>{2});
}

/// How often `part` stands in `text`.
static size_t count(const std::string &text, const std::string &part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

TEST(TimeAnalysisTest, AsAPage) {
  ModelBuilder model;
  model.input("x", {64, 64}).node("Softmax", {"x"}, {"a"}).node("Softmax", {"a"}, {"b"});
  model.node("Softmax", {"b"}, {"c"}).node("MatMul", {"a", "c"}, {"y"}).output("y");
  TimeAnalysis analysis = analyze(model);
  std::string page = timePage(analysis, "<model>");
  EXPECT_NE(page.find("<title>&lt;model&gt;: where the time goes</title>"), std::string::npos);
  EXPECT_EQ(count(page, "<details>"), 1u);
  // a to y is the one line that passes by others.
  EXPECT_EQ(count(page, "<polyline class=\"wire\""), 1u);
  EXPECT_EQ(count(page, "<circle class=\""), 4u);
  EXPECT_EQ(count(page, "<tr>"), analysis.steps.size() + 1);
  EXPECT_EQ(count(page, "<figure class=\"wide\""), 1u);
  EXPECT_EQ(count(page, ">main thread<"), 1u);
}

TEST(TimeAnalysisTest, StagesAreABarEach) {
  TimeAnalysis analysis =
      analyze(network(), {.options = {.seconds = 0.01, .tries = false, .stages = true}});
  ASSERT_TRUE(analysis.stages);
  EXPECT_TRUE(analysis.isComplete);
  std::string page = timePage(analysis, "network");
  for (const Stage &stage : analysis.stages->stages)
    EXPECT_EQ(count(page, ">" + stage.name + "<"), 1u) << stage.name;
  // Of the last stage each bar has its numbers.
  EXPECT_EQ(count(page, "aria-label=\"Errors of 123008 numbers against the interpreter: "), 1u);
  size_t bars = 0;
  for (int64_t ulps : analysis.stages->stages.back().outputs.at(0).difference.ulps)
    bars += ulps > 0;
  EXPECT_EQ(count(page, "<title>off by "), bars);
}

TEST(TimeAnalysisTest, ErrorsAsAPicture) {
  OutputComparison output{.name = "y", .difference = {.ulps = {6, 2, 0, 1}}};
  std::vector<OutputComparison> outputs = {output, output};
  std::string picture = errorPicture(outputs);
  EXPECT_TRUE(picture.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=")) << picture;
  EXPECT_EQ(count(picture,
                  "Errors of 18 numbers against the interpreter: 66.7 % have the same bits, "
                  "all are off by less than 8 units in the last place"),
            1u);
  EXPECT_EQ(count(picture, "<title>off by 0: 12 numbers, 66.7 %</title>"), 1u);
  EXPECT_EQ(count(picture, "<title>off by 4 to 7: 2 numbers, 11.1 %</title>"), 1u);
  EXPECT_EQ(count(picture, "<title>"), 3u);
  // Many bars, of which some have numbers below.
  outputs = {{.name = "y", .difference = {.ulps = std::vector<int64_t>(33, 1)}}};
  picture = errorPicture(outputs);
  EXPECT_EQ(count(picture, ">2^11<"), 1u);
  EXPECT_EQ(count(picture, ">2^12<"), 0u);
  EXPECT_EQ(count(picture, "<title>off by 2147483648 to 4294967295: 1 numbers, 3.03 %</title>"),
            1u);
  // Integers have none.
  EXPECT_EQ(errorPicture(std::vector<OutputComparison>{{.name = "n"}}), "");
}

TEST(TimeAnalysisTest, AsJson) {
  std::string text = timeReport(analyze(network()));
  for (const char *key : {"\"causes\":[", "\"steps\":[", "\"p50_ms\":", "\"bound\":\"",
                          "\"peak_gflops\":{", "\"share_near_roof\":", "\"thread_curve\":["})
    EXPECT_NE(text.find(key), std::string::npos) << key;
}
