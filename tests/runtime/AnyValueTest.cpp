//===- AnyValueTest.cpp ---------------------------------------------------===//
#include "quern/AnyValue.h"

#include "runtime/plan/Executor.h"
#include "runtime/running/Session.h"
#include "tests/runtime/PlanBuilder.h"

#include <gtest/gtest.h>

using namespace quern;
using namespace quern::test;

namespace {
const ValueType kFloats = ValueType::tensor(DType::Float32);

Tensor floats(std::vector<float> values) {
  return Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
}

AnyValue sequenceOf(std::vector<AnyValue> elements) {
  return AnyValue::sequence(kFloats, std::move(elements)).take();
}

Tensor strings(std::vector<std::string> values) {
  Tensor t = Tensor::allocate(DType::String, {static_cast<int64_t>(values.size())}).take();
  std::copy(values.begin(), values.end(), t.mutableData<std::string>());
  return t;
}

std::string errorOf(const Expected<AnyValue> &value) {
  EXPECT_EQ(value.status().code(), StatusCode::InvalidInput);
  return value.status().message();
}
} // namespace

TEST(ValueType, Describes) {
  ValueType image = ValueType::tensor(DType::Float32, PortShape({PortDim::symbol("N"), 3}));
  EXPECT_EQ(image.describe(), "float32 Nx3");
  EXPECT_EQ(ValueType::sequenceOf(image).describe(), "sequence of float32 Nx3");
  EXPECT_EQ(ValueType::optionalOf(ValueType::sequenceOf(kFloats)).describe(),
            "optional sequence of float32 of any shape");
  EXPECT_EQ(ValueType::mapOf(DType::String, kFloats).describe(),
            "map from string to float32 of any shape");
}

TEST(AnyValue, KindsAreNeverMixedUp) {
  AnyValue absent, tensor = floats({1}), sequence = sequenceOf({floats({1}), floats({2, 3})});
  EXPECT_FALSE(absent.isPresent());
  EXPECT_TRUE(tensor.isPresent() && sequence.isPresent());
  EXPECT_NE(tensor.asTensor(), nullptr);
  EXPECT_EQ(tensor.asSequence(), nullptr);
  EXPECT_EQ(sequence.asTensor(), nullptr);
  EXPECT_EQ(sequence.asMap(), nullptr);
  ASSERT_NE(sequence.asSequence(), nullptr);
  EXPECT_EQ(sequence.asSequence()->elements.size(), 2u);
  EXPECT_EQ(sequence.toTensor().status().message(),
            "wanted a tensor, found a sequence of 2 values");
  EXPECT_EQ(tensor.toTensor()->rawData(), tensor.asTensor()->rawData());
}

TEST(AnyValue, ElementsHaveTheTypeOfTheirContainer) {
  EXPECT_EQ(errorOf(AnyValue::sequence(kFloats, {floats({1}), Tensor::ofInts({1})})),
            "element 1 is int64 1, wanted float32 of any shape");
  EXPECT_EQ(errorOf(AnyValue::optional(kFloats, sequenceOf({}))),
            "the content is sequence of 0 values, wanted float32 of any shape");
  EXPECT_EQ(errorOf(AnyValue::map(floats({1}), kFloats, {floats({1})})),
            "the keys of a map of 1 values are as many int64 or strings, found float32 1");
  EXPECT_EQ(errorOf(AnyValue::map(Tensor::ofInts({1, 2}), kFloats, {floats({1})})),
            "the keys of a map of 1 values are as many int64 or strings, found int64 2");
  EXPECT_EQ(errorOf(AnyValue::map(strings({"a"}), kFloats, {AnyValue()})),
            "value 0 is nothing, wanted float32 of any shape");
}

