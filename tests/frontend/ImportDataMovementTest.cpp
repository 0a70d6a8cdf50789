//===- ImportDataMovementTest.cpp - moves and reductions over all opsets --===//
#include "tests/frontend/Interpret.h"
#include "tests/frontend/ModelBuilder.h"
#include "tests/frontend/RunModel.h"

#include <numeric>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

using Ints = std::vector<int64_t>;
static constexpr StatusCode kInvalid = StatusCode::InvalidModel;

/// y = op(x [2, 3, 4], operands...).
static ModelBuilder unary(const std::string &op, int64_t opset,
                          std::vector<std::string> operands = {}) {
  ModelBuilder b(opset);
  operands.insert(operands.begin(), "x");
  b.input("x", {2, 3, 4}).node(op, operands, {"y"}).output("y");
  return b;
}

TEST(ImportDataMovement, AxesAsAttributeAndAsInput) {
  EXPECT_EQ(Imported(unary("Unsqueeze", 11).attr("axes", Ints{0, 4})).outputType(),
            "tensor<1x2x3x4x1xf32>");
  EXPECT_EQ(Imported(unary("Unsqueeze", 13, {"a"}).ints("a", {0, -1})).outputType(),
            "tensor<1x2x3x4x1xf32>");
  ModelBuilder squeeze(9);
  squeeze.input("x", {1, 3, 1}).node("Squeeze", {"x"}, {"y"}).output("y");
  EXPECT_EQ(Imported(squeeze).outputType(), "tensor<3xf32>");
  squeeze.attr("axes", Ints{2});
  EXPECT_EQ(Imported(squeeze).outputType(), "tensor<1x3xf32>");
  // The form of one opset is not accepted in the other.
  expectError(unary("Unsqueeze", 11, {"a"}).ints("a", {0}), kInvalid, {"has 2 inputs"});
  expectError(unary("Squeeze", 13).attr("axes", Ints{0}), StatusCode::Unsupported,
              {"attribute 'axes' is unknown"});
}

TEST(ImportDataMovement, Slice) {
  auto v1 = unary("Slice", 9);
  v1.attr("starts", Ints{1}).attr("ends", Ints{3}).attr("axes", Ints{2});
  EXPECT_EQ(Imported(v1).outputType(), "tensor<2x3x2xf32>");
  auto v10 = unary("Slice", 13, {"s", "e", "", "t"});
  v10.ints("s", {0, 2}).ints("e", {2, 0}).ints("t", {1, -1});
  EXPECT_EQ(Imported(v10).outputType(), "tensor<2x2x4xf32>");
  expectError(unary("Slice", 9).attr("starts", Ints{1}), kInvalid, {"'starts' and 'ends'"});
}

TEST(ImportDataMovement, Split) {
  auto b = unary("Split", 11).attr("axis", int64_t{1}).attr("split", Ints{1, 2});
  b.graph().mutable_node(0)->add_output("z");
  b.output("z");
  EXPECT_EQ(Imported(b).outputType(0), "tensor<2x1x4xf32>");
  EXPECT_EQ(Imported(b).outputType(1), "tensor<2x2x4xf32>");
  auto uneven = unary("Split", 13).attr("axis", int64_t{1});
  uneven.graph().mutable_node(0)->add_output("z");
  expectError(uneven, kInvalid, {"dimension 3 does not split into 2 equal parts"});
  uneven.model.mutable_opset_import(0)->set_version(18);
  uneven.attr("num_outputs", int64_t{2});
  EXPECT_EQ(Imported(uneven).outputType(), "tensor<2x2x4xf32>");
}

