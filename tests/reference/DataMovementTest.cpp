//===- DataMovementTest.cpp - moves, copies, shapes -----------------------===//
#include "tests/reference/KernelCall.h"

#include <array>
#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::reference;

namespace {

using Ints = std::vector<int64_t>;
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

/// 0, 1, ... n - 1.
Tensor counting(const Tensor::Dims &dims) {
  std::vector<float> values(CheckedSize::product(dims).value());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(i);
  return Tensor::of<float>(dims, values);
}

Tensor strings(const Tensor::Dims &dims, const std::vector<std::string> &values) {
  Tensor t = Tensor::allocate(DType::String, dims).take();
  std::copy(values.begin(), values.end(), t.mutableData<std::string>());
  return t;
}

Attributes axisIs(int64_t axis) { return makeAttributes({{"axis", axis}}); }

} // namespace

//===----------------------------------------------------------------------===//
// Bits
//===----------------------------------------------------------------------===//

TEST(BitCast, KeepsBits) {
  auto bitCast = [](const Tensor &x, DType to) {
    return evaluateAll("nn.bitcast", {x}, makeAttributes({{"to", to}}), {to}).take().front();
  };
  Tensor x = Tensor::of<float>({2}, {1, -2});
  expectTensor<int32_t>(bitCast(x, DType::Int32), {2}, {0x3f800000, -0x40000000});
  Tensor bytes = Tensor::of<int8_t>({3}, {0, -1, 127});
  expectTensor<uint8_t>(bitCast(bytes, DType::UInt8), {3}, {0, 255, 127});
  Tensor complex = bitCast(x, DType::Complex64);
  EXPECT_EQ(complex.describe(), "complex64 scalar");
  expectTensor<float>(bitCast(complex, DType::Float32), {2}, {1, -2});
}

//===----------------------------------------------------------------------===//
// Concat and split
//===----------------------------------------------------------------------===//

TEST(Concat, JoinsAlongAnAxis) {
  Tensor a = counting({2, 2}), b = counting({2, 1});
  expectTensor<float>(evaluate("nn.concat", {a, b}, axisIs(1)), {2, 3}, {0, 1, 0, 2, 3, 1});
  expectTensor<float>(evaluate("nn.concat", {a, a}, axisIs(-2)), {4, 2}, {0, 1, 2, 3, 0, 1, 2, 3});
  expectTensor<float>(evaluate("nn.concat", {counting({2, 0}), b, counting({2, 0})}, axisIs(1)),
                      {2, 1}, {0, 1});
  EXPECT_EQ(elementsOf<std::string>(
                evaluate("nn.concat", {strings({1}, {"a"}), strings({2}, {"b", ""})}, axisIs(0))),
            (std::vector<std::string>{"a", "b", ""}));
  EXPECT_EQ(evaluateError("nn.concat", {a, counting({3, 2})}, axisIs(1)).message(),
            "cannot concatenate float32 2x2 and float32 3x2 along axis 1");
  EXPECT_EQ(evaluateError("nn.concat", {a, Tensor::ofInts({1})}, axisIs(0)).message(),
            "cannot concatenate float32 2x2 and int64 1 along axis 0");
  EXPECT_EQ(evaluateError("nn.concat", {a}, axisIs(2)).message(),
            "axis 2 is out of range for rank 2");
}

