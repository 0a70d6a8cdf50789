//===- Reports.cpp - what is known, as JSON -------------------------------===//
#include "quern/Reports.h"

#include "quern/HostCpu.h"
#include "quern/Machine.h"
#include "quern/Version.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>

using namespace quern;
using llvm::json::OStream;

/// Names of files and models may be no UTF-8, JSON is.
static std::string utf8(const std::string &text) {
  return llvm::json::isUTF8(text) ? text : llvm::json::fixUTF8(text);
}

static void addText(OStream &json, const char *key, const std::string &text) {
  json.attribute(key, utf8(text));
}

/// What `write` writes to a stream.
template <typename Write> static std::string jsonText(Write &&write) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  OStream json(stream);
  write(json);
  return text;
}

static void addPort(OStream &json, const PortSignature &port) {
  addText(json, "name", port.name);
  if (!port.isTensor())
    return addText(json, "type", port.describe());
  addText(json, "dtype", std::string(dtypeName(port.dtype)));
  if (!port.ranked)
    return json.attribute("shape", nullptr);
  json.attributeArray("shape", [&] {
    for (const PortDim &dim : port.shape.dims()) {
      if (dim.isStatic())
        json.value(dim.size());
      else if (dim.isSymbolic())
        json.value(utf8(dim.symbolName()));
      else
        json.value(nullptr);
    }
  });
}

static void addPorts(OStream &json, const char *key, std::span<const PortSignature> ports) {
  json.attributeArray(key, [&] {
    for (const PortSignature &port : ports)
      json.object([&] { addPort(json, port); });
  });
}

static void addCounts(OStream &json, const char *key,
                      std::span<const std::pair<std::string, int64_t>> counts) {
  json.attributeObject(key, [&] {
    for (const auto &[name, count] : counts)
      json.attribute(utf8(name), count);
  });
}

std::string quern::modelReport(const std::string &path, const ModelFacts &facts) {
  return jsonText([&](OStream &json) {
    json.object([&] {
      json.attribute("schema", "quern.inspect/1");
      addText(json, "model", path);
      addText(json, "producer", facts.producer);
      addText(json, "graph", facts.graphName);
      addText(json, "domain", facts.domain);
      addText(json, "description", facts.description);
      addText(json, "graph_description", facts.graphDescription);
      json.attribute("model_version", facts.modelVersion);
      json.attributeObject("metadata", [&] {
        for (const auto &[key, value] : facts.metadata)
          json.attribute(utf8(key), utf8(value));
      });
      json.attribute("ir_version", facts.irVersion);
      addCounts(json, "opsets", facts.opsets);
      addPorts(json, "inputs", facts.inputs);
      addPorts(json, "outputs", facts.outputs);
      json.attribute("nodes", facts.nodes);
      json.attribute("initializers", facts.initializers);
      json.attribute("parameters", facts.parameters);
      addCounts(json, "ops", facts.ops);
    });
  });
}

static void addChoice(OStream &json, const std::optional<PrecisionChoice> &choice) {
  if (!choice)
    return json.attribute("choice", nullptr);
  json.attributeBegin("choice");
  json.rawValue(choiceReport(*choice));
  json.attributeEnd();
}

std::string quern::artifactReport(const std::string &path, const ArtifactFacts &facts) {
  return jsonText([&](OStream &json) {
    json.object([&] {
      json.attribute("schema", "quern.inspect/1");
      addText(json, "model", path);
      addText(json, "name", facts.name);
      addText(json, "target_cpu", facts.targetCpu);
      addText(json, "precision", std::string(precisionName(facts.precision)));
      addChoice(json, facts.choice);
      json.attribute("abi_version", facts.abiVersion);
      json.attribute("workspace_bytes", facts.workspaceBytes);
      json.attribute("worker_bytes", facts.workerBytes);
      json.attribute("weights_bytes", facts.weightsBytes);
      addPorts(json, "inputs", facts.inputs);
      addPorts(json, "outputs", facts.outputs);
      json.attributeObject("sizes", [&] {
        for (const ListedSize &list : facts.sizes)
          json.attributeArray(utf8(list.name), [&] {
            for (int64_t size : list.sizes)
              json.value(size);
          });
      });
    });
  });
}

Expected<std::string> quern::inspectReport(const std::string &path, const Limits &limits) {
  if (isLibraryFile(path)) {
    QUERN_ASSIGN(ArtifactFacts facts, inspectArtifact(path));
    return artifactReport(path, facts);
  }
  QUERN_ASSIGN(ModelFacts facts, inspectModelFile(path, limits));
  return modelReport(path, facts);
}

static void addNames(OStream &json, const char *key, const std::vector<std::string> &names) {
  json.attributeArray(key, [&] {
    for (const std::string &name : names)
      json.value(utf8(name));
  });
}

static void addReason(OStream &json, const Reason &reason) {
  addText(json, "reason", reason.text);
  addText(json, "code", std::string(reasonCodeName(reason.code)));
}

/// The steps that `isListed` accepts.
template <typename IsListed>
static void addSteps(OStream &json, const char *key, const std::vector<ExplainedStep> &steps,
                     IsListed isListed) {
  json.attributeArray(key, [&] {
    for (const ExplainedStep &step : steps)
      if (isListed(step))
        json.object([&] {
          addText(json, "nodes", step.name);
          addText(json, "kernel", step.kernel);
          addReason(json, *step.reason);
        });
  });
}

static void addPlan(OStream &json, const std::vector<ExplainedStep> &steps) {
  json.attributeArray("plan", [&] {
    for (const ExplainedStep &step : steps)
      json.object([&] {
        addText(json, "name", step.name);
        addText(json, "kernel", step.kernel);
        addNames(json, "nodes", step.nodes);
        json.attribute("native", step.isNative());
        if (!step.way.empty())
          addText(json, "way", step.way);
        if (!step.precision.empty())
          addText(json, "precision", step.precision);
        if (!step.weights.empty())
          addText(json, "weights", step.weights);
      });
  });
}