TEST(AnyValue, FitsTypes) {
  AnyValue sequence = sequenceOf({floats({1, 2})});
  ValueType pairs = ValueType::tensor(DType::Float32, PortShape({2}));
  EXPECT_TRUE(sequence.fits(ValueType::sequenceOf(kFloats)));
  EXPECT_TRUE(sequence.fits(ValueType::sequenceOf(pairs)));
  EXPECT_FALSE(
      sequence.fits(ValueType::sequenceOf(ValueType::tensor(DType::Float32, PortShape({3})))));
  EXPECT_FALSE(sequence.fits(ValueType::sequenceOf(ValueType::tensor(DType::Int64))));
  EXPECT_FALSE(sequence.fits(kFloats));
  EXPECT_FALSE(sequence.fits(ValueType::optionalOf(kFloats)));
  AnyValue map = AnyValue::map(strings({"a", "b"}), kFloats, {floats({1}), floats({2})}).take();
  EXPECT_TRUE(map.fits(ValueType::mapOf(DType::String, kFloats)));
  EXPECT_FALSE(map.fits(ValueType::mapOf(DType::Int64, kFloats)));
  EXPECT_TRUE(AnyValue::optional(kFloats, {})->fits(ValueType::optionalOf(kFloats)));
  EXPECT_FALSE(AnyValue().fits(kFloats));
}

TEST(AnyValue, WhatIsBorrowedIsCopiedAndNothingElse) {
  float outside[] = {1, 2};
  Tensor kept = floats({3});
  AnyValue borrowed = sequenceOf({Tensor::borrow(DType::Float32, {2}, outside), kept});
  EXPECT_FALSE(borrowed.isOwner());
  EXPECT_EQ(borrowed.numBytes(), 12);
  ValueType sequences = ValueType::sequenceOf(kFloats);
  AnyValue map = AnyValue::map(Tensor::ofInts({7}), sequences, {borrowed}).take();
  AnyValue value = AnyValue::optional(ValueType::mapOf(DType::Int64, sequences), map).take();
  ASSERT_TRUE(value.own().isOk());
  outside[0] = 9;
  EXPECT_TRUE(value.isOwner());
  EXPECT_EQ(value.numBytes(), 20);
  const MapValue *inner = value.asOptional()->content.asMap();
  ASSERT_NE(inner, nullptr);
  EXPECT_EQ(inner->keys.data<int64_t>()[0], 7);
  const SequenceValue &sequence = *inner->values[0].asSequence();
  EXPECT_EQ(sequence.elements[0].asTensor()->data<float>()[0], 1.0f);
  EXPECT_EQ(sequence.elements[1].asTensor()->rawData(), kept.rawData());
  // Others hold what they held.
  EXPECT_FALSE(borrowed.isOwner());
  EXPECT_EQ(borrowed.asSequence()->elements[0].asTensor()->rawData(), outside);
}

TEST(AnyValue, UnsharedValuesHaveStorageOfTheirOwn) {
  Tensor shared = floats({1, 2});
  AnyValue value = sequenceOf({shared, floats({3})});
  const void *own = value.asSequence()->elements[1].asTensor()->rawData();
  EXPECT_FALSE(value.isSoleOwner());
  ASSERT_TRUE(value.unshare().isOk());
  EXPECT_TRUE(value.isSoleOwner());
  EXPECT_NE(value.asSequence()->elements[0].asTensor()->rawData(), shared.rawData());
  EXPECT_EQ(value.asSequence()->elements[1].asTensor()->rawData(), own);
  AnyValue copy = value;
  EXPECT_FALSE(value.isSoleOwner());
  ASSERT_TRUE(copy.unshare().isOk());
  EXPECT_TRUE(value.isSoleOwner() && copy.isSoleOwner());
  EXPECT_EQ(copy.asSequence()->elements[0].asTensor()->data<float>()[1], 2.0f);
}

TEST(AnyValue, SplicesInPlaceWhatNobodyElseHolds) {
  AnyValue value = sequenceOf({floats({1}), floats({2})});
  const SequenceValue *before = value.asSequence();
  value = AnyValue::splice(std::move(value), kFloats, 2, 0, {floats({3, 4})}).take();
  EXPECT_EQ(value.asSequence(), before);
  EXPECT_EQ(value.numBytes(), 16);
  AnyValue other = value;
  value = AnyValue::splice(std::move(value), kFloats, 0, 2, {}).take();
  EXPECT_NE(value.asSequence(), before);
  EXPECT_EQ(other.asSequence(), before);
  EXPECT_EQ(other.asSequence()->elements.size(), 3u);
  EXPECT_EQ(other.numBytes(), 16);
  ASSERT_EQ(value.asSequence()->elements.size(), 1u);
  EXPECT_EQ(value.asSequence()->elements[0].asTensor()->data<float>()[1], 4.0f);
  EXPECT_EQ(value.numBytes(), 8);
  // A value that has borrowed its storage makes the sequence one that has.
  float outside[] = {5};
  Tensor borrowed = Tensor::borrow(DType::Float32, {1}, outside);
  value = AnyValue::splice(std::move(value), kFloats, 0, 0, {borrowed}).take();
  EXPECT_FALSE(value.isOwner());
  ASSERT_TRUE(value.own().isOk());
  EXPECT_TRUE(value.isOwner());
}