TEST(Split, DividesAnAxis) {
  auto split = [](const Tensor &x, const Tensor &sizes, int64_t axis, size_t count) {
    return evaluateAll("nn.split", {x, sizes}, axisIs(axis),
                       std::vector<DType>(count, DType::Float32));
  };
  auto equal = split(counting({2, 5}), Tensor(), -1, 3);
  ASSERT_TRUE(equal);
  expectTensor<float>((*equal)[0], {2, 2}, {0, 1, 5, 6});
  expectTensor<float>((*equal)[1], {2, 2}, {2, 3, 7, 8});
  expectTensor<float>((*equal)[2], {2, 1}, {4, 9});
  auto sized = split(counting({3, 2}), Tensor::ofInts({0, 1, 2}), 0, 3);
  ASSERT_TRUE(sized);
  expectTensor<float>((*sized)[0], {0, 2}, {});
  expectTensor<float>((*sized)[1], {1, 2}, {0, 1});
  expectTensor<float>((*sized)[2], {2, 2}, {2, 3, 4, 5});
  // More parts than elements.
  auto thin = split(counting({1}), Tensor(), 0, 3);
  ASSERT_TRUE(thin);
  expectTensor<float>((*thin)[0], {1}, {0});
  expectTensor<float>((*thin)[2], {0}, {});
  for (const Ints &wrong : {Ints{1, 1}, Ints{4, -1}, Ints{1, 1, 1}, Ints{kMax, kMax}})
    EXPECT_FALSE(split(counting({3}), Tensor::ofInts(wrong), 0, 2)) << formatDims(wrong);
  EXPECT_EQ(split(counting({3}), Tensor::ofInts({1, 1}), 0, 2).status().message(),
            "parts of sizes 1x1 do not divide a size of 3 into 2 results");
}

//===----------------------------------------------------------------------===//
// Slice and gather
//===----------------------------------------------------------------------===//

static void expectSlice(const Tensor &x, const Ints &starts, const Ints &ends, const Ints &axes,
                        const Ints &steps, const Tensor::Dims &dims,
                        const std::vector<float> &elements) {
  SCOPED_TRACE(formatDims(starts) + " to " + formatDims(ends) + " by " + formatDims(steps));
  Tensor none;
  expectTensor(evaluate("nn.slice", {x, Tensor::ofInts(starts), Tensor::ofInts(ends),
                                     axes.empty() ? none : Tensor::ofInts(axes),
                                     steps.empty() ? none : Tensor::ofInts(steps)}),
               dims, elements);
}

TEST(Slice, SelectsBoxes) {
  Tensor x = counting({3, 4});
  expectSlice(x, {1, 0}, {3, 2}, {}, {}, {2, 2}, {4, 5, 8, 9});
  expectSlice(x, {1}, {2}, {}, {}, {1, 4}, {4, 5, 6, 7});
  expectSlice(x, {-3}, {-1}, {-1}, {}, {3, 2}, {1, 2, 5, 6, 9, 10});
  expectSlice(x, {0, 0}, {3, 4}, {1, 0}, {2, 2}, {2, 2}, {0, 2, 8, 10});
  expectSlice(counting({}), {}, {}, {}, {}, {}, {0});
}

TEST(Slice, GoesBackwards) {
  Tensor x = counting({5});
  expectSlice(x, {3}, {0}, {0}, {-1}, {3}, {3, 2, 1});
  expectSlice(x, {kMax}, {kMin}, {0}, {-1}, {5}, {4, 3, 2, 1, 0});
  expectSlice(x, {4}, {-100}, {0}, {-2}, {3}, {4, 2, 0});
  expectSlice(x, {-1}, {-3}, {0}, {-1}, {2}, {4, 3});
  // ONNX clamps a start before the begin to the first element.
  expectSlice(x, {-100}, {-200}, {0}, {-1}, {1}, {0});
}

TEST(Slice, ClampsItsBounds) {
  Tensor x = counting({5});
  expectSlice(x, {-100}, {100}, {0}, {1}, {5}, {0, 1, 2, 3, 4});
  expectSlice(x, {kMin}, {kMax}, {0}, {kMax}, {1}, {0});
  expectSlice(x, {kMax}, {kMin}, {0}, {kMin}, {1}, {4});
  expectSlice(x, {3}, {2}, {0}, {1}, {0}, {});
  expectSlice(x, {100}, {200}, {0}, {1}, {0}, {});
  expectSlice(counting({0}), {0}, {-1}, {0}, {-1}, {0}, {});
}

