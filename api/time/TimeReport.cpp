//===- TimeReport.cpp - an analysis of time as JSON -----------------------===//
#include "quern/Reports.h"
#include "quern/TimeAnalysis.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace quern;
namespace json = llvm::json;

static std::string utf8(const std::string &text) { return json::fixUTF8(text); }

static json::Array linesValue(const std::vector<std::string> &lines) {
  json::Array result;
  for (const std::string &line : lines)
    result.push_back(utf8(line));
  return result;
}

static json::Value causeValue(const TimeCause &cause) {
  return json::Object{{"cause", std::string(causeKindName(cause.kind))},
                      {"title", utf8(cause.title)},
                      {"evidence", linesValue(cause.evidence)},
                      {"advice", utf8(cause.advice)},
                      {"saved_ms", cause.savedMs},
                      {"measured", cause.isMeasured},
                      {"once", cause.isOnce}};
}

static json::Value stepValue(const StepTime &step) {
  const StepCost &cost = step.row.cost;
  return json::Object{{"nodes", utf8(step.row.nodes)},
                      {"kernel", utf8(step.row.kernel)},
                      {"native", !step.row.reference},
                      {"depth", step.row.depth},
                      {"tasks", step.row.tasks},
                      {"ms", step.ms},
                      {"min_ms", step.fastestMs},
                      {"flops", cost.flops},
                      {"bytes_read", cost.bytesRead},
                      {"bytes_written", cost.bytesWritten},
                      {"engine", std::string(engineName(cost.engine))},
                      {"compute_ms", step.computeMs},
                      {"memory_ms", step.memoryMs},
                      {"bound", std::string(stepBoundName(step.bound))}};
}

static json::Array curveValue(const std::vector<CurvePoint> &curve) {
  json::Array result;
  for (const CurvePoint &point : curve)
    result.push_back(json::Object{{"at", point.at}, {"ms", point.ms}});
  return result;
}

static json::Value peaksValue(const EnginePeaks &peaks) {
  return json::Object{
      {"float32", peaks.float32}, {"bfloat16", peaks.bfloat16}, {"int8", peaks.int8}};
}

std::string quern::timeReport(const TimeAnalysis &analysis) {
  const Statistics &times = analysis.run.steady;
  json::Array steps, causes;
  for (const StepTime &step : analysis.steps)
    steps.push_back(stepValue(step));
  for (const TimeCause &cause : analysis.causes)
    causes.push_back(causeValue(cause));
  json::Object object{{"complete", analysis.isComplete},
                      {"threads", analysis.run.threads},
                      {"runs", analysis.run.runs},
                      {"compile_ms", analysis.run.compileMs},
                      {"first_run_ms", analysis.run.firstRunMs},
                      {"p50_ms", times.p50},
                      {"mean_ms", times.mean},
                      {"min_ms", times.min},
                      {"steps_ms", analysis.stepsMs},
                      {"cpu", utf8(analysis.machine.cpuModel)},
                      {"peak_gflops", peaksValue(analysis.rates.peaks)},
                      {"read_gbps", analysis.rates.readGBps},
                      {"share_near_roof", analysis.shareNearRoof()},
                      {"causes", std::move(causes)},
                      {"steps", std::move(steps)},
                      {"thread_curve", curveValue(analysis.threadCurve)},
                      {"batch_curve", curveValue(analysis.batchCurve)}};
  std::string text;
  llvm::raw_string_ostream(text) << json::Value(std::move(object));
  return text;
}
