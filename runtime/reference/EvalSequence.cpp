//===- EvalSequence.cpp - reference kernels of sequences and optionals ----===//
#include "quern/CheckedSize.h"
#include "runtime/reference/Indexing.h"
#include "runtime/reference/ValueEvaluator.h"
#include "runtime/values/CeilDiv.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::reference;

using Values = std::vector<AnyValue>;
using ValuesOrError = Expected<Values>;

/// What handling one value of a sequence costs, in units of the budget.
static constexpr int64_t kValueWork = 16;

//===----------------------------------------------------------------------===//
// Operands and results
//===----------------------------------------------------------------------===//

namespace {
/// A sequence that an operand is; it lives as long as `value`.
struct SequenceOperand {
  AnyValue value;
  const SequenceValue *sequence = nullptr;

  int64_t length() const { return static_cast<int64_t>(sequence->elements.size()); }
  auto begin() const { return sequence->elements.begin(); }
  auto end() const { return sequence->elements.end(); }
};
} // namespace

static Expected<SequenceOperand> sequenceOf(AnyValue value) {
  const SequenceValue *sequence = value.asSequence();
  if (!sequence)
    return invalidInput("wanted a sequence, found " + value.describe());
  return SequenceOperand{std::move(value), sequence};
}

static Status checkLength(int64_t length) {
  if (length <= kMaxSequenceLength)
    return Status::ok();
  return resourceLimit(
      fmt::format("a sequence of {} values, the limit is {}", length, kMaxSequenceLength));
}

/// A sequence of the type of result 0.
static ValuesOrError resultSequence(const ValueCall &call, Values elements) {
  auto length = static_cast<int64_t>(elements.size());
  QUERN_TRY(checkLength(length));
  QUERN_TRY(call.budget.spend(length * kValueWork));
  QUERN_ASSIGN(AnyValue sequence,
               AnyValue::sequence(call.resultTypes[0].nested.front(), std::move(elements)));
  return Values{std::move(sequence)};
}

/// A position from the front, at most `last`; negative ones count from `length`.
static Expected<int64_t> positionOf(const AnyValue &operand, int64_t length, int64_t last) {
  QUERN_ASSIGN(Tensor tensor, operand.toTensor());
  QUERN_ASSIGN(std::vector<int64_t> found, readInts(tensor, "the position"));
  if (found.size() != 1)
    return invalidInput("the position must be one number, found " + tensor.describe());
  int64_t position = found[0] < 0 ? found[0] + length : found[0];
  if (position < 0 || position > last)
    return invalidInput(
        fmt::format("position {} is outside of a sequence of {} values", found[0], length));
  return position;
}

//===----------------------------------------------------------------------===//
// Sequences
//===----------------------------------------------------------------------===//

static ValuesOrError evalSequence(const ValueCall &call) {
  Values elements;
  for (size_t i = 0; i < call.inputs.size(); ++i)
    elements.push_back(call.inputs[i]);
  return resultSequence(call, std::move(elements));
}

/// In the operand's own storage, when nobody reads it afterwards: a loop that appends takes
/// time in proportion to what it appends.
static ValuesOrError evalSequenceSplice(const ValueCall &call) {
  QUERN_ASSIGN(SequenceOperand operand, sequenceOf(call.take(0)));
  int64_t length = operand.length(), removed = call.attributes.getInt("removed");
  if (removed > length)
    return invalidInput(
        fmt::format("cannot remove {} of {} values of a sequence", removed, length));
  int64_t position = length - removed;
  if (AnyValue given = call.inputs[1]; given.isPresent()) {
    QUERN_ASSIGN(position, positionOf(given, length, position));
  }
  Values inserted;
  for (size_t i = 2; i < call.inputs.size(); ++i) {
    inserted.push_back(call.take(i));
    // Now, and not when all of the sequence is stored.
    QUERN_TRY(inserted.back().own());
  }
  auto added = static_cast<int64_t>(inserted.size());
  QUERN_TRY(checkLength(length - removed + added));
  int64_t moved = operand.value.isHeldAlone() ? length - position : length;
  QUERN_TRY(call.budget.spend((moved + added) * kValueWork));
  QUERN_ASSIGN(AnyValue spliced,
               AnyValue::splice(std::move(operand.value), call.resultTypes[0].nested.front(),
                                static_cast<size_t>(position), static_cast<size_t>(removed),
                                std::move(inserted)));
  return Values{std::move(spliced)};
}

static ValuesOrError evalSequenceAt(const ValueCall &call) {
  QUERN_ASSIGN(SequenceOperand sequence, sequenceOf(call.inputs[0]));
  int64_t length = sequence.length();
  QUERN_ASSIGN(int64_t position, positionOf(call.inputs[1], length, length - 1));
  return Values{*(sequence.begin() + position)};
}

static ValuesOrError evalSequenceLength(const ValueCall &call) {
  QUERN_ASSIGN(SequenceOperand sequence, sequenceOf(call.inputs[0]));
  return Values{Tensor::of<int64_t>({}, {sequence.length()})};
}

/// The tensors of a sequence, of one rank, with the dimension `axis` that they are
/// joined along. `axis` counts from the front then.
static Expected<std::vector<Tensor>> tensorsToJoin(const SequenceOperand &sequence, bool newAxis,
                                                   int64_t &axis) {
  if (sequence.length() == 0)
    return invalidInput("an empty sequence cannot be concatenated");
  std::vector<Tensor> tensors;
  for (const AnyValue &element : sequence) {
    QUERN_ASSIGN(Tensor tensor, element.toTensor());
    if (!tensors.empty() && tensor.rank() != tensors[0].rank())
      return invalidInput(
          fmt::format("cannot concatenate {} and {}", tensors[0].describe(), tensor.describe()));
    tensors.push_back(std::move(tensor));
  }
  QUERN_ASSIGN(axis, resolveAxis(axis, tensors[0].rank() + (newAxis ? 1 : 0)));
  if (newAxis)
    for (Tensor &tensor : tensors) {
      Tensor::Dims dims = tensor.dims();
      dims.insert(dims.begin() + axis, 1);
      tensor = tensor.reshaped(std::move(dims));
    }
  return tensors;
}

