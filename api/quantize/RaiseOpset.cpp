//===- RaiseOpset.cpp - the same model in a newer opset -------------------===//
//
// An op that is in no row has changed, from opset 7 to 21, only in what it takes beside what it
// took before.
//
//===----------------------------------------------------------------------===//
#include "api/quantize/RaiseOpset.h"

#include <fmt/format.h>

#include <functional>
#include <span>

using namespace quern;
using namespace quern::quantization;

static constexpr int64_t kOldestRaised = 7;

namespace {
/// A node that is raised, with what may stand around it.
struct Raised {
  EditableModel &model;
  proto::NodeProto &node;
  /// Constants that it reads, and nodes before and behind it.
  std::vector<proto::TensorProto> constants = {};
  std::vector<proto::NodeProto> before = {}, after = {};

  std::string addConstant(const std::string &what, const Tensor &tensor) {
    std::string name = model.freshName(node.output(0) + "_" + what);
    constants.push_back(makeTensorProto(name, tensor));
    return name;
  }
  /// Operand `i`, after those that are left out.
  void setInput(int i, const std::string &name) {
    while (node.input_size() <= i)
      node.add_input("");
    node.set_input(i, name);
  }
  bool hasInput(int i) const { return node.input_size() > i && !node.input(i).empty(); }
};

/// How an op changes with opset `version`; empty, or why that is not known.
struct OpChange {
  std::string_view op;
  int64_t version;
  std::string (*raise)(Raised &);
};
} // namespace

/// An attribute with integers becomes operand `i`.
static std::string intsToInput(Raised &raised, const char *attribute, int i) {
  if (const proto::AttributeProto *found = findAttribute(raised.node, attribute)) {
    std::vector<int64_t> values(found->ints().begin(), found->ints().end());
    raised.setInput(i, raised.addConstant(attribute, Tensor::ofInts(values)));
    removeAttribute(raised.node, attribute);
  }
  return "";
}

static std::string axesToInput(Raised &raised) { return intsToInput(raised, "axes", 1); }
static std::string splitToInput(Raised &raised) { return intsToInput(raised, "split", 1); }

/// Without sizes the parts are of one size each, and their number is an attribute.
static std::string countParts(Raised &raised) {
  if (!raised.hasInput(1))
    setAttribute(raised.node, "num_outputs", int64_t{raised.node.output_size()});
  return "";
}

static std::string clipToInputs(Raised &raised) {
  for (auto [attribute, i] : {std::pair{"min", 1}, {"max", 2}})
    if (findAttribute(raised.node, attribute)) {
      float bound = floatAttribute(raised.node, attribute, 0);
      raised.setInput(i, raised.addConstant(attribute, Tensor::of<float>({}, {bound})));
      removeAttribute(raised.node, attribute);
    }
  return "";
}

static std::string padToInputs(Raised &raised) {
  intsToInput(raised, "pads", 1);
  if (findAttribute(raised.node, "value")) {
    float value = floatAttribute(raised.node, "value", 0);
    raised.setInput(2, raised.addConstant("value", Tensor::of<float>({}, {value})));
    removeAttribute(raised.node, "value");
  }
  return "";
}

static std::string sliceToInputs(Raised &raised) {
  intsToInput(raised, "starts", 1);
  intsToInput(raised, "ends", 2);
  return intsToInput(raised, "axes", 3);
}

static std::string topKToInput(Raised &raised) {
  int64_t k = intAttribute(raised.node, "k", 0);
  raised.setInput(1, raised.addConstant("k", Tensor::ofInts({k})));
  removeAttribute(raised.node, "k");
  return "";
}

/// In inference it passes on what it is given.
static std::string dropRatio(Raised &raised) {
  removeAttribute(raised.node, "ratio");
  return "";
}

static std::string normOfChannels(Raised &raised) {
  if (intAttribute(raised.node, "spatial", 1) == 0)
    return "statistics by position";
  removeAttribute(raised.node, "spatial");
  return "";
}

static std::string normOfOneOutput(Raised &raised) {
  return raised.node.output_size() > 1 ? "statistics as outputs" : "";
}

/// Up to opset 12 a softmax is over the axis and all behind it.
static std::string softmaxOverOne(Raised &raised) {
  proto::NodeProto &node = raised.node;
  int64_t axis = intAttribute(node, "axis", 1);
  if (axis != -1) {
    std::string input = node.input(0), output = node.output(0);
    std::string flat = raised.model.freshName(output + "_flat"),
                result = raised.model.freshName(output + "_rows"),
                shape = raised.model.freshName(output + "_shape");
    raised.before.push_back(makeNode("Shape", {input}, shape));
    raised.before.push_back(makeNode("Flatten", {input}, flat));
    setAttribute(raised.before.back(), "axis", axis);
    raised.after.push_back(makeNode("Reshape", {result, shape}, output));
    node.set_input(0, flat);
    node.set_output(0, result);
  }
  setAttribute(node, "axis", int64_t{-1});
  return "";
}

