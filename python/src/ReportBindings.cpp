//===- ReportBindings.cpp - comparing and measuring, in Python ------------===//
#include "CallableModel.h"
#include "Errors.h"
#include "ModelBindings.h"
#include "Ports.h"
#include "Values.h"
#include "Watch.h"
#include "quern/Benchmark.h"
#include "quern/Compare.h"
#include "quern/RandomSeed.h"
#include "quern/Reports.h"
#include "quern/SampleInputs.h"
#include "quern/Version.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>

namespace nb = nanobind;
using namespace quern;

/// Inputs by name or in order; samples when there are none.
static std::vector<AnyValue> inputsOf(const CompiledModel &model, nb::handle feed) {
  if (feed.is_none())
    return python::valueOf(sampleInputs(model, /*seed=*/0));
  return python::feedOf(model.inputs(), feed);
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

static std::unique_ptr<Runner> runnerOf(const python::CallableModel &model) {
  return python::valueOf(model.compiled().createRunner(model.sessionOptions()));
}

static nb::dict dictOf(const std::string &name, const TensorDifference &difference) {
  nb::dict row;
  row["name"] = python::textOf(name);
  row["max_abs"] = difference.maxAbsolute;
  row["max_rel"] = difference.maxRelative;
  row["max_of_largest"] = difference.maxOfLargest;
  row["max_ulp"] = difference.maxUlp;
  row["ulps"] = difference.ulps;
  row["cosine"] = difference.cosine;
  row["top_1"] = difference.topAgreement;
  row["mismatches"] = difference.mismatches;
  row["incomparable"] = difference.incomparable;
  row["passed"] = difference.passes();
  return row;
}

static nb::dict dictOf(const OutputComparison &output) {
  nb::dict row = dictOf(output.name, output.difference);
  row["flush_matters"] = output.flushMatters;
  return row;
}

static Tolerance orGiven(const Tolerance &usual, std::optional<double> relative,
                         std::optional<double> absolute) {
  if (!relative && !absolute)
    return usual;
  return {.relative = relative.value_or(Tolerance().relative),
          .absolute = absolute.value_or(Tolerance().absolute)};
}

/// `model` is what both were compiled from.
static nb::dict compareModels(const Model &model, const python::CallableModel &reference,
                              const python::CallableModel &compiled, nb::handle feed,
                              std::optional<double> relative, std::optional<double> absolute,
                              double seconds, bool hasSmallWeights) {
  std::vector<AnyValue> inputs = inputsOf(compiled.compiled(), feed);
  CompareOptions options;
  Expected<Explanation> explanation = model.explainWithoutSizes({});
  options.tolerance = toleranceOf(compiled.compiled().precision(), hasSmallWeights,
                                  compiled.compiled().precisionChoice(),
                                  explanation ? explanation->unroundedType() : DType::Undefined);
  options.tolerance = orGiven(*options.tolerance, relative, absolute);
  options.seconds = seconds;
  std::unique_ptr<Runner> first = runnerOf(reference), second = runnerOf(compiled);
  Comparison comparison = python::valueOf(
      python::watched(nb::none(), [&] { return compare(*first, *second, inputs, options); }));
  nb::list outputs;
  for (const OutputComparison &output : comparison.outputs)
    outputs.append(dictOf(output));
  nb::dict dict;
  dict["outputs"] = outputs;
  dict["interpreted"] = dictOf(comparison.reference);
  dict["compiled"] = dictOf(comparison.compiled);
  dict["threads"] = comparison.threads;
  dict["precision"] = std::string(precisionName(compiled.compiled().precision()));
  dict["verdict"] = python::textOf(comparison.verdict().message());
  dict["picture"] = errorPicture(comparison.outputs);
  return dict;
}

/// How far outputs of a model are from those of another system, each a list in the model's order.
static nb::list outputDifferences(const python::CallableModel &model, nb::handle wanted,
                                  nb::handle found, std::optional<double> relative,
                                  std::optional<double> absolute) {
  const CompiledModel &compiled = model.compiled();
  std::vector<AnyValue> first = python::feedOf(compiled.outputs(), wanted);
  std::vector<AnyValue> second = python::feedOf(compiled.outputs(), found);
  Tolerance tolerance = orGiven(
      toleranceOf(compiled.precision(), /*multipliesBytes=*/false, compiled.precisionChoice()),
      relative, absolute);
  nb::list rows;
  for (size_t i = 0; i < first.size(); ++i)
    rows.append(dictOf(compiled.outputs()[i].name, compareValues(first[i], second[i], tolerance)));
  return rows;
}

/// What a model is run on when nobody gives it inputs.
static nb::list sampleFeed(const python::CallableModel &model) {
  nb::list feed;
  for (AnyValue &value : inputsOf(model.compiled(), nb::none()))
    feed.append(python::toPython(std::move(value)));
  return feed;
}

static nb::dict benchmarkModel(const python::CallableModel &model, nb::handle feed,
                               double seconds) {
  std::vector<AnyValue> inputs = inputsOf(model.compiled(), feed);
  BenchmarkOptions options;
  options.seconds = seconds;
  std::unique_ptr<Runner> runner = runnerOf(model);
  double planMs = 0;
  Benchmark measured = python::valueOf(python::watched(nb::none(), [&]() -> Expected<Benchmark> {
    Stopwatch watch;
    QUERN_TRY(model.compiled().planForInputs(inputs));
    planMs = watch.milliseconds();
    return benchmark(*runner, inputs, options);
  }));
  nb::dict dict;
  dict["plan_ms"] = planMs;
  dict["first_run_ms"] = measured.firstRunMs;
  dict["steady"] = dictOf(measured.steady);
  dict["runs"] = measured.runs;
  dict["threads"] = measured.threads;
  dict["precision"] = std::string(precisionName(model.compiled().precision()));
  dict["peak_rss_mb"] = measured.peakRssMb;
  dict["warnings"] = measured.warnings();
  return dict;
}

nb::object python::parsedReport(const std::string &json) {
  return nb::module_::import_("json").attr("loads")(json);
}

/// That of quern.trace; there is one at most, as in C++.
static std::optional<TraceRecorder> &recorder() {
  static std::optional<TraceRecorder> instance;
  return instance;
}

static void beginTrace() { recorder() = python::valueOf(TraceRecorder::begin()); }

static std::string endTrace() {
  std::string report = traceReport(recorder()->end());
  recorder().reset();
  return report;
}

void python::bindReports(nb::module_ &module) {
  module.def("compare_models", compareModels, nb::arg("model"), nb::arg("reference"),
             nb::arg("compiled"), nb::arg("inputs").none(), nb::arg("rtol").none(),
             nb::arg("atol").none(), nb::arg("seconds"), nb::arg("small_weights"));
  module.def("benchmark_model", benchmarkModel, nb::arg("model"), nb::arg("inputs").none(),
             nb::arg("seconds"));
  module.def("output_differences", outputDifferences, nb::arg("model"), nb::arg("wanted"),
             nb::arg("found"), nb::arg("rtol").none(), nb::arg("atol").none());
  module.def("sample_feed", sampleFeed, nb::arg("model"));
  module.def("begin_trace", beginTrace);
  module.def("end_trace", endTrace, "What was recorded, in Chrome's trace format.");
  module.def("seed_random_ops", seedRandomOps, nb::arg("seed"));
  module.def("library_versions", libraryVersions, "Of LLVM, oneTBB and protobuf.");
}