TEST(AnyValue, SplicesCheckTypesAndPlaces) {
  AnyValue value = sequenceOf({floats({1}), floats({2, 3})});
  EXPECT_EQ(errorOf(AnyValue::splice(value, kFloats, 0, 0, {Tensor::ofInts({1})})),
            "element 0 is int64 1, wanted float32 of any shape");
  ValueType ones = ValueType::tensor(DType::Float32, PortShape({1}));
  EXPECT_EQ(errorOf(AnyValue::splice(value, ones, 0, 0, {floats({1})})),
            "element 1 is float32 2, wanted float32 1");
  EXPECT_EQ(AnyValue::splice(value, kFloats, 1, 2, {}).status().code(), StatusCode::Internal);
  EXPECT_EQ(AnyValue::splice(floats({1}), kFloats, 0, 0, {}).status().code(), StatusCode::Internal);
}

//===----------------------------------------------------------------------===//
// In plans
//===----------------------------------------------------------------------===//

namespace {
ValueRef slotRef(uint32_t i, ValueType::Kind kind) {
  ValueRef ref{slot(i), DType::Undefined, {}};
  ref.kind = kind;
  return ref;
}

/// s (a sequence of float32) -> its elements in reverse -> r.
Expected<std::vector<AnyValue>> reverseSequence(const ReferenceArguments &call) {
  AnyValue operand = call.inputs[0];
  const SequenceValue *sequence = operand.asSequence();
  if (!sequence)
    return invalidInput("wanted a sequence, found a " + operand.describe());
  std::vector<AnyValue> elements(sequence->elements.rbegin(), sequence->elements.rend());
  QUERN_ASSIGN(AnyValue reversed, AnyValue::sequence(sequence->elementType, std::move(elements)));
  return std::vector{reversed};
}

Session reverseModel() {
  auto plan = std::make_shared<Plan>();
  auto kind = ValueType::Kind::Sequence;
  plan->dynamicSlots = 2;
  plan->inputs = {{.name = "s", .dynamic = true, .slot = 0, .kind = kind}};
  plan->outputs = {{.name = "r", .dynamic = true, .slot = 1, .kind = kind}};
  plan->steps.push_back({ReferenceStep{reverseSequence, {slotRef(0, kind)}, {slotRef(1, kind)}},
                         "node7", "nn.reverse"});
  releaseSlotsAfterLastUse(*plan);
  ValueType type = ValueType::sequenceOf(kFloats);
  auto model = std::make_shared<Executable>(
      std::vector<PortSignature>{{"s", type}}, std::vector<PortSignature>{{"r", type}},
      [plan](std::span<const Tensor::Dims>, const Deadline &)
          -> Expected<std::shared_ptr<const Plan>> { return std::shared_ptr<const Plan>(plan); });
  return Session(model);
}
} // namespace

TEST(AnyValue, SequencesGoThroughSessions) {
  Session session = reverseModel();
  AnyValue given = sequenceOf({floats({1}), floats({2, 3})});
  for (int round = 0; round < 2; ++round) {
    auto outputs = session.run(std::vector{given});
    ASSERT_TRUE(outputs) << outputs.status().message();
    const SequenceValue *found = (*outputs)[0].asSequence();
    ASSERT_NE(found, nullptr);
    ASSERT_EQ(found->elements.size(), 2u);
    EXPECT_EQ(found->elements[0].asTensor()->data<float>()[1], 3.0f);
    EXPECT_EQ(found->elements[1].asTensor()->data<float>()[0], 1.0f);
    // Storage of its own: what the caller writes changes nothing.
    EXPECT_TRUE((*outputs)[0].isSoleOwner());
  }
}

