//===- SequenceTest.cpp - kernels of sequences and optionals --------------===//
#include "runtime/reference/ValueEvaluator.h"
#include "tests/reference/KernelCall.h"

#include <set>
#include <tuple>

using namespace quern;
using namespace quern::reference;
using Ints = std::vector<int64_t>;
using Values = std::vector<AnyValue>;

namespace {
const ValueType kInts = ValueType::tensor(DType::Int64);
const ValueType kSequence = ValueType::sequenceOf(kInts);

Expected<Values> call(std::string_view op, const Values &inputs, const Attributes &attributes,
                      const ValueType &result, Budget &budget) {
  return findValueEvaluator(op)({op, attributes, inputs, {&result, 1}, budget});
}

Expected<Values> call(std::string_view op, const Values &inputs, const Attributes &attributes = {},
                      const ValueType &result = kSequence) {
  Budget budget{Limits()};
  return call(op, inputs, attributes, result, budget);
}

AnyValue position(int64_t number) { return Tensor::of<int64_t>({}, {number}); }

AnyValue sequenceOf(const std::vector<Ints> &vectors) {
  Values elements;
  for (const Ints &vector : vectors)
    elements.push_back(Tensor::ofInts(vector));
  return AnyValue::sequence(kInts, std::move(elements)).take();
}

/// The elements of vectors in the only result, a sequence.
std::vector<Ints> vectorsOf(const Expected<Values> &results) {
  EXPECT_TRUE(results) << results.status().message();
  std::vector<Ints> vectors;
  if (results)
    for (const AnyValue &element : results->at(0).asSequence()->elements)
      vectors.push_back(elementsOf<int64_t>(*element.asTensor()));
  return vectors;
}

Attributes removing(int64_t count) { return makeAttributes({{"removed", count}}); }
} // namespace

TEST(Sequence, IsMadeOfAnyNumberOfValues) {
  EXPECT_EQ(vectorsOf(call("nn.sequence", {})), std::vector<Ints>());
  EXPECT_EQ(vectorsOf(call("nn.sequence", {Tensor::ofInts({1}), Tensor::ofInts({2, 3})})),
            (std::vector<Ints>{{1}, {2, 3}}));
  auto floats = call("nn.sequence", {Tensor::of<float>({}, {1})});
  EXPECT_EQ(floats.status().message(), "element 0 is float32 scalar, wanted int64 of any shape");
}

TEST(Sequence, ValuesAreInsertedAnywhere) {
  AnyValue sequence = sequenceOf({{1}, {2}}), nine = Tensor::ofInts({9});
  auto insert = [&](const AnyValue &at) {
    return call("nn.sequence_splice", {sequence, at, nine}, removing(0));
  };
  EXPECT_EQ(vectorsOf(insert(AnyValue())), (std::vector<Ints>{{1}, {2}, {9}}));
  EXPECT_EQ(vectorsOf(insert(position(0))), (std::vector<Ints>{{9}, {1}, {2}}));
  EXPECT_EQ(vectorsOf(insert(position(2))), (std::vector<Ints>{{1}, {2}, {9}}));
  EXPECT_EQ(vectorsOf(insert(position(-1))), (std::vector<Ints>{{1}, {9}, {2}}));
  EXPECT_EQ(vectorsOf(insert(position(-2))), (std::vector<Ints>{{9}, {1}, {2}}));
  for (int64_t wrong : {int64_t{3}, int64_t{-3}, INT64_MIN})
    EXPECT_EQ(insert(position(wrong)).status().message(),
              "position " + std::to_string(wrong) + " is outside of a sequence of 2 values");
  EXPECT_EQ(vectorsOf(call("nn.sequence_splice", {sequenceOf({}), AnyValue(), nine}, removing(0))),
            (std::vector<Ints>{{9}}));
}