TEST(ImportDataMovement, Pad) {
  auto v2 = unary("Pad", 10).attr("pads", Ints{0, 0, 1, 0, 0, 2}).attr("value", 1.0f);
  EXPECT_EQ(Imported(v2).outputType(), "tensor<2x3x7xf32>");
  auto v11 = unary("Pad", 13, {"p"}).ints("p", {0, 0, 1, 0, 0, 2}).attr("mode", "reflect");
  EXPECT_EQ(Imported(v11).outputType(), "tensor<2x3x7xf32>");
  auto v18 = unary("Pad", 18, {"p", "", "a"}).ints("p", {1, 2}).ints("a", {-1});
  EXPECT_EQ(Imported(v18).outputType(), "tensor<2x3x7xf32>");
  expectError(unary("Pad", 18, {"p"}).ints("p", {0, 0, 1, 0, 0, 2}).attr("mode", "wrap"),
              StatusCode::Unsupported, {"mode 'wrap'"});
}

/// Pad in mode wrap of the numbers 0, 1, ... in a tensor of these dims; pads are a constant
/// or given to the run.
static std::vector<float> padAround(const Ints &dims, const Ints &pads, bool ofRun) {
  ModelBuilder b(19);
  b.input("x", dims).node("Pad", {"x", "p"}, {"y"}).attr("mode", "wrap").output("y");
  if (ofRun)
    b.input("p", {-1}, DType::Int64);
  else
    b.ints("p", pads);
  Tensor x = Tensor::allocate(DType::Float32, dims).take();
  std::iota(x.mutableData<float>(), x.mutableData<float>() + x.numElements(), 0.0f);
  std::vector<Tensor> inputs = {x};
  if (ofRun)
    inputs.push_back(Tensor::ofInts(pads));
  auto y = run(b, inputs);
  if (y.size() != 1)
    return {};
  return {y[0].data<float>(), y[0].data<float>() + y[0].numElements()};
}

TEST(ImportDataMovement, PadGoesAround) {
  using Floats = std::vector<float>;
  EXPECT_EQ(Imported(unary("Pad", 19, {"p"}).ints("p", {0, 0, 1, 0, 0, 2}).attr("mode", "wrap"))
                .outputType(),
            "tensor<2x3x?xf32>"); // the sizes of ranges are folded later
  for (bool ofRun : {false, true}) {
    EXPECT_EQ(padAround({3}, {2, 1}, ofRun), (Floats{1, 2, 0, 1, 2, 0}));
    // More than once, and less than there is.
    EXPECT_EQ(padAround({3}, {4, 5}, ofRun), (Floats{2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1}));
    // What is cropped does not come back.
    EXPECT_EQ(padAround({3}, {-1, 2}, ofRun), (Floats{1, 2, 1, 2}));
    EXPECT_EQ(padAround({5}, {3, -2}, ofRun), (Floats{0, 1, 2, 0, 1, 2}));
    EXPECT_EQ(padAround({5}, {-1, -1}, ofRun), (Floats{1, 2, 3}));
    EXPECT_EQ(padAround({2, 3}, {1, -1, 0, 2}, ofRun),
              (Floats{4, 5, 4, 5, 1, 2, 1, 2, 4, 5, 4, 5}));
    EXPECT_EQ(padAround({2, 2}, {1, 0, 0, 1}, ofRun), (Floats{2, 3, 2, 0, 1, 0, 2, 3, 2}));
  }
  ModelBuilder odd(19);
  odd.input("x", {2, 2}).node("Pad", {"x", "p"}, {"y"}).attr("mode", "wrap").output("y");
  expectError(odd.ints("p", {1, 1}), kInvalid, {"pads have 2 entries, need 4"});
}

TEST(ImportDataMovement, ReshapeFlattenTranspose) {
  EXPECT_EQ(Imported(unary("Reshape", 13, {"s"}).ints("s", {0, -1})).outputType(),
            "tensor<2x12xf32>");
  EXPECT_EQ(Imported(unary("Flatten", 13)).outputType(), "tensor<2x12xf32>");
  EXPECT_EQ(Imported(unary("Transpose", 13)).outputType(), "tensor<4x3x2xf32>");
  EXPECT_EQ(Imported(unary("Transpose", 13).attr("perm", Ints{0, 2, 1})).outputType(),
            "tensor<2x4x3xf32>");
  expectError(unary("Transpose", 13).attr("perm", Ints{0, 0, 1}), kInvalid, {"Transpose"});
}

