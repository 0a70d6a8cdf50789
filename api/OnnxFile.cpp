//===- OnnxFile.cpp - what an ONNX file says, without importing it --------===//
#include "api/Frontend.h"

#include "frontend/onnx/ExternalData.h"
#include "frontend/onnx/OnnxImporter.h"
#include "frontend/onnx/OnnxReader.h"
#include "frontend/onnx/TensorData.h"
#include "frontend/onnx/UnsupportedOps.h"
#include "frontend/onnx/ValidateModel.h"
#include "frontend/onnx/ValueData.h"
#include "frontend/onnx/ValueTypes.h"
#include "ir/OwnedModule.h"
#include "quern/CheckedSize.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

using namespace quern;
namespace proto = quern::onnx::proto;

static PortSignature portOf(const proto::ValueInfoProto &value) {
  return {value.name(), quern::onnx::valueTypeOf(value.type())};
}

/// Counts the nodes of a graph and of the graphs in its attributes.
static void countOps(const proto::GraphProto &graph, std::map<std::string, int64_t> &counts) {
  for (const proto::NodeProto &node : graph.node()) {
    std::string domain = quern::onnx::canonicalDomain(node.domain());
    ++counts[(domain.empty() ? "" : domain + ".") + node.op_type()];
    for (const proto::AttributeProto &attribute : node.attribute()) {
      if (attribute.has_g())
        countOps(attribute.g(), counts);
      for (const proto::GraphProto &inner : attribute.graphs())
        countOps(inner, counts);
    }
  }
}

/// Its own, then those with external data.
static std::vector<std::string> filesOf(const proto::ModelProto &model, const std::string &path) {
  std::vector<std::string> files =
      quern::onnx::externalFilesOf(model, quern::onnx::directoryOf(path));
  files.insert(files.begin(), path);
  return files;
}

/// What ONNX's own metadata say of the pixels of images.
static ImageOptions imageOptionsOf(const proto::ModelProto &model) {
  ImageOptions options;
  for (const proto::StringStringEntryProto &entry : model.metadata_props()) {
    const std::string &key = entry.key(), &value = entry.value();
    if (key == "Image.BitmapPixelFormat" && value == "Gray8")
      options.colors = ImageColors::Gray;
    else if (key == "Image.BitmapPixelFormat" && value == "Rgb8")
      options.colors = ImageColors::Rgb;
    else if (key == "Image.BitmapPixelFormat" && value == "Bgr8")
      options.colors = ImageColors::Bgr;
    else if (key == "Image.NominalPixelRange" && value == "NominalRange_0_255")
      options.numbers = PixelNumbers{.scale = 1};
    else if (key == "Image.NominalPixelRange" && value == "Normalized_0_1")
      options.numbers = PixelNumbers();
    else if (key == "Image.NominalPixelRange" && value == "Normalized_1_1")
      options.numbers = PixelNumbers{.scale = 1, .mean = {127.5}, .deviation = {127.5}};
    else if (key == "Image.NominalPixelRange" && value == "NominalRange_16_235")
      options.numbers = PixelNumbers{.scale = 219.0 / 255, .mean = {-16}};
    else if (key == "Image.BitmapPixelFormat" || key == "Image.NominalPixelRange" ||
             (key == "Image.ColorSpaceGamma" && value != "SRGB"))
      options.unsupported = "the model's metadata ask for images with " + key + " " + value;
  }
  return options;
}

static ModelFacts collectFacts(const proto::ModelProto &model) {
  ModelFacts facts;
  facts.producer = model.producer_name();
  facts.graphName = model.graph().name();
  facts.domain = model.domain();
  facts.description = model.doc_string();
  facts.graphDescription = model.graph().doc_string();
  facts.modelVersion = model.model_version();
  for (const proto::StringStringEntryProto &entry : model.metadata_props())
    facts.metadata.emplace_back(entry.key(), entry.value());
  facts.irVersion = model.ir_version();
  for (const auto &[domain, version] : quern::onnx::opsetVersions(model))
    facts.opsets.emplace_back(quern::onnx::domainLabel(domain), version);
  const proto::GraphProto &graph = model.graph();
  std::set<std::string_view> initializers;
  CheckedSize parameters(0);
  for (const proto::TensorProto &tensor : graph.initializer()) {
    initializers.insert(tensor.name());
    parameters +=
        CheckedSize::product({tensor.dims().data(), static_cast<size_t>(tensor.dims_size())});
  }
  facts.initializers = graph.initializer_size();
  facts.parameters = parameters.value();
  for (const proto::ValueInfoProto &input : graph.input())
    if (!initializers.count(input.name()))
      facts.inputs.push_back(portOf(input));
  for (const proto::ValueInfoProto &output : graph.output())
    facts.outputs.push_back(portOf(output));
  for (const PortSignature &input : facts.inputs)
    facts.images.emplace(input.name, imageOptionsOf(model));
  std::map<std::string, int64_t> counts;
  countOps(graph, counts);
  facts.ops.assign(counts.begin(), counts.end());
  std::sort(facts.ops.begin(), facts.ops.end(), [](const auto &a, const auto &b) {
    return std::tie(b.second, a.first) < std::tie(a.second, b.first);
  });
  for (const auto &[name, count] : facts.ops)
    facts.nodes += count;
  return facts;
}

