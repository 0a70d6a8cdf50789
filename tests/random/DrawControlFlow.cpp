//===- DrawControlFlow.cpp - random branches and loops --------------------===//
//
// Bodies are drawn like models, with ops of all families on values of the graph around
// them, on their inputs and on what they have computed themselves.
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
/// What a loop carries is kept this small, so that every iteration is like the first.
constexpr double kCarried = 4;

void drawOps(ModelDraw &draw, int64_t count) {
  for (int64_t attempts = 0; count > 0 && attempts < 20; ++attempts)
    count -= drawOp(draw);
}

/// A copy of `value` within the body that is open: a result must be computed there.
Drawn copied(ModelDraw &draw, const Drawn &value) {
  Drawn copy = value;
  copy.name = draw.fresh();
  draw.result("Identity", {value.name}, copy);
  return copy;
}

/// `value`, or a copy: ONNX Runtime wants the results of a body to be different ones.
Drawn unlessTaken(ModelDraw &draw, const Drawn &value, const std::vector<Drawn> &taken) {
  for (const Drawn &other : taken)
    if (other.name == value.name)
      return copied(draw, value);
  return value;
}

//===----------------------------------------------------------------------===//
// If
//===----------------------------------------------------------------------===//

/// A value of this type and rank that the open body has computed, or a copy of one outside.
Drawn branchResult(ModelDraw &draw, const ModelDraw::Mark &mark, DType dtype, int64_t rank) {
  std::vector<Drawn> fitting;
  for (const Drawn &value : draw.bodyValues(mark))
    if (value.dtype == dtype && value.rank() == rank)
      fitting.push_back(value);
  if (!fitting.empty())
    return draw.pick(fitting);
  auto fits = [=](const Drawn &v) { return v.dtype == dtype && v.rank() == rank; };
  return copied(draw, draw.any(fits, [&] { return draw.leaf(dtype, draw.drawDims(rank, rank)); }));
}

bool drawIf(ModelDraw &draw) {
  if (draw.nesting() >= kMaxNesting)
    return false;
  bool taken = draw.percent(50);
  Drawn condition = draw.leaf(DType::Bool, {}, taken, taken);
  GraphProto branches[2];
  std::vector<std::pair<DType, int64_t>> kinds;
  std::vector<Drawn> results[2];
  for (int side : {0, 1}) {
    auto mark = draw.beginBody();
    drawOps(draw, draw.between(0, 4));
    if (side == 0) {
      std::vector<Drawn> computed = draw.bodyValues(mark);
      for (int64_t i = draw.between(1, 2); i > 0; --i) {
        Drawn value = computed.empty()
                          ? copied(draw, draw.leaf(DType::Float32, draw.drawDims(0, 4)))
                          : draw.pick(computed);
        kinds.emplace_back(value.dtype, value.rank());
        results[0].push_back(unlessTaken(draw, value, results[0]));
      }
    } else {
      for (auto [dtype, rank] : kinds)
        results[1].push_back(unlessTaken(draw, branchResult(draw, mark, dtype, rank), results[1]));
    }
    std::vector<std::string> names;
    for (const Drawn &value : results[side])
      names.push_back(value.name);
    draw.endBody(mark, branches[side], names);
  }
  // Either may be drawn first.
  int then = draw.percent(50) ? 0 : 1;
  std::vector<std::string> outputs;
  for (Drawn value : results[taken ? then : 1 - then]) {
    value.name = draw.fresh();
    outputs.push_back(value.name);
    draw.keep(value);
  }
  auto &node = draw.node("If", {condition.name}, outputs);
  node.attribute("then_branch", AttributeProto::GRAPH).mutable_g()->Swap(&branches[then]);
  node.attribute("else_branch", AttributeProto::GRAPH).mutable_g()->Swap(&branches[1 - then]);
  return true;
}

//===----------------------------------------------------------------------===//
// Loop and Scan
//===----------------------------------------------------------------------===//

/// What a loop starts from: whole numbers that are small.
Drawn drawState(ModelDraw &draw) {
  auto fits = [](const Drawn &v) {
    return (v.dtype == DType::Float32 || v.dtype == DType::Float64) && v.isExact() &&
           v.bound <= kCarried && v.elements() <= 1000;
  };
  Drawn state = draw.any(fits, [&] { return draw.leaf(DType::Float32, draw.drawDims(0, 3)); });
  state.bound = kCarried;
  return state;
}