TEST(ImportDataMovement, ShapesAndMoves) {
  EXPECT_EQ(Imported(unary("Shape", 13)).outputType(), "tensor<3xi64>");
  EXPECT_EQ(Imported(unary("Shape", 15).attr("end", int64_t{-1})).outputType(), "tensor<2xi64>");
  EXPECT_EQ(Imported(unary("Size", 13)).outputType(), "tensor<i64>");
  EXPECT_EQ(
      Imported(unary("Gather", 13, {"i"}).ints("i", {0}).attr("axis", int64_t{1})).outputType(),
      "tensor<2x1x4xf32>");
  EXPECT_EQ(Imported(unary("Expand", 13, {"s"}).ints("s", {5, 1, 1, 1})).outputType(),
            "tensor<5x2x3x4xf32>");
  EXPECT_EQ(Imported(unary("Tile", 13, {"r"}).ints("r", {1, 2, 3})).outputType(),
            "tensor<2x6x12xf32>");
  EXPECT_EQ(Imported(unary("Concat", 13, {"x"}).attr("axis", int64_t{-1})).outputType(),
            "tensor<2x3x8xf32>");
}

TEST(ImportDataMovement, UpsampleAndResize) {
  ModelBuilder v7(7);
  v7.input("x", {1, 1, 2, 3}).node("Upsample", {"x"}, {"y"}).output("y");
  auto &scales = v7.attribute("scales", proto::AttributeProto::FLOATS);
  for (float scale : {1.0f, 1.0f, 2.0f, 3.0f})
    scales.add_floats(scale);
  Imported upsample(v7);
  ASSERT_TRUE(upsample.find<nn::ResizeOp>()) << upsample.text();
  EXPECT_EQ(upsample.find<nn::ResizeOp>().getCoordinateTransformationMode(),
            ResizeCoordinates::Asymmetric);
  EXPECT_EQ(upsample.outputType(), "tensor<1x1x4x9xf32>");
  ModelBuilder v11(11);
  v11.input("x", {1, 1, 2, 3}).node("Resize", {"x", "e", "e", "s"}, {"y"}).output("y");
  v11.initializer("e", Tensor::of<float>({0}, {}));
  v11.ints("s", {1, 1, 7, 8});
  Imported resize(v11);
  EXPECT_EQ(resize.outputType(), "tensor<1x1x7x8xf32>");
  EXPECT_EQ(resize.find<nn::ResizeOp>().getCoordinateTransformationMode(),
            ResizeCoordinates::HalfPixel);
  v11.graph().mutable_node(0)->set_input(3, "e");
  expectError(v11, kInvalid, {"exactly one of scales and sizes"});
}

/// Resize of opset 10 to the nearest of 1, 2, ... `count`.
static std::vector<float> nearestOfOpset10(int64_t count, float scale) {
  ModelBuilder b(10);
  b.input("x", {1, count}).node("Resize", {"x", "s"}, {"y"}).output("y");
  b.initializer("s", Tensor::of<float>({2}, {1, scale}));
  Tensor x = Tensor::allocate(DType::Float32, {1, count}).take();
  std::iota(x.mutableData<float>(), x.mutableData<float>() + count, 1.0f);
  auto y = run(b, {x});
  return y.size() == 1
             ? std::vector<float>(y[0].elementsAs<float>().begin(), y[0].elementsAs<float>().end())
             : std::vector<float>();
}

// All as ONNX Runtime has it; the first is a conformance case of ONNX 1.5.
TEST(ImportDataMovement, ResizeOfOpset10TakesTheNextWhereItShrinks) {
  using Floats = std::vector<float>;
  EXPECT_EQ(nearestOfOpset10(4, 0.6f), (Floats{1, 3}));
  EXPECT_EQ(nearestOfOpset10(8, 0.5f), (Floats{1, 3, 5, 7}));
  EXPECT_EQ(nearestOfOpset10(10, 0.35f), (Floats{1, 4, 7}));
  EXPECT_EQ(nearestOfOpset10(2, 1.5f), (Floats{1, 1, 2}));
  // 4/3, 3/4 and 1/10, which float32 rounds.
  EXPECT_EQ(nearestOfOpset10(4, 4.0f / 3), (Floats{1, 1, 2, 3, 4}));
  EXPECT_EQ(nearestOfOpset10(4, 0.75f), (Floats{1, 3, 4}));
  EXPECT_EQ(nearestOfOpset10(40, 0.1f), (Floats{1, 11, 21, 31}));
}