TEST(Slice, RefusesWhatDoesNotFit) {
  Tensor x = counting({3, 4});
  auto message = [&](const Ints &starts, const Ints &ends, const Ints &axes, const Ints &steps) {
    return evaluateError("nn.slice", {x, Tensor::ofInts(starts), Tensor::ofInts(ends),
                                      Tensor::ofInts(axes), Tensor::ofInts(steps)})
        .message();
  };
  EXPECT_EQ(message({0}, {1}, {0}, {0}), "the step of axis 0 is 0");
  EXPECT_EQ(message({0, 0}, {1, 1}, {0, -2}, {1, 1}), "axis -2 is given twice");
  EXPECT_EQ(message({0}, {1, 2}, {0}, {1}),
            "starts, ends, axes and steps differ in length: 1, 2, 1, 1");
  EXPECT_EQ(message({0}, {1}, {2}, {1}), "axis 2 is out of range for rank 2");
  EXPECT_EQ(evaluateError("nn.slice", {x, counting({1}), Tensor::ofInts({1}), Tensor(), Tensor()})
                .message(),
            "starts must be an int32 or int64 vector, found float32 1");
}

TEST(Gather, TakesAlongAnAxis) {
  Tensor x = counting({3, 2});
  Tensor indices = Tensor::of<int64_t>({2, 2}, {2, 0, -1, -3});
  expectTensor<float>(evaluate("nn.gather", {x, indices}, axisIs(0)), {2, 2, 2},
                      {4, 5, 0, 1, 4, 5, 0, 1});
  expectTensor<float>(evaluate("nn.gather", {x, Tensor::of<int32_t>({}, {1})}, axisIs(-1)), {3},
                      {1, 3, 5});
  expectTensor<float>(evaluate("nn.gather", {x, Tensor::ofInts({})}, axisIs(1)), {3, 0}, {});
  EXPECT_EQ(elementsOf<std::string>(evaluate(
                "nn.gather", {strings({2}, {"a", "b"}), Tensor::ofInts({1, 1})}, axisIs(0))),
            (std::vector<std::string>{"b", "b"}));
}

TEST(Gather, ChecksItsIndices) {
  Tensor x = counting({3, 2});
  auto message = [&](const Tensor &indices, int64_t axis) {
    return evaluateError("nn.gather", {x, indices}, axisIs(axis)).message();
  };
  EXPECT_EQ(message(Tensor::ofInts({3}), 0), "index 3 is out of range for a size of 3");
  EXPECT_EQ(message(Tensor::ofInts({-3}), 1), "index -3 is out of range for a size of 2");
  EXPECT_EQ(message(Tensor::ofInts({kMin}), 1),
            "index -9223372036854775808 is out of range for a size of 2");
  EXPECT_EQ(message(counting({1}), 0), "indices must be int32 or int64, found float32 1");
  EXPECT_EQ(
      evaluateError("nn.gather", {counting({0, 2}), Tensor::ofInts({0})}, axisIs(0)).message(),
      "index 0 is out of range for a size of 0");
}

//===----------------------------------------------------------------------===//
// Transpose, expand, tile
//===----------------------------------------------------------------------===//

TEST(Transpose, PermutesAxes) {
  Tensor x = counting({2, 3, 2});
  auto transpose = [](const Tensor &t, const Ints &perm) {
    return evaluate("nn.transpose", {t}, makeAttributes({{"perm", perm}}));
  };
  expectTensor<float>(transpose(x, {0, 2, 1}), {2, 2, 3}, {0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11});
  expectTensor<float>(transpose(x, {}), {2, 3, 2}, {0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11});
  expectTensor<float>(transpose(x, {0, 1, 2}), {2, 3, 2}, elementsOf<float>(x));
  expectTensor<float>(transpose(counting({3, 0}), {1, 0}), {0, 3}, {});
  expectTensor<float>(transpose(counting({}), {}), {}, {0});
  auto message = [&](const Ints &perm) {
    return evaluateError("nn.transpose", {x}, makeAttributes({{"perm", perm}})).message();
  };
  EXPECT_EQ(message({0, 1}), "perm has 2 entries for float32 2x3x2");
  EXPECT_EQ(message({0, 1, 1}), "axis 1 is given twice");
  EXPECT_EQ(message({0, 1, 3}), "axis 3 is out of range for rank 3");
}

