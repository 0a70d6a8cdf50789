//===- FileBindings.cpp - what files say; this machine --------------------===//
#include "Errors.h"
#include "ModelBindings.h"
#include "Ports.h"
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

static nb::dict inspectFile(const std::string &path) {
  ModelFacts facts = python::valueOf(inspectModelFile(path));
  nb::dict dict;
  dict["producer"] = facts.producer;
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
  module.def("problems", problemsOf, nb::arg("path"),
             "What keeps a model file from being loaded, as a list of dicts.");
  module.def("host_cpu", hostCpu, "The machine as LLVM sees it.");
}
