//===- Trace.cpp - quern trace --------------------------------------------===//
#include "quern/Trace.h"
#include "quern/Reports.h"
#include "tools/quern/FileIo.h"
#include "tools/quern/Interrupt.h"
#include "tools/quern/OpenModel.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>
#include <set>

using namespace quern;
using namespace quern::cli;

namespace {
struct TraceOptions {
  ModelOptions model;
  InputOptions inputs;
  BackendOptions backend;
  std::string output;
  int64_t runs = 3;
  OutputStyle style;
};
} // namespace

static void addOptions(CLI::App &verb, TraceOptions &options) {
  addModelOptions(verb, options.model);
  addInputOptions(verb, options.inputs);
  addCompileOptions(verb, options.backend.compile, OptionUse::Backends);
  verb.add_option("-o,--output", options.output,
                  "Where to write the trace: a file that https://ui.perfetto.dev and "
                  "chrome://tracing open")
      ->type_name("FILE")
      ->required();
  verb.add_option("--runs", options.runs, "How many runs to record (default 3)")
      ->check(CLI::Range(int64_t{1}, int64_t{10'000}));
}

/// Loads, compiles and runs.
static Status work(const TraceOptions &options) {
  QUERN_ASSIGN(Runnable opened, openRunnable(options.model, options.style));
  QUERN_TRY(opened.guard.writes("trace", options.output));
  QUERN_TRY(checkWritable(options.output));
  QUERN_ASSIGN(std::vector<AnyValue> inputs,
               makeInputs(opened.inputs(), options.inputs, MissingInputs::Random, options.style,
                          opened.limits, opened.defaults, &opened.guard));
  Progress progress(options.style);
  progress.show("compiling");
  QUERN_ASSIGN(PreparedRuns prepared,
               prepareRuns(opened, options.backend, inputs, options.inputs, options.style));
  Runner &runner = *prepared.runner;
  progress.show("running");
  std::vector<AnyValue> outputs(runner.outputs().size());
  Interruptible runs(runner);
  for (int64_t i = 0; i < options.runs; ++i)
    QUERN_TRY(runner.run(inputs, outputs));
  return Status::ok();
}

/// "t.json: 812 spans of 2 threads, 3 runs; open it at https://ui.perfetto.dev".
static std::string describe(const Trace &trace, const std::string &path) {
  std::set<int> threads;
  int64_t runs = 0;
  for (const TraceSpan &span : trace.spans) {
    threads.insert(span.thread);
    runs += span.category == "run";
  }
  std::string text = fmt::format("{}: {} spans of {} thread{}, {} run{}; open it at "
                                 "https://ui.perfetto.dev\n",
                                 path, trace.spans.size(), threads.size(),
                                 threads.size() == 1 ? "" : "s", runs, runs == 1 ? "" : "s");
  if (trace.omitted > 0)
    text += fmt::format("{} more spans were left out: record fewer --runs\n", trace.omitted);
  return text;
}

static Status execute(const TraceOptions &options) {
  QUERN_ASSIGN(TraceRecorder recorder, TraceRecorder::begin());
  Status worked = work(options);
  Trace trace = recorder.end();
  // What was recorded until Ctrl-C is worth keeping.
  if (!worked.isOk() && worked.code() != StatusCode::Cancelled)
    return worked;
  QUERN_TRY(writeFile(options.output, traceReport(trace)));
  if (options.style.printsTable())
    QUERN_TRY(printText(describe(trace, options.output)));
  return worked;
}

void cli::addTraceVerb(CLI::App &app, Command &command) {
  addVerb<TraceOptions>(app, command, "trace",
                        "Records what each thread does while a model is loaded, compiled and run",
                        addOptions, execute);
}
