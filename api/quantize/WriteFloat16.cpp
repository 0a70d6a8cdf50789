//===- WriteFloat16.cpp - models in float16 -------------------------------===//
//
// Ops that are linear, choose, move or bound run in float16; exponentials, powers, sums over many
// and norms, whose results float16 cannot hold or tell apart, stay in float32, as do values that
// were too large for float16 in calibration and what is no float. A value has both forms where both
// are read, with a Cast between them.
//
//===----------------------------------------------------------------------===//
#include "api/quantize/Writers.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::quantization;

/// All float operands and results are of one type, whichever it is.
static constexpr const char *kHalfOps[] = {"Abs",
                                           "Add",
                                           "AveragePool",
                                           "Clip",
                                           "Concat",
                                           "Conv",
                                           "ConvTranspose",
                                           "DepthToSpace",
                                           "Dropout",
                                           "Elu",
                                           "Erf",
                                           "Expand",
                                           "Flatten",
                                           "Gather",
                                           "Gelu",
                                           "Gemm",
                                           "GlobalAveragePool",
                                           "GlobalMaxPool",
                                           "HardSigmoid",
                                           "HardSwish",
                                           "Identity",
                                           "LeakyRelu",
                                           "MatMul",
                                           "Max",
                                           "MaxPool",
                                           "Min",
                                           "Mul",
                                           "Neg",
                                           "PRelu",
                                           "Pad",
                                           "Relu",
                                           "Reshape",
                                           "Selu",
                                           "Sigmoid",
                                           "Slice",
                                           "SpaceToDepth",
                                           "Split",
                                           "Squeeze",
                                           "Sub",
                                           "Tanh",
                                           "Tile",
                                           "Transpose",
                                           "Unsqueeze",
                                           "Where"};

namespace {
class HalfWriter {
public:
  HalfWriter(EditableModel &model, const std::set<int> &kept, const ValuePredicate &isFloat,
             const ValuePredicate &fits)
      : model(model), kept(kept), isFloat(isFloat), fits(fits), index(model.index()) {}

  Status write();

private:
  bool runsInHalf(int i) const;
  Expected<std::string> halfOf(const std::string &value);
  void needFloat(const std::string &value);

  EditableModel &model;
  const std::set<int> &kept;
  const ValuePredicate &isFloat, &fits;
  GraphIndex index;
  /// The float16 form of values, where there is one.
  std::map<std::string, std::string> halves;
  /// Values that there are in float16 only, so far.
  std::set<std::string> onlyHalf;
  std::vector<proto::NodeProto> nodes;
};
} // namespace

static proto::NodeProto makeCast(const std::string &from, const std::string &to,
                                 proto::TensorProto::DataType dtype) {
  proto::NodeProto cast = makeNode("Cast", {from}, to);
  setAttribute(cast, "to", int64_t{dtype});
  cast.set_name(to + "_Cast");
  return cast;
}

bool HalfWriter::runsInHalf(int i) const {
  const proto::NodeProto &node = model.graph().node(i);
  bool isKnown = std::ranges::any_of(kHalfOps, [&](const char *op) { return isOp(node, op); });
  if (!isKnown || kept.count(i) || !isFloat(node.output(0)) || !fits(node.output(0)))
    return false;
  return std::ranges::all_of(node.input(), [&](const std::string &input) {
    return input.empty() || !isFloat(input) || fits(input);
  });
}

/// The float16 form of a float value, made where there is none.
Expected<std::string> HalfWriter::halfOf(const std::string &value) {
  if (auto known = halves.find(value); known != halves.end())
    return known->second;
  if (!model.constant(value)) {
    std::string half = model.freshName(value + "_float16");
    nodes.push_back(makeCast(value, half, proto::TensorProto::FLOAT16));
    return halves[value] = half;
  }
  QUERN_ASSIGN(Tensor given, model.constantValue(value));
  QUERN_ASSIGN(Tensor half, Tensor::allocate(DType::Float16, given.dims()));
  for (int64_t i = 0; i < given.numElements(); ++i)
    half.mutableData<Float16>()[i] = Float16(given.data<float>()[i]);
  return halves[value] = model.addConstant(value + "_float16", half);
}

/// Somebody reads the value itself.
void HalfWriter::needFloat(const std::string &value) {
  if (onlyHalf.erase(value))
    nodes.push_back(makeCast(halves.at(value), value, proto::TensorProto::FLOAT));
}

Status HalfWriter::write() {
  for (int i = 0; i < model.graph().node_size(); ++i) {
    proto::NodeProto node = model.graph().node(i);
    bool isHalf = runsInHalf(i);
    for (std::string &input : *node.mutable_input()) {
      if (input.empty() || !isFloat(input))
        continue;
      if (isHalf) {
        QUERN_ASSIGN(input, halfOf(std::string(input)));
      } else {
        needFloat(input);
      }
    }
    std::vector<std::string> seen;
    for (std::string &output : *node.mutable_output()) {
      if (!isHalf || output.empty() || !isFloat(output))
        continue;
      if (index.seenOutside.count(output))
        seen.push_back(output);
      std::string half = model.freshName(output + "_float16");
      halves[output] = half;
      onlyHalf.insert(output);
      output = half;
    }
    nodes.push_back(std::move(node));
    for (const std::string &value : seen)
      needFloat(value);
  }
  model.setNodes(std::move(nodes));
  model.removeUnusedConstants();
  return Status::ok();
}

Status quantization::writeFloat16(EditableModel &model, std::span<const Layer> layers,
                                  const std::vector<bool> &chosen, const ValuePredicate &isFloat,
                                  const ValuePredicate &fits) {
  std::set<int> kept;
  for (size_t i = 0; i < layers.size(); ++i)
    if (!chosen[i])
      kept.insert(layers[i].node);
  return HalfWriter(model, kept, isFloat, fits).write();
}
