//===- ModelDraw.cpp - drawing random ONNX models -------------------------===//
#include "tests/random/ModelDraw.h"

#include "quern/CheckedSize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

using namespace quern;
using namespace quern::random;
using quern::onnx::test::ModelBuilder;

int64_t Drawn::elements() const { return CheckedSize::product(dims).value(); }

double random::roundingUnit(DType dtype) {
  switch (dtype) {
  case DType::Float64:
    return 0x1p-53;
  case DType::Float32:
    return 0x1p-24;
  case DType::Float16:
    return 0x1p-11;
  case DType::BFloat16:
    return 0x1p-8;
  default:
    return 0;
  }
}

double random::exactLimit(DType dtype) {
  double unit = roundingUnit(dtype);
  // Integers wrap, in the same way everywhere.
  return unit > 0 ? 1 / unit : 0x1p63;
}

//===----------------------------------------------------------------------===//
// Chance
//===----------------------------------------------------------------------===//

ModelDraw::ModelDraw(uint64_t seed, DrawMix mix)
    : engine(seed * 0x9E3779B97F4A7C15u + 1), drawMix(mix), version(drawVersion()),
      versionOfMl(pick<int64_t>({1, 2, 3, 5})), builder(version), images(percent(40)),
      ranksAreKnown(percent(85)) {}

/// Scales for blocks are there since 21.
int64_t ModelDraw::drawVersion() {
  if (drawMix == DrawMix::Quantized && percent(30))
    return pick<int64_t>({21, 22});
  return pick<int64_t>({8, 9, 10, 11, 12, 13, 13, 14, 15, 16, 17, 17, 18, 19, 20, 21, 22});
}

int64_t ModelDraw::drawSize() {
  int64_t kind = below(20);
  if (kind == 0)
    return 0;
  if (kind <= 3)
    return 1;
  if (kind <= 6)
    return pick<int64_t>({8, 15, 16, 17, 31, 32, 33});
  return between(2, 7);
}

Tensor::Dims ModelDraw::drawDims(int64_t minRank, int64_t maxRank) {
  constexpr int64_t kMaxElements = 2048;
  Tensor::Dims dims(between(minRank, maxRank));
  int64_t elements = 1;
  for (int64_t &d : dims) {
    d = drawSize();
    if (elements * d > kMaxElements)
      d = between(1, 2);
    elements *= std::max<int64_t>(d, 1);
  }
  return dims;
}

DType ModelDraw::drawFloat() {
  if (percent(70))
    return DType::Float32;
  return pick({DType::Float64, DType::Float16, version >= 13 ? DType::BFloat16 : DType::Float16});
}

