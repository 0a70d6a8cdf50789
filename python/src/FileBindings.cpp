//===- FileBindings.cpp - what files say; this machine --------------------===//
#include "Errors.h"
#include "ModelBindings.h"
#include "Ports.h"
#include "quern/Artifact.h"
#include "quern/CacheFolder.h"
#include "quern/HostCpu.h"
#include "quern/OnnxFile.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace quern;

static nb::dict countsOf(const std::vector<std::pair<std::string, int64_t>> &counts) {
  nb::dict dict;
  for (const auto &[name, count] : counts)
    dict[name.c_str()] = count;
  return dict;
}

static nb::dict dictOf(const ModelFacts &facts) {
  nb::dict dict;
  dict["producer"] = facts.producer;
  dict["graph"] = facts.graphName;
  dict["domain"] = facts.domain;
  dict["description"] = facts.description;
  dict["graph_description"] = facts.graphDescription;
  dict["version"] = facts.modelVersion;
  nb::dict metadata;
  for (const auto &[key, value] : facts.metadata)
    metadata[key.c_str()] = value;
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
  return dictOf(python::valueOf(inspectModelFile(path)));
}

static nb::dict inspectBytes(nb::bytes bytes) {
  return dictOf(python::valueOf(
      inspectModelBytes({static_cast<const std::byte *>(bytes.data()), bytes.size()})));
}

static nb::dict inspectLibrary(const std::string &path) {
  ArtifactFacts facts = python::valueOf(inspectArtifact(path));
  nb::dict dict;
  dict["name"] = facts.name;
  dict["target_cpu"] = facts.targetCpu;
  dict["abi_version"] = facts.abiVersion;
  dict["workspace_bytes"] = facts.workspaceBytes;
  dict["worker_bytes"] = facts.workerBytes;
  dict["weights_bytes"] = facts.weightsBytes;
  nb::dict sizes;
  for (const ListedSize &size : facts.sizes)
    sizes[size.name.c_str()] = nb::cast(size.sizes);
  dict["sizes"] = sizes;
  dict["inputs"] = python::portsOf(facts.inputs);
  dict["outputs"] = python::portsOf(facts.outputs);
  return dict;
}

static nb::list problemsOf(const std::string &path) {
  nb::list list;
  for (const ModelProblem &problem : python::valueOf(findModelProblems(path))) {
    nb::dict row;
    row["node"] = problem.node;
    row["op"] = problem.op;
    row["version"] = problem.version;
    row["message"] = problem.message;
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
             "What keeps a model file from being loaded, as a list of dicts.");
  module.def("cache_folder", cacheFolder, "Where artefacts are kept; empty when nothing says it.");
  module.def("host_cpu", hostCpu, "The machine as LLVM sees it.");
}
