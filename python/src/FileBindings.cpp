//===- FileBindings.cpp - what files say; this machine --------------------===//
#include "Errors.h"
#include "ModelBindings.h"
#include "Ports.h"
#include "Watch.h"
#include "quern/Artifact.h"
#include "quern/CacheFolder.h"
#include "quern/HostCpu.h"
#include "quern/Model.h"
#include "quern/OnnxFile.h"
#include "quern/Reports.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

namespace nb = nanobind;
using namespace quern;

static nb::dict countsOf(const std::vector<std::pair<std::string, int64_t>> &counts) {
  nb::dict dict;
  for (const auto &[name, count] : counts)
    dict[python::textOf(name)] = count;
  return dict;
}

static nb::dict dictOf(const ModelFacts &facts) {
  nb::dict dict;
  dict["producer"] = python::textOf(facts.producer);
  dict["graph"] = python::textOf(facts.graphName);
  dict["domain"] = python::textOf(facts.domain);
  dict["description"] = python::textOf(facts.description);
  dict["graph_description"] = python::textOf(facts.graphDescription);
  dict["version"] = facts.modelVersion;
  nb::dict metadata;
  for (const auto &[key, value] : facts.metadata)
    metadata[python::textOf(key)] = python::textOf(value);
  dict["metadata"] = metadata;
  dict["ir_version"] = facts.irVersion;
  dict["opsets"] = countsOf(facts.opsets);
  dict["inputs"] = python::portsOf(facts.inputs);
  dict["outputs"] = python::portsOf(facts.outputs);
  dict["ops"] = countsOf(facts.ops);
  dict["nodes"] = facts.nodes;
  dict["initializers"] = facts.initializers;
  dict["parameters"] = facts.parameters;
  return dict;
}

static nb::dict inspectFile(const std::string &path) {
  return dictOf(
      python::valueOf(python::watched(nb::none(), [&] { return inspectModelFile(path); })));
}

static nb::dict inspectBytes(nb::bytes bytes) {
  return dictOf(python::valueOf(
      inspectModelBytes({static_cast<const std::byte *>(bytes.data()), bytes.size()})));
}

static nb::dict inspectLibrary(const std::string &path) {
  ArtifactFacts facts = python::valueOf(inspectArtifact(path));
  nb::dict dict;
  dict["name"] = python::textOf(facts.name);
  dict["target_cpu"] = facts.targetCpu;
  dict["precision"] = std::string(precisionName(facts.precision));
  dict["precision_choice"] =
      facts.choice ? python::parsedReport(choiceReport(*facts.choice)) : nb::none();
  dict["abi_version"] = facts.abiVersion;
  dict["workspace_bytes"] = facts.workspaceBytes;
  dict["worker_bytes"] = facts.workerBytes;
  dict["weights_bytes"] = facts.weightsBytes;
  nb::dict sizes;
  for (const ListedSize &size : facts.sizes)
    sizes[python::textOf(size.name)] = nb::cast(size.sizes);
  dict["sizes"] = sizes;
  dict["inputs"] = python::portsOf(facts.inputs);
  dict["outputs"] = python::portsOf(facts.outputs);
  return dict;
}

/// An op that is not supported, as the problem of the nodes that use it.
static ModelProblem problemOf(const UnsupportedOp &op) {
  constexpr size_t kMostNamed = 5;
  std::string nodes;
  for (size_t i = 0; i < std::min(op.nodes.size(), kMostNamed); ++i)
    nodes += (i == 0 ? " '" : ", '") + op.nodes[i] + "'";
  if (op.nodes.size() > kMostNamed)
    nodes += " and " + std::to_string(op.nodes.size() - kMostNamed) + " more";
  std::string name = op.domain.empty() || op.domain == "ai.onnx" ? op.op : op.domain + "." + op.op;
  return {StatusCode::Unsupported, op.nodes.empty() ? "" : op.nodes.front(), op.op, op.version,
          name + " of opset " + std::to_string(op.version) + ": " + op.reason + "; node" +
              (op.nodes.size() == 1 ? "" : "s") + nodes};
}

/// What loading or compiling says of a model that can be read: the kind of error that is its
/// own, as a problem of no node. Others are not the model's.
static Status addRefusal(std::vector<ModelProblem> &problems, const Status &status) {
  if (status.code() == StatusCode::Internal || status.code() == StatusCode::Cancelled)
    return status;
  if (!status.isOk())
    problems.push_back({status.code(), {}, {}, 0, status.message()});
  return Status::ok();
}

/// All that quern.compile refuses: ops, then what is wrong with single nodes, with the model,
/// and, if nothing is, with its graph. An error: the file cannot be read.
static Expected<std::vector<ModelProblem>> findProblems(const std::string &path) {
  std::vector<ModelProblem> problems;
  QUERN_ASSIGN(std::vector<UnsupportedOp> ops, findUnsupportedOps(path));
  for (const UnsupportedOp &op : ops)
    problems.push_back(problemOf(op));
  auto found = findModelProblems(path);
  QUERN_TRY(addRefusal(problems, found.status()));
  if (found)
    problems.insert(problems.end(), found->begin(), found->end());
  if (!problems.empty())
    return problems;
  auto model = Model::load(path);
  QUERN_TRY(addRefusal(problems, model.status()));
  if (model)
    QUERN_TRY(addRefusal(problems, model->explainWithoutSizes({}).status()));
  return problems;
}

static nb::list problemsOf(const std::string &path) {
  nb::list list;
  for (const ModelProblem &problem :
       python::valueOf(python::watched(nb::none(), [&] { return findProblems(path); }))) {
    nb::dict row;
    row["node"] = python::textOf(problem.node);
    row["op"] = python::textOf(problem.op);
    row["version"] = problem.version;
    row["message"] = python::textOf(problem.message);
    list.append(row);
  }
  return list;
}

static nb::dict hostCpu() {
  HostCpu host = describeHostCpu();
  nb::dict dict;
  dict["llvm"] = host.llvmVersion;
  dict["triple"] = host.triple;
  dict["cpu"] = host.name;
  dict["features"] = host.features;
  return dict;
}

void python::bindFiles(nb::module_ &module) {
  module.def("inspect_file", inspectFile, nb::arg("path"));
  module.def("inspect_bytes", inspectBytes, nb::arg("bytes"));
  module.def("inspect_library", inspectLibrary, nb::arg("path"));
  module.def("problems", problemsOf, nb::arg("path"),
             "All that keeps a model file from being compiled, as a list of dicts with the keys\n"
             "node, op, version and message; empty when nothing does.");
  module.def("cache_folder", cacheFolder, "Where artefacts are kept; empty when nothing says it.");
  module.def("host_cpu", hostCpu, "The machine as LLVM sees it.");
}
