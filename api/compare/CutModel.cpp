//===- CutModel.cpp - parts of a model that run on their own --------------===//
#include "api/compare/CutModel.h"

#include "quern/RandomSeed.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
namespace proto = quantization::proto;

/// Integers that may be shapes, axes or sizes: passes want to know them.
static constexpr int64_t kMostShapeElements = 64;

ReducedModel ModelPart::finished(size_t nodesBefore) const {
  ReducedModel result;
  result.bytes = model.SerializeAsString();
  result.inputs = inputs;
  for (const proto::NodeProto &node : model.graph().node())
    result.nodes.push_back(node.name());
  result.nodesBefore = nodesBefore;
  return result;
}

void quern::setTensorType(proto::ValueInfoProto &port, DType dtype, int64_t rank) {
  auto &type = *port.mutable_type()->mutable_tensor_type();
  type.set_elem_type(static_cast<int>(dtype));
  type.clear_shape();
  type.mutable_shape();
  for (int64_t d = 0; d < rank; ++d)
    type.mutable_shape()->add_dim();
}

void quern::setTensorType(proto::ValueInfoProto &port, DType dtype, const Tensor::Dims &dims) {
  auto rank = static_cast<int>(dims.size());
  setTensorType(port, dtype, int64_t{rank});
  auto &shape = *port.mutable_type()->mutable_tensor_type()->mutable_shape();
  for (int d = 0; d < rank; ++d)
    shape.mutable_dim(d)->set_dim_value(dims[static_cast<size_t>(d)]);
}

Expected<CutModel> CutModel::create(const std::string &path, std::span<const AnyValue> inputs,
                                    const ReductionOptions &options) {
  QUERN_ASSIGN(quantization::EditableModel model,
               quantization::EditableModel::read(path, options.limits));
  CutModel result(std::move(model));
  result.hasSizes = !options.sizes.shapes.empty() || !options.sizes.dims.empty();
  for (const proto::NodeProto &node : result.model.graph().node()) {
    std::set<std::string> names = quantization::namesInBodies(node);
    names.insert(node.input().begin(), node.input().end());
    names.erase("");
    result.reads.push_back(std::move(names));
    result.produced.insert(node.output().begin(), node.output().end());
  }
  QUERN_TRY(result.record(inputs, options));
  return result;
}

/// Runs the model with all values as its outputs. Where that fails parts begin with its inputs.
Status CutModel::record(std::span<const AnyValue> inputs, const ReductionOptions &options) {
  const proto::GraphProto &graph = model.graph();
  if (static_cast<size_t>(graph.input_size()) != inputs.size())
    return usageError(fmt::format("wanted {} inputs, found {}", graph.input_size(), inputs.size()));
  for (size_t i = 0; i < inputs.size(); ++i)
    values[graph.input(static_cast<int>(i)).name()] = inputs[i];
  std::vector<std::string> names;
  for (const proto::NodeProto &node : graph.node())
    for (const std::string &output : node.output())
      if (!output.empty())
        names.push_back(output);
  QUERN_ASSIGN(std::string bytes, model.serializeWithOutputs(names));
  auto run = [&]() -> Expected<std::vector<AnyValue>> {
    QUERN_ASSIGN(Model whole, Model::load(ModelBytes{std::as_bytes(std::span(bytes))},
                                          options.sizes, options.limits));
    QUERN_ASSIGN(std::shared_ptr<const CompiledModel> compiled,
                 whole.compile({.backend = Backend::Interpreter, .limits = options.limits}));
    QUERN_ASSIGN(std::unique_ptr<Runner> runner,
                 compiled->createRunner({.limits = options.limits}));
    seedRandomOps(0);
    return runner->run(inputs);
  };
  Expected<std::vector<AnyValue>> found = run();
  if (!found)
    return found.status().code() == StatusCode::Cancelled ? found.status() : Status::ok();
  for (size_t i = 0; i < names.size(); ++i)
    values[names[i]] = (*found)[i];
  return Status::ok();
}

/// Whether a value can be one.
bool CutModel::addInput(const std::string &name, ModelPart &part) const {
  auto at = values.find(name);
  const Tensor *tensor = at == values.end() ? nullptr : at->second.asTensor();
  proto::GraphProto &graph = *part.model.mutable_graph();
  for (const proto::ValueInfoProto &input : model.graph().input())
    if (input.name() == name) {
      proto::ValueInfoProto &added = *graph.add_input() = input;
      if (hasSizes && tensor)
        setTensorType(added, tensor->dtype(), tensor->dims());
      part.inputs.emplace_back(name, at->second);
      return true;
    }
  if (!tensor || !tensor->isPresent() || tensor->dtype() == DType::String)
    return false;
  bool isInteger = tensor->dtype() == DType::Int64 || tensor->dtype() == DType::Int32;
  if (isInteger && tensor->rank() <= 1 && tensor->numElements() <= kMostShapeElements) {
    *graph.add_initializer() = quantization::makeTensorProto(name, *tensor);
    return true;
  }
  proto::ValueInfoProto &added = *graph.add_input();
  added.set_name(name);
  setTensorType(added, tensor->dtype(), tensor->dims());
  part.inputs.emplace_back(name, *tensor);
  return true;
}

std::optional<ModelPart> CutModel::cut(const std::vector<size_t> &kept) const {
  ModelPart part;
  const proto::GraphProto &whole = model.graph();
  part.model.set_ir_version(model.message().ir_version());
  *part.model.mutable_opset_import() = model.message().opset_import();
  *part.model.mutable_functions() = model.message().functions();
  proto::GraphProto &graph = *part.model.mutable_graph();
  graph.set_name("reduced");
  std::set<std::string> made, read;
  for (size_t number : kept) {
    const proto::NodeProto &node = *graph.add_node() = whole.node(static_cast<int>(number));
    made.insert(node.output().begin(), node.output().end());
    read.insert(reads[number].begin(), reads[number].end());
  }
  made.erase("");
  std::set<std::string> outputs;
  for (const proto::ValueInfoProto &output : whole.output())
    outputs.insert(output.name());
  for (const std::string &name : read) {
    if (made.count(name))
      continue;
    if (const proto::TensorProto *constant = model.constant(name))
      *graph.add_initializer() = *constant;
    else if ((values.count(name) || produced.count(name)) && !addInput(name, part))
      return std::nullopt;
  }
  for (const std::string &name : made)
    if (!read.count(name) || outputs.count(name)) {
      proto::ValueInfoProto &port = *graph.add_output();
      port.set_name(name);
      auto at = values.find(name);
      const Tensor *tensor = at == values.end() ? nullptr : at->second.asTensor();
      if (tensor && tensor->isPresent())
        setTensorType(port, tensor->dtype(), tensor->rank());
      else
        for (const proto::ValueInfoProto &output : whole.output())
          if (output.name() == name)
            port = output;
    }
  return graph.output_size() > 0 ? std::optional(std::move(part)) : std::nullopt;
}