Tensor::Dims ModelDraw::broadcastable(Tensor::Dims dims) {
  switch (below(5)) {
  case 0:
    return dims;
  case 1: // a vector along the last dimension, or a scalar
    return dims.empty() || percent(40) ? Tensor::Dims() : Tensor::Dims{dims.back()};
  case 2: // fewer dimensions
    dims.erase(dims.begin(), dims.begin() + below(static_cast<int64_t>(dims.size()) + 1));
    break;
  case 3:
    break;
  default: // one per channel
    if (dims.size() >= 2) {
      Tensor::Dims channels(dims.size() - 1, 1);
      channels[0] = dims[1];
      return channels;
    }
  }
  for (int64_t &d : dims)
    if (percent(40))
      d = 1;
  return dims;
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Drawn ModelDraw::any(const Wanted &wanted, const std::function<Drawn()> &otherwise) {
  std::vector<const Drawn *> found;
  for (const Drawn &value : values)
    if ((isFloat(value.dtype) || value.isExact()) && wanted(value))
      found.push_back(&value);
  if (found.empty() || percent(8))
    return otherwise();
  auto count = static_cast<int64_t>(found.size());
  return *found[count - 1 - std::min(below(count), below(count))];
}

Drawn ModelDraw::operand(DType dtype, const Tensor::Dims &dims, double maxBound) {
  auto fits = [&](const Drawn &v) {
    return v.dtype == dtype && v.dims == dims && v.bound <= maxBound;
  };
  auto makeLeaf = [&] { return leaf(dtype, dims); };
  return percent(70) ? any(fits, makeLeaf) : makeLeaf();
}

/// Sets element `i` to a number.
void random::setElement(Tensor &tensor, int64_t i, double value) {
  switch (tensor.dtype()) {
  case DType::Float32:
    tensor.mutableData<float>()[i] = static_cast<float>(value);
    return;
  case DType::Float64:
    tensor.mutableData<double>()[i] = value;
    return;
  case DType::Float16:
    tensor.mutableData<Float16>()[i] = Float16(static_cast<float>(value));
    return;
  case DType::BFloat16:
    tensor.mutableData<BFloat16>()[i] = BFloat16(static_cast<float>(value));
    return;
  case DType::Bool:
    tensor.mutableData<bool>()[i] = value >= 1;
    return;
  default: // integers: the low bytes
    auto integer = static_cast<int64_t>(value);
    std::memcpy(static_cast<char *>(tensor.mutableRawData()) + i * dtypeBytes(tensor.dtype()),
                &integer, static_cast<size_t>(dtypeBytes(tensor.dtype())));
  }
}

Drawn ModelDraw::addLeaf(const Tensor &tensor, double bound, double error, int64_t inputPercent) {
  Drawn value{fresh(), tensor.dtype(), tensor.dims(), bound, error};
  if (percent(inputPercent)) {
    builder.input(value.name, tensor.dims(), tensor.dtype());
    inputNames.push_back(value.name);
    inputs.push_back(tensor);
  } else if (percent(60)) {
    builder.initializer(value.name, tensor);
  } else {
    builder.node("Constant", {}, {value.name});
    auto &attribute = builder.attribute("value", quern::onnx::proto::AttributeProto::TENSOR);
    quern::onnx::proto::TensorProto &held = builder.initializer("moved", tensor);
    attribute.mutable_t()->Swap(&held);
    builder.graph().mutable_initializer()->RemoveLast();
  }
  keep(value);
  return value;
}

Tensor ModelDraw::drawIntegers(DType dtype, const Tensor::Dims &dims, int64_t low, int64_t high) {
  Tensor tensor = Tensor::allocate(dtype, dims).take();
  if (isUnsignedInteger(dtype))
    low = std::max<int64_t>(low, 0);
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    setElement(tensor, i, static_cast<double>(between(low, high)));
  return tensor;
}

static double largest(int64_t low, int64_t high) {
  return static_cast<double>(std::max(std::abs(low), std::abs(high)));
}

Drawn ModelDraw::leaf(DType dtype, const Tensor::Dims &dims, int64_t low, int64_t high) {
  return addLeaf(drawIntegers(dtype, dims, low, high), largest(low, high), 0);
}

Drawn ModelDraw::parameter(DType dtype, const Tensor::Dims &dims, int64_t low, int64_t high) {
  return addLeaf(drawIntegers(dtype, dims, low, high), largest(low, high), 0, /*inputPercent=*/12);
}

Drawn ModelDraw::realLeaf(DType dtype, const Tensor::Dims &dims, double low, double high) {
  Tensor tensor = Tensor::allocate(dtype, dims).take();
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    setElement(tensor, i, low + (high - low) * static_cast<double>(below(1 << 20)) / (1 << 20));
  double bound = std::max(std::abs(low), std::abs(high));
  // The leaf itself is exact; what is computed from it is rounded.
  return addLeaf(tensor, bound, roundingUnit(dtype) * bound);
}

std::string ModelDraw::initializer(const Tensor &tensor) {
  std::string name = fresh();
  builder.initializer(name, tensor);
  return name;
}

std::string ModelDraw::unsharedLeaf(const Tensor &tensor) {
  if (percent(50))
    return initializer(tensor);
  std::string name = fresh();
  builder.input(name, tensor.dims(), tensor.dtype());
  inputNames.push_back(name);
  inputs.push_back(tensor);
  return name;
}

Drawn ModelDraw::tamed(const Drawn &value, double bound) {
  if (value.bound <= bound)
    return value;
  Drawn low = leaf(value.dtype, {}, -4, -4), high = leaf(value.dtype, {}, 4, 4);
  Drawn raised{fresh(), value.dtype, value.dims, value.bound, value.error};
  result("Max", {value.name, low.name}, raised);
  Drawn clipped{fresh(), value.dtype, value.dims, 4, value.error};
  result("Min", {raised.name, high.name}, clipped);
  return clipped;
}

//===----------------------------------------------------------------------===//
// Integer operands
//===----------------------------------------------------------------------===//

std::string ModelDraw::constantInts(const std::vector<int64_t> &list) {
  std::string name = fresh();
  if (percent(60)) {
    builder.ints(name, list);
    return name;
  }
  builder.node("Constant", {}, {name});
  if (version >= 12 && percent(50)) {
    builder.attr("value_ints", list);
    return name;
  }
  auto *t = builder.attribute("value", quern::onnx::proto::AttributeProto::TENSOR).mutable_t();
  t->set_data_type(static_cast<int>(DType::Int64));
  t->add_dims(static_cast<int64_t>(list.size()));
  for (int64_t v : list)
    t->add_int64_data(v);
  return name;
}

/// Arithmetic that gives `values`, as exporters write it for shapes.
std::string ModelDraw::computedInts(const std::vector<int64_t> &list, DType dtype) {
  // The shape of some value, where it is just that.
  if (dtype == DType::Int64)
    for (const Drawn &value : values)
      if (value.dims == list && !list.empty() && percent(50)) {
        std::string name = fresh();
        node("Shape", {value.name}, {name});
        return name;
      }
  std::vector<int64_t> difference(list);
  int64_t offset = between(1, 5);
  for (int64_t &v : difference)
    v = static_cast<int64_t>(static_cast<uint64_t>(v) - static_cast<uint64_t>(offset));
  std::string name = fresh();
  node("Add", {constantInts(difference), constantInts({offset})}, {name});
  return name;
}

std::string ModelDraw::ints(const std::vector<int64_t> &list, DType dtype) {
  int64_t kind = below(20);
  if (kind < 12 && dtype == DType::Int64)
    return constantInts(list);
  if (kind < 16 && dtype == DType::Int64 && !list.empty())
    return computedInts(list, dtype);
  Tensor tensor = Tensor::allocate(dtype, {static_cast<int64_t>(list.size())}).take();
  for (size_t i = 0; i < list.size(); ++i)
    std::memcpy(static_cast<char *>(tensor.mutableRawData()) +
                    static_cast<int64_t>(i) * dtypeBytes(dtype),
                &list[i], static_cast<size_t>(dtypeBytes(dtype)));
  std::string name = fresh();
  if (kind >= 18 || kind < 12) {
    builder.initializer(name, tensor);
    return name;
  }
  builder.input(name, tensor.dims(), dtype);
  inputNames.push_back(name);
  inputs.push_back(tensor);
  return name;
}

//===----------------------------------------------------------------------===//
// Nodes, and the finished model
//===----------------------------------------------------------------------===//

ModelBuilder &ModelDraw::node(const std::string &op, const std::vector<std::string> &operands,
                              const std::vector<std::string> &outputs) {
  for (const std::string &name : operands)
    ++uses[name];
  return builder.node(op, operands, outputs);
}

ModelBuilder &ModelDraw::result(const std::string &op, const std::vector<std::string> &operands,
                                Drawn value) {
  if (value.error > 0 || value.bound > exactLimit(value.dtype))
    value.error += 16 * roundingUnit(value.dtype) * value.bound;
  keep(value);
  return node(op, operands, {value.name});
}

void ModelDraw::domain(const std::string &name, int64_t domainVersion) {
  builder.graph().mutable_node(builder.graph().node_size() - 1)->set_domain(name);
  for (const auto &opset : builder.model.opset_import())
    if (opset.domain() == name)
      return;
  auto *opset = builder.model.add_opset_import();
  opset->set_domain(name);
  opset->set_version(domainVersion);
}

//===----------------------------------------------------------------------===//
// Bodies
//===----------------------------------------------------------------------===//

ModelDraw::Mark ModelDraw::beginBody() {
  ++openBodies;
  return {builder.graph().node_size(), values.size()};
}

Drawn ModelDraw::bodyInput(quern::onnx::proto::GraphProto &body, Drawn value) {
  value.name = fresh();
  auto *input = body.add_input();
  input->set_name(value.name);
  auto *type = input->mutable_type()->mutable_tensor_type();
  type->set_elem_type(static_cast<int>(value.dtype));
  for (int64_t size : value.dims)
    type->mutable_shape()->add_dim()->set_dim_value(size);
  type->mutable_shape();
  keep(value);
  return value;
}

std::vector<Drawn> ModelDraw::bodyValues(const Mark &mark) const {
  std::set<std::string> computed;
  const auto &nodes = builder.model.graph().node();
  for (int i = mark.nodes; i < nodes.size(); ++i)
    computed.insert(nodes[i].output().begin(), nodes[i].output().end());
  std::vector<Drawn> found;
  for (size_t i = mark.values; i < values.size(); ++i)
    if (computed.count(values[i].name))
      found.push_back(values[i]);
  return found;
}

void ModelDraw::endBody(const Mark &mark, quern::onnx::proto::GraphProto &body,
                        const std::vector<std::string> &results) {
  std::set<std::string> hidden;
  for (const auto &input : body.input())
    hidden.insert(input.name());
  auto &nodes = *builder.graph().mutable_node();
  for (int i = mark.nodes; i < nodes.size(); ++i) {
    hidden.insert(nodes[i].output().begin(), nodes[i].output().end());
    body.add_node()->Swap(&nodes[i]);
  }
  nodes.DeleteSubrange(mark.nodes, nodes.size() - mark.nodes);
  std::erase_if(values, [&](const Drawn &value) { return hidden.count(value.name) > 0; });
  body.set_name("body" + std::to_string(nextName++));
  for (const std::string &name : results)
    body.add_output()->set_name(name);
  --openBodies;
}

/// Gives some dims of some inputs a name or nothing at all. Equal sizes have equal
/// names within an input's model, so that names never contradict sizes.
void ModelDraw::openDims() {
  if (percent(55))
    return;
  for (auto &input : *builder.graph().mutable_input()) {
    if (percent(50))
      continue;
    auto *type = input.mutable_type()->mutable_tensor_type();
    if (!ranksAreKnown && percent(30)) {
      type->clear_shape();
      continue;
    }
    for (auto &dim : *type->mutable_shape()->mutable_dim()) {
      int64_t size = dim.dim_value();
      if (percent(30))
        dim.set_dim_param("size" + std::to_string(size));
      else if (percent(15))
        dim.clear_value();
    }
  }
}

RandomModel ModelDraw::finish() {
  RandomModel out;
  auto declare = [&](const Drawn &value) {
    builder.output(value.name);
    out.outputs.push_back(value);
  };
  bool computed = false;
  for (const Drawn &value : values) {
    bool isLeaf = true;
    for (const auto &n : builder.graph().node())
      for (const auto &name : n.output())
        isLeaf &= name != value.name || n.op_type() == "Constant";
    bool unread = uses[value.name] == 0;
    if (isLeaf ? percent(3) : unread || percent(15)) {
      declare(value);
      computed |= !isLeaf;
    }
  }
  if (!computed && !values.empty() && out.outputs.empty())
    declare(values.back());
  // ONNX Runtime wants to know the outputs' types.
  for (int i = 0; i < builder.graph().output_size(); ++i)
    builder.graph().mutable_output(i)->mutable_type()->mutable_tensor_type()->set_elem_type(
        static_cast<int>(out.outputs[i].dtype));
  openDims();
  out.model = builder.model;
  out.inputNames = inputNames;
  out.inputs = inputs;
  return out;
}

/// An op of one of `families`, each as often as its weight says.
static bool drawOpOf(ModelDraw &draw, const std::vector<OpFamily> &families) {
  auto weightOf = [&](const OpFamily &family) {
    if (draw.mix() == DrawMix::Quantized)
      return family.quantizedWeight;
    return draw.wantsImages() ? family.imageWeight : family.weight;
  };
  int total = 0;
  for (const OpFamily &family : families)
    total += weightOf(family);
  int64_t at = draw.below(total);
  const OpFamily *family = families.data();
  while (at >= weightOf(*family))
    at -= weightOf(*family++);
  return draw.pick(family->functions)(draw);
}

bool random::drawOp(ModelDraw &draw) {
  static const std::vector<OpFamily> families = {
      attentionFamily(), contractionFamily(),  controlFlowFamily(), convFamily(),
      channelsFamily(),  dataMovementFamily(), einsumFamily(),      elementwiseFamily(),
      gatherFamily(),    lossFamily(),         mlFamily(),          normalizationFamily(),
      poolFamily(),      qdqFamily(),          qlinearFamily(),     quantFamily(),
      recurrentFamily(), reductionFamily(),    resizeFamily(),      sequenceFamily(),
      shapeFamily(),     signalFamily(),       treeFamily(),        visionFamily()};
  return drawOpOf(draw, families);
}

/// An op on quantized tensors.
static bool drawQuantizedOp(ModelDraw &draw) {
  static const std::vector<OpFamily> families = {qdqFamily(), qlinearFamily(), quantFamily()};
  return drawOpOf(draw, families);
}

RandomModel random::drawModel(uint64_t seed, int maxOps, DrawMix mix) {
  ModelDraw draw(seed, mix);
  int ops = static_cast<int>(draw.pick<int64_t>({1, 2, 3, 4, 5, 6, 8, 10, 14}));
  int drawn = 0;
  for (int attempts = 0; drawn < std::min(ops, maxOps) && attempts < 200; ++attempts)
    drawn += mix == DrawMix::Quantized && drawn == 0 ? drawQuantizedOp(draw) : drawOp(draw);
  RandomModel model = draw.finish();
  model.ops = drawn;
  return model;
}