static Values valuesOf(std::vector<Tensor> tensors) {
  return {std::make_move_iterator(tensors.begin()), std::make_move_iterator(tensors.end())};
}

/// By the kernel of nn.concat.
static ValuesOrError evalSequenceConcat(const ValueCall &call) {
  QUERN_ASSIGN(SequenceOperand sequence, sequenceOf(call.inputs[0]));
  QUERN_TRY(call.budget.spend(sequence.length() * kValueWork));
  int64_t axis = call.attributes.getInt("axis");
  bool newAxis = call.attributes.getInt("new_axis") != 0;
  QUERN_ASSIGN(std::vector<Tensor> tensors, tensorsToJoin(sequence, newAxis, axis));
  if (newAxis)
    for (const Tensor &tensor : tensors)
      if (tensor.dims() != tensors[0].dims())
        return invalidInput(
            fmt::format("cannot stack {} and {}", tensors[0].describe(), tensor.describe()));
  Attributes attributes;
  attributes.set("axis", axis);
  DType dtype = tensors[0].dtype();
  QUERN_ASSIGN(
      std::vector<Tensor> joined,
      findEvaluator("nn.concat")({"nn.concat", attributes, tensors, {&dtype, 1}, call.budget}));
  return valuesOf(std::move(joined));
}

/// The sizes of slices of a dimension of `size`: `split`, if it is present, gives them or
/// that of all but the last.
static Expected<std::vector<int64_t>> sliceSizes(const Tensor &split, int64_t size) {
  std::vector<int64_t> sizes;
  int64_t each = 1;
  if (split.isPresent()) {
    QUERN_ASSIGN(sizes, readInts(split, "split"));
    if (split.rank() > 0)
      return sizes;
    each = sizes[0];
  }
  if (each < 1)
    return invalidInput(fmt::format("cannot split into slices of size {}", each));
  int64_t count = ceilDiv(size, each);
  QUERN_TRY(checkLength(count));
  sizes.assign(static_cast<size_t>(count), each);
  if (count > 0)
    sizes.back() = size - (count - 1) * each;
  return sizes;
}

/// By the kernel of nn.split.
static ValuesOrError evalSequenceSplit(const ValueCall &call) {
  QUERN_ASSIGN(Tensor input, call.inputs[0].toTensor());
  QUERN_ASSIGN(Tensor split, call.inputs[1].toTensor());
  QUERN_ASSIGN(int64_t axis, resolveAxis(call.attributes.getInt("axis"), input.rank()));
  QUERN_ASSIGN(std::vector<int64_t> sizes, sliceSizes(split, input.dim(axis)));
  if (sizes.empty() && input.dim(axis) == 0)
    return resultSequence(call, {});
  QUERN_TRY(call.budget.spend(static_cast<int64_t>(sizes.size()) * kValueWork));
  Attributes attributes;
  attributes.set("axis", axis);
  std::vector<DType> types(sizes.size(), input.dtype());
  std::vector<Tensor> operands = {input, Tensor::ofInts(sizes)};
  QUERN_ASSIGN(std::vector<Tensor> slices,
               findEvaluator("nn.split")({"nn.split", attributes, operands, types, call.budget}));
  if (!split.isPresent() && call.attributes.getInt("keepdims") == 0)
    for (Tensor &slice : slices) {
      Tensor::Dims dims = slice.dims();
      dims.erase(dims.begin() + axis);
      slice = slice.reshaped(std::move(dims));
    }
  return resultSequence(call, valuesOf(std::move(slices)));
}

//===----------------------------------------------------------------------===//
// Optionals
//===----------------------------------------------------------------------===//

static ValuesOrError evalOptional(const ValueCall &call) {
  AnyValue content = call.inputs.size() > 0 ? call.inputs[0] : AnyValue();
  QUERN_ASSIGN(AnyValue optional,
               AnyValue::optional(call.resultTypes[0].nested.front(), std::move(content)));
  return Values{std::move(optional)};
}

/// What an optional holds: absent when it is empty.
static Expected<AnyValue> contentOf(const AnyValue &value) {
  const OptionalValue *optional = value.asOptional();
  if (!optional)
    return invalidInput("wanted an optional, found " + value.describe());
  return optional->content;
}

static ValuesOrError evalOptionalHas(const ValueCall &call) {
  QUERN_ASSIGN(AnyValue content, contentOf(call.inputs[0]));
  return Values{Tensor::of<bool>({}, {content.isPresent()})};
}

static ValuesOrError evalOptionalGet(const ValueCall &call) {
  QUERN_ASSIGN(AnyValue content, contentOf(call.inputs[0]));
  if (!content.isPresent())
    return invalidInput("the optional is empty");
  return Values{std::move(content)};
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

std::span<const ValueEvaluatorRow> reference::sequenceEvaluators() {
  static constexpr ValueEvaluatorRow rows[] = {
      {"nn.optional", evalOptional},
      {"nn.optional_get", evalOptionalGet},
      {"nn.optional_has", evalOptionalHas},
      {"nn.sequence", evalSequence},
      {"nn.sequence_at", evalSequenceAt},
      {"nn.sequence_concat", evalSequenceConcat},
      {"nn.sequence_length", evalSequenceLength},
      {"nn.sequence_splice", evalSequenceSplice},
      {"nn.sequence_split", evalSequenceSplit},
  };
  return rows;
}
