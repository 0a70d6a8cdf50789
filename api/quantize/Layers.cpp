//===- Layers.cpp - what of a model can be quantized ----------------------===//
#include "api/quantize/Layers.h"

#include "quern/NearestName.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::quantization;

std::optional<Mode> quantization::parseMode(std::string_view name) {
  constexpr std::pair<std::string_view, Mode> kModes[] = {{"static", Mode::Static},
                                                          {"dynamic", Mode::Dynamic},
                                                          {"weights-int8", Mode::WeightsInt8},
                                                          {"weights-int4", Mode::WeightsInt4},
                                                          {"float16", Mode::Float16}};
  for (const auto &[each, mode] : kModes)
    if (each == name)
      return mode;
  return std::nullopt;
}

/// Why a mode leaves the layers of an op alone; empty when it does not.
static std::string refuseOp(const std::string &op, Mode mode) {
  bool isProduct = op == "MatMul" || op == "Gemm";
  if (mode == Mode::Dynamic && !isProduct)
    return "only products are quantized dynamically";
  if (mode == Mode::WeightsInt4 && !isProduct)
    return "only weights of products have blocks";
  if (mode == Mode::Static && op == "ConvTranspose")
    return "transposed convolutions have no integer form";
  return "";
}

/// Where the output channels lie in weights of so many dims; nothing where they do not lie along
/// one axis.
static std::optional<int64_t> channelAxis(const proto::NodeProto &node, int rank) {
  if (isOp(node, "Conv") && rank >= 3)
    return 0;
  if (isOp(node, "ConvTranspose") && rank >= 3 && intAttribute(node, "group", 1) == 1)
    return 1;
  if (isOp(node, "MatMul") && rank == 2)
    return 1;
  if (isOp(node, "Gemm") && rank == 2)
    return intAttribute(node, "transB", 0) != 0 ? 0 : 1;
  return std::nullopt;
}

/// Operand 2, where it is a constant with an entry for each channel that is added as it is.
static std::string findBias(const EditableModel &model, const proto::NodeProto &node,
                            int64_t channels) {
  bool isScaled = isOp(node, "Gemm") &&
                  (floatAttribute(node, "alpha", 1) != 1 || floatAttribute(node, "beta", 1) != 1);
  if (node.input_size() < 3 || isScaled || !model.isFloatConstant(node.input(2)))
    return "";
  const proto::TensorProto &bias = *model.constant(node.input(2));
  int rank = bias.dims_size();
  bool isVector = rank == 1 || (rank == 2 && bias.dims(0) == 1 && isOp(node, "Gemm"));
  return isVector && bias.dims(rank - 1) == channels ? node.input(2) : "";
}

/// Why a Gemm is no product of its input and weights, for modes that make it one.
static std::string refuseGemm(const EditableModel &model, const proto::NodeProto &node, Mode mode) {
  if (!isOp(node, "Gemm") || mode == Mode::Float16 || mode == Mode::WeightsInt8)
    return "";
  if (intAttribute(node, "transA", 0) != 0)
    return "its input is transposed";
  bool isScaled =
      node.input_size() > 2 && !node.input(2).empty() && floatAttribute(node, "beta", 1) != 1;
  if (mode != Mode::Static && isScaled && !model.isFloatConstant(node.input(2)))
    return "what is added is scaled, and no constant";
  return "";
}