/// The next state: an exact value of the same shape from the body, or a sum with the state.
Drawn nextState(ModelDraw &draw, const ModelDraw::Mark &mark, const Drawn &state) {
  std::vector<Drawn> fitting;
  for (const Drawn &value : draw.bodyValues(mark))
    if (value.dtype == state.dtype && value.dims == state.dims && value.isExact() &&
        value.bound < exactLimit(value.dtype))
      fitting.push_back(value);
  if (!fitting.empty() && draw.percent(70))
    return copied(draw, draw.tamed(draw.pick(fitting), kCarried));
  Drawn other = draw.leaf(state.dtype, state.dims);
  Drawn sum{draw.fresh(), state.dtype, state.dims, state.bound + other.bound, 0};
  draw.result(draw.percent(50) ? "Add" : "Sub", {state.name, other.name}, sum);
  return draw.tamed(sum, kCarried);
}

/// Some values of the body, which the loop gives for each iteration; `state` is one
/// that it gives anyway.
std::vector<Drawn> collected(ModelDraw &draw, const ModelDraw::Mark &mark, const Drawn &state) {
  std::vector<Drawn> computed, chosen = {state};
  for (const Drawn &value : draw.bodyValues(mark))
    if (value.elements() <= 2000)
      computed.push_back(value);
  for (int64_t i = draw.below(3); i > 0 && !computed.empty(); --i)
    chosen.push_back(unlessTaken(draw, draw.pick(computed), chosen));
  chosen.erase(chosen.begin());
  return chosen;
}

std::vector<std::string> namesOf(const std::vector<Drawn> &values) {
  std::vector<std::string> names;
  for (const Drawn &value : values)
    names.push_back(value.name);
  return names;
}

/// How often a loop runs, and how it is told.
struct Trips {
  int64_t count, most, last;
  bool hasMost, breaks, hasCondition;
};

Trips drawTrips(ModelDraw &draw) {
  Trips trips{0, draw.below(5), draw.below(4), draw.percent(80), draw.percent(40), true};
  trips.hasCondition = !trips.hasMost || draw.percent(60);
  if (!trips.hasMost)
    trips.breaks = true;
  trips.count = trips.hasMost ? trips.most : 1000;
  // The iteration of this number is the last.
  if (trips.breaks)
    trips.count = std::min(trips.count, trips.last + 1);
  return trips;
}

bool drawLoop(ModelDraw &draw) {
  if (draw.nesting() >= kMaxNesting)
    return false;
  Trips trips = drawTrips(draw);
  bool enters = !trips.hasCondition || !trips.hasMost || draw.percent(85);
  if (!enters)
    trips.count = 0;
  std::vector<std::string> inputs = {"", ""};
  if (trips.hasMost)
    inputs[0] = draw.leaf(DType::Int64, {}, trips.most, trips.most).name;
  if (trips.hasCondition)
    inputs[1] = draw.leaf(DType::Bool, {}, enters, enters).name;
  Drawn first = drawState(draw);
  inputs.push_back(first.name);
  // A vector that grows by an element in each iteration.
  bool grows = draw.percent(30);
  Drawn vector = draw.leaf(DType::Float32, {draw.between(0, 3)});
  if (grows)
    inputs.push_back(vector.name);

  GraphProto body;
  auto mark = draw.beginBody();
  Drawn iteration = draw.bodyInput(body, {"", DType::Int64, {}, 1000, 0});
  Drawn condition = draw.bodyInput(body, {"", DType::Bool, {}, 1, 0});
  Drawn state = draw.bodyInput(body, first);
  std::string grown, before;
  if (grows) {
    auto *input = body.add_input();
    before = draw.fresh();
    input->set_name(before);
    input->mutable_type()->mutable_tensor_type()->set_elem_type(static_cast<int>(DType::Float32));
    input->mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim();
  }
  drawOps(draw, draw.between(1, 4));
  Drawn next = nextState(draw, mark, state);
  // Nothing tells the sizes of what no iteration gives.
  std::vector<Drawn> each;
  if (trips.count > 0)
    each = collected(draw, mark, next);
  std::string goesOn = draw.fresh();
  if (trips.breaks)
    draw.node("Less", {iteration.name, draw.initializer(Tensor::of<int64_t>({}, {trips.last}))},
              {goesOn});
  else
    draw.node("Identity", {condition.name}, {goesOn});
  std::vector<std::string> results = {goesOn, next.name};
  if (grows) {
    grown = draw.fresh();
    draw.node("Concat", {before, draw.initializer(Tensor::of<float>({1}, {1.0f}))}, {grown})
        .attr("axis", int64_t{0});
    results.push_back(grown);
  }
  for (const std::string &name : namesOf(each))
    results.push_back(name);
  draw.endBody(mark, body, results);

  std::vector<Drawn> outputs = {{draw.fresh(), first.dtype, first.dims, kCarried, 0}};
  if (grows)
    outputs.push_back({draw.fresh(), DType::Float32, {vector.dims[0] + trips.count}, 3, 0});
  for (const Drawn &value : each) {
    Tensor::Dims dims = value.dims;
    dims.insert(dims.begin(), trips.count);
    outputs.push_back({draw.fresh(), value.dtype, dims, value.bound, value.error});
  }
  draw.node("Loop", inputs, namesOf(outputs))
      .attribute("body", AttributeProto::GRAPH)
      .mutable_g()
      ->Swap(&body);
  for (const Drawn &value : outputs)
    draw.keep(value);
  return true;
}

