//===- ImportVisionTest.cpp - sampling, regions, determinants -------------===//
#include "tests/frontend/RunModel.h"

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

using Ints = std::vector<int64_t>;
using Doubles = std::vector<double>;
static constexpr StatusCode kInvalid = StatusCode::InvalidModel;
static constexpr StatusCode kUnsupported = StatusCode::Unsupported;

static Tensor square() { return Tensor::of<float>({1, 1, 2, 2}, {1, 2, 3, 4}); }

static void expectOutput(const ModelBuilder &model, const std::vector<Tensor> &inputs,
                         const Tensor::Dims &dims, const Doubles &wanted) {
  auto outputs = run(model, inputs);
  ASSERT_FALSE(outputs.empty());
  expectFloats(outputs[0], dims, wanted);
}

//===----------------------------------------------------------------------===//
// GridSample and AffineGrid
//===----------------------------------------------------------------------===//

static ModelBuilder gridSample(int64_t opset, const Ints &dims = {1, 1, 2, 2}) {
  ModelBuilder b(opset);
  b.input("x", dims).input("g", {1, 1, 2, 2}).node("GridSample", {"x", "g"}, {"y"}).output("y");
  return b;
}

TEST(ImportVision, GridSampleOverOpsets) {
  // The corners of the image; of its pixels with align_corners.
  Tensor grid = Tensor::of<float>({1, 1, 2, 2}, {-1, -1, 0.5f, 1});
  expectOutput(gridSample(16), {square(), grid}, {1, 1, 1, 2}, {0.25, 2});
  for (const Ints &dims : {Ints{1, 1, 2, 2}, Ints{1, -1, -2, -3}}) {
    ModelBuilder aligned = gridSample(16, dims);
    aligned.attr("align_corners", int64_t{1}).attr("mode", "bilinear");
    expectOutput(aligned, {square(), grid}, {1, 1, 1, 2}, {1, 3.75});
  }
  ModelBuilder edges = gridSample(20);
  edges.attr("mode", "nearest").attr("padding_mode", "border");
  expectOutput(edges, {square(), grid}, {1, 1, 1, 2}, {1, 4});
  ModelBuilder unranked(20);
  unranked.unrankedInput("x").unrankedInput("g").node("GridSample", {"x", "g"}, {"y"}).output("y");
  expectError(unranked, kUnsupported, {"an input and a grid of unknown rank"});
  expectError(gridSample(20).attr("mode", "area"), kUnsupported, {"mode 'area'"});
  expectError(gridSample(20).attr("padding_mode", "wrap"), kUnsupported, {"padding_mode 'wrap'"});
  expectError(gridSample(20, {1, 1, 2}), kInvalid,
              {"'y_node' (GridSample, opset 20)", "must have the same rank of 3 or more"});
}

static ModelBuilder affineGrid(const Ints &theta, const Ints &size, bool alignCorners) {
  ModelBuilder b(20);
  b.input("t", theta).ints("s", size).node("AffineGrid", {"t", "s"}, {"y"}).output("y");
  b.attr("align_corners", int64_t{alignCorners});
  return b;
}

TEST(ImportVision, AffineGridTurnsAndMoves) {
  Tensor same = Tensor::of<float>({1, 2, 3}, {1, 0, 0, 0, 1, 0});
  expectOutput(affineGrid({1, 2, 3}, {1, 1, 2, 2}, false), {same}, {1, 2, 2, 2},
               {-0.5, -0.5, 0.5, -0.5, -0.5, 0.5, 0.5, 0.5});
  expectOutput(affineGrid({1, 2, 3}, {1, 1, 2, 1}, true), {same}, {1, 2, 1, 2}, {-1, -1, -1, 1});
  // x and y change places; y moves by 3.
  Tensor turned = Tensor::of<float>({1, 2, 3}, {0, 1, 0, 1, 0, 3});
  expectOutput(affineGrid({-1, 2, 3}, {1, 1, 1, 2}, true), {turned}, {1, 1, 2, 2}, {-1, 2, -1, 4});
  Tensor volume = Tensor::of<float>({1, 3, 4}, {2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 5});
  expectOutput(affineGrid({1, 3, 4}, {1, 1, 1, 1, 2}, false), {volume}, {1, 1, 1, 2, 3},
               {-1, 0, 5, 1, 0, 5});
  expectError(affineGrid({1, 2, 3}, {1, 1, 1, 1, 2}, false), kInvalid,
              {"theta must be Nx2x3 for a size of 4 entries"});
}

