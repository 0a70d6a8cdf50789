//===- ShrinkSizes.cpp - smaller dimensions -------------------------------===//
//
// Which dimensions belong together nobody knows without the meaning of each op, so all of one size
// are taken to do: those of inputs and constants, and numbers of that size in attributes and
// shapes. What comes of it may be no model at all, which whoever tries it finds out.
//
//===----------------------------------------------------------------------===//
#include "api/compare/ShrinkSizes.h"

#include "frontend/onnx/TensorData.h"

#include <algorithm>
#include <cstring>

using namespace quern;
namespace proto = quantization::proto;

/// Numbers of attributes below it are windows and strides, not sizes.
static constexpr int64_t kLeastOfAttributes = 8;

/// The first `size` of a dimension.
static Tensor firstOf(const Tensor &tensor, int64_t axis, int64_t size) {
  Tensor::Dims dims = tensor.dims();
  dims[static_cast<size_t>(axis)] = size;
  Expected<Tensor> made = Tensor::allocate(tensor.dtype(), dims);
  if (!made)
    return tensor;
  int64_t outer = 1, inner = dtypeBytes(tensor.dtype());
  for (int64_t d = 0; d < axis; ++d)
    outer *= tensor.dim(d);
  for (int64_t d = axis + 1; d < tensor.rank(); ++d)
    inner *= tensor.dim(d);
  auto *from = static_cast<const std::byte *>(tensor.rawData());
  auto *to = static_cast<std::byte *>(made->mutableRawData());
  for (int64_t i = 0; i < outer; ++i)
    std::memcpy(to + i * size * inner, from + i * tensor.dim(axis) * inner,
                static_cast<size_t>(size * inner));
  return made.take();
}

/// Whether anything changed.
static bool changeTensor(Tensor &tensor, int64_t from, int64_t to) {
  if (tensor.dtype() == DType::String)
    return false;
  bool changed = false;
  for (int64_t axis = 0; axis < tensor.rank(); ++axis)
    if (tensor.dim(axis) == from) {
      tensor = firstOf(tensor, axis, to);
      changed = true;
    }
  if (tensor.dtype() != DType::Int64 || tensor.rank() > 1 || from < kLeastOfAttributes)
    return changed;
  Expected<Tensor> copy = tensor.clone();
  if (!copy)
    return changed;
  for (int64_t i = 0; i < copy->numElements(); ++i)
    if (copy->data<int64_t>()[i] == from) {
      copy->mutableData<int64_t>()[i] = to;
      changed = true;
    }
  tensor = copy.take();
  return changed;
}

static void changeAttributes(proto::GraphProto &graph, int64_t from, int64_t to) {
  if (from < kLeastOfAttributes)
    return;
  for (proto::NodeProto &node : *graph.mutable_node())
    for (proto::AttributeProto &attribute : *node.mutable_attribute()) {
      if (attribute.type() == proto::AttributeProto::INT && attribute.i() == from)
        attribute.set_i(to);
      for (int i = 0; i < attribute.ints_size(); ++i)
        if (attribute.ints(i) == from)
          attribute.set_ints(i, to);
    }
}

static bool changeInput(ModelPart &part, size_t number, Tensor tensor) {
  proto::ValueInfoProto &port =
      *part.model.mutable_graph()->mutable_input(static_cast<int>(number));
  setTensorType(port, tensor.dtype(), tensor.dims());
  part.inputs[number].second = std::move(tensor);
  return true;
}

std::optional<ModelPart> quern::changeSizes(const ModelPart &part, const SizeChange &change) {
  ModelPart result = part;
  proto::GraphProto &graph = *result.model.mutable_graph();
  bool changed = false;
  for (size_t i = 0; i < result.inputs.size(); ++i) {
    const Tensor *tensor = result.inputs[i].second.asTensor();
    if (!tensor || (change.input && *change.input != i))
      continue;
    Tensor smaller = *tensor;
    if (change.input)
      changed |= changeInput(result, i, firstOf(*tensor, change.axis, change.to));
    else if (changeTensor(smaller, change.from, change.to))
      changed |= changeInput(result, i, std::move(smaller));
  }
  if (change.input)
    return result;
  for (proto::TensorProto &constant : *graph.mutable_initializer()) {
    Expected<Tensor> tensor = quern::onnx::decodeTensor(constant, {}, {});
    if (!tensor || !changeTensor(*tensor, change.from, change.to))
      continue;
    constant = quantization::makeTensorProto(constant.name(), *tensor);
    changed = true;
  }
  changeAttributes(graph, change.from, change.to);
  return changed ? std::optional(std::move(result)) : std::nullopt;
}

std::vector<SizeChange> quern::possibleChanges(const ModelPart &part) {
  std::set<int64_t, std::greater<>> sizes;
  std::vector<SizeChange> changes;
  auto add = [&](int64_t from, std::optional<size_t> input, int64_t axis) {
    for (int64_t to : {int64_t{1}, from / 4, from / 2, from - 1})
      if (to > 0 && to < from &&
          (changes.empty() || changes.back().to != to || changes.back().from != from))
        changes.push_back({from, to, input, axis});
  };
  for (const auto &[name, value] : part.inputs)
    if (const Tensor *tensor = value.asTensor())
      sizes.insert(tensor->dims().begin(), tensor->dims().end());
  for (const proto::TensorProto &constant : part.model.graph().initializer())
    sizes.insert(constant.dims().begin(), constant.dims().end());
  for (int64_t size : sizes)
    add(size, std::nullopt, 0);
  for (size_t i = 0; i < part.inputs.size(); ++i)
    if (const Tensor *tensor = part.inputs[i].second.asTensor())
      for (int64_t axis = 0; axis < tensor->rank(); ++axis)
        add(tensor->dim(axis), i, axis);
  return changes;
}
