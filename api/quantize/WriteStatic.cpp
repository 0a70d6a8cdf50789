//===- WriteStatic.cpp - layers between quantized values ------------------===//
//
// A value x that is quantized becomes x_float -> QuantizeLinear -> DequantizeLinear -> x where a
// node of the region makes it, so that all who read it (bodies and the graph's outputs, too) read
// what the integers stand for. Where something else makes it, only the region reads the copy.
//
//===----------------------------------------------------------------------===//
#include "api/quantize/WeightNumbers.h"
#include "api/quantize/Writers.h"

#include <cmath>

using namespace quern;
using namespace quern::quantization;

namespace {
class StaticWriter {
public:
  StaticWriter(EditableModel &model, std::span<const Layer> layers, const std::vector<bool> &chosen,
               const Calibration &calibration, const WriteOptions &options)
      : model(model), layers(layers), chosen(chosen), calibration(calibration), options(options),
        index(model.index()), region(findRegion(model, index, layers, chosen)) {}

  Status write();

private:
  struct Parameters {
    Affine affine;
    std::string scale, zeroPoint;
  };
  Status findParameters();
  Status writeNode(int i);
  Status writeLayer(const Layer &layer, proto::NodeProto &node);
  Expected<Tensor> correctedBias(const Layer &layer, const Tensor &weights,
                                 const QuantizedWeights &rounded) const;
  void quantizeResult(proto::NodeProto &node, int output, const std::string &value);
  void quantizeCopy(const std::string &value);
  void addPair(const std::string &from, const std::string &value, const std::string &to);
  std::string addDequantized(const std::string &name, const Tensor &numbers, const Tensor &scales,
                             int64_t axis);
  bool isSaturation(const proto::NodeProto &activation, const Affine &affine) const;
  const Parameters &parametersOf(const std::string &value) const {
    return parameters.at(region.shared.at(value));
  }

  EditableModel &model;
  std::span<const Layer> layers;
  const std::vector<bool> &chosen;
  const Calibration &calibration;
  const WriteOptions &options;
  GraphIndex index;
  Region region;
  std::map<std::string, Parameters> parameters;
  /// The copies that the region reads, by value.
  std::map<std::string, std::string> copies;
  std::vector<proto::NodeProto> nodes;
  /// Activations that saturation does.
  std::set<int> dropped;
};
} // namespace

static Tensor scalarOf(DType dtype, int number) {
  if (dtype == DType::Int8)
    return Tensor::of<int8_t>({}, {static_cast<int8_t>(number)});
  return Tensor::of<uint8_t>({}, {static_cast<uint8_t>(number)});
}

