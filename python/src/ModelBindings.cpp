//===- ModelBindings.cpp - loading and compiling, in Python ---------------===//
#include "ModelBindings.h"

#include "CallableModel.h"
#include "Errors.h"
#include "Ports.h"
#include "Watch.h"
#include "quern/Artifact.h"
#include "quern/Model.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <cmath>

namespace nb = nanobind;
using namespace quern;
using python::CallableModel;

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
                      nb::handle timeout, nb::handle progress) {
  Limits limits = limitsOf(timeout, nb::none());
  return python::valueOf(
      python::watched(progress, [&] { return Model::load(path, {shapes, dims}, limits); }));
}

static Model loadBytes(nb::bytes bytes, const std::string &name, const Shapes &shapes,
                       const Dims &dims, nb::handle timeout, nb::handle progress) {
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
  return python::valueOf(
      python::watched(progress, [&] { return Model::load(source, {shapes, dims}, limits); }));
}

static CompileOptions compileOptions(const std::string &backend, const std::string &target,
                                     int level, int threads, nb::handle timeout) {
  CompileOptions options;
  if (backend != "native" && backend != "interpreter")
    python::raise(usageError("there is no backend '" + backend +
                             "'; the backends are native and interpreter"));
  options.backend = backend == "native" ? Backend::Native : Backend::Interpreter;
  options.targetCpu = target;
  options.optLevel = level;
  options.threads = threads;
  options.limits = limitsOf(timeout, nb::none());
  return options;
}

static SessionOptions sessionOptions(int threads, bool profile, bool flush, nb::handle memory) {
  SessionOptions options;
  options.threads = threads;
  options.profile = profile;
  options.flushDenormals = flush;
  options.limits = limitsOf(nb::none(), memory);
  return options;
}

static std::unique_ptr<CallableModel> compile(const Model &model, const std::string &backend,
                                              const std::string &cpu, int level, int threads,
                                              bool profile, bool flush, nb::handle timeout,
                                              nb::handle memory, nb::handle progress) {
  CompileOptions options = compileOptions(backend, cpu, level, threads, timeout);
  auto compiled = python::watched(progress, [&] { return model.compile(options); });
  return std::make_unique<CallableModel>(python::valueOf(std::move(compiled)),
                                         sessionOptions(threads, profile, flush, memory), backend);
}

/// A library that writeArtifact has written.
static std::unique_ptr<CallableModel> loadLibrary(const std::string &path, int threads,
                                                  bool profile, bool flush, nb::handle memory) {
  auto loaded = python::watched(nb::none(), [&] { return loadArtifact(path); });
  return std::make_unique<CallableModel>(python::valueOf(std::move(loaded)),
                                         sessionOptions(threads, profile, flush, memory),
                                         "artifact");
}

/// Gives what the result must be linked with, or needs: ["-lm"]; and the CPUs it is for.
static std::pair<std::vector<std::string>, std::vector<std::string>>
writeArtifact(const Model &model, const ArtifactOptions &artifact, const std::string &triple,
              const std::string &cpu, int level, int threads, nb::handle timeout,
              nb::handle progress) {
  CompileOptions options = compileOptions("native", cpu, level, threads, timeout);
  options.targetTriple = triple;
  ArtifactSummary summary;
  python::check(python::watched(
      progress, [&] { return model.compileToArtifact(options, artifact, &summary); }));
  return {std::move(summary.needed), std::move(summary.targetCpus)};
}

using Listed = std::vector<std::pair<std::string, std::vector<int64_t>>>;

static void listSizes(ArtifactOptions &options, const Listed &listed) {
  options.listedSizes.clear();
  for (const auto &[name, sizes] : listed)
    options.listedSizes.push_back({name, sizes});
}

static void bindArtifacts(nb::module_ &module) {
  nb::class_<ArtifactOptions>(module, "ArtifactOptions")
      .def(nb::init<>())
      .def_rw("output", &ArtifactOptions::outputPath)
      .def_rw("header", &ArtifactOptions::headerPath)
      .def_rw("prefix", &ArtifactOptions::prefix)
      .def_rw("max_iterations", &ArtifactOptions::maxIterations)
      .def_rw("runtime_archive", &ArtifactOptions::runtimeArchive)
      .def_rw("target_cpus", &ArtifactOptions::targetCpus)
      .def_rw("weights_in_file", &ArtifactOptions::weightsInFile)
      .def_rw("main", &ArtifactOptions::mainPath)
      .def_rw("seed", &ArtifactOptions::seed)
      .def("list_sizes", listSizes, nb::arg("sizes"));
  module.def("is_library_file", isLibraryFile, nb::arg("path"));
  module.def("load_library", loadLibrary, nb::arg("path"), nb::kw_only(), nb::arg("threads") = 0,
             nb::arg("profile") = false, nb::arg("flush_denormals") = true,
             nb::arg("memory_limit") = nb::none());
}

static nb::list stepsOf(const Model &model, nb::handle dims) {
  CompileOptions options;
  auto steps = dims.is_none() ? model.checkWithoutSizes(options)
                              : model.planSteps(options, nb::cast<std::vector<Tensor::Dims>>(dims));
  nb::list rows;
  for (const StepSummary &step : python::valueOf(std::move(steps))) {
    nb::dict row;
    row["nodes"] = python::textOf(step.nodes);
    row["kernel"] = python::textOf(step.kernel);
    row["native"] = step.native;
    row["refusal"] = python::textOf(step.refusal);
    row["needs_sizes"] = step.needsSizes;
    rows.append(row);
  }
  return rows;
}

void python::bindModel(nb::module_ &module) {
  bindArtifacts(module);
  nb::class_<Model>(module, "Model", "A model as it was loaded.")
      .def_static("load", loadFile, nb::arg("path"), nb::kw_only(), nb::arg("shapes") = Shapes(),
                  nb::arg("dims") = Dims(), nb::arg("timeout") = nb::none(),
                  nb::arg("progress") = nb::none())
      .def_static("from_bytes", loadBytes, nb::arg("bytes"), nb::kw_only(),
                  nb::arg("name") = "model", nb::arg("shapes") = Shapes(), nb::arg("dims") = Dims(),
                  nb::arg("timeout") = nb::none(), nb::arg("progress") = nb::none())
      .def_prop_ro("inputs", [](const Model &self) { return portsOf(self.inputs()); })
      .def_prop_ro("outputs", [](const Model &self) { return portsOf(self.outputs()); })
      .def("compile", compile, nb::kw_only(), nb::arg("backend") = "native",
           nb::arg("target_cpu") = "host", nb::arg("opt_level") = 3, nb::arg("threads") = 0,
           nb::arg("profile") = false, nb::arg("flush_denormals") = true,
           nb::arg("timeout") = nb::none(), nb::arg("memory_limit") = nb::none(),
           nb::arg("progress") = nb::none())
      .def("write_artifact", writeArtifact, nb::arg("options"), nb::kw_only(),
           nb::arg("target") = "", nb::arg("target_cpu") = "host", nb::arg("opt_level") = 3,
           nb::arg("threads") = 0, nb::arg("timeout") = nb::none(),
           nb::arg("progress") = nb::none())
      .def("steps", stepsOf, nb::arg("dims") = nb::none(),
           "The steps of the native plan for these dims of the inputs, or what is known of them.")
      .def("__repr__", [](const Model &self) {
        return "<quern.Model with " + std::to_string(self.inputs().size()) + " inputs and " +
               std::to_string(self.outputs().size()) + " outputs>";
      });
}
