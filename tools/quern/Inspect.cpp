//===- Inspect.cpp - quern inspect ----------------------------------------===//
//
// Reads the ONNX file only: works for models with ops that are not supported.
//
//===----------------------------------------------------------------------===//
#include "frontend/onnx/OnnxReader.h"
#include "frontend/onnx/UnsupportedOps.h"
#include "frontend/onnx/ValidateModel.h"
#include "tools/quern/Options.h"
#include "tools/quern/Ports.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;
namespace proto = quern::onnx::proto;

namespace {
struct InspectOptions {
  std::string path;
  std::string timeout;
  OutputStyle style;
};

struct ModelFacts {
  std::string producer;
  int64_t irVersion = 0;
  std::vector<std::pair<std::string, int64_t>> opsets;
  std::vector<PortSignature> inputs, outputs;
  /// By count, then name.
  std::vector<std::pair<std::string, int64_t>> ops;
  int64_t nodes = 0;
  int64_t initializers = 0;
  int64_t parameters = 0;
};
} // namespace

static void addOptions(CLI::App &verb, InspectOptions &options) {
  verb.add_option("MODEL", options.path, "An ONNX model file")->required();
  addTimeoutOption(verb, options.timeout);
}

static PortSignature portOf(const proto::ValueInfoProto &value) {
  PortSignature port;
  port.name = value.name();
  const auto &tensor = value.type().tensor_type();
  port.dtype = static_cast<DType>(tensor.elem_type());
  port.ranked = tensor.has_shape();
  std::vector<PortDim> dims;
  for (const auto &dim : tensor.shape().dim()) {
    if (dim.has_dim_value())
      dims.push_back(PortDim(int64_t{dim.dim_value()}));
    else
      dims.push_back(dim.dim_param().empty() ? PortDim() : PortDim::symbol(dim.dim_param()));
  }
  port.shape = PortShape(std::move(dims));
  return port;
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

static ModelFacts collectFacts(const proto::ModelProto &model) {
  ModelFacts facts;
  facts.producer = model.producer_name();
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

static std::string describe(const ModelFacts &facts) {
  std::string text = "IR version " + std::to_string(facts.irVersion);
  for (const auto &[domain, version] : facts.opsets)
    text += ", opset " + domain + " " + std::to_string(version);
  text += facts.producer.empty() ? "\n" : ", made by " + facts.producer + "\n";
  text += describePorts("input", facts.inputs) + describePorts("output", facts.outputs);
  text += std::to_string(facts.parameters) + " parameters in " +
          std::to_string(facts.initializers) + " initializers, " + std::to_string(facts.nodes) +
          " nodes\n\n";
  Table table({"op", "count"});
  for (const auto &[name, count] : facts.ops)
    table.addRow({name, std::to_string(count)});
  return text + table.str();
}

static Json describeJson(const InspectOptions &options, const ModelFacts &facts) {
  Json opsets = Json::object(), ops = Json::object();
  for (const auto &[domain, version] : facts.opsets)
    opsets[domain] = version;
  for (const auto &[name, count] : facts.ops)
    ops[name] = count;
  return {{"schema", "quern.inspect/1"},
          {"model", options.path},
          {"producer", facts.producer},
          {"ir_version", facts.irVersion},
          {"opsets", std::move(opsets)},
          {"inputs", portsJson(facts.inputs)},
          {"outputs", portsJson(facts.outputs)},
          {"nodes", facts.nodes},
          {"initializers", facts.initializers},
          {"parameters", facts.parameters},
          {"ops", std::move(ops)}};
}

static Status execute(const InspectOptions &options) {
  QUERN_TRY(checkJsonWritable(options.style));
  QUERN_ASSIGN(Limits limits, limitsWithTimeout(options.timeout));
  auto model = quern::onnx::readModelFile(options.path, limits);
  if (!model)
    return model.status().withContext(options.path);
  QUERN_TRY(limits.deadline.check("reading the model").withContext(options.path));
  if (auto valid = quern::onnx::validateModel(*model, limits); !valid)
    return valid.status().withContext(options.path);
  ModelFacts facts = collectFacts(**model);
  if (options.style.printsTable())
    QUERN_TRY(printText(describe(facts)));
  return writeJson(describeJson(options, facts), options.style);
}

void cli::addInspectVerb(CLI::App &app, Command &command) {
  addVerb<InspectOptions>(app, command, "inspect", "Shows what is in a model file", addOptions,
                          execute);
}