/// A tensor that is read slice by slice.
Drawn drawSlices(ModelDraw &draw, int64_t count, int64_t axis) {
  auto fits = [=](const Drawn &v) {
    return v.rank() > axis && v.rank() <= 4 && v.dims[axis] == count && v.elements() <= 2000 &&
           v.dtype != DType::BFloat16;
  };
  return draw.any(fits, [&] {
    Tensor::Dims dims = draw.drawDims(axis + 1, axis + 3);
    dims[axis] = count;
    return draw.leaf(draw.pick({DType::Float32, DType::Float32, DType::Int64, DType::Float64}),
                     dims);
  });
}

bool drawScan(ModelDraw &draw) {
  if (draw.nesting() >= kMaxNesting || draw.opset() < 9)
    return false;
  int64_t count = draw.between(1, 5), slices = draw.between(1, 2);
  Drawn first = drawState(draw);
  bool carries = draw.percent(80);
  std::vector<std::string> inputs;
  if (carries)
    inputs.push_back(first.name);
  std::vector<int64_t> axes, directions;
  std::vector<Drawn> sliced;
  for (int64_t i = 0; i < slices; ++i) {
    axes.push_back(draw.pick<int64_t>({0, 0, 1, 2}));
    directions.push_back(draw.below(2));
    sliced.push_back(drawSlices(draw, count, axes.back()));
    inputs.push_back(sliced.back().name);
  }
  GraphProto body;
  auto mark = draw.beginBody();
  Drawn state = first;
  if (carries)
    state = draw.bodyInput(body, first);
  for (int64_t i = 0; i < slices; ++i) {
    Drawn slice = sliced[i];
    slice.dims.erase(slice.dims.begin() + axes[i]);
    draw.bodyInput(body, slice);
  }
  drawOps(draw, draw.between(1, 4));
  std::vector<Drawn> outputs;
  std::vector<std::string> results;
  Drawn next;
  if (carries) {
    next = nextState(draw, mark, state);
    results.push_back(next.name);
    outputs.push_back({draw.fresh(), first.dtype, first.dims, kCarried, 0});
  }
  std::vector<int64_t> outputAxes, outputDirections;
  for (const Drawn &value : collected(draw, mark, next)) {
    results.push_back(value.name);
    Tensor::Dims dims = value.dims;
    int64_t axis = draw.below(value.rank() + 1);
    dims.insert(dims.begin() + axis, count);
    outputAxes.push_back(draw.signOfKnownRank(axis, value.rank() + 1));
    outputDirections.push_back(draw.below(2));
    outputs.push_back({draw.fresh(), value.dtype, dims, value.bound, value.error});
  }
  draw.endBody(mark, body, results);
  if (outputs.empty())
    return false;
  for (int64_t i = 0; i < slices; ++i)
    axes[i] = draw.signOfKnownRank(axes[i], sliced[i].rank());
  auto &node = draw.node("Scan", inputs, namesOf(outputs));
  node.attr("num_scan_inputs", slices);
  node.attribute("body", AttributeProto::GRAPH).mutable_g()->Swap(&body);
  auto isAnyOther = [](const std::vector<int64_t> &list) {
    return std::any_of(list.begin(), list.end(), [](int64_t v) { return v != 0; });
  };
  if (isAnyOther(axes) || draw.percent(30))
    node.attr("scan_input_axes", axes);
  if (isAnyOther(directions) || draw.percent(30))
    node.attr("scan_input_directions", directions);
  if (isAnyOther(outputAxes) || (!outputAxes.empty() && draw.percent(30)))
    node.attr("scan_output_axes", outputAxes);
  if (isAnyOther(outputDirections) || (!outputAxes.empty() && draw.percent(30)))
    node.attr("scan_output_directions", outputDirections);
  for (const Drawn &value : outputs)
    draw.keep(value);
  return true;
}
} // namespace

OpFamily random::controlFlowFamily() {
  return {
      6, 3, {drawIf, drawIf, drawLoop, drawLoop, drawScan, drawShiftingLoop, drawBranchChain}, 1};
}