static std::string resizeByOldRule(Raised &raised) {
  if (raised.hasInput(1)) {
    std::string scales = raised.node.input(1);
    raised.setInput(2, scales);
    raised.node.set_input(1, "");
  }
  setAttribute(raised.node, "coordinate_transformation_mode", std::string("asymmetric"));
  setAttribute(raised.node, "nearest_mode", std::string("floor"));
  return "";
}

static std::string renameScatter(Raised &raised) {
  raised.node.set_op_type("ScatterElements");
  return "";
}

static std::string roiByOldRule(Raised &raised) {
  if (!findAttribute(raised.node, "coordinate_transformation_mode"))
    setAttribute(raised.node, "coordinate_transformation_mode", std::string("output_half_pixel"));
  return "";
}

static std::string renameGridModes(Raised &raised) {
  const proto::AttributeProto *mode = findAttribute(raised.node, "mode");
  if (!mode || mode->s() == "bilinear")
    setAttribute(raised.node, "mode", std::string("linear"));
  else if (mode->s() == "bicubic")
    setAttribute(raised.node, "mode", std::string("cubic"));
  return "";
}

static std::string unknown(Raised &) { return "it has changed its meaning"; }

/// By version.
static constexpr OpChange kChanges[] = {
    {"BatchNormalization", 9, normOfChannels},
    {"Upsample", 9, unknown},
    {"Scan", 9, unknown},
    {"Slice", 10, sliceToInputs},
    {"TopK", 10, topKToInput},
    {"Upsample", 10, unknown},
    {"Clip", 11, clipToInputs},
    {"Pad", 11, padToInputs},
    {"Resize", 11, resizeByOldRule},
    {"Scatter", 11, renameScatter},
    {"Dropout", 12, dropRatio},
    {"Hardmax", 13, unknown},
    {"LogSoftmax", 13, softmaxOverOne},
    {"ReduceSum", 13, axesToInput},
    {"Softmax", 13, softmaxOverOne},
    {"Split", 13, splitToInput},
    {"Squeeze", 13, axesToInput},
    {"Unsqueeze", 13, axesToInput},
    {"BatchNormalization", 14, normOfOneOutput},
    {"RoiAlign", 16, roiByOldRule},
    {"ReduceL1", 18, axesToInput},
    {"ReduceL2", 18, axesToInput},
    {"ReduceLogSum", 18, axesToInput},
    {"ReduceLogSumExp", 18, axesToInput},
    {"ReduceMax", 18, axesToInput},
    {"ReduceMean", 18, axesToInput},
    {"ReduceMin", 18, axesToInput},
    {"ReduceProd", 18, axesToInput},
    {"ReduceSumSquare", 18, axesToInput},
    {"Split", 18, countParts},
    {"DFT", 20, unknown},
    {"GridSample", 20, renameGridModes},
    {"GroupNormalization", 21, unknown},
};

static Status raiseNode(Raised &raised, int64_t from, int64_t to) {
  if (!quern::onnx::canonicalDomain(raised.node.domain()).empty())
    return Status::ok();
  for (const OpChange &change : kChanges) {
    if (change.op != raised.node.op_type() || change.version <= from || change.version > to)
      continue;
    if (std::string reason = change.raise(raised); !reason.empty())
      return unsupported(
          fmt::format("node '{}' ({}) of opset {} cannot be raised to opset {}: {} in opset {}",
                      raised.node.name(), raised.node.op_type(), from, to, reason, change.version));
  }
  return Status::ok();
}

/// The nodes of a graph, and those in its bodies.
static Status raiseGraph(EditableModel &model, proto::GraphProto &graph, int64_t from, int64_t to) {
  std::vector<proto::NodeProto> nodes;
  for (proto::NodeProto &node : *graph.mutable_node()) {
    for (proto::AttributeProto &attribute : *node.mutable_attribute()) {
      if (attribute.has_g())
        QUERN_TRY(raiseGraph(model, *attribute.mutable_g(), from, to));
      for (proto::GraphProto &body : *attribute.mutable_graphs())
        QUERN_TRY(raiseGraph(model, body, from, to));
    }
    Raised raised{model, node};
    QUERN_TRY(raiseNode(raised, from, to));
    for (proto::TensorProto &constant : raised.constants)
      *graph.add_initializer() = std::move(constant);
    std::move(raised.before.begin(), raised.before.end(), std::back_inserter(nodes));
    nodes.push_back(std::move(node));
    std::move(raised.after.begin(), raised.after.end(), std::back_inserter(nodes));
  }
  graph.clear_node();
  for (proto::NodeProto &node : nodes)
    *graph.add_node() = std::move(node);
  return Status::ok();
}

Status quantization::raiseOpset(EditableModel &model, int64_t version) {
  int64_t from = model.opset();
  if (from < kOldestRaised)
    return unsupported(
        fmt::format("the model is of opset {}; models of opset {} and newer can be quantized", from,
                    kOldestRaised));
  if (from < version)
    QUERN_TRY(raiseGraph(model, model.graph(), from, version));
  model.setOpset(std::max(from, version));
  model.refreshConstants();
  return Status::ok();
}