TEST(ImportDataMovement, ResizeRefusesUnknownModes) {
  auto resize = [](int64_t opset, const char *attribute, const char *value) {
    ModelBuilder b(opset);
    b.input("x", {1, 1, 2, 3}).ints("s", {1, 1, 7, 8});
    b.node("Resize", {"x", "", "", "s"}, {"y"}).attr(attribute, value).output("y");
    return b;
  };
  expectError(resize(13, "mode", "area"), StatusCode::Unsupported, {"mode 'area'"});
  expectError(resize(13, "nearest_mode", "up"), StatusCode::Unsupported, {"nearest_mode 'up'"});
  expectError(resize(13, "nearest_mode", "floor_or_ceil"), StatusCode::Unsupported,
              {"nearest_mode 'floor_or_ceil'"});
  const char *coordinates = "coordinate_transformation_mode";
  expectError(resize(13, coordinates, "centre"), StatusCode::Unsupported,
              {"coordinate_transformation_mode 'centre'"});
  expectError(resize(18, coordinates, "half_pixel_symmetric"), StatusCode::Unsupported,
              {"coordinate_transformation_mode 'half_pixel_symmetric' before opset 19"});
  EXPECT_EQ(Imported(resize(19, coordinates, "half_pixel_symmetric"))
                .find<nn::ResizeOp>()
                .getCoordinateTransformationMode(),
            ResizeCoordinates::HalfPixelSymmetric);
}

/// y = Resize(x) with `sizes` along axes 2 and -1.
static ModelBuilder resizeAlongAxes(const std::vector<int64_t> &dims,
                                    const std::vector<int64_t> &sizes) {
  ModelBuilder b(18);
  b.input("x", dims).ints("s", sizes).node("Resize", {"x", "", "", "s"}, {"y"}).output("y");
  b.attr("mode", "linear").attr("coordinate_transformation_mode", "asymmetric");
  return b.attr("axes", std::vector<int64_t>{2, -1});
}

TEST(ImportDataMovement, ResizeAlongAxesKeepsTheAspectRatio) {
  Tensor x = Tensor::of<float>({1, 1, 1, 2}, {1, 2});
  for (const std::vector<int64_t> &dims : {std::vector<int64_t>{1, 1, 1, 2}, {-1, 1, -2, -3}}) {
    expectRuns<float>(resizeAlongAxes(dims, {1, 3}), {x}, {1, 1, 1, 3}, {1, 5 / 3.0f, 2});
    // Ratios of 2 and 1.5.
    ModelBuilder smaller = resizeAlongAxes(dims, {2, 3});
    smaller.attr("keep_aspect_ratio_policy", "not_larger");
    expectRuns<float>(smaller, {x}, {1, 1, 2, 3}, {1, 5 / 3.0f, 2, 1, 5 / 3.0f, 2});
    ModelBuilder larger = resizeAlongAxes(dims, {2, 3});
    larger.attr("keep_aspect_ratio_policy", "not_smaller");
    expectRuns<float>(larger, {x}, {1, 1, 2, 4}, {1, 1.5f, 2, 2, 1, 1.5f, 2, 2});
  }
  EXPECT_EQ(Imported(resizeAlongAxes({1, 1, 1, 2}, {2, 3})).count<nn::ResizeOp>(), 1);
  ModelBuilder scales(18);
  scales.input("x", {1, 1, 1, 2}).output("y");
  scales.initializer("s", Tensor::of<float>({1}, {2}));
  scales.node("Resize", {"x", "", "s"}, {"y"}).attr("axes", std::vector<int64_t>{-1});
  expectRuns<float>(scales, {x}, {1, 1, 1, 4}, {1, 1, 2, 2});
  ModelBuilder twice = resizeAlongAxes({1, 1, 1, 2}, {2, 3});
  twice.graph().mutable_node(0)->mutable_attribute(2)->set_ints(0, 3);
  expectError(twice, kInvalid, {"axis -1 is not in [-4, 4), or there twice"});
  ModelBuilder policy = resizeAlongAxes({1, 1, 1, 2}, {2, 3});
  policy.attr("keep_aspect_ratio_policy", "crop");
  expectError(policy, StatusCode::Unsupported, {"keep_aspect_ratio_policy 'crop'"});
}

