//===- Bench.cpp - quern bench --------------------------------------------===//
#include "quern/Benchmark.h"
#include "quern/Reports.h"
#include "tools/quern/ChosenPrecision.h"
#include "tools/quern/Duration.h"
#include "tools/quern/Explained.h"
#include "tools/quern/Interrupt.h"
#include "tools/quern/NodeNames.h"
#include "tools/quern/OpenModel.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

namespace {
struct BenchOptions {
  ModelOptions model;
  InputOptions inputs;
  BackendOptions backend;
  std::string duration = "3s";
  int64_t runs = 0;
  int64_t warmup = 3;
  TimeBudget maxTime;
  OutputStyle style;
};

struct Measurement {
  std::string backend;
  Precision precision = Precision::Float32;
  double loadMs = 0;
  Benchmark runs;
  /// Where a lower precision was asked for, and it is known.
  std::optional<Explanation> explanation = {};
  /// Of --precision auto, also of a library.
  std::optional<PrecisionChoice> choice = {};
};
} // namespace

static void addOptions(CLI::App &verb, BenchOptions &options) {
  addModelOptions(verb, options.model);
  addInputOptions(verb, options.inputs);
  addCompileOptions(verb, options.backend.compile, OptionUse::Backends);
  verb.add_option("--duration", options.duration, "How long to measure (default 3s)")
      ->type_name("TIME");
  verb.add_option("--runs", options.runs, "How many runs to measure, instead of --duration")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000}));
  verb.add_option("--warmup", options.warmup, "Runs before measuring (default 3)")
      ->check(CLI::Range(int64_t{0}, int64_t{1'000'000}));
  addMaxTimeOption(verb, options.maxTime,
                   "Ends with exit code 6 when the median run takes longer: 5ms");
  verb.add_flag("--profile", options.backend.profile,
                "Shows the time of each step, and its share of what the machine's units could do");
}

static Expected<Measurement> measure(const BenchOptions &options) {
  QUERN_ASSIGN(double seconds, parseSeconds(options.duration));
  QUERN_ASSIGN(Runnable opened, openRunnable(options.model, options.style));
  QUERN_ASSIGN(std::vector<AnyValue> inputs,
               makeInputs(opened.inputs(), options.inputs, MissingInputs::Random, options.style,
                          opened.limits, opened.defaults, &opened.guard));
  Progress progress(options.style);
  progress.show("compiling");
  QUERN_ASSIGN(PreparedRuns prepared,
               prepareRuns(opened, options.backend, inputs, options.inputs, options.style));
  const BackendOptions &backend = prepared.backend;
  progress.show("measuring");
  bool wantsPeak = options.backend.profile && options.backend.compile.backend == Backend::Native;
  Interruptible runs(*prepared.runner);
  QUERN_ASSIGN(Benchmark result,
               benchmark(*prepared.runner, inputs,
                         {.seconds = seconds,
                          .runs = options.runs,
                          .warmup = options.warmup,
                          .peakOfCpu = wantsPeak ? options.backend.compile.targetCpu : "",
                          .keepsCancelled = true}));
  result.compileMs = prepared.compileMs;
  std::optional<Explanation> explanation;
  if (options.backend.compile.precision != Precision::Float32)
    explanation = explainCompiled(opened, backend.compile, inputs, options.style);
  Measurement measurement{opened.backendName(backend), opened.precision(backend), opened.loadMs,
                          std::move(result), std::move(explanation)};
  if (const PrecisionChoice *choice = opened.choice(backend))
    measurement.choice = *choice;
  return measurement;
}

/// The mean time of one run of a step.
static double stepMs(const ProfileRow &row) {
  return row.runs ? static_cast<double>(row.nanoseconds) * 1e-6 / static_cast<double>(row.runs) : 0;
}

/// Of the fastest run, as the peak is that of the fastest one.
static double gigaflops(const ProfileRow &row) {
  return row.fastestNanoseconds > 0 ? row.cost.flops / double(row.fastestNanoseconds) : 0;
}

/// The same of the bytes that the problem moves.
static double gigabytes(const ProfileRow &row) {
  return row.fastestNanoseconds > 0 ? row.cost.bytes() / double(row.fastestNanoseconds) : 0;
}

