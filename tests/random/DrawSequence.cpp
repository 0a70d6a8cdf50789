//===- DrawSequence.cpp - random sequences and optionals ------------------===//
//
// A sequence is made, changed some times and taken apart in one go: what other ops get
// are tensors.
//
//===----------------------------------------------------------------------===//
#include "tests/random/ModelDraw.h"

#include <algorithm>

using namespace quern;
using namespace quern::random;

namespace {
const std::vector<DType> kTypes = {DType::Float32, DType::Float32, DType::Float64, DType::Int64,
                                   DType::UInt8};

Drawn anyTensor(ModelDraw &draw, int64_t minRank) {
  return draw.any(
      [=](const Drawn &v) {
        return v.rank() >= minRank && v.rank() <= 4 && v.elements() <= 2000 &&
               v.dtype != DType::BFloat16;
      },
      [&] { return draw.leaf(draw.pick(kTypes), draw.drawDims(minRank, 3)); });
}

/// The operand for a place in a sequence of this length, from either end; one behind the
/// last, too.
std::string placeOperand(ModelDraw &draw, int64_t place, int64_t length) {
  int64_t written = place < length && draw.percent(40) ? place - length : place;
  DType dtype = draw.pick({DType::Int64, DType::Int32});
  return draw.leaf(dtype, {}, written, written).name;
}

/// A sequence on its way: its name in the model, and what it holds.
struct Sequence {
  std::string name;
  std::vector<Drawn> held;
};

/// Adds a node whose result is the sequence from now on.
void makeSequence(ModelDraw &draw, Sequence &to, const std::string &op,
                  std::vector<std::string> inputs) {
  to.name = draw.fresh();
  draw.node(op, inputs, {to.name});
}

/// An element that fits: of the same type; of the same dims more often than not.
Drawn anotherElement(ModelDraw &draw, const Drawn &like) {
  if (draw.percent(60))
    return draw.operand(like.dtype, like.dims);
  Tensor::Dims dims = like.dims;
  for (int64_t &d : dims)
    d = draw.percent(50) ? d : draw.between(0, 4);
  return draw.operand(like.dtype, dims);
}

void beginSequence(ModelDraw &draw, Sequence &to, const Drawn &first) {
  if (draw.percent(20)) {
    makeSequence(draw, to, "SequenceEmpty", {});
    return;
  }
  to.held = {first};
  std::vector<std::string> names = {first.name};
  for (int64_t i = draw.below(3); i > 0; --i) {
    to.held.push_back(anotherElement(draw, first));
    names.push_back(to.held.back().name);
  }
  makeSequence(draw, to, "SequenceConstruct", names);
}

void insertElement(ModelDraw &draw, Sequence &to, const Drawn &like) {
  auto length = static_cast<int64_t>(to.held.size());
  Drawn added = to.held.empty() ? like : anotherElement(draw, like);
  std::vector<std::string> inputs = {to.name, added.name};
  int64_t place = length;
  if (draw.percent(60)) {
    place = draw.below(length + 1);
    inputs.push_back(placeOperand(draw, place, length));
  }
  to.held.insert(to.held.begin() + place, added);
  makeSequence(draw, to, "SequenceInsert", inputs);
}

void eraseElement(ModelDraw &draw, Sequence &to) {
  auto length = static_cast<int64_t>(to.held.size());
  std::vector<std::string> inputs = {to.name};
  int64_t place = length - 1;
  if (draw.percent(60)) {
    place = draw.below(length);
    inputs.push_back(placeOperand(draw, place, length));
  }
  to.held.erase(to.held.begin() + place);
  makeSequence(draw, to, "SequenceErase", inputs);
}

/// The pieces of a tensor.
bool drawSplitToSequence(ModelDraw &draw, Sequence &to, const Drawn &x) {
  int64_t axis = draw.below(x.rank()), whole = x.dims[axis];
  if (whole == 0)
    return false;
  int64_t kind = draw.below(3);
  bool keepdims = kind != 0 || draw.percent(50);
  std::vector<int64_t> parts;
  std::vector<std::string> inputs = {x.name};
  if (kind == 0) { // one by one
    parts.assign(static_cast<size_t>(whole), 1);
  } else if (kind == 1) { // of one size, the last perhaps smaller
    int64_t size = draw.between(1, whole);
    for (int64_t rest = whole; rest > 0; rest -= size)
      parts.push_back(std::min(size, rest));
    inputs.push_back(draw.initializer(Tensor::of<int64_t>({}, {size})));
  } else {
    for (int64_t rest = whole; rest > 0; rest -= parts.back())
      parts.push_back(draw.between(1, rest));
    inputs.push_back(draw.ints(parts));
  }
  for (int64_t part : parts) {
    Tensor::Dims dims = x.dims;
    dims[axis] = part;
    if (!keepdims)
      dims.erase(dims.begin() + axis);
    to.held.push_back({x.name, x.dtype, dims, x.bound, x.error});
  }
  to.name = draw.fresh();
  auto &node = draw.node("SplitToSequence", inputs, {to.name});
  if (axis != 0 || draw.percent(50))
    node.attr("axis", draw.signOfKnownRank(axis, x.rank()));
  if (!keepdims)
    node.attr("keepdims", int64_t{0});
  return true;
}

/// `value`, whose rank nothing tells where elements differ, with its dims said.
void keepWithRank(ModelDraw &draw, const Drawn &value) {
  Drawn shaped = value;
  shaped.name = draw.fresh();
  draw.result("Reshape", {value.name, draw.constantInts(value.dims)}, shaped)
      .attr("allowzero", int64_t{1});
}

/// One element; a Reshape that takes zeros as sizes came with opset 14.
void takeElement(ModelDraw &draw, const Sequence &from) {
  auto length = static_cast<int64_t>(from.held.size());
  int64_t place = draw.below(length);
  Drawn value = from.held[place];
  value.name = draw.fresh();
  draw.node("SequenceAt", {from.name, placeOperand(draw, place, length)}, {value.name});
  if (draw.opset() >= 14)
    keepWithRank(draw, value);
  else
    draw.keep(value);
}

/// All of them beside each other, where their dims let them be.
bool joinElements(ModelDraw &draw, const Sequence &from) {
  Drawn y = from.held.front();
  bool isNew = draw.percent(40);
  int64_t rank = y.rank() + (isNew ? 1 : 0);
  if (rank == 0)
    return false;
  int64_t axis = draw.below(rank), total = 0;
  for (const Drawn &part : from.held) {
    y.bound = std::max(y.bound, part.bound);
    y.error = std::max(y.error, part.error);
    if (part.rank() != y.rank())
      return false;
    for (int64_t d = 0; d < y.rank(); ++d)
      if ((isNew || d != axis) && part.dims[d] != y.dims[d])
        return false;
    total += isNew ? 1 : part.dims[axis];
  }
  if (isNew)
    y.dims.insert(y.dims.begin() + axis, total);
  else
    y.dims[axis] = total;
  y.name = draw.fresh();
  auto &node = draw.node("ConcatFromSequence", {from.name}, {y.name});
  node.attr("axis", draw.signOfKnownRank(axis, rank));
  if (isNew || draw.percent(30))
    node.attr("new_axis", int64_t{isNew});
  if (draw.opset() >= 14)
    keepWithRank(draw, y);
  else
    draw.keep(y);
  return true;
}

bool drawSequence(ModelDraw &draw) {
  if (draw.opset() < 11)
    return false;
  Drawn x = anyTensor(draw, 1);
  Sequence sequence;
  bool isSplit = draw.percent(35);
  if (isSplit && !drawSplitToSequence(draw, sequence, x))
    return false;
  if (!isSplit) {
    // An empty sequence is one of float32.
    if (x.dtype != DType::Float32)
      x = draw.leaf(DType::Float32, x.dims);
    beginSequence(draw, sequence, x);
  }
  for (int64_t i = draw.below(4); i > 0 && !isSplit; --i)
    if (sequence.held.empty() || draw.percent(60))
      insertElement(draw, sequence, x);
    else
      eraseElement(draw, sequence);
  for (int64_t i = draw.between(1, 3); i > 0 && !sequence.held.empty(); --i)
    if (draw.percent(50) || !joinElements(draw, sequence))
      takeElement(draw, sequence);
  if (draw.percent(40) || sequence.held.empty())
    draw.result("SequenceLength", {sequence.name}, {draw.fresh(), DType::Int64, {}, 100, 0});
  return true;
}

bool drawOptional(ModelDraw &draw) {
  if (draw.opset() < 15)
    return false;
  Drawn x = anyTensor(draw, 0);
  std::string name = draw.fresh();
  draw.node("Optional", {x.name}, {name});
  if (draw.percent(50))
    draw.result("OptionalHasElement", {name}, {draw.fresh(), DType::Bool, {}, 1, 0});
  Drawn y{draw.fresh(), x.dtype, x.dims, x.bound, x.error};
  draw.node("OptionalGetElement", {name}, {y.name});
  draw.keep(y);
  return true;
}
} // namespace

OpFamily random::sequenceFamily() { return {2, 1, {drawSequence, drawSequence, drawOptional}}; }