TEST(ImportDataMovement, ResizeWithAntialiasing) {
  ModelBuilder b(18);
  b.input("x", {4}).output("y");
  b.initializer("s", Tensor::of<float>({1}, {0.5f}));
  b.node("Resize", {"x", "", "s"}, {"y"}).attr("mode", "linear").attr("antialias", int64_t{1});
  expectRuns<float>(b, {Tensor::of<float>({4}, {1, 2, 4, 8})}, {2}, {1.75f, 5.75f});
}

TEST(ImportDataMovement, PadOfOnnxRuntime) {
  ModelBuilder b(13);
  b.input("x", {2}).output("y");
  b.initializer("p", Tensor::of<int64_t>({1, 2}, {1, 0}));
  b.initializer("v", Tensor::of<float>({}, {7}));
  b.node("Pad", {"x", "p", "v"}, {"y"}).domain("com.microsoft").attr("mode", "constant");
  expectRuns<float>(b, {Tensor::of<float>({2}, {1, 2})}, {3}, {7, 1, 2});
}

TEST(ImportReduction, LargestAndSmallestOfBools) {
  ModelBuilder b(20);
  b.input("x", {2, 2}, DType::Bool).output("y").output("z");
  b.node("ReduceMax", {"x", "a"}, {"y"}).attr("keepdims", int64_t{0});
  b.node("ReduceMin", {"x", "a"}, {"z"}).attr("keepdims", int64_t{0});
  b.ints("a", {1});
  auto outputs =
      runModel(b, {Tensor::of<bool>({2, 2}, std::vector<bool>{true, false, true, true})});
  ASSERT_TRUE(outputs) << outputs.status().message();
  EXPECT_TRUE((*outputs)[0].data<bool>()[0] && (*outputs)[0].data<bool>()[1]);
  EXPECT_TRUE(!(*outputs)[1].data<bool>()[0] && (*outputs)[1].data<bool>()[1]);
}

TEST(ImportReduction, AxesAsAttributeAndAsInput) {
  EXPECT_EQ(Imported(unary("ReduceSum", 11).attr("axes", Ints{1})).outputType(),
            "tensor<2x1x4xf32>");
  EXPECT_EQ(Imported(unary("ReduceSum", 13, {"a"}).ints("a", {1})).outputType(),
            "tensor<2x1x4xf32>");
  auto mean = unary("ReduceMean", 13).attr("axes", Ints{-1}).attr("keepdims", int64_t{0});
  EXPECT_EQ(Imported(mean).outputType(), "tensor<2x3xf32>");
  EXPECT_EQ(Imported(unary("ReduceMax", 18, {"a"}).ints("a", {0})).outputType(),
            "tensor<1x3x4xf32>");
  expectError(unary("ReduceMax", 13, {"a"}).ints("a", {0}), kInvalid, {"axes are an attribute"});
  EXPECT_EQ(Imported(unary("ReduceSum", 13).attr("noop_with_empty_axes", int64_t{1})).outputType(),
            "tensor<2x3x4xf32>");
}

