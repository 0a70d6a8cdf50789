//===- ModelBindings.cpp - loading and compiling, in Python ---------------===//
#include "ModelBindings.h"

#include "CallableModel.h"
#include "Errors.h"
#include "NamedArguments.h"
#include "Ports.h"
#include "Values.h"
#include "Watch.h"
#include "quern/Artifact.h"
#include "quern/Model.h"
#include "quern/NodeComparison.h"
#include "quern/Reports.h"
#include "quern/SampleInputs.h"
#include "quern/TimeAnalysis.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <cmath>

namespace nb = nanobind;
using namespace quern;
using python::CallableModel;
using python::NamedArguments;

using Shapes = std::map<std::string, std::vector<int64_t>>;
using Dims = std::map<std::string, int64_t>;

Deadline python::deadlineOf(nb::handle seconds) {
  if (seconds.is_none())
    return {};
  double limit = 0;
  if (!nb::try_cast(seconds, limit) || !(limit > 0))
    raise(usageError("a time limit is a number of seconds above 0"));
  return Deadline::after(
      std::chrono::nanoseconds(static_cast<int64_t>(std::min(limit, 3e9) * 1e9)));
}

static Limits limitsOf(nb::handle seconds, nb::handle bytes) {
  Limits limits;
  limits.deadline = python::deadlineOf(seconds);
  if (!bytes.is_none() && !nb::try_cast(bytes, limits.maxActivationBytes))
    python::raise(usageError("a limit on memory is a number of bytes"));
  return limits;
}

static Model loadFile(const std::string &path, const Shapes &shapes, const Dims &dims,
                      bool growingCaches, nb::handle timeout, nb::handle progress) {
  Limits limits = limitsOf(timeout, nb::none());
  return python::valueOf(python::watched(
      progress, [&] { return Model::load(path, {shapes, dims, growingCaches}, limits); }));
}

static Model loadBytes(nb::bytes bytes, const std::string &name, const Shapes &shapes,
                       const Dims &dims, bool growingCaches, nb::handle timeout,
                       nb::handle progress) {
  Limits limits = limitsOf(timeout, nb::none());
  ModelBytes source;
  source.bytes = {static_cast<const std::byte *>(bytes.data()), bytes.size()};
  source.name = name;
  source.owner = std::shared_ptr<const void>(bytes.release().ptr(), [](const void *kept) {
    if (!Py_IsInitialized())
      return;
    nb::gil_scoped_acquire lock;
    Py_DECREF(static_cast<PyObject *>(const_cast<void *>(kept)));
  });
  return python::valueOf(python::watched(
      progress, [&] { return Model::load(source, {shapes, dims, growingCaches}, limits); }));
}

/// Of loading and compiling.
static const char *kWatched = "timeout: float | None = ..., progress: object | None = ...";
/// CompileOptions::samples.
static const char *kSamples = "samples: object | None = ..., ";
/// As RunnerOptions.
static const char *kRunArguments =
    "profile: bool = ..., flush_denormals: bool = ..., memory_limit: int | None = ..., ";

static CompileOptions takeCompileOptions(const Model &model, NamedArguments &named) {
  CompileOptions options;
  visitCompileOptions(named.into(options));
  if (nb::object samples = named.take("samples"); !samples.is_none())
    options.samples = python::feedOf(model.inputs(), samples);
  options.limits = limitsOf(named.take("timeout"), nb::none());
  return options;
}

static RunnerOptions takeRunOptions(NamedArguments &named, int threads) {
  RunnerOptions options;
  options.threads = threads;
  named.take("profile", options.profile);
  named.take("flush_denormals", options.flushDenormals);
  options.limits = limitsOf(nb::none(), named.take("memory_limit"));
  return options;
}

static std::unique_ptr<CallableModel> compile(const Model &model, nb::kwargs given) {
  NamedArguments named("compile", std::move(given));
  CompileOptions options = takeCompileOptions(model, named);
  RunnerOptions runs = takeRunOptions(named, options.threads);
  nb::object progress = named.take("progress");
  named.finish();
  auto compiled = python::watched(progress, [&] { return model.compile(options); });
  bool isNative = options.backend == Backend::Native;
  return std::make_unique<CallableModel>(python::valueOf(std::move(compiled)), runs,
                                         isNative ? "native" : "interpreter");
}

/// A library that writeArtifact has written.
static std::unique_ptr<CallableModel> loadLibrary(const std::string &path, nb::kwargs given) {
  NamedArguments named("load", std::move(given));
  int threads = 0;
  named.take("threads", threads);
  RunnerOptions runs = takeRunOptions(named, threads);
  named.finish();
  auto loaded = python::watched(nb::none(), [&] { return loadArtifact(path); });
  return std::make_unique<CallableModel>(python::valueOf(std::move(loaded)), runs, "artifact");
}

/// Gives what the result must be linked with, or needs: ["-lm"]; and the CPUs it is for.
static std::pair<std::vector<std::string>, std::vector<std::string>>
writeArtifact(const Model &model, nb::kwargs given) {
  NamedArguments named("write_artifact", std::move(given));
  CompileOptions options = takeCompileOptions(model, named);
  ArtifactOptions artifact;
  visitArtifactOptions(named.into(artifact));
  nb::object progress = named.take("progress");
  named.finish();
  ArtifactSummary summary;
  python::check(python::watched(
      progress, [&] { return model.compileToArtifact(options, artifact, &summary); }));
  return {std::move(summary.needed), std::move(summary.targetCpus)};
}

/// Those that are given, or drawn ones.
static std::vector<AnyValue> inputsOf(const Model &model, nb::handle feed) {
  return feed.is_none() ? python::valueOf(sampleInputs(model.inputs(), /*seed=*/0))
                        : python::feedOf(model.inputs(), feed);
}