static void addNode(OStream &json, const ExplainedNode &node) {
  addText(json, "name", node.name);
  addText(json, "fate", std::string(fateName(node.fate)));
  if (node.fate == ExplainedNode::Fate::Step)
    json.attribute("step", static_cast<int64_t>(node.step));
  if (!node.by.empty())
    addText(json, "by", node.by);
}

static void addRefusal(OStream &json, const Refusal &refusal) {
  addText(json, "kind", std::string(refusalKindName(refusal.kind)));
  addNames(json, "nodes", refusal.reason.nodes);
  addReason(json, refusal.reason);
}

std::string quern::explanationReport(const Explanation &explanation) {
  const std::vector<ExplainedStep> &steps = explanation.steps;
  auto isUndecided = [](const ExplainedStep &step) { return step.needsSizes(); };
  auto isReference = [](const ExplainedStep &s) { return !s.isNative() && !s.needsSizes(); };
  auto isNative = [](const ExplainedStep &step) { return step.isNative(); };
  return jsonText([&](OStream &json) {
    json.object([&] {
      json.attribute("steps", static_cast<int64_t>(steps.size()));
      json.attribute("native_steps",
                     static_cast<int64_t>(std::count_if(steps.begin(), steps.end(), isNative)));
      addSteps(json, "reference_steps", steps, isReference);
      addSteps(json, "undecided_steps", steps, isUndecided);
      addPlan(json, steps);
      json.attributeObject("products", [&] {
        for (const auto &[precision, count] : explanation.products)
          json.attribute(precision, static_cast<int64_t>(count));
      });
      json.attributeObject("unrounded", [&] {
        for (const auto &[type, count] : explanation.unrounded)
          json.attribute(type, static_cast<int64_t>(count));
      });
      json.attributeArray("nodes", [&] {
        for (const ExplainedNode &node : explanation.nodes)
          json.object([&] { addNode(json, node); });
      });
      json.attributeArray("refusals", [&] {
        for (const Refusal &refusal : explanation.refusals)
          json.object([&] { addRefusal(json, refusal); });
      });
      addChoice(json, explanation.choice);
    });
  });
}

static void addUnsupportedOp(OStream &json, const UnsupportedOp &op) {
  addText(json, "op", op.op);
  addText(json, "domain", op.domain);
  json.attribute("version", op.version);
  addText(json, "reason", op.reason);
  json.attribute("count", static_cast<int64_t>(op.nodes.size()));
  json.attributeArray("nodes", [&] {
    for (const std::string &node : op.nodes)
      json.value(utf8(node));
  });
}

static void addProblem(OStream &json, const ModelProblem &problem) {
  addText(json, "node", problem.node);
  addText(json, "op", problem.op);
  json.attribute("version", problem.version);
  json.attribute("exit_code", static_cast<int>(problem.code));
  addText(json, "message", problem.message);
}

Expected<std::string> quern::problemsReport(const std::string &path, const Limits &limits) {
  QUERN_ASSIGN(std::vector<UnsupportedOp> ops, findUnsupportedOps(path, limits));
  QUERN_ASSIGN(std::vector<ModelProblem> problems, findModelProblems(path, limits));
  return jsonText([&](OStream &json) {
    json.object([&] {
      json.attributeArray("unsupported_ops", [&] {
        for (const UnsupportedOp &op : ops)
          json.object([&] { addUnsupportedOp(json, op); });
      });
      json.attributeArray("problems", [&] {
        for (const ModelProblem &problem : problems)
          json.object([&] { addProblem(json, problem); });
      });
    });
  });
}

std::string quern::profileReport(std::span<const ProfileRow> rows) {
  return jsonText([&](OStream &json) {
    json.array([&] {
      for (const ProfileRow &row : rows)
        json.object([&] {
          addText(json, "nodes", row.nodes);
          addText(json, "kernel", row.kernel);
          json.attribute("native", !row.reference);
          if (row.reason)
            addReason(json, *row.reason);
          json.attribute("depth", row.depth);
          json.attribute("tasks", row.tasks);
          json.attribute("runs", row.runs);
          double runs = static_cast<double>(std::max<int64_t>(row.runs, 1));
          json.attribute("ms", static_cast<double>(row.nanoseconds) * 1e-6 / runs);
          json.attribute("min_ms", static_cast<double>(row.fastestNanoseconds) * 1e-6);
          json.attribute("expected_ms", row.expectedNanoseconds * 1e-6);
          json.attribute("flops", row.cost.flops);
          json.attribute("bytes", row.cost.bytes());
          json.attribute("bytes_read", row.cost.bytesRead);
          json.attribute("bytes_written", row.cost.bytesWritten);
        });
    });
  });
}

std::string quern::hostReport() {
  HostCpu host = describeHostCpu();
  Machine machine = describeMachine();
  return jsonText([&](OStream &json) {
    json.object([&] {
      json.attribute("version", versionString());
      json.attributeObject("libraries", [&] {
        for (const auto &[name, version] : libraryVersions())
          addText(json, name.c_str(), version);
      });
      addText(json, "triple", host.triple);
      addText(json, "cpu", host.name);
      addText(json, "cpu_model", machine.cpuModel);
      json.attributeArray("features", [&] {
        for (const std::string &feature : host.features)
          json.value(utf8(feature));
      });
      json.attribute("usable_cpus", machine.usableCpus);
      json.attribute("memory_bytes", machine.memoryLimitBytes.value_or(machine.memoryBytes));
    });
  });
}