TEST(ImportReduction, SoftmaxChangedItsMeaning) {
  Imported before(unary("Softmax", 11));
  ASSERT_TRUE(before.find<nn::SoftmaxOp>()) << before.text();
  EXPECT_TRUE(before.find<nn::SoftmaxOp>().getTrailing());
  EXPECT_FALSE(before.find<nn::SoftmaxOp>().getLogarithm());
  EXPECT_EQ(before.find<nn::SoftmaxOp>().getAxis(), 1);
  Imported after(unary("LogSoftmax", 13));
  ASSERT_TRUE(after.find<nn::SoftmaxOp>()) << after.text();
  EXPECT_TRUE(after.find<nn::SoftmaxOp>().getLogarithm());
  EXPECT_FALSE(after.find<nn::SoftmaxOp>().getTrailing());
  EXPECT_EQ(after.find<nn::SoftmaxOp>().getAxis(), -1);
}

/// y = op(x) with blocks of 2, of known or symbolic sizes.
static ModelBuilder blocks(const std::string &op, const Ints &dims, int64_t opset = 13) {
  ModelBuilder b(opset);
  b.input("x", dims).node(op, {"x"}, {"y"}).attr("blocksize", int64_t{2}).output("y");
  return b;
}

TEST(ImportDataMovement, DepthToSpace) {
  Tensor depth = Tensor::of<float>({1, 8, 1, 1}, {0, 1, 2, 3, 4, 5, 6, 7});
  for (const Ints &dims : {Ints{1, 8, 1, 1}, Ints{-1, 8, -2, -3}, Ints{-1, -2, -3, -4}}) {
    expectRuns<float>(blocks("DepthToSpace", dims), {depth}, {1, 2, 2, 2},
                      {0, 2, 4, 6, 1, 3, 5, 7});
    expectRuns<float>(blocks("DepthToSpace", dims).attr("mode", "CRD"), {depth}, {1, 2, 2, 2},
                      {0, 1, 2, 3, 4, 5, 6, 7});
  }
  // Empty images, batches and channels stay so.
  expectRuns<float>(blocks("DepthToSpace", {-1, -2, -3, -4}), {Tensor::of<float>({1, 4, 0, 2}, {})},
                    {1, 1, 0, 4}, {});
  expectRuns<float>(blocks("DepthToSpace", {-1, -2, -3, -4}), {Tensor::of<float>({1, 0, 2, 3}, {})},
                    {1, 0, 4, 6}, {});
  expectRuns<float>(blocks("SpaceToDepth", {-1, -2, -3, -4}), {Tensor::of<float>({0, 1, 4, 2}, {})},
                    {0, 4, 2, 1}, {});
  EXPECT_EQ(Imported(blocks("DepthToSpace", {-1, 8, -2, 3})).outputType(),
            "tensor<?x2x?x6xf32, #nn.dims<\"N\", \"\", (\"N2\" * 2), \"\">>");
  expectError(blocks("DepthToSpace", {1, 6, 1, 1}), kInvalid, {"a size of 6 is no multiple of 4"});
  expectError(blocks("DepthToSpace", {1, 8, 1}), kInvalid, {"must have rank 4, found 3"});
  expectError(blocks("DepthToSpace", {1, 8, 1, 1}, 10).attr("mode", "CRD"), StatusCode::Unsupported,
              {"attribute 'mode' is unknown"});
  expectError(blocks("DepthToSpace", {1, 8, 1, 1}).attr("mode", "X"), StatusCode::Unsupported,
              {"mode 'X'"});
}

TEST(ImportDataMovement, SpaceToDepth) {
  Tensor image = Tensor::of<float>({1, 1, 2, 4}, {0, 1, 2, 3, 4, 5, 6, 7});
  for (const Ints &dims : {Ints{1, 1, 2, 4}, Ints{-1, 1, -2, -3}})
    expectRuns<float>(blocks("SpaceToDepth", dims), {image}, {1, 4, 1, 2},
                      {0, 2, 1, 3, 4, 6, 5, 7});
  expectError(blocks("SpaceToDepth", {1, 1, 3, 4}), kInvalid, {"a size of 3 is no multiple of 2"});
  ModelBuilder none(13);
  none.input("x", {1, 1, 2, 2}).node("SpaceToDepth", {"x"}, {"y"}).output("y");
  none.attr("blocksize", int64_t{0});
  expectError(none, kInvalid, {"blocksize must be in [1, 32768], found 0"});
}

