//===- Quantize.cpp - quern quantize --------------------------------------===//
#include "quern/Quantize.h"
#include "quern/OutputGuard.h"
#include "tools/quern/Duration.h"
#include "tools/quern/FileIo.h"
#include "tools/quern/OpenModel.h"
#include "tools/quern/Samples.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

namespace {
struct QuantizeCommand {
  ModelOptions model;
  SampleOptions samples;
  QuantizeOptions quantize;
  CompileOptions compile;
  std::string output;
  std::string duration = "2s";
  bool force = false;
  OutputStyle style;
};
} // namespace

static void addOptions(CLI::App &verb, QuantizeCommand &options) {
  addModelOptions(verb, options.model);
  verb.add_option("-o,--output", options.output, "The quantized model: FILE.onnx")
      ->required()
      ->type_name("FILE");
  verb.add_option("--data", options.samples.data,
                  "Inputs to calibrate and measure with: a folder of .npz, .npy and .pb files and "
                  "test_data_set folders, as --input of run takes them; one such file; or random")
      ->required()
      ->type_name("DIR");
  verb.add_option("--samples", options.samples.count,
                  "How many inputs to take (default: all, of random ones 16)")
      ->check(CLI::Range(int64_t{1}, int64_t{100'000}));
  verb.add_flag("--cast", options.samples.cast,
                "Convert the numbers of files to the types of the inputs");
  verb.add_option("--seed", options.samples.seed, "Of random inputs (default 0)")
      ->check(CLI::NonNegativeNumber);
  addCompileOptions(verb, options.compile);
  // The bound is that of quantizing, and weights are chosen by --mode.
  verb.remove_option(verb.get_option("--max-error"));
  verb.remove_option(verb.get_option("--weights"));
  verb.remove_option(verb.get_option("--tune"));
  addQuantizeOptions(verb, options.quantize);
  verb.add_option("--duration", options.duration, "How long to measure times (default 2s)")
      ->type_name("TIME");
  verb.add_flag("--force", options.force,
                "Writes the model even if it is not fast or not accurate enough");
}

//===----------------------------------------------------------------------===//
// Reports
//===----------------------------------------------------------------------===//

/// "41.3", "exact", or "-" where it was not measured.
static std::string formatDecibels(double sqnr) {
  if (std::isnan(sqnr))
    return "-";
  if (std::isinf(sqnr))
    return sqnr > 0 ? "exact" : "lost";
  return fmt::format("{:.1f}", sqnr);
}

static std::string describeOutputs(const Quantization &result) {
  Table table({"output", "max abs error", "% of magnitude", "SQNR dB", "within bound"});
  for (const QuantizedOutput &output : result.outputs) {
    bool isFloat = output.magnitude > 0;
    bool isWithin = output.incomparable.empty() && output.error() <= result.maxError;
    table.addRow({output.name,
                  isFloat ? fmt::format("{:.3g}", output.maxAbsolute)
                          : fmt::format("{} differ", output.mismatches),
                  isFloat ? fmt::format("{:.3f}", output.error() * 100) : "-",
                  isFloat ? formatDecibels(output.sqnr) : "-",
                  !isFloat   ? "-"
                  : isWithin ? "pass"
                             : "FAIL"});
  }
  std::string text = table.str();
  if (result.rows > 0)
    text += fmt::format("largest entry: the same in {} of {} rows; of {} rows that it leads by "
                        "more than the bound in {}\n",
                        result.agreeing, result.rows, result.decided, result.decidedAgreeing);
  return text;
}

/// Those that cost too much, and of the others the noisiest; all with --verbose.
static std::vector<const QuantizedLayer *> selectLayers(const Quantization &result,
                                                        const OutputStyle &style) {
  constexpr size_t kFew = 12, kNoisiest = 5;
  std::vector<const QuantizedLayer *> shown, noisy;
  bool showsAll = style.verbosity > 0 || result.layers.size() <= kFew;
  for (const QuantizedLayer &layer : result.layers) {
    if (showsAll || (!layer.quantized && !std::isnan(layer.sensitivity)))
      shown.push_back(&layer);
    else if (layer.quantized)
      noisy.push_back(&layer);
  }
  std::ranges::sort(noisy, {}, [](const QuantizedLayer *layer) {
    return std::isnan(layer->sqnr) ? HUGE_VAL : layer->sqnr;
  });
  noisy.resize(std::min(noisy.size(), kNoisiest));
  shown.insert(shown.end(), noisy.begin(), noisy.end());
  return shown;
}

/// The layers that are not in the table, by what became of them.
static std::string describeOthers(const Quantization &result,
                                  std::span<const QuantizedLayer *const> shown) {
  std::map<std::string, int64_t> others;
  for (const QuantizedLayer &layer : result.layers)
    if (std::ranges::find(shown, &layer) == shown.end())
      ++others[layer.quantized ? "quantized layers with less noise"
                               : fmt::format("{} in float: {}", layer.op, layer.reason)];
  std::string text;
  for (const auto &[what, count] : others)
    text += fmt::format("and {} {}\n", count, what);
  return text;
}

static std::string describeLayers(const Quantization &result, const OutputStyle &style) {
  std::vector<const QuantizedLayer *> shown = selectLayers(result, style);
  Table table({"layer", "op", "quantized", "SQNR dB", "alone dB"}, 3);
  for (const QuantizedLayer *layer : shown)
    table.addRow({layer->node, layer->op, layer->quantized ? "yes" : "no: " + layer->reason,
                  formatDecibels(layer->sqnr), formatDecibels(layer->sensitivity)});
  return table.str() + describeOthers(result, shown);
}

static std::string describe(const Quantization &result, const OutputStyle &style) {
  Table times({"model", "median ms", "bytes"});
  times.addRow(
      {"before", fmt::format("{:.3f}", result.before.p50), fmt::format("{}", result.bytesBefore)});
  times.addRow(
      {"after", fmt::format("{:.3f}", result.after.p50), fmt::format("{}", result.bytesAfter)});
  return fmt::format(
      "{}\n{}\n{}{:.2f} times as fast, {:.2f} of the bytes; {} of {} layers "
      "quantized; {}\n",
      describeOutputs(result), describeLayers(result, style), times.str(), result.speedup(),
      static_cast<double>(result.bytesAfter) /
          static_cast<double>(std::max<int64_t>(result.bytesBefore, 1)),
      result.quantizedLayers(), result.layers.size(),
      result.measuredOnCalibration ? "calibrated with and measured on the only input"
                                   : fmt::format("calibrated with {} inputs, measured on {} others",
                                                 result.calibrated, result.heldBack));
}

/// JSON has no infinities.
static Json jsonNumber(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

static Json describeJson(const QuantizeCommand &options, const Quantization &result,
                         bool isWritten) {
  Json outputs = Json::array(), layers = Json::array();
  for (const QuantizedOutput &output : result.outputs)
    outputs.push_back({{"name", output.name},
                       {"max_abs", jsonNumber(output.maxAbsolute)},
                       {"magnitude", output.magnitude},
                       {"error", jsonNumber(output.error())},
                       {"sqnr_db", jsonNumber(output.sqnr)},
                       {"mismatches", output.mismatches},
                       {"incomparable", output.incomparable}});
  for (const QuantizedLayer &layer : result.layers)
    layers.push_back({{"node", layer.node},
                      {"op", layer.op},
                      {"quantized", layer.quantized},
                      {"reason", layer.reason},
                      {"sqnr_db", jsonNumber(layer.sqnr)},
                      {"alone_db", jsonNumber(layer.sensitivity)}});
  return {{"schema", "quern.quantize/1"},
          {"model", options.model.path},
          {"output", options.output},
          {"written", isWritten},
          {"mode", options.quantize.mode},
          {"calibration", options.quantize.calibration},
          {"max_error", result.maxError},
          {"min_speedup", result.minSpeedup},
          {"refusal", result.verdict().message()},
          {"outputs", std::move(outputs)},
          {"top1",
           {{"rows", result.rows},
            {"agreeing", result.agreeing},
            {"decided", result.decided},
            {"decided_agreeing", result.decidedAgreeing}}},
          {"layers", std::move(layers)},
          {"before", {{"p50_ms", result.before.p50}, {"bytes", result.bytesBefore}}},
          {"after", {{"p50_ms", result.after.p50}, {"bytes", result.bytesAfter}}},
          {"threads", result.threads},
          {"speedup", result.speedup()},
          {"samples",
           {{"calibration", result.calibrated},
            {"held_back", result.heldBack},
            {"shared", result.measuredOnCalibration}}}};
}

//===----------------------------------------------------------------------===//
// The verb
//===----------------------------------------------------------------------===//

static Expected<Quantization> quantizeModel(const QuantizeCommand &options, OpenedModel &opened) {
  QuantizeOptions quantizing = options.quantize;
  QUERN_ASSIGN(quantizing.seconds, parseSeconds(options.duration));
  QUERN_ASSIGN(InputSizes sizes, parseInputSizes(options.model));
  QUERN_ASSIGN(std::vector<std::vector<AnyValue>> samples,
               readSamples(opened.model.inputs(), options.samples, options.style, opened.limits,
                           opened.guard));
  Progress progress(options.style);
  progress.show("quantizing");
  explainKernelCache(options.compile, options.style);
  return quantize(options.model.path, samples, quantizing, options.compile.within(opened.limits),
                  sizes);
}

static Status execute(const QuantizeCommand &options) {
  FileGuard guard;
  QUERN_TRY(guard.writes("output", options.output));
  QUERN_TRY(guardDumps(options.compile.dumpPhasesTo, guard));
  QUERN_TRY(checkWritable(options.output));
  QUERN_TRY(parseSeconds(options.duration).status().withContext("--duration"));
  QUERN_ASSIGN(OpenedModel opened, openModel(options.model, options.style, std::move(guard)));
  QUERN_ASSIGN(Quantization result, quantizeModel(options, opened));
  Status verdict = result.verdict();
  bool isWritten = verdict.isOk() || options.force;
  if (isWritten)
    QUERN_TRY(writeFile(options.output, result.model));
  if (options.style.printsTable())
    QUERN_TRY(printText(describe(result, options.style)));
  QUERN_TRY(writeJson(describeJson(options, result, isWritten), options.style));
  if (!isWritten)
    return Status(verdict.code(), verdict.message() + "; nothing is written without --force");
  if (!verdict.isOk())
    warn(options.style, verdict.message());
  note(options.style, "wrote " + options.output);
  return Status::ok();
}

void cli::addQuantizeVerb(CLI::App &app, Command &command) {
  addVerb<QuantizeCommand>(app, command, "quantize",
                           "Writes a model with smaller numbers, and measures what that costs",
                           addOptions, execute);
}