static std::optional<Layer> readLayer(const EditableModel &model, int i, Mode mode) {
  const proto::NodeProto &node = model.graph().node(i);
  bool isKnown = false;
  for (const char *op : {"Conv", "ConvTranspose", "MatMul", "Gemm"})
    isKnown |= isOp(node, op);
  if (!isKnown || node.input_size() < 2 || !model.isFloatConstant(node.input(1)) ||
      model.constant(node.input(0)))
    return std::nullopt;
  const proto::TensorProto &weights = *model.constant(node.input(1));
  Layer layer{.node = i,
              .name = node.name(),
              .op = node.op_type(),
              .input = node.input(0),
              .weights = node.input(1),
              .output = node.output(0)};
  layer.refusal = refuseOp(layer.op, mode);
  if (layer.refusal.empty())
    layer.refusal = refuseGemm(model, node, mode);
  std::optional<int64_t> axis = channelAxis(node, weights.dims_size());
  if (axis) {
    layer.channelAxis = *axis;
    layer.channels = weights.dims(static_cast<int>(*axis));
    layer.bias = findBias(model, node, layer.channels);
  } else if (layer.refusal.empty() && mode != Mode::Float16) {
    layer.refusal = fmt::format("weights of {} dimensions", weights.dims_size());
    if (weights.dims_size() >= 3)
      layer.refusal = "output channels do not lie along one axis";
  }
  return layer;
}

/// Usage error when a name is none of a node.
static Status checkKept(const EditableModel &model, std::span<const std::string> keep) {
  std::vector<std::string> names;
  for (const proto::NodeProto &node : model.graph().node())
    names.push_back(node.name());
  for (const std::string &name : keep)
    if (std::ranges::find(names, name) == names.end())
      return usageError(
          fmt::format("there is no node '{}' to keep{}", name, suggestName(name, names)));
  return Status::ok();
}

Expected<std::vector<Layer>> quantization::findLayers(const EditableModel &model, Mode mode,
                                                      std::span<const std::string> keep) {
  QUERN_TRY(checkKept(model, keep));
  std::vector<Layer> layers;
  for (int i = 0; i < model.graph().node_size(); ++i)
    if (std::optional<Layer> layer = readLayer(model, i, mode)) {
      if (std::ranges::find(keep, layer->name) != keep.end())
        layer->refusal = "kept, as asked for";
      layers.push_back(std::move(*layer));
    }
  return layers;
}

int quantization::findActivation(const EditableModel &model, const GraphIndex &index, int node) {
  const std::string &result = model.graph().node(node).output(0);
  int reader = index.soleReader(result);
  if (reader < 0 || model.graph().node(reader).input(0) != result)
    return -1;
  const proto::NodeProto &activation = model.graph().node(reader);
  if (isOp(activation, "Relu"))
    return reader;
  if (!isOp(activation, "Clip"))
    return -1;
  for (int i = 1; i < activation.input_size(); ++i)
    if (!activation.input(i).empty() && !model.isFloatConstant(activation.input(i)))
      return -1;
  return reader;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// A matrix with its rows as columns where it is `transposed`, times `factor`.
static Expected<Tensor> plainMatrix(const Tensor &given, bool transposed, float factor) {
  int64_t rows = given.dim(transposed ? 1 : 0), columns = given.dim(transposed ? 0 : 1);
  QUERN_ASSIGN(Tensor matrix, Tensor::allocate(DType::Float32, {rows, columns}));
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      matrix.mutableData<float>()[i * columns + j] =
          given.data<float>()[transposed ? j * rows + i : i * columns + j] * factor;
  return matrix;
}

Expected<Product> quantization::readProduct(const EditableModel &model,
                                            const proto::NodeProto &node) {
  Product product;
  QUERN_ASSIGN(Tensor weights, model.constantValue(node.input(1)));
  bool isGemm = isOp(node, "Gemm");
  bool isTransposed = isGemm && intAttribute(node, "transB", 0) != 0;
  float alpha = isGemm ? floatAttribute(node, "alpha", 1) : 1;
  QUERN_ASSIGN(product.weights, plainMatrix(weights, isTransposed, alpha));
  if (!isGemm || node.input_size() < 3 || node.input(2).empty())
    return product;
  float beta = floatAttribute(node, "beta", 1);
  if (beta == 1) {
    product.addedValue = node.input(2);
    return product;
  }
  QUERN_ASSIGN(Tensor added, model.constantValue(node.input(2)));
  QUERN_ASSIGN(product.added, added.clone());
  for (int64_t i = 0; i < added.numElements(); ++i)
    product.added.mutableData<float>()[i] *= beta;
  return product;
}