TEST(ImportDataMovement, SpaceToDepthInChannelOrder) {
  ModelBuilder b(28);
  b.input("x", {1, 2, 2, 2}).node("SpaceToDepth", {"x"}, {"y"}).output("y");
  b.attr("blocksize", int64_t{2}).attr("mode", "CRD");
  Tensor image = Tensor::of<float>({1, 2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  expectRuns<float>(b, {image}, {1, 8, 1, 1}, {0, 1, 2, 3, 4, 5, 6, 7});
  ModelBuilder odd(28);
  odd.input("x", {1, 2, 2, 2}).node("SpaceToDepth", {"x"}, {"y"}).output("y");
  odd.attr("blocksize", int64_t{2}).attr("mode", "X");
  expectError(odd, StatusCode::Unsupported, {"mode 'X'"});
}

TEST(ImportDataMovement, RangeOfSmallFloatsIsRoundedOnce) {
  ModelBuilder b(27);
  b.input("s", {}, DType::BFloat16).input("l", {}, DType::BFloat16).input("d", {}, DType::BFloat16);
  b.node("Range", {"s", "l", "d"}, {"y"}).attr("stash_type", int64_t{1}).output("y");
  auto scalar = [](float value) { return Tensor::of<BFloat16>({}, {BFloat16(value)}); };
  // 256 + 1 and 256 + 3 are no bfloat16.
  expectFloats(run(b, {scalar(254), scalar(260), scalar(1)}).at(0), {6},
               {254, 255, 256, 256, 258, 260});
  ModelBuilder stash(27);
  stash.input("s", {}).node("Range", {"s", "s", "s"}, {"y"}).attr("stash_type", int64_t{10});
  expectError(stash.output("y"), StatusCode::Unsupported, {"'y_node'", "'stash_type' = 10"});
}

TEST(ImportDataMovement, CenterCropPad) {
  Tensor x = Tensor::of<float>({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  for (const Ints &dims : {Ints{2, 4}, Ints{-1, -2}}) {
    ModelBuilder b(18);
    b.input("x", dims).ints("s", {5, 1}).node("CenterCropPad", {"x", "s"}, {"y"}).output("y");
    expectRuns<float>(b, {x}, {5, 1}, {0, 2, 6, 0, 0});
    ModelBuilder last(18);
    last.input("x", dims).input("s", {1}, DType::Int32).output("y");
    last.node("CenterCropPad", {"x", "s"}, {"y"}).attr("axes", Ints{-1});
    expectRuns<float>(last, {x, Tensor::of<int32_t>({1}, {2})}, {2, 2}, {2, 3, 6, 7});
    expectRuns<float>(last, {x, Tensor::of<int32_t>({1}, {5})}, {2, 5},
                      {1, 2, 3, 4, 0, 5, 6, 7, 8, 0});
  }
  ModelBuilder beyond(18);
  beyond.input("x", {2, 4}).ints("s", {1}).node("CenterCropPad", {"x", "s"}, {"y"}).output("y");
  beyond.attr("axes", Ints{2});
  expectError(beyond, kInvalid, {"axis"});
}

TEST(ImportDataMovement, PadsOfSomeAxesThatAreComputed) {
  ModelBuilder b(18);
  b.input("x", {1, 2}).input("p", {2}, DType::Int64).input("a", {1}, DType::Int64).output("y");
  b.node("Pad", {"x", "p", "", "a"}, {"y"});
  Tensor x = Tensor::of<float>({1, 2}, {1, 2});
  expectRuns<float>(b, {x, Tensor::ofInts({1, 2}), Tensor::ofInts({-1})}, {1, 5}, {0, 1, 2, 0, 0});
  expectRuns<float>(b, {x, Tensor::ofInts({1, -1}), Tensor::ofInts({0})}, {1, 2}, {0, 0});
  expectRunError(b, {x, Tensor::ofInts({0, 0}), Tensor::ofInts({2})}, "node 'y_node'",
                 "index 2 is out of range for a size of 2");
}