//===----------------------------------------------------------------------===//
// Regions
//===----------------------------------------------------------------------===//

static ModelBuilder roiAlign(int64_t opset) {
  ModelBuilder b(opset);
  b.input("x", {1, 1, 4, 4}).input("r", {1, 4}).input("i", {1}, DType::Int64).output("y");
  b.node("RoiAlign", {"x", "r", "i"}, {"y"});
  b.attr("output_height", int64_t{2}).attr("output_width", int64_t{2});
  return b.attr("sampling_ratio", int64_t{1});
}

static Tensor counted() {
  std::vector<float> elements(16);
  for (size_t i = 0; i < 16; ++i)
    elements[i] = static_cast<float>(i);
  return Tensor::of<float>({1, 1, 4, 4}, elements);
}

TEST(ImportVision, RoiAlignOverOpsets) {
  std::vector<Tensor> inputs = {counted(), Tensor::of<float>({1, 4}, {0, 0, 4, 4}),
                                Tensor::ofInts({0})};
  expectOutput(roiAlign(10), inputs, {1, 1, 2, 2}, {5, 7, 13, 15});
  expectOutput(roiAlign(16), inputs, {1, 1, 2, 2}, {2.5, 4.5, 10.5, 12.5});
  ModelBuilder old = roiAlign(22);
  old.attr("coordinate_transformation_mode", "output_half_pixel").attr("mode", "max");
  expectOutput(old, inputs, {1, 1, 2, 2}, {5, 7, 13, 15});
  expectError(roiAlign(22).attr("mode", "sum"), kUnsupported, {"mode 'sum'"});
  expectError(roiAlign(22).attr("coordinate_transformation_mode", "asymmetric"), kUnsupported,
              {"coordinate_transformation_mode 'asymmetric'"});
  inputs[2] = Tensor::ofInts({1});
  Imported imported(roiAlign(10));
  ASSERT_TRUE(imported.module);
  auto outputs = interpreter::interpret(nn::findMain(**imported.module), inputs);
  ASSERT_FALSE(outputs);
  expectContains(outputs.status().message(), "node 'y_node' (nn.roi_pool)");
}

TEST(ImportVision, MaxRoiPoolTakesTheImageFromTheRegion) {
  ModelBuilder b(9);
  b.input("x", {1, 1, 4, 4}).input("r", {2, 5}).output("y");
  b.node("MaxRoiPool", {"x", "r"}, {"y"}).attr("pooled_shape", Ints{1, 2});
  b.attr("spatial_scale", 0.5f);
  Tensor rois = Tensor::of<float>({2, 5}, {0, 0, 0, 6, 6, 0, 2, 2, 4, 4});
  expectOutput(b, {counted(), rois}, {2, 1, 1, 2}, {13, 15, 9, 10});
  ModelBuilder wrong(9);
  wrong.input("x", {1, 1, 4, 4}).input("r", {2, 4}).output("y");
  wrong.node("MaxRoiPool", {"x", "r"}, {"y"}).attr("pooled_shape", Ints{1});
  expectError(wrong, kInvalid, {"pooled_shape needs 2 entries, found 1"});
}