TEST(Transpose, MovesElementsOfEverySize) {
  Attributes swap = makeAttributes({{"perm", Ints{1, 0}}});
  expectTensor<uint8_t>(evaluate("nn.transpose", {Tensor::of<uint8_t>({1, 2}, {1, 255})}, swap),
                        {2, 1}, {1, 255});
  expectTensor<int16_t>(evaluate("nn.transpose", {Tensor::of<int16_t>({2, 2}, {1, 2, 3, 4})}, swap),
                        {2, 2}, {1, 3, 2, 4});
  expectTensor<double>(evaluate("nn.transpose", {Tensor::of<double>({2, 2}, {1, 2, 3, 4})}, swap),
                       {2, 2}, {1, 3, 2, 4});
  std::array<double, 8> complex = {1, -1, 2, -2, 3, -3, 4, -4};
  Tensor moved =
      evaluate("nn.transpose", {Tensor::borrow(DType::Complex128, {2, 2}, complex.data())}, swap);
  const auto *bits = static_cast<const double *>(moved.rawData());
  EXPECT_EQ(std::vector<double>(bits, bits + 8), (std::vector<double>{1, -1, 3, -3, 2, -2, 4, -4}));
  EXPECT_EQ(elementsOf<std::string>(
                evaluate("nn.transpose", {strings({2, 2}, {"a", "b", "c", "d"})}, swap)),
            (std::vector<std::string>{"a", "c", "b", "d"}));
}

TEST(Expand, Broadcasts) {
  Tensor x = counting({2, 1});
  auto expand = [](const Tensor &t, const Ints &shape) {
    return evaluate("nn.expand", {t, Tensor::ofInts(shape)});
  };
  expectTensor<float>(expand(x, {2, 3}), {2, 3}, {0, 0, 0, 1, 1, 1});
  expectTensor<float>(expand(x, {2, 1, 2}), {2, 2, 2}, {0, 0, 1, 1, 0, 0, 1, 1});
  expectTensor<float>(expand(x, {1}), {2, 1}, {0, 1});
  expectTensor<float>(expand(x, {0}), {2, 0}, {});
  expectTensor<float>(expand(counting({}), {2}), {2}, {0, 0});
  EXPECT_EQ(evaluateError("nn.expand", {x, Tensor::ofInts({3, 2})}).message(),
            "shapes 2x1 and 3x2 do not broadcast");
  EXPECT_EQ(evaluateError("nn.expand", {x, Tensor::ofInts({kMax, kMax})}).code(),
            StatusCode::InvalidInput);
  EXPECT_EQ(evaluateError("nn.expand", {x, Tensor::ofInts({1, 2, kMax})}).code(),
            StatusCode::ResourceLimit);
  EXPECT_EQ(evaluateError("nn.expand", {x, Tensor::ofInts(Ints(100, 1))}).message(),
            "rank 100 exceeds the limit of 64");
}

TEST(Tile, Repeats) {
  Tensor x = counting({2, 2});
  auto tile = [](const Tensor &t, const Ints &repeats) {
    return evaluate("nn.tile", {t, Tensor::ofInts(repeats)});
  };
  expectTensor<float>(tile(x, {2, 2}), {4, 4}, {0, 1, 0, 1, 2, 3, 2, 3, 0, 1, 0, 1, 2, 3, 2, 3});
  expectTensor<float>(tile(x, {1, 1}), {2, 2}, {0, 1, 2, 3});
  expectTensor<float>(tile(x, {0, 3}), {0, 6}, {});
  EXPECT_EQ(evaluateError("nn.tile", {x, Tensor::ofInts({2})}).message(),
            "repeats has 1 entries for float32 2x2");
  EXPECT_EQ(evaluateError("nn.tile", {x, Tensor::ofInts({1, -1})}).message(),
            "repeating a dimension of 2 -1 times is not possible");
  EXPECT_EQ(evaluateError("nn.tile", {x, Tensor::ofInts({int64_t{1} << 40, 1})}).code(),
            StatusCode::ResourceLimit);
}

//===----------------------------------------------------------------------===//
// Pad
//===----------------------------------------------------------------------===//

static Tensor pad(const Tensor &x, const Ints &pads, const std::string &mode,
                  const Tensor &value = Tensor()) {
  return evaluate("nn.pad", {x, Tensor::ofInts(pads), value},
                  makeAttributes({{"mode", numberOf<PadMode>(mode)}}));
}

