//===- DrawCarried.cpp - random loops that hand values on, chains of branches -//
//
// What a body yields for one carried value is what the one before it was; the first of them
// grows, or all stay as large as they are. Some loops carry a sequence, too.
//
//===----------------------------------------------------------------------===//
#include "tests/random/DrawCarried.h"

#include <algorithm>

using namespace quern;
using namespace quern::random;
using quern::onnx::proto::AttributeProto;
using quern::onnx::proto::GraphProto;

namespace {
constexpr int kMaxNesting = 2;

/// A carried value of a loop of this many columns.
struct Link {
  std::string before, next;
  int64_t rows = 0;
};

/// An input of a body with a type of this rank, and no sizes.
std::string unsizedInput(ModelDraw &draw, GraphProto &body, DType dtype, int64_t rank) {
  auto *input = body.add_input();
  input->set_name(draw.fresh());
  auto *type = input->mutable_type()->mutable_tensor_type();
  type->set_elem_type(static_cast<int>(dtype));
  type->mutable_shape();
  for (int64_t i = 0; i < rank; ++i)
    type->mutable_shape()->add_dim();
  return input->name();
}

/// How the head of a chain changes.
enum class Head { Stays, AddsRow, Doubles };

void drawHead(ModelDraw &draw, Head head, Link &link, int64_t columns) {
  link.next = draw.fresh();
  if (head == Head::Stays) {
    draw.node("Neg", {link.before}, {link.next});
    return;
  }
  std::string more = link.before;
  if (head == Head::AddsRow)
    more = draw.initializer(Tensor::of<float>({1, columns}, std::vector<float>(columns, 1.0f)));
  draw.node("Concat", {link.before, more}, {link.next}).attr("axis", int64_t{0});
}

/// The rows of all links after some iterations.
void iterate(std::vector<Link> &links, Head head, int64_t trips) {
  for (; trips > 0; --trips) {
    int64_t first = links[0].rows;
    for (size_t i = links.size() - 1; i > 0; --i)
      links[i].rows = links[i - 1].rows;
    links[0].rows = head == Head::Stays ? first : head == Head::AddsRow ? first + 1 : 2 * first;
  }
}

/// A sequence that a loop carries: it gets one of the links in each iteration, at its front
/// or its end.
struct CarriedSequence {
  std::string before, next, result;
  size_t link = 0;
  bool atFront = false;
};

void drawInsertion(ModelDraw &draw, CarriedSequence &sequence, const std::vector<Link> &links) {
  sequence.next = draw.fresh();
  std::vector<std::string> inputs = {sequence.before, links[sequence.link].before};
  if (sequence.atFront)
    inputs.push_back(draw.initializer(Tensor::of<int64_t>({}, {0})));
  draw.node("SequenceInsert", inputs, {sequence.next});
}

/// Reads an element of the sequence, of this many rows, and its length.
void readSequence(ModelDraw &draw, const CarriedSequence &sequence, int64_t length, int64_t place,
                  Tensor::Dims dims) {
  draw.result("SequenceLength", {sequence.result}, {draw.fresh(), DType::Int64, {}, 100, 0});
  if (length == 0)
    return;
  std::string element = draw.fresh(), at = draw.initializer(Tensor::of<int64_t>({}, {place}));
  draw.node("SequenceAt", {sequence.result, at}, {element});
  Drawn value{draw.fresh(), DType::Float32, std::move(dims), 3, 0};
  draw.result("Reshape", {element, draw.constantInts(value.dims)}, value)
      .attr("allowzero", int64_t{1});
}
} // namespace