static ModelBuilder cropAndResize(const char *mode, std::vector<int32_t> size) {
  ModelBuilder b(13);
  b.input("x", {1, 1, 2, 2}).input("r", {1, 4}).input("i", {1}, DType::Int32).output("y");
  b.initializer("s", Tensor::of<int32_t>({2}, size));
  b.node("CropAndResize", {"x", "r", "i", "s"}, {"y"}).domain("com.microsoft");
  return b.attr("mode", mode).attr("extrapolation_value", 9.0f);
}

TEST(ImportVision, CropAndResizeExtrapolates) {
  auto inputs = [](std::vector<float> roi) {
    return std::vector<Tensor>{square(), Tensor::of<float>({1, 4}, roi),
                               Tensor::of<int32_t>({1}, {0})};
  };
  expectOutput(cropAndResize("bilinear", {3, 3}), inputs({0, 0, 1, 1}), {1, 1, 3, 3},
               {1, 1.5, 2, 2, 2.5, 3, 3, 3.5, 4});
  expectOutput(cropAndResize("bilinear", {3, 3}), inputs({0, 0, 2, 2}), {1, 1, 3, 3},
               {1, 2, 9, 3, 4, 9, 9, 9, 9});
  expectOutput(cropAndResize("bilinear", {1, 1}), inputs({0, 0, 1, 1}), {1, 1, 1, 1}, {2.5});
  // A tie is rounded up.
  expectOutput(cropAndResize("nearest", {1, 2}), inputs({0, 0, 1, 1}), {1, 1, 1, 2}, {3, 4});
  expectError(cropAndResize("area", {1, 1}), kUnsupported, {"mode 'area'"});
}

//===----------------------------------------------------------------------===//
// Col2Im, DeformConv, Det
//===----------------------------------------------------------------------===//

TEST(ImportVision, Col2ImWithAnyAttributes) {
  ModelBuilder b(18);
  b.input("x", {1, 4, 4}).ints("i", {2, 2}).ints("k", {2, 2}).output("y");
  b.node("Col2Im", {"x", "i", "k"}, {"y"}).attr("strides", Ints{2, 2});
  b.attr("pads", Ints{1, 1, 1, 1});
  EXPECT_EQ(Imported(b).outputType(), "tensor<1x1x2x2xf32>");
  std::vector<float> elements(16);
  for (size_t i = 0; i < 16; ++i)
    elements[i] = static_cast<float>(i);
  expectOutput(b, {Tensor::of<float>({1, 4, 4}, elements)}, {1, 1, 2, 2}, {12, 9, 6, 3});
  ModelBuilder computed(18);
  computed.input("x", {-1, 4, 4}).input("i", {2}, DType::Int64).input("k", {2}, DType::Int64);
  computed.node("Col2Im", {"x", "i", "k"}, {"y"}).output("y");
  expectOutput(computed,
               {Tensor::of<float>({1, 4, 4}, std::vector<float>(16, 1)), Tensor::ofInts({3, 3}),
                Tensor::ofInts({2, 2})},
               {1, 1, 3, 3}, {1, 2, 1, 2, 4, 2, 1, 2, 1});
}

static ModelBuilder deformConv(bool mask) {
  ModelBuilder b(19);
  b.input("x", {1, 1, 3, 3}).input("o", {1, 8, 2, 2}).output("y");
  b.initializer("w", Tensor::of<float>({1, 1, 2, 2}, {1, 1, 1, 1}));
  b.initializer("b", Tensor::of<float>({1}, {100}));
  if (mask)
    b.input("m", {1, 4, 2, 2});
  b.node("DeformConv", {"x", "w", "o", "b", mask ? "m" : ""}, {"y"});
  return b;
}