/// "93.0"; "-" of what has no such cost: the overhead of a kernel, or of the interpreter.
static std::string shownRate(double cost, double rate) {
  return cost > 0 ? fmt::format("{:.1f}", rate) : "-";
}

/// The share of all time; that of a nested step is a part of that of the step around it.
static double percentOf(const ProfileRow &row, const std::vector<ProfileRow> &rows) {
  int64_t total = 0;
  for (const ProfileRow &each : rows)
    total += each.depth == 0 ? each.nanoseconds : 0;
  return 100 * static_cast<double>(row.nanoseconds) /
         static_cast<double>(std::max<int64_t>(total, 1));
}

/// The percentage of the peak of what the step multiplies; nullopt where either is unknown.
static std::optional<double> shareOfPeak(const ProfileRow &row, const EnginePeaks &peaks) {
  double peak = peaks.of(row.cost.engine);
  if (row.cost.flops <= 0 || peak <= 0)
    return std::nullopt;
  return 100 * gigaflops(row) / peak;
}

/// The peaks of what the steps multiply.
static std::string describePeaks(const std::vector<ProfileRow> &rows, const EnginePeaks &peaks) {
  std::string text;
  for (Engine engine : {Engine::Float32, Engine::BFloat16, Engine::Int8}) {
    bool isUsed = engine == Engine::Float32 ||
                  std::any_of(rows.begin(), rows.end(),
                              [&](const ProfileRow &row) { return row.cost.engine == engine; });
    if (isUsed && peaks.of(engine) > 0)
      text += fmt::format("{}{} {:.1f} {}", text.empty() ? "" : ", ",
                          engine == Engine::Float32 ? "FMA" : engineName(engine), peaks.of(engine),
                          engine == Engine::Int8 ? "Gop/s" : "GFLOP/s");
  }
  return text.empty() ? "" : "peak of all threads, measured before and after: " + text + "\n";
}

static std::string profileTable(std::vector<ProfileRow> rows, const EnginePeaks &peaks,
                                const OutputStyle &style) {
  std::sort(rows.begin(), rows.end(), [](const ProfileRow &a, const ProfileRow &b) {
    return std::tie(b.nanoseconds, a.nodes) < std::tie(a.nanoseconds, b.nodes);
  });
  std::vector<std::string> header = {"node",   "kernel", "ms",      "%",
                                     "min ms", "GB/s",   "GFLOP/s", "% of peak"};
  if (style.verbosity > 0)
    header.emplace_back("expected ms");
  Table table(std::move(header), /*leftColumns=*/2);
  for (const ProfileRow &row : rows) {
    std::optional<double> share = shareOfPeak(row, peaks);
    std::vector<std::string> cells = {
        shownNodes(row.nodes, style),
        shownName(row.kernel, style) + (row.reference ? " (reference)" : "") +
            (row.depth > 0 ? " (nested)" : ""),
        fmt::format("{:.3f}", stepMs(row)),
        fmt::format("{:.1f}", percentOf(row, rows)),
        fmt::format("{:.3f}", static_cast<double>(row.fastestNanoseconds) * 1e-6),
        shownRate(row.cost.bytes(), gigabytes(row)),
        shownRate(row.cost.flops, gigaflops(row)),
        share ? fmt::format("{:.0f}", *share) : "-"};
    if (style.verbosity > 0)
      cells.push_back(row.expectedNanoseconds > 0
                          ? fmt::format("{:.3f}", row.expectedNanoseconds * 1e-6)
                          : "-");
    table.addRow(std::move(cells));
  }
  return table.str() + describePeaks(rows, peaks) +
         (style.verbosity > 0 ? describeReferenceRows(rows, style) : "");
}