TEST(Pad, SurroundsWithAConstant) {
  Tensor x = counting({2, 2});
  expectTensor<float>(pad(x, {0, 1, 1, 0}, "constant", Tensor::of<float>({}, {9})), {3, 3},
                      {9, 0, 1, 9, 2, 3, 9, 9, 9});
  expectTensor<float>(pad(x, {1, 0, 0, 0}, "constant"), {3, 2}, {0, 0, 0, 1, 2, 3});
  // Negative pads crop, also beyond what is there.
  expectTensor<float>(pad(x, {-1, 0, 0, 1}, "constant", Tensor::of<float>({1}, {9})), {1, 3},
                      {2, 3, 9});
  expectTensor<float>(pad(counting({2}), {-5, 5}, "constant", Tensor::of<float>({}, {9})), {2},
                      {9, 9});
  expectTensor<float>(pad(counting({0}), {1, 1}, "constant", Tensor::of<float>({}, {9})), {2},
                      {9, 9});
  EXPECT_EQ(elementsOf<std::string>(pad(strings({1}, {"a"}), {1, 0}, "constant")),
            (std::vector<std::string>{"", "a"}));
}

TEST(Pad, MirrorsAndRepeats) {
  Tensor x = counting({3});
  expectTensor<float>(pad(x, {2, 2}, "reflect"), {7}, {2, 1, 0, 1, 2, 1, 0});
  expectTensor<float>(pad(x, {5, 0}, "reflect"), {8}, {1, 0, 1, 2, 1, 0, 1, 2});
  expectTensor<float>(pad(x, {-1, 2}, "reflect"), {4}, {1, 2, 1, 0});
  expectTensor<float>(pad(counting({1}), {2, 1}, "reflect"), {4}, {0, 0, 0, 0});
  expectTensor<float>(pad(x, {2, 1}, "edge"), {6}, {0, 0, 0, 1, 2, 2});
  expectTensor<float>(pad(counting({2, 2}), {1, 0, 0, 1}, "edge"), {3, 3},
                      {0, 1, 1, 0, 1, 1, 2, 3, 3});
  expectTensor<float>(pad(counting({0, 2}), {0, 1, 0, 0}, "edge"), {0, 3}, {});
}

TEST(Pad, RefusesWhatDoesNotFit) {
  Tensor x = counting({2, 2});
  auto error = [&](const Tensor &input, const Ints &pads, const std::string &mode,
                   const Tensor &value = Tensor()) {
    return evaluateError("nn.pad", {input, Tensor::ofInts(pads), value},
                         makeAttributes({{"mode", numberOf<PadMode>(mode)}}));
  };
  EXPECT_EQ(error(x, {1, 1}, "constant").message(), "pads has 2 entries for rank 2");
  EXPECT_EQ(error(x, {0, -3, 0, 0}, "constant").message(),
            "pads of -3 and 0 do not fit a dimension of 2");
  EXPECT_EQ(error(x, {0, kMin, 0, kMax}, "constant").message(),
            "pads of -9223372036854775808 and 9223372036854775807 do not fit a dimension of 2");
  EXPECT_EQ(error(x, {int64_t{1} << 40, 0, 0, 0}, "edge").code(), StatusCode::ResourceLimit);
  EXPECT_EQ(error(x, {1, 0, 0, 0}, "constant", Tensor::ofInts({1})).message(),
            "the pad value must be one float32, found int64 1");
  EXPECT_EQ(error(counting({0}), {1, 0}, "reflect").message(),
            "an empty dimension has no elements to pad with");
}

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

TEST(Reshape, FollowsTheRulesOfItsShape) {
  Tensor x = counting({2, 3, 2});
  auto reshape = [](const Tensor &t, const Ints &shape, bool allowZero = false) {
    return evaluate("nn.reshape", {t, Tensor::ofInts(shape)},
                    makeAttributes({{"allowzero", int64_t(allowZero)}}));
  };
  expectTensor(reshape(x, {3, 4}), {3, 4}, elementsOf<float>(x));
  EXPECT_EQ(reshape(x, {0, -1}).dims(), (Ints{2, 6}));
  EXPECT_EQ(reshape(x, {-1, 1, 0}).dims(), (Ints{6, 1, 2}));
  EXPECT_EQ(reshape(counting({1}), {}).dims(), (Ints{}));
  EXPECT_EQ(reshape(counting({0, 3}), {3, 0}, true).dims(), (Ints{3, 0}));
  EXPECT_EQ(reshape(counting({0, 3}), {-1, 3}).dims(), (Ints{0, 3}));
}