TEST(ImportVision, DeformConvMovesItsKernel) {
  Tensor image = Tensor::of<float>({1, 1, 3, 3}, {0, 1, 2, 3, 4, 5, 6, 7, 8});
  std::vector<float> offsets(32, 0);
  auto still = Tensor::of<float>({1, 8, 2, 2}, offsets);
  expectOutput(deformConv(false), {image, still}, {1, 1, 2, 2}, {108, 112, 120, 124});
  // Half a pixel to the right: offsets are (y, x) of each element of the kernel.
  for (size_t i = 0; i < 32; ++i)
    offsets[i] = i / 4 % 2 == 1 ? 0.5f : 0;
  auto moved = Tensor::of<float>({1, 8, 2, 2}, offsets);
  expectOutput(deformConv(false), {image, moved}, {1, 1, 2, 2}, {110, 109.5, 122, 118.5});
  std::vector<float> first(16, 0);
  std::fill_n(first.begin(), 4, 2.0f);
  expectOutput(deformConv(true), {image, still, Tensor::of<float>({1, 4, 2, 2}, first)},
               {1, 1, 2, 2}, {100, 102, 106, 108});
  ModelBuilder wrong = deformConv(false);
  wrong.attr("offset_group", int64_t{2});
  expectError(wrong, kInvalid, {"'y_node' (DeformConv, opset 19)", "2 offset groups"});
  ModelBuilder offsetsWrong(19);
  offsetsWrong.input("x", {1, 1, 3, 3}).input("o", {1, 4, 2, 2}).output("y");
  offsetsWrong.initializer("w", Tensor::of<float>({1, 1, 2, 2}, {1, 1, 1, 1}));
  offsetsWrong.node("DeformConv", {"x", "w", "o"}, {"y"});
  expectError(offsetsWrong, kInvalid, {"input 2 must have rank 4 and a dimension 1 of 8"});
  // Sizes are cheap where weights are an input of the graph.
  ModelBuilder huge(19);
  huge.input("x", {1, 1, 3, 3}).input("w", {1, 1, 30000, 30000}).input("o", {1, 8, 2, 2});
  huge.node("DeformConv", {"x", "w", "o"}, {"y"}).output("y");
  expectError(huge, StatusCode::ResourceLimit, {"more than 1048576 elements a kernel"});
}

// Each has tables of 8 KB for its 1,024 places, which count together.
TEST(ImportVision, TablesOfDeformConvsAreCounted) {
  ModelBuilder b(19);
  b.input("x", {1, 1, 32, 32}).input("w", {1, 1, 32, 32}).input("o", {1, 2048, 1, 1});
  for (const char *name : {"a", "b", "c"})
    b.node("DeformConv", {"x", "w", "o"}, {name}).output(name);
  Limits limits;
  limits.maxFoldedBytes = 60'000;
  EXPECT_TRUE(Imported(b, limits).module);
  limits.maxFoldedBytes = 40'000;
  expectError(b, StatusCode::ResourceLimit,
              {"'c_node' (DeformConv, opset 19)", "take more than 40000 bytes"}, limits);
}

TEST(ImportVision, DetOfABatch) {
  ModelBuilder b(11);
  b.input("x", {-1, 2, 2}).node("Det", {"x"}, {"y"}).output("y");
  expectOutput(b, {Tensor::of<float>({2, 2, 2}, {1, 2, 3, 4, 2, 0, 0, 3})}, {2}, {-2, 6});
  ModelBuilder wide(11);
  wide.input("x", {2, 3}).node("Det", {"x"}, {"y"}).output("y");
  expectError(wide, kInvalid, {"the width of a matrix"});
}

TEST(ImportVision, GridCoordinatesBeginWithTheLastAxis) {
  ModelBuilder b(20);
  b.input("x", {1, 1, 1, 3}).input("g", {1, 1, 1, 2}).node("GridSample", {"x", "g"}, {"y"});
  b.attr("align_corners", int64_t{1}).output("y");
  auto y =
      run(b, {Tensor::of<float>({1, 1, 1, 3}, {1, 2, 3}), Tensor::of<float>({1, 1, 1, 2}, {1, 0})});
  ASSERT_EQ(y.size(), 1U);
  expectFloats(y[0], {1, 1, 1, 1}, {3});
}