/// One scale and zero point for all values that share them.
Status StaticWriter::findParameters() {
  std::map<std::string, Range> ranges;
  for (const auto &[value, with] : region.shared) {
    auto seen = calibration.ranges.find(value);
    if (seen == calibration.ranges.end())
      return internalError("nothing is known of the range of '" + value + "'");
    auto [range, isNew] = ranges.try_emplace(with, seen->second);
    if (!isNew)
      range->second = range->second.unitedWith(seen->second);
  }
  for (const auto &[value, range] : ranges) {
    Affine affine = affineOf(range, options.activations);
    parameters[value] = {
        affine, model.addConstant(value + "_scale", Tensor::of<float>({}, {affine.scale})),
        model.addConstant(value + "_zero_point", scalarOf(options.activations, affine.zeroPoint))};
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Quantized values
//===----------------------------------------------------------------------===//

/// from -> QuantizeLinear -> DequantizeLinear -> to, by the parameters of `value`.
void StaticWriter::addPair(const std::string &from, const std::string &value,
                           const std::string &to) {
  const Parameters &by = parametersOf(value);
  std::string quantized = model.freshName(value + "_quantized");
  nodes.push_back(makeNode("QuantizeLinear", {from, by.scale, by.zeroPoint}, quantized));
  nodes.back().set_name(model.freshName(value + "_QuantizeLinear"));
  nodes.push_back(makeNode("DequantizeLinear", {quantized, by.scale, by.zeroPoint}, to));
  nodes.back().set_name(model.freshName(value + "_DequantizeLinear"));
}

/// Of a value that a node outside the region makes, or nobody.
void StaticWriter::quantizeCopy(const std::string &value) {
  copies[value] = model.freshName(value + "_dequantized");
  addPair(value, value, copies[value]);
}

/// `node`, which is not yet written, makes `value` as output number `output`.
void StaticWriter::quantizeResult(proto::NodeProto &node, int output, const std::string &value) {
  std::string before = model.freshName(value + "_float");
  node.set_output(output, before);
  addPair(before, value, value);
}

/// Whether quantizing what the activation is given gives the same as quantizing what it makes.
bool StaticWriter::isSaturation(const proto::NodeProto &activation, const Affine &affine) const {
  int64_t least = leastOf(options.activations), most = mostOf(options.activations);
  if (isOp(activation, "Relu"))
    return affine.zeroPoint == least;
  for (auto [i, end] : {std::pair(1, least), {2, most}}) {
    if (activation.input_size() <= i || activation.input(i).empty())
      continue;
    Expected<Tensor> bound = model.constantValue(activation.input(i));
    if (!bound || affine.quantize(*bound->data<float>(), least, most) != end)
      return false;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

std::string StaticWriter::addDequantized(const std::string &name, const Tensor &numbers,
                                         const Tensor &scales, int64_t axis) {
  std::vector<std::string> operands = {model.addConstant(name + "_quantized", numbers),
                                       model.addConstant(name + "_scale", scales)};
  // Symmetric: int32 has no zero points at all.
  if (numbers.dtype() == DType::Int8) {
    Tensor zeros = Tensor::allocate(DType::Int8, scales.dims()).take();
    operands.push_back(model.addConstant(name + "_zero_point", zeros));
  }
  std::string result = model.freshName(name + "_dequantized");
  nodes.push_back(makeNode("DequantizeLinear", operands, result));
  nodes.back().set_name(model.freshName(name + "_DequantizeLinear"));
  if (scales.rank() > 0)
    setAttribute(nodes.back(), "axis", axis);
  return result;
}

/// The bias less what rounding the weights adds to the result in the mean.
Expected<Tensor> StaticWriter::correctedBias(const Layer &layer, const Tensor &weights,
                                             const QuantizedWeights &rounded) const {
  std::vector<float> bias(static_cast<size_t>(layer.channels));
  if (!layer.bias.empty()) {
    QUERN_ASSIGN(Tensor given, model.constantValue(layer.bias));
    bias.assign(given.data<float>(), given.data<float>() + given.numElements());
  }
  auto means = calibration.inputMeans.find(layer.name);
  if (!options.correctBias || means == calibration.inputMeans.end())
    return Tensor::of<float>({layer.channels}, bias);
  std::vector<double> scales = scalesOf(rounded), shifts(bias.size());
  // Of a convolution [output, input of the group, kernel], of products a matrix.
  bool isConv = layer.op == "Conv", channelsFirst = layer.channelAxis == 0;
  int64_t inputs = weights.dim(channelsFirst ? 1 : 0),
          inner = weights.numElements() / layer.channels / inputs;
  auto allInputs = static_cast<int64_t>(means->second.size());
  int64_t perGroup =
      isConv ? layer.channels / std::max<int64_t>(allInputs / inputs, 1) : layer.channels;
  for (int64_t i = 0; i < weights.numElements(); ++i) {
    int64_t channel = channelsFirst ? i / (inputs * inner) : i % layer.channels;
    int64_t input = channelsFirst ? i / inner % inputs : i / layer.channels;
    input += channel / std::max<int64_t>(perGroup, 1) * inputs;
    if (input >= allInputs)
      return invalidModel("node '" + layer.name +
                          "': the input has not the channels of the weights");
    double scale = scales[scales.size() == 1 ? 0 : static_cast<size_t>(channel)];
    double error = rounded.numbers.data<int8_t>()[i] * scale - weights.data<float>()[i];
    shifts[static_cast<size_t>(channel)] += error * means->second[static_cast<size_t>(input)];
  }
  for (size_t c = 0; c < bias.size(); ++c)
    bias[c] = static_cast<float>(bias[c] - shifts[c]);
  return Tensor::of<float>({layer.channels}, bias);
}

/// The least scales of weights with which the biases fit int32, with room for corrections.
static std::vector<double> scalesForBias(const Tensor &bias, double inputScale) {
  constexpr double kMostBias = 0x1p30;
  std::vector<double> scales;
  for (float value : bias.elementsAs<float>())
    scales.push_back(std::abs(double(value)) / (inputScale * kMostBias));
  return scales;
}

Status StaticWriter::writeLayer(const Layer &layer, proto::NodeProto &node) {
  QUERN_ASSIGN(Tensor weights, model.constantValue(layer.weights));
  double inputScale = parametersOf(layer.input).affine.scale;
  std::vector<double> least;
  if (!layer.bias.empty()) {
    QUERN_ASSIGN(Tensor bias, model.constantValue(layer.bias));
    least = scalesForBias(bias, inputScale);
    if (!options.perChannel)
      least = {*std::max_element(least.begin(), least.end())};
  }
  int64_t axis = options.perChannel ? layer.channelAxis : -1;
  QUERN_ASSIGN(QuantizedWeights rounded, quantizeToInt8(weights, axis, least));
  node.set_input(1, addDequantized(layer.name + "_weights", rounded.numbers, rounded.scales, axis));
  // A MatMul has no bias; one that is no constant stays as it is.
  bool hasOther = node.input_size() > 2 && !node.input(2).empty() && layer.bias.empty();
  bool isPlainGemm = layer.op != "Gemm" || !layer.bias.empty();
  if (layer.op == "MatMul" || hasOther || !isPlainGemm ||
      (layer.bias.empty() && !options.correctBias))
    return Status::ok();
  QUERN_ASSIGN(Tensor bias, correctedBias(layer, weights, rounded));
  std::vector<double> scales = scalesOf(rounded);
  std::vector<float> products;
  for (double &scale : scales) {
    products.push_back(static_cast<float>(scale * inputScale));
    scale = products.back();
  }
  QUERN_ASSIGN(Tensor numbers, quantizeBias(bias, scales));
  Tensor::Dims dims = rounded.scales.dims();
  while (node.input_size() < 3)
    node.add_input("");
  node.set_input(2, addDequantized(layer.name + "_bias", numbers,
                                   Tensor::of<float>(std::move(dims), products), 0));
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// The graph
//===----------------------------------------------------------------------===//

Status StaticWriter::writeNode(int i) {
  proto::NodeProto node = model.graph().node(i);
  if (!region.nodes[static_cast<size_t>(i)]) {
    nodes.push_back(node);
    for (const std::string &output : node.output())
      if (region.isQuantized(output))
        quantizeCopy(output);
    return Status::ok();
  }
  for (std::string &input : *node.mutable_input())
    if (auto copy = copies.find(input); copy != copies.end())
      input = copy->second;
  for (size_t l = 0; l < layers.size(); ++l)
    if (chosen[l] && layers[l].node == i)
      QUERN_TRY(writeLayer(layers[l], node));
  std::vector<std::string> results(node.output().begin(), node.output().end());
  int activation = findActivation(model, index, i);
  if (activation >= 0 && region.nodes[static_cast<size_t>(activation)] &&
      !region.isQuantized(results[0])) {
    const proto::NodeProto &behind = model.graph().node(activation);
    if (isSaturation(behind, parametersOf(behind.output(0)).affine)) {
      dropped.insert(activation);
      results[0] = behind.output(0);
    }
  }
  size_t place = nodes.size();
  nodes.emplace_back();
  for (size_t r = 0; r < results.size(); ++r)
    if (region.isQuantized(results[r]))
      quantizeResult(node, static_cast<int>(r), results[r]);
  nodes[place] = std::move(node);
  return Status::ok();
}

Status StaticWriter::write() {
  QUERN_TRY(findParameters());
  for (const auto &[value, with] : region.shared)
    if (index.producer(value) < 0)
      quantizeCopy(value);
  for (int i = 0; i < model.graph().node_size(); ++i)
    if (!dropped.count(i))
      QUERN_TRY(writeNode(i));
  model.setNodes(std::move(nodes));
  model.removeUnusedConstants();
  return Status::ok();
}

Status quantization::writeStatic(EditableModel &model, std::span<const Layer> layers,
                                 const std::vector<bool> &chosen, const Calibration &calibration,
                                 const WriteOptions &options) {
  return StaticWriter(model, layers, chosen, calibration, options).write();
}
