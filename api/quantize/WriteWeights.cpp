//===- WriteWeights.cpp - smaller weights, and products of integers -------===//
#include "api/quantize/WeightNumbers.h"
#include "api/quantize/Writers.h"

#include <algorithm>

using namespace quern;
using namespace quern::quantization;

int64_t quantization::opsetOf(Mode mode) { return mode == Mode::WeightsInt4 ? 21 : 13; }

namespace {
/// Rewrites the chosen layers of a graph, one after the other.
class WeightWriter {
public:
  WeightWriter(EditableModel &model, const WriteOptions &options)
      : model(model), options(options) {}

  Status write(std::span<const Layer> layers, const std::vector<bool> &chosen);

private:
  Status writeInt8(const Layer &layer, proto::NodeProto node);
  Status writeInt4(const Layer &layer, const proto::NodeProto &node);
  Status writeDynamic(const Layer &layer, const proto::NodeProto &node);
  void addSum(const Product &product, const std::string &value, const std::string &name,
              const std::string &result);
  std::string add(const std::string &op, const std::vector<std::string> &inputs,
                  const std::string &wanted);

  /// What DynamicQuantizeLinear makes of a value.
  struct Dynamic {
    std::string numbers, scale, zeroPoint;
  };
  const Dynamic &quantizeInput(const std::string &value);

  EditableModel &model;
  const WriteOptions &options;
  std::map<std::string, Dynamic> inputs;
  std::vector<proto::NodeProto> nodes;
};
} // namespace

Status WeightWriter::write(std::span<const Layer> layers, const std::vector<bool> &chosen) {
  std::map<int, const Layer *> byNode;
  for (size_t i = 0; i < layers.size(); ++i)
    if (chosen[i])
      byNode[layers[i].node] = &layers[i];
  for (int i = 0; i < model.graph().node_size(); ++i) {
    auto layer = byNode.find(i);
    if (layer == byNode.end())
      nodes.push_back(model.graph().node(i));
    else if (options.mode == Mode::Dynamic)
      QUERN_TRY(writeDynamic(*layer->second, model.graph().node(i)));
    else if (options.mode == Mode::WeightsInt4)
      QUERN_TRY(writeInt4(*layer->second, model.graph().node(i)));
    else
      QUERN_TRY(writeInt8(*layer->second, model.graph().node(i)));
  }
  model.setNodes(std::move(nodes));
  model.removeUnusedConstants();
  return Status::ok();
}

/// Adds a node with one result, named like it, which is what is returned.
std::string WeightWriter::add(const std::string &op, const std::vector<std::string> &inputs,
                              const std::string &wanted) {
  std::string name = model.freshName(wanted);
  nodes.push_back(makeNode(op, inputs, name));
  return name;
}

Status WeightWriter::writeInt8(const Layer &layer, proto::NodeProto node) {
  QUERN_ASSIGN(Tensor weights, model.constantValue(layer.weights));
  int64_t axis = options.perChannel ? layer.channelAxis : -1;
  QUERN_ASSIGN(QuantizedWeights rounded, quantizeToInt8(weights, axis));
  std::string name = layer.name + "_weights";
  std::string numbers = model.addConstant(name + "_quantized", rounded.numbers),
              scales = model.addConstant(name + "_scale", rounded.scales);
  node.set_input(1, add("DequantizeLinear", {numbers, scales}, name + "_dequantized"));
  if (axis >= 0)
    setAttribute(nodes.back(), "axis", axis);
  nodes.push_back(std::move(node));
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// The last node of a layer: `value` with what the product adds. Without that, the node that made
/// it gets the name of the layer and its result.
void WeightWriter::addSum(const Product &product, const std::string &value, const std::string &name,
                          const std::string &result) {
  std::string added = product.addedValue;
  if (product.added.isPresent())
    added = model.addConstant(name + "_added", product.added);
  if (!added.empty())
    nodes.push_back(makeNode("Add", {value, added}, result));
  nodes.back().set_output(0, result);
  nodes.back().set_name(name);
}

Status WeightWriter::writeInt4(const Layer &layer, const proto::NodeProto &node) {
  QUERN_ASSIGN(Product product, readProduct(model, node));
  QUERN_ASSIGN(QuantizedWeights rounded, quantizeToInt4(product.weights, options.blockSize));
  std::string name = layer.name + "_weights";
  std::string numbers = model.addConstant(name + "_quantized", rounded.numbers),
              scales = model.addConstant(name + "_scale", rounded.scales);
  std::string weights = add("DequantizeLinear", {numbers, scales}, name + "_dequantized");
  setAttribute(nodes.back(), "axis", int64_t{0});
  setAttribute(nodes.back(), "block_size", options.blockSize);
  std::string value = add("MatMul", {layer.input, weights}, layer.name + "_product");
  addSum(product, value, layer.name, layer.output);
  return Status::ok();
}

const WeightWriter::Dynamic &WeightWriter::quantizeInput(const std::string &value) {
  auto [found, isNew] = inputs.try_emplace(value);
  if (isNew) {
    Dynamic &made = found->second;
    made = {model.freshName(value + "_quantized"), model.freshName(value + "_scale"),
            model.freshName(value + "_zero_point")};
    nodes.push_back(makeNode("DynamicQuantizeLinear", {value}, made.numbers));
    nodes.back().set_name(model.freshName(value + "_DynamicQuantizeLinear"));
    nodes.back().add_output(made.scale);
    nodes.back().add_output(made.zeroPoint);
  }
  return found->second;
}

/// Runtimes know MatMulInteger -> Cast -> Mul by the product of both scales as one operation.
Status WeightWriter::writeDynamic(const Layer &layer, const proto::NodeProto &node) {
  QUERN_ASSIGN(Product product, readProduct(model, node));
  QUERN_ASSIGN(QuantizedWeights rounded,
               quantizeToInt8(product.weights, options.perChannel ? 1 : -1));
  const Dynamic &input = quantizeInput(layer.input);
  std::string numbers = model.addConstant(layer.name + "_weights_quantized", rounded.numbers),
              scales = model.addConstant(layer.name + "_weights_scale", rounded.scales);
  // Some runtimes ask for all four operands.
  std::string zero =
      model.addConstant(layer.name + "_weights_zero_point", Tensor::of<int8_t>({}, {0}));
  std::string sums =
      add("MatMulInteger", {input.numbers, numbers, input.zeroPoint, zero}, layer.name + "_sums");
  std::string asFloat = add("Cast", {sums}, layer.name + "_sums_float");
  setAttribute(nodes.back(), "to", int64_t{proto::TensorProto::FLOAT});
  std::string scale = add("Mul", {input.scale, scales}, layer.name + "_scale");
  std::string value = add("Mul", {asFloat, scale}, layer.name + "_product");
  addSum(product, value, layer.name, layer.output);
  return Status::ok();
}

Status quantization::writeDynamic(EditableModel &model, std::span<const Layer> layers,
                                  const std::vector<bool> &chosen, const WriteOptions &options) {
  return WeightWriter(model, options).write(layers, chosen);
}

Status quantization::writeWeights(EditableModel &model, std::span<const Layer> layers,
                                  const std::vector<bool> &chosen, const WriteOptions &options) {
  return WeightWriter(model, options).write(layers, chosen);
}
