//===- ReportBindings.cpp - comparing and measuring, in Python ------------===//
#include "Errors.h"
#include "ModelBindings.h"
#include "Values.h"
#include "quern/Benchmark.h"
#include "quern/Compare.h"
#include "quern/SampleInputs.h"
#include "quern/Version.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace quern;

/// Inputs by name or in order; samples when there are none.
static std::vector<AnyValue> inputsOf(const Model &model, nb::handle feed) {
  const std::vector<PortSignature> &ports = model.inputs();
  if (feed.is_none())
    return python::valueOf(sampleInputs(ports, /*seed=*/0));
  std::vector<AnyValue> values;
  bool isDict = PyDict_Check(feed.ptr());
  if (nb::len(feed) != ports.size())
    python::raise(invalidInput("wanted " + std::to_string(ports.size()) + " inputs, found " +
                               std::to_string(nb::len(feed))));
  for (size_t i = 0; i < ports.size(); ++i) {
    if (isDict && !nb::borrow<nb::dict>(feed).contains(ports[i].name.c_str()))
      python::raise(invalidInput("input '" + ports[i].name + "' is missing"));
    nb::object value = isDict ? nb::object(feed[ports[i].name.c_str()]) : nb::object(feed[i]);
    values.push_back(python::valueFrom(value, ports[i]));
  }
  return values;
}

static nb::dict dictOf(const Statistics &statistics) {
  nb::dict dict;
  dict["min"] = statistics.min;
  dict["mean"] = statistics.mean;
  dict["standard_deviation"] = statistics.standardDeviation;
  dict["p50"] = statistics.p50;
  dict["p90"] = statistics.p90;
  dict["p99"] = statistics.p99;
  return dict;
}

static nb::dict compareModel(const Model &model, nb::handle feed, double relative, double absolute,
                             double seconds, int threads) {
  std::vector<AnyValue> inputs = inputsOf(model, feed);
  CompareOptions options;
  options.tolerance = {relative, absolute};
  options.seconds = seconds;
  Expected<Comparison> result = [&] {
    nb::gil_scoped_release unlocked;
    return compare(model, inputs, {.threads = threads}, {.threads = threads}, options);
  }();
  Comparison comparison = python::valueOf(std::move(result));
  nb::list outputs;
  for (const OutputComparison &output : comparison.outputs) {
    nb::dict row;
    row["name"] = output.name;
    row["max_abs"] = output.difference.maxAbsolute;
    row["max_rel"] = output.difference.maxRelative;
    row["mismatches"] = output.difference.mismatches;
    row["incomparable"] = output.difference.incomparable;
    row["passed"] = output.difference.passes();
    outputs.append(row);
  }
  nb::dict dict;
  dict["outputs"] = outputs;
  dict["interpreted"] = dictOf(comparison.reference);
  dict["compiled"] = dictOf(comparison.compiled);
  dict["threads"] = comparison.threads;
  dict["verdict"] = comparison.verdict().message();
  return dict;
}

static nb::dict benchmarkModel(const Model &model, nb::handle feed, double seconds, int threads,
                               bool interpreted) {
  std::vector<AnyValue> inputs = inputsOf(model, feed);
  BenchmarkOptions options;
  options.seconds = seconds;
  CompileOptions compile;
  compile.threads = threads;
  compile.backend = interpreted ? Backend::Interpreter : Backend::Native;
  Expected<Benchmark> result = [&] {
    nb::gil_scoped_release unlocked;
    return benchmark(model, inputs, compile, {.threads = threads}, options);
  }();
  Benchmark measured = python::valueOf(std::move(result));
  nb::dict dict;
  dict["compile_ms"] = measured.compileMs;
  dict["first_run_ms"] = measured.firstRunMs;
  dict["steady"] = dictOf(measured.steady);
  dict["runs"] = measured.runs;
  dict["threads"] = measured.threads;
  dict["peak_rss_mb"] = measured.peakRssMb;
  dict["warnings"] = measured.warnings();
  return dict;
}

void python::bindReports(nb::module_ &module) {
  module.def("compare_model", compareModel, nb::arg("model"), nb::arg("inputs").none(),
             nb::arg("rtol"), nb::arg("atol"), nb::arg("seconds"), nb::arg("threads"));
  module.def("benchmark_model", benchmarkModel, nb::arg("model"), nb::arg("inputs").none(),
             nb::arg("seconds"), nb::arg("threads"), nb::arg("interpreted"));
  module.def("library_versions", libraryVersions, "Of LLVM, oneTBB and protobuf.");
}