static Expected<ModelFacts> inspectModel(const Expected<quern::onnx::ParsedModel> &model,
                                         const std::string &name, const Limits &limits) {
  if (!model)
    return model.status().withContext(name);
  QUERN_TRY(limits.deadline.check("reading the model").withContext(name));
  if (auto valid = quern::onnx::validateModel(*model, limits); !valid)
    return valid.status().withContext(name);
  return collectFacts(**model);
}

static Expected<ModelFacts> inspectFile(const std::string &path, const Limits &limits) {
  auto model = quern::onnx::readModelFile(path, limits);
  auto facts = inspectModel(model, path, limits);
  if (facts)
    facts->files = filesOf(**model, path);
  return facts;
}

static Expected<std::vector<std::string>> findFiles(const std::string &path, const Limits &limits) {
  auto model = quern::onnx::readModelFile(path, limits);
  if (!model)
    return model.status().withContext(path);
  return filesOf(**model, path);
}

static Expected<ModelFacts> inspectBytes(std::span<const std::byte> bytes, const Limits &limits) {
  // The caller's bytes outlive the call.
  std::shared_ptr<const void> unowned(bytes.data(), [](const void *) {});
  return inspectModel(quern::onnx::readModelBytes({bytes, std::move(unowned)}, limits), "model",
                      limits);
}

static Expected<std::vector<UnsupportedOp>> unsupportedOpsIn(const std::string &path,
                                                             const Limits &limits) {
  auto model = quern::onnx::readModelFile(path, limits);
  if (!model)
    return model.status().withContext(path);
  std::vector<UnsupportedOp> ops;
  for (quern::onnx::UnsupportedOp &op : quern::onnx::findUnsupportedOps(**model))
    ops.push_back({std::move(op.op), quern::onnx::domainLabel(op.domain), op.version,
                   std::move(op.reason), std::move(op.nodes)});
  return ops;
}

static Expected<std::vector<ModelProblem>> findProblems(const std::string &path,
                                                        const Limits &limits) {
  nn::OwnedModule source = nn::OwnedModule::create();
  std::vector<quern::onnx::ImportProblem> found;
  auto module = quern::onnx::importOnnxFile(path, *source.context, {limits, &found});
  if (!module && found.empty() && module.status().code() != StatusCode::Unsupported)
    return module.status();
  std::vector<ModelProblem> problems;
  for (quern::onnx::ImportProblem &problem : found)
    problems.push_back({problem.code, std::move(problem.node), std::move(problem.op),
                        problem.version, std::move(problem.message)});
  return problems;
}

static ImportedModule loadFile(const std::string &path, mlir::MLIRContext &context,
                               const Limits &limits, std::vector<std::string> &files) {
  return quern::onnx::importOnnxFile(path, context, {.limits = limits, .files = &files});
}

static ImportedModule loadBytes(const ModelBytes &model, mlir::MLIRContext &context,
                                const Limits &limits) {
  return quern::onnx::importOnnxBytes(model.bytes, model.name, context, {limits}, model.owner);
}

const Frontend &quern::onnxFrontend() {
  static constexpr Frontend frontend = {[](std::span<const std::byte>) { return true; },
                                        loadFile,
                                        loadBytes,
                                        inspectFile,
                                        inspectBytes,
                                        findFiles,
                                        unsupportedOpsIn,
                                        findProblems};
  return frontend;
}

Expected<Tensor> quern::readTensorFile(const std::string &path, const Limits &limits) {
  QUERN_ASSIGN(quern::onnx::NamedTensor named, quern::onnx::readTensorFile(path, limits));
  return std::move(named.tensor);
}

Expected<AnyValue> quern::readValueFile(const std::string &path, const ValueType &type,
                                        const Limits &limits) {
  return quern::onnx::readValueFile(path, type, limits);
}

Expected<std::string> quern::serializeValue(const AnyValue &value, const std::string &name) {
  return quern::onnx::serializeValue(value, name);
}