TEST(Reshape, RefusesWhatDoesNotFit) {
  Tensor x = counting({2, 3, 2});
  auto message = [&](const Tensor &t, const Ints &shape, bool allowZero = false) {
    return evaluateError("nn.reshape", {t, Tensor::ofInts(shape)},
                         makeAttributes({{"allowzero", int64_t(allowZero)}}))
        .message();
  };
  EXPECT_EQ(message(x, {5, 2}), "cannot reshape float32 2x3x2 to 5x2");
  EXPECT_EQ(message(x, {-1, -1}), "shape has more than one -1");
  EXPECT_EQ(message(x, {2, -2, -3}), "cannot reshape float32 2x3x2 to 2x-2x-3");
  EXPECT_EQ(message(x, {-1, 5}), "no size in place of -1 gives 12 elements beside 5");
  EXPECT_EQ(message(counting({0}), {-1, 0}, true),
            "no size in place of -1 gives 0 elements beside 0");
  EXPECT_EQ(message(counting({2}), {2, 0}), "shape copies dimension 1 of float32 2");
  EXPECT_EQ(message(x, Ints(65, 1)), "rank 65 exceeds the limit of 64");
  EXPECT_FALSE(message(x, {kMax, kMax, -1}).empty());
}

TEST(Flatten, SplitsAtAnAxis) {
  Tensor x = counting({2, 3, 2});
  EXPECT_EQ(evaluate("nn.flatten", {x}, axisIs(0)).dims(), (Ints{1, 12}));
  EXPECT_EQ(evaluate("nn.flatten", {x}, axisIs(2)).dims(), (Ints{6, 2}));
  EXPECT_EQ(evaluate("nn.flatten", {x}, axisIs(-1)).dims(), (Ints{6, 2}));
  EXPECT_EQ(evaluate("nn.flatten", {x}, axisIs(3)).dims(), (Ints{12, 1}));
  EXPECT_EQ(evaluate("nn.flatten", {counting({})}, axisIs(0)).dims(), (Ints{1, 1}));
  EXPECT_EQ(evaluateError("nn.flatten", {x}, axisIs(4)).message(),
            "axis 4 is out of range for rank 3");
}

TEST(Squeeze, RemovesAndAddsOnes) {
  Tensor x = counting({1, 2, 1});
  EXPECT_EQ(evaluate("nn.squeeze", {x, Tensor()}).dims(), (Ints{2}));
  EXPECT_EQ(evaluate("nn.squeeze", {x, Tensor::ofInts({-1})}).dims(), (Ints{1, 2}));
  EXPECT_EQ(evaluateError("nn.squeeze", {x, Tensor::ofInts({1})}).message(),
            "dimension 1 of float32 1x2x1 is not 1");
  EXPECT_EQ(evaluate("nn.unsqueeze", {x, Tensor::ofInts({-1, 0})}).dims(), (Ints{1, 1, 2, 1, 1}));
  EXPECT_EQ(evaluate("nn.unsqueeze", {counting({}), Tensor::of<int64_t>({}, {0})}).dims(),
            (Ints{1}));
  EXPECT_EQ(evaluateError("nn.unsqueeze", {x, Tensor::ofInts({0, 0})}).message(),
            "axis 0 is given twice");
  EXPECT_EQ(evaluateError("nn.unsqueeze", {x, Tensor::ofInts({4})}).message(),
            "axis 4 is out of range for rank 4");
}

//===----------------------------------------------------------------------===//
// Shapes and ranges
//===----------------------------------------------------------------------===//