TEST(AnyValue, SessionsCheckKindsAndTypesInEveryRun) {
  Session session = reverseModel();
  ASSERT_TRUE(session.run(std::vector{sequenceOf({})}));
  auto message = [&](const AnyValue &given) {
    auto outputs = session.run(std::vector{given});
    EXPECT_EQ(outputs.status().code(), StatusCode::InvalidInput);
    return outputs.status().message();
  };
  EXPECT_EQ(message(floats({1})),
            "input 's': wanted sequence of float32 of any shape, found float32 1");
  EXPECT_EQ(
      message(AnyValue::sequence(ValueType::tensor(DType::Int64), {Tensor::ofInts({1})}).take()),
      "input 's': wanted sequence of float32 of any shape, found sequence of 1 value");
  EXPECT_EQ(message(AnyValue::sequence(ValueType::tensor(DType::Int64), {}).take()),
            "input 's': wanted sequence of float32 of any shape, found sequence of 0 values");
  EXPECT_EQ(message(AnyValue()),
            "input 's': wanted sequence of float32 of any shape, found no tensor");
  auto asTensors = session.run(std::vector{floats({1})});
  EXPECT_EQ(asTensors.status().code(), StatusCode::InvalidInput);
}

TEST(AnyValue, ReferenceResultsHaveThePlannedKind) {
  auto plan = std::make_shared<Plan>();
  plan->inputs = {{.name = "x", .dtype = DType::Float32, .dims = {1}}};
  plan->outputs = {{.name = "y", .dtype = DType::Float32, .dynamic = true, .slot = 0}};
  plan->dynamicSlots = 1;
  auto wrap = [](const ReferenceArguments &call) -> Expected<std::vector<AnyValue>> {
    QUERN_ASSIGN(AnyValue wrapped, AnyValue::sequence(kFloats, {call.inputs[0]}));
    return std::vector{wrapped};
  };
  plan->steps.push_back(
      {ReferenceStep{wrap, {{input(0), DType::Float32, {1}}}, {{slot(0), DType::Float32, {}}}},
       "node7", "nn.wrap"});
  TaskPool pool(1, true);
  Budget budget{Limits()};
  std::vector<Tensor> inputs{floats({1})}, outputs(1);
  Status status = Executor(plan).run(inputs, outputs, {.pool = pool, .budget = budget});
  EXPECT_EQ(status.message(), "node 'node7' (nn.wrap): a result is a sequence of 1 value, planned "
                              "was a tensor");
}

TEST(AnyValue, SequencesAreNoTensorOutputs) {
  auto plan = std::make_shared<Plan>();
  auto kind = ValueType::Kind::Sequence;
  plan->dynamicSlots = 1;
  plan->inputs = plan->outputs = {{.name = "s", .dynamic = true, .slot = 0, .kind = kind}};
  TaskPool pool(1, true);
  Budget budget{Limits()};
  std::vector<AnyValue> inputs{sequenceOf({floats({1})})};
  std::vector<Tensor> outputs(1);
  Status status = Executor(plan).run(inputs, outputs, {.pool = pool, .budget = budget});
  EXPECT_EQ(status.code(), StatusCode::InvalidInput);
  EXPECT_EQ(status.message(),
            "output 's': the result is a sequence of 1 value, which needs an AnyValue");
  EXPECT_EQ(budget.heldBytes(), 0);
}

TEST(AnyValue, TensorListsHoldTensorsAlone) {
  std::vector<AnyValue> values{floats({1}), sequenceOf({})};
  EXPECT_EQ(TensorList::of(values).status().message(),
            "operand 1 is a sequence of 0 values, wanted a tensor");
  values.pop_back();
  auto list = TensorList::of(values);
  ASSERT_TRUE(list);
  EXPECT_EQ(list->size(), 1u);
  for (const Tensor &tensor : *list)
    EXPECT_EQ(tensor.rawData(), values[0].asTensor()->rawData());
}