bool random::drawShiftingLoop(ModelDraw &draw) {
  if (draw.nesting() >= kMaxNesting)
    return false;
  int64_t trips = draw.below(5), columns = draw.between(1, 5);
  Head head = draw.pick({Head::Stays, Head::AddsRow, Head::AddsRow, Head::Doubles});
  // Sequences are carried from opset 13 on, and their elements need a Reshape that takes zeros.
  bool hasSequence = draw.opset() >= 14 && draw.percent(40);
  std::vector<Link> links(static_cast<size_t>(draw.between(2, 7)));
  std::vector<std::string> inputs = {draw.leaf(DType::Int64, {}, trips, trips).name, ""};
  int64_t rows = draw.between(0, 3);
  for (Link &link : links) {
    link.rows = draw.percent(70) ? rows : draw.between(0, 3);
    inputs.push_back(draw.leaf(DType::Float32, {link.rows, columns}).name);
  }
  CarriedSequence sequence;
  sequence.link = static_cast<size_t>(draw.below(static_cast<int64_t>(links.size())));
  sequence.atFront = draw.percent(30);
  if (hasSequence) {
    inputs.push_back(draw.fresh());
    draw.node("SequenceEmpty", {}, {inputs.back()});
  }

  GraphProto body;
  auto mark = draw.beginBody();
  // The iteration number and the condition may be vectors of one element.
  Tensor::Dims numberDims(draw.percent(40) ? 1 : 0, 1), conditionDims(draw.percent(40) ? 1 : 0, 1);
  Drawn number = draw.bodyInput(body, {"", DType::Int64, numberDims, 1000, 0});
  Drawn condition = draw.bodyInput(body, {"", DType::Bool, conditionDims, 1, 0});
  for (Link &link : links)
    link.before = unsizedInput(draw, body, DType::Float32, 2);
  if (hasSequence) {
    auto *input = body.add_input();
    input->set_name(sequence.before = draw.fresh());
    auto *type = input->mutable_type()->mutable_sequence_type()->mutable_elem_type();
    type->mutable_tensor_type()->set_elem_type(static_cast<int>(DType::Float32));
    drawInsertion(draw, sequence, links);
  }
  drawHead(draw, head, links[0], columns);
  for (size_t i = 1; i < links.size(); ++i) {
    links[i].next = draw.fresh();
    draw.node(draw.pick({"Identity", "Neg"}), {links[i - 1].before}, {links[i].next});
  }
  std::vector<std::string> results = {draw.fresh()};
  draw.node("Identity", {condition.name}, {results[0]});
  for (const Link &link : links)
    results.push_back(link.next);
  if (hasSequence)
    results.push_back(sequence.next);
  bool collects = trips > 0 && draw.percent(50);
  if (collects) {
    results.push_back(draw.fresh());
    draw.node("Identity", {number.name}, {results.back()});
  }
  draw.endBody(mark, body, results);

  std::vector<Link> initial = links;
  iterate(links, head, trips);
  std::vector<std::string> outputs;
  std::vector<Drawn> values;
  for (const Link &link : links) {
    values.push_back({draw.fresh(), DType::Float32, {link.rows, columns}, 3, 0});
    outputs.push_back(values.back().name);
  }
  if (hasSequence)
    outputs.push_back(sequence.result = draw.fresh());
  if (collects) {
    Tensor::Dims dims = numberDims;
    dims.insert(dims.begin(), trips);
    values.push_back({draw.fresh(), DType::Int64, dims, 1000, 0});
    outputs.push_back(values.back().name);
  }
  draw.node("Loop", inputs, outputs)
      .attribute("body", AttributeProto::GRAPH)
      .mutable_g()
      ->Swap(&body);
  for (const Drawn &value : values)
    draw.keep(value);
  if (hasSequence) {
    // What iteration `number` has inserted, and where that is at last.
    int64_t iteration = trips > 0 ? draw.below(trips) : 0;
    iterate(initial, head, iteration);
    readSequence(draw, sequence, trips, sequence.atFront ? trips - 1 - iteration : iteration,
                 {initial[sequence.link].rows, columns});
  }
  return true;
}

bool random::drawBranchChain(ModelDraw &draw) {
  if (draw.nesting() >= kMaxNesting)
    return false;
  bool taken = draw.percent(50);
  Drawn condition = draw.leaf(DType::Bool, {}, taken, taken);
  int64_t columns = draw.between(1, 4);
  Drawn value = draw.leaf(DType::Float32, {draw.between(0, 3), columns});
  for (int64_t count = draw.between(3, 12); count > 0; --count) {
    // A branch that adds a row, now and then: only a run knows the size then.
    int grows = draw.percent(20) ? static_cast<int>(draw.below(2)) : -1;
    GraphProto branches[2];
    for (int side : {0, 1}) {
      auto mark = draw.beginBody();
      Link link{value.name, "", value.dims[0]};
      if (side == grows) {
        drawHead(draw, Head::AddsRow, link, columns);
      } else {
        link.next = draw.fresh();
        draw.node(side == 0 ? "Neg" : "Abs", {link.before}, {link.next});
      }
      draw.endBody(mark, branches[side], {link.next});
    }
    value.name = draw.fresh();
    value.dims[0] += grows == (taken ? 0 : 1) ? 1 : 0;
    auto &node = draw.node("If", {condition.name}, {value.name});
    node.attribute("then_branch", AttributeProto::GRAPH).mutable_g()->Swap(&branches[0]);
    node.attribute("else_branch", AttributeProto::GRAPH).mutable_g()->Swap(&branches[1]);
    if (draw.percent(50)) {
      std::string next = draw.fresh();
      draw.node("Neg", {value.name}, {next});
      value.name = next;
    }
  }
  draw.keep(value);
  return true;
}