static Json profileJson(const std::vector<ProfileRow> &rows, const EnginePeaks &peaks) {
  Json steps = Json::array();
  for (const ProfileRow &row : rows) {
    std::optional<double> share = shareOfPeak(row, peaks);
    Json &step =
        steps.emplace_back(Json{{"nodes", row.nodes},
                                {"kernel", row.kernel},
                                {"native", !row.reference},
                                {"depth", row.depth},
                                {"tasks", row.tasks},
                                {"ms", stepMs(row)},
                                {"percent", percentOf(row, rows)},
                                {"min_ms", static_cast<double>(row.fastestNanoseconds) * 1e-6},
                                {"expected_ms", row.expectedNanoseconds * 1e-6},
                                {"flops", row.cost.flops},
                                {"bytes_read", row.cost.bytesRead},
                                {"bytes_written", row.cost.bytesWritten},
                                {"gbps", gigabytes(row)},
                                {"gflops", gigaflops(row)},
                                {"engine", engineName(row.cost.engine)},
                                {"percent_of_peak", share ? Json(*share) : Json(nullptr)}});
    if (row.reason)
      step.update(
          {{"reason", row.reason->text}, {"code", std::string(reasonCodeName(row.reason->code))}});
  }
  return steps;
}

static std::string describe(const BenchOptions &options, const Measurement &measured) {
  const Benchmark &m = measured.runs;
  const Statistics &s = m.steady;
  std::string text =
      fmt::format("{}, {}, {} {}, {} runs\n", measured.backend, precisionName(measured.precision),
                  m.threads, m.threads == 1 ? "thread" : "threads", m.runs);
  if (measured.explanation)
    text += describeProducts(*measured.explanation);
  if (measured.choice)
    text += describeChoice(*measured.choice, options.style);
  text += fmt::format("load       {:.3f} ms\ncompile    {:.3f} ms\nfirst run  {:.3f} ms\n",
                      measured.loadMs, m.compileMs, m.firstRunMs);
  text += fmt::format("mean       {:.3f} ms +- {:.3f} ms\nmin        {:.3f} ms\n", s.mean,
                      s.standardDeviation, s.min);
  text += fmt::format("p50        {:.3f} ms\np90        {:.3f} ms\np99        {:.3f} ms\n", s.p50,
                      s.p90, s.p99);
  text += fmt::format("peak RSS   {:.0f} MB\n", m.peakRssMb);
  return m.profile.empty() ? text : text + "\n" + profileTable(m.profile, m.peaks, options.style);
}

static Json describeJson(const BenchOptions &options, const Measurement &measured) {
  const Benchmark &m = measured.runs;
  Json report = {{"schema", "quern.bench/1"},
                 {"model", options.model.path},
                 {"backend", measured.backend},
                 {"precision", precisionName(measured.precision)},
                 {"threads", m.threads},
                 {"load_ms", measured.loadMs},
                 {"compile_ms", m.compileMs},
                 {"first_run_ms", m.firstRunMs},
                 {"runs", m.runs},
                 {"complete", m.isComplete},
                 {"min_ms", m.steady.min},
                 {"mean_ms", m.steady.mean},
                 {"stddev_ms", m.steady.standardDeviation},
                 {"p50_ms", m.steady.p50},
                 {"p90_ms", m.steady.p90},
                 {"p99_ms", m.steady.p99},
                 {"peak_rss_mb", m.peakRssMb},
                 {"warnings", m.warnings()}};
  if (std::optional<double> most = options.maxTime.milliseconds().take())
    report["max_time_ms"] = *most;
  if (measured.choice)
    report["choice"] = Json::parse(choiceReport(*measured.choice));
  if (measured.explanation)
    report["products"] = measured.explanation->products;
  if (options.backend.profile) {
    report["peak_gflops"] = m.peaks.float32;
    report["peak_gflops_bfloat16"] = m.peaks.bfloat16;
    report["peak_gops_int8"] = m.peaks.int8;
    report["steps"] = profileJson(m.profile, m.peaks);
  }
  return report;
}

static Status execute(const BenchOptions &options) {
  QUERN_TRY(options.maxTime.milliseconds().status());
  QUERN_ASSIGN(Measurement measurement, measure(options));
  for (const std::string &warning : measurement.runs.warnings())
    warn(options.style, warning);
  if (options.style.printsTable())
    QUERN_TRY(printText(describe(options, measurement)));
  QUERN_TRY(writeJson(describeJson(options, measurement), options.style));
  if (!measurement.runs.isComplete)
    return Status(StatusCode::Cancelled, "interrupted");
  return options.maxTime.check("the median run", measurement.runs.steady.p50);
}

void cli::addBenchVerb(CLI::App &app, Command &command) {
  addVerb<BenchOptions>(app, command, "bench", "Measures load, compile, first run and steady state",
                        addOptions, execute);
}