/// The report of a comparison node by node, with its verdict.
static std::pair<nb::object, std::string> compareNodesOf(const Model &model, nb::kwargs given) {
  NamedArguments named("compare_nodes", std::move(given));
  CompileOptions options = takeCompileOptions(model, named);
  RunnerOptions runs = takeRunOptions(named, options.threads);
  std::optional<double> relative, absolute;
  named.take("rtol", relative);
  named.take("atol", absolute);
  CompareOptions how;
  if (relative || absolute)
    how.tolerance = Tolerance{.relative = relative.value_or(Tolerance().relative),
                              .absolute = absolute.value_or(Tolerance().absolute)};
  nb::object feed = named.take("inputs"), progress = named.take("progress");
  named.finish();
  std::vector<AnyValue> inputs = inputsOf(model, feed);
  NodeComparison comparison = python::valueOf(
      python::watched(progress, [&] { return compareNodes(model, inputs, options, runs, how); }));
  return {python::parsedReport(nodeReport(comparison)), comparison.verdict().message()};
}

/// The report and the page of an analysis, on inputs that are given or drawn.
static std::pair<nb::object, std::string> analyzeTimeOf(const Model &model, nb::kwargs given) {
  NamedArguments named("explain", std::move(given));
  CompileOptions options = takeCompileOptions(model, named);
  RunnerOptions runs = takeRunOptions(named, options.threads);
  TimeAnalysisOptions how;
  std::string title = "model";
  named.take("seconds", how.seconds);
  named.take("tries", how.tries);
  named.take("stages", how.stages);
  named.take("load_ms", how.loadMs);
  named.take("title", title);
  nb::object feed = named.take("inputs"), progress = named.take("progress");
  named.finish();
  std::vector<AnyValue> inputs = inputsOf(model, feed);
  TimeAnalysis analysis = python::valueOf(
      python::watched(progress, [&] { return analyzeTime(model, inputs, options, runs, how); }));
  return {python::parsedReport(timeReport(analysis)), timePage(analysis, title)};
}

static nb::list stepsOf(const Model &model, nb::handle dims) {
  CompileOptions options;
  auto found = dims.is_none()
                   ? model.explainWithoutSizes(options)
                   : model.explainPlan(options, nb::cast<std::vector<Tensor::Dims>>(dims));
  Explanation explanation = python::valueOf(std::move(found));
  nb::list rows;
  for (const ExplainedStep &step : explanation.steps) {
    nb::dict row;
    row["nodes"] = python::textOf(step.name);
    row["kernel"] = python::textOf(step.kernel);
    row["native"] = step.isNative();
    row["refusal"] = python::textOf(step.reason ? step.reason->text : "");
    row["needs_sizes"] = step.needsSizes();
    row["precision"] = step.precision;
    rows.append(row);
  }
  return rows;
}

void python::bindModel(nb::module_ &module) {
  NamedSignature compiling, writing;
  visitCompileOptions(compiling);
  visitArtifactOptions(writing);
  std::string compileSignature = "def compile(self, *, " + compiling.str() + kSamples +
                                 kRunArguments + kWatched + ") -> CompiledModel";
  std::string writeSignature = "def write_artifact(self, *, " + compiling.str() + writing.str() +
                               kSamples + kWatched + ") -> tuple[list[str], list[str]]";
  std::string analyzeSignature =
      "def analyze_time(self, *, inputs: object | None = ..., seconds: float = ..., tries: bool = "
      "..., stages: bool = ..., load_ms: float = ..., title: str = ..., " +
      compiling.str() + kSamples + kRunArguments + kWatched + ") -> tuple[dict[str, object], str]";
  std::string nodesSignature =
      "def compare_nodes(self, *, inputs: object | None = ..., rtol: float | None = ..., atol: "
      "float | None = ..., " +
      compiling.str() + kSamples + kRunArguments + kWatched + ") -> tuple[dict[str, object], str]";
  module.def("is_library_file", isLibraryFile, nb::arg("path"));
  module.def("load_library", loadLibrary);
  nb::class_<Model>(module, "Model", "A model as it was loaded.")
      .def_static("load", loadFile, nb::arg("path"), nb::kw_only(), nb::arg("shapes") = Shapes(),
                  nb::arg("dims") = Dims(), nb::arg("growing_caches") = false,
                  nb::arg("timeout") = nb::none(), nb::arg("progress") = nb::none())
      .def_static("from_bytes", loadBytes, nb::arg("bytes"), nb::kw_only(),
                  nb::arg("name") = "model", nb::arg("shapes") = Shapes(), nb::arg("dims") = Dims(),
                  nb::arg("growing_caches") = false, nb::arg("timeout") = nb::none(),
                  nb::arg("progress") = nb::none())
      .def_prop_ro("inputs", [](const Model &self) { return portsOf(self.inputs()); })
      .def_prop_ro("outputs", [](const Model &self) { return portsOf(self.outputs()); })
      .def("compile", compile, nb::sig(compileSignature.c_str()))
      .def("write_artifact", writeArtifact, nb::sig(writeSignature.c_str()))
      .def("analyze_time", analyzeTimeOf, nb::sig(analyzeSignature.c_str()))
      .def("compare_nodes", compareNodesOf, nb::sig(nodesSignature.c_str()))
      .def("steps", stepsOf, nb::arg("dims") = nb::none(),
           "The steps of the native plan for these dims of the inputs, or what is known of them.")
      .def("__repr__", [](const Model &self) {
        return "<quern.Model with " + std::to_string(self.inputs().size()) + " inputs and " +
               std::to_string(self.outputs().size()) + " outputs>";
      });
}