TEST(Sequence, ValuesAreRemoved) {
  AnyValue sequence = sequenceOf({{1}, {2}, {3}});
  auto erase = [&](const AnyValue &at) {
    return call("nn.sequence_splice", {sequence, at}, removing(1));
  };
  EXPECT_EQ(vectorsOf(erase(AnyValue())), (std::vector<Ints>{{1}, {2}}));
  EXPECT_EQ(vectorsOf(erase(position(1))), (std::vector<Ints>{{1}, {3}}));
  EXPECT_EQ(vectorsOf(erase(position(-3))), (std::vector<Ints>{{2}, {3}}));
  EXPECT_EQ(erase(position(3)).status().message(),
            "position 3 is outside of a sequence of 3 values");
  EXPECT_EQ(
      call("nn.sequence_splice", {sequenceOf({}), AnyValue()}, removing(1)).status().message(),
      "cannot remove 1 of 0 values of a sequence");
}

TEST(Sequence, ValuesAreReadByPosition) {
  AnyValue sequence = sequenceOf({{1}, {2, 3}});
  auto at = [&](const AnyValue &where) {
    return call("nn.sequence_at", {sequence, where}, {}, kInts);
  };
  EXPECT_EQ(elementsOf<int64_t>(*at(position(1))->at(0).asTensor()), (Ints{2, 3}));
  EXPECT_EQ(elementsOf<int64_t>(*at(Tensor::of<int32_t>({1}, {-2}))->at(0).asTensor()), (Ints{1}));
  EXPECT_EQ(at(position(2)).status().message(), "position 2 is outside of a sequence of 2 values");
  EXPECT_EQ(at(Tensor::ofInts({0, 1})).status().message(),
            "the position must be one number, found int64 2");
  EXPECT_EQ(call("nn.sequence_at", {sequenceOf({}), position(0)}, {}, kInts).status().message(),
            "position 0 is outside of a sequence of 0 values");
  expectTensor<int64_t>(*call("nn.sequence_length", {sequence}, {}, kInts)->at(0).asTensor(), {},
                        {2});
}

TEST(Sequence, TensorsAreConcatenatedAndStacked) {
  auto concat = [](const AnyValue &sequence, int64_t axis, bool newAxis) {
    return call("nn.sequence_concat", {sequence},
                makeAttributes({{"axis", axis}, {"new_axis", int64_t{newAxis}}}), kInts);
  };
  AnyValue sequence = sequenceOf({{1, 2}, {3, 4}});
  expectTensor<int64_t>(*concat(sequence, -1, false)->at(0).asTensor(), {4}, {1, 2, 3, 4});
  expectTensor<int64_t>(*concat(sequence, 0, true)->at(0).asTensor(), {2, 2}, {1, 2, 3, 4});
  expectTensor<int64_t>(*concat(sequence, -1, true)->at(0).asTensor(), {2, 2}, {1, 3, 2, 4});
  AnyValue uneven = sequenceOf({{1}, {2, 3}});
  expectTensor<int64_t>(*concat(uneven, 0, false)->at(0).asTensor(), {3}, {1, 2, 3});
  EXPECT_EQ(concat(uneven, 0, true).status().message(), "cannot stack int64 1x1 and int64 1x2");
  EXPECT_EQ(concat(sequenceOf({}), 0, false).status().message(),
            "an empty sequence cannot be concatenated");
  AnyValue ranks =
      AnyValue::sequence(kInts, {Tensor::ofInts({1}), Tensor::of<int64_t>({1, 1}, {1})}).take();
  EXPECT_EQ(concat(ranks, 0, false).status().message(), "cannot concatenate int64 1 and int64 1x1");
}