TEST(Shape, GivesDimensions) {
  Tensor x = counting({2, 3, 4});
  auto shape = [&](int64_t start, int64_t end) {
    return elementsOf<int64_t>(
        evaluate("nn.shape", {x}, makeAttributes({{"start", start}, {"end", end}})));
  };
  expectTensor<int64_t>(evaluate("nn.shape", {x}, makeAttributes({{"start", int64_t{0}}})), {3},
                        {2, 3, 4});
  EXPECT_EQ(shape(1, 3), (Ints{3, 4}));
  EXPECT_EQ(shape(-2, -1), (Ints{3}));
  EXPECT_EQ(shape(-10, 10), (Ints{2, 3, 4}));
  EXPECT_EQ(shape(2, 1), (Ints{}));
  EXPECT_EQ(shape(kMin, kMax), (Ints{2, 3, 4}));
}

TEST(Expand, FillsWithANumber) {
  Tensor seven = Tensor::of<int32_t>({}, {7});
  expectTensor<int32_t>(evaluate("nn.expand", {seven, Tensor::ofInts({2, 2})}), {2, 2},
                        {7, 7, 7, 7});
  expectTensor<int32_t>(evaluate("nn.expand", {seven, Tensor::ofInts({})}), {}, {7});
  expectTensor<int32_t>(evaluate("nn.expand", {seven, Tensor::ofInts({0, 5})}), {0, 5}, {});
  EXPECT_FALSE(evaluateError("nn.expand", {seven, Tensor::ofInts({-1})}).isOk());
  EXPECT_EQ(evaluateError("nn.expand", {seven, Tensor::ofInts({1 << 30})}, Attributes(),
                          Limits{.maxTensorBytes = 1000})
                .message(),
            "tensor int32 1073741824 needs 4294967296 bytes, the limit is 1000");
}

TEST(NonZero, FindsIndicesInOrder) {
  expectTensor<int64_t>(
      evaluate("nn.nonzero", {Tensor::of<float>({2, 3}, {0, 1, -0.0f, NAN, 0, 5})}), {2, 3},
      {0, 1, 1, 1, 0, 2});
  expectTensor<int64_t>(evaluate("nn.nonzero", {Tensor::of<bool>({3}, {true, false, true})}),
                        {1, 2}, {0, 2});
  expectTensor<int64_t>(evaluate("nn.nonzero", {Tensor::of<int8_t>({2, 2}, {0, 0, 0, 0})}), {2, 0},
                        {});
  expectTensor<int64_t>(evaluate("nn.nonzero", {Tensor::of<float>({0, 3}, {})}), {2, 0}, {});
  expectTensor<int64_t>(evaluate("nn.nonzero", {Tensor::of<float>({}, {2})}), {0, 1}, {});
  EXPECT_FALSE(evaluateError("nn.nonzero", {Tensor::allocate(DType::String, {1}).take()}).isOk());
}

TEST(Range, CountsUpAndDown) {
  auto range = []<typename T>(T start, T limit, T delta) {
    return evaluate("nn.range", {Tensor::of<T>({}, {start}), Tensor::of<T>({}, {limit}),
                                 Tensor::of<T>({}, {delta})});
  };
  expectTensor<float>(range(1.0f, 5.0f, 2.0f), {2}, {1, 3});
  expectTensor<float>(range(0.0f, 1.0f, 0.3f), {4}, {0, 0.3f, 0.6f, 0.9f});
  expectTensor<int32_t>(range(10, 4, -2), {3}, {10, 8, 6});
  expectTensor<int64_t>(range(int64_t{5}, int64_t{5}, int64_t{1}), {0}, {});
  expectTensor<int64_t>(range(kMin, kMax, kMax), {3}, {kMin, -1, kMax - 1});
  expectTensor<int64_t>(range(kMax, kMin, kMin), {2}, {kMax, -1});
  auto message = []<typename T>(T start, T limit, T delta) {
    return evaluateError("nn.range", {Tensor::of<T>({}, {start}), Tensor::of<T>({}, {limit}),
                                      Tensor::of<T>({}, {delta})})
        .message();
  };
  EXPECT_EQ(message(0, 1, 0), "the delta of a range must not be 0");
  EXPECT_EQ(message(0.0, 1.0, double(NAN)), "a range of nan elements is too long");
  EXPECT_EQ(message(0.0, 1e300, 1.0),
            "a range of " + std::to_string(1e300) + " elements is too long");
  EXPECT_FALSE(message(kMin, kMax, int64_t{1}).empty());
}
