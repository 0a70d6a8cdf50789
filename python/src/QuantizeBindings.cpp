//===- QuantizeBindings.cpp - quantizing models, in Python ----------------===//
#include "Errors.h"
#include "ModelBindings.h"
#include "NamedArguments.h"
#include "Ports.h"
#include "Values.h"
#include "Watch.h"
#include "quern/Quantize.h"
#include "quern/SampleInputs.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace quern;
using python::NamedArguments;

using Samples = std::vector<std::vector<AnyValue>>;

/// Inputs that are given, or as many random ones as a number says.
static Samples samplesOf(const Model &model, nb::handle given, uint64_t seed) {
  Samples samples;
  const std::vector<PortSignature> &ports = model.inputs();
  if (PyLong_Check(given.ptr())) {
    auto count = nb::cast<size_t>(given);
    for (size_t i = 0; i < count; ++i)
      samples.push_back(python::valueOf(sampleInputs(ports, seed + i * ports.size())));
    return samples;
  }
  for (nb::handle feed : nb::borrow<nb::object>(given))
    samples.push_back(python::feedOf(ports, feed));
  return samples;
}

static nb::dict dictOf(const QuantizedLayer &layer) {
  nb::dict row;
  row["node"] = python::textOf(layer.node);
  row["op"] = python::textOf(layer.op);
  row["quantized"] = layer.quantized;
  row["reason"] = python::textOf(layer.reason);
  row["sqnr"] = layer.sqnr;
  row["sensitivity"] = layer.sensitivity;
  return row;
}

static nb::dict dictOf(const QuantizedOutput &output) {
  nb::dict row;
  row["name"] = python::textOf(output.name);
  row["max_abs"] = output.maxAbsolute;
  row["magnitude"] = output.magnitude;
  row["error"] = output.error();
  row["sqnr"] = output.sqnr;
  row["mismatches"] = output.mismatches;
  row["incomparable"] = python::textOf(output.incomparable);
  return row;
}

template <typename Row> static nb::list listOf(const std::vector<Row> &rows) {
  nb::list list;
  for (const Row &row : rows)
    list.append(dictOf(row));
  return list;
}

static nb::dict dictOf(const Quantization &result) {
  nb::dict dict;
  dict["model"] = nb::bytes(result.model.data(), result.model.size());
  dict["layers"] = listOf(result.layers);
  dict["outputs"] = listOf(result.outputs);
  dict["rows"] = result.rows;
  dict["agreeing"] = result.agreeing;
  dict["decided"] = result.decided;
  dict["decided_agreeing"] = result.decidedAgreeing;
  dict["before_ms"] = result.before.p50;
  dict["after_ms"] = result.after.p50;
  dict["threads"] = result.threads;
  dict["bytes_before"] = result.bytesBefore;
  dict["bytes_after"] = result.bytesAfter;
  dict["calibrated"] = result.calibrated;
  dict["held_back"] = result.heldBack;
  dict["measured_on_calibration"] = result.measuredOnCalibration;
  Status verdict = result.verdict();
  dict["code"] = static_cast<int>(verdict.code());
  dict["verdict"] = python::textOf(verdict.message());
  return dict;
}

/// `source` is a path or bytes, of which `model` was loaded with the same sizes.
static nb::dict quantizeModel(nb::handle source, const std::string &name, const Model &model,
                              nb::handle samples,
                              const std::map<std::string, std::vector<int64_t>> &shapes,
                              const std::map<std::string, int64_t> &dims, nb::kwargs given) {
  NamedArguments named("quantize", std::move(given));
  QuantizeOptions options;
  visitQuantizeOptions(named.into(options));
  named.take("seconds", options.seconds);
  uint64_t seed = 0;
  named.take("seed", seed);
  CompileOptions compile;
  visitCompileOptions(named.into(compile));
  compile.limits.deadline = python::deadlineOf(named.take("timeout"));
  nb::object progress = named.take("progress");
  named.finish();
  Samples inputs = samplesOf(model, samples, seed);
  InputSizes sizes{shapes, dims};
  bool isFile = PyUnicode_Check(source.ptr());
  ModelBytes bytes{.name = name};
  if (!isFile) {
    auto content = nb::cast<nb::bytes>(source);
    bytes.bytes = {static_cast<const std::byte *>(content.data()), content.size()};
  }
  auto result = python::watched(progress, [&] {
    return isFile ? quantize(name, inputs, options, compile, sizes)
                  : quantize(bytes, inputs, options, compile, sizes);
  });
  return dictOf(python::valueOf(std::move(result)));
}

void python::bindQuantize(nb::module_ &module) {
  NamedSignature options;
  visitQuantizeOptions(options);
  visitCompileOptions([&](const OptionText &text, auto member) {
    std::string_view name = text.name;
    // QuantizeOptions has a bound of its own; ways are not measured for models that are tried.
    if (name != "max_error" && name != "tune_seconds")
      options(text, member);
  });
  std::string signature =
      "def quantize_model(source: str | bytes, name: str, model: Model, samples: object, shapes: "
      "dict[str, list[int]], dims: dict[str, int], *, " +
      options.str() +
      "seconds: float = ..., seed: int = ..., timeout: float | None = ..., progress: object | None "
      "= ...) -> dict[str, Any]";
  module.def("quantize_model", quantizeModel, nb::sig(signature.c_str()));
}