TEST(Sequence, TensorsAreSplit) {
  Tensor input = Tensor::ofInts({1, 2, 3, 4, 5});
  auto split = [&](const AnyValue &sizes, bool keepDims = true) {
    return call("nn.sequence_split", {input, sizes},
                makeAttributes({{"axis", int64_t{0}}, {"keepdims", int64_t{keepDims}}}));
  };
  EXPECT_EQ(vectorsOf(split(position(2))), (std::vector<Ints>{{1, 2}, {3, 4}, {5}}));
  EXPECT_EQ(vectorsOf(split(Tensor::ofInts({4, 0, 1}))),
            (std::vector<Ints>{{1, 2, 3, 4}, {}, {5}}));
  EXPECT_EQ(vectorsOf(split(Tensor())).size(), 5u);
  auto scalars = split(Tensor(), /*keepDims=*/false);
  EXPECT_EQ(scalars->at(0).asSequence()->elements[4].describe(), "int64 scalar");
  EXPECT_EQ(split(position(2), /*keepDims=*/false)->at(0).asSequence()->elements[2].describe(),
            "int64 1");
  EXPECT_EQ(split(position(0)).status().message(), "cannot split into slices of size 0");
  EXPECT_EQ(split(Tensor::ofInts({4, 2})).status().message(),
            "parts of sizes 4x2 do not divide a size of 5 into 2 results");
}

TEST(Sequence, LengthsAreLimited) {
  Tensor input = Tensor::allocate(DType::Int64, {kMaxSequenceLength + 1, 0}).take();
  auto result = call("nn.sequence_split", {input, AnyValue()},
                     makeAttributes({{"axis", int64_t{0}}, {"keepdims", int64_t{1}}}));
  EXPECT_EQ(result.status().code(), StatusCode::ResourceLimit);
  EXPECT_EQ(result.status().message(), "a sequence of 1048577 values, the limit is 1048576");
}

TEST(Optional, HoldsOneValueOrNone) {
  ValueType type = ValueType::optionalOf(kInts);
  AnyValue full = call("nn.optional", {Tensor::ofInts({7})}, {}, type)->at(0);
  AnyValue empty = call("nn.optional", {}, {}, type)->at(0);
  EXPECT_EQ(full.describe(), "optional int64 1");
  EXPECT_EQ(empty.describe(), "empty optional");
  auto has = [&](const AnyValue &value) {
    return call("nn.optional_has", {value}, {}, ValueType::tensor(DType::Bool))->at(0);
  };
  expectTensor<bool>(*has(full).asTensor(), {}, {true});
  expectTensor<bool>(*has(empty).asTensor(), {}, {false});
  expectTensor<int64_t>(*call("nn.optional_get", {full}, {}, kInts)->at(0).asTensor(), {1}, {7});
  EXPECT_EQ(call("nn.optional_get", {empty}, {}, kInts).status().message(),
            "the optional is empty");
}

TEST(Sequence, KernelsKeepToTheBudget) {
  std::atomic<bool> cancelled = true;
  Values elements(1 << 17, Tensor::of<int64_t>({256}, Ints(256)));
  AnyValue sequence = AnyValue::sequence(kInts, elements).take();
  Tensor wide = Tensor::allocate(DType::Int64, {4096, 256}).take();
  Attributes attributes =
      makeAttributes({{"axis", int64_t{0}}, {"new_axis", int64_t{0}}, {"removed", int64_t{0}}});
  const std::tuple<const char *, Values, ValueType> calls[] = {
      {"nn.sequence", elements, kSequence},
      {"nn.sequence_splice", {sequence, AnyValue(), elements[0]}, kSequence},
      {"nn.sequence_concat", {sequence}, kInts},
      {"nn.sequence_split", {wide, AnyValue()}, kSequence},
  };
  std::set<std::string_view> covered = {"nn.sequence_at", "nn.sequence_length", "nn.optional",
                                        "nn.optional_get", "nn.optional_has"}; // no work
  for (const auto &[op, inputs, type] : calls) {
    covered.insert(op);
    Budget budget(Limits(), &cancelled);
    EXPECT_EQ(call(op, inputs, attributes, type, budget).status().code(), StatusCode::Cancelled)
        << op;
  }
  for (const ValueEvaluatorRow &row : sequenceEvaluators())
    EXPECT_TRUE(covered.count(row.opName)) << row.opName;
}
