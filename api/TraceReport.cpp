//===- TraceReport.cpp - a recording in Chrome's trace format -------------===//
#include "quern/Reports.h"
#include "quern/Version.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <set>

using namespace quern;
namespace json = llvm::json;

static constexpr int kProcess = 1;

static json::Object argumentsOf(const TraceSpan &span) {
  json::Object arguments;
  if (!span.nodes.empty())
    arguments["nodes"] = json::fixUTF8(span.nodes);
  if (span.endTask > 0) {
    arguments["first_task"] = span.firstTask;
    arguments["end_task"] = span.endTask;
  }
  if (span.cost.flops > 0) {
    arguments["flops"] = span.cost.flops;
    arguments["engine"] = std::string(engineName(span.cost.engine));
    if (span.end > span.begin)
      arguments["gflops"] = span.cost.flops / static_cast<double>(span.end - span.begin);
  }
  if (span.cost.bytes() > 0) {
    arguments["bytes_read"] = span.cost.bytesRead;
    arguments["bytes_written"] = span.cost.bytesWritten;
  }
  return arguments;
}

/// A complete event ("X"): times in microseconds.
static json::Value eventOf(const TraceSpan &span) {
  return json::Object{{"name", json::fixUTF8(span.name)},
                      {"cat", std::string(span.category)},
                      {"ph", "X"},
                      {"ts", static_cast<double>(span.begin) * 1e-3},
                      {"dur", static_cast<double>(span.end - span.begin) * 1e-3},
                      {"pid", kProcess},
                      {"tid", span.thread},
                      {"args", argumentsOf(span)}};
}

static json::Value threadFact(const char *what, int thread, std::string name) {
  return json::Object{{"name", what},
                      {"ph", "M"},
                      {"pid", kProcess},
                      {"tid", thread},
                      {"args", json::Object{{"name", std::move(name)}}}};
}

std::string quern::traceReport(const Trace &trace) {
  json::Array events;
  events.push_back(threadFact("process_name", 0, "Quern"));
  std::set<int> threads;
  std::vector<const TraceSpan *> spans;
  for (const TraceSpan &span : trace.spans) {
    threads.insert(span.thread);
    spans.push_back(&span);
  }
  for (int thread : threads)
    events.push_back(threadFact("thread_name", thread,
                                thread == 0 ? "main thread" : "worker " + std::to_string(thread)));
  // Those around others first.
  std::stable_sort(spans.begin(), spans.end(), [](const TraceSpan *a, const TraceSpan *b) {
    return a->begin != b->begin ? a->begin < b->begin : a->end > b->end;
  });
  for (const TraceSpan *span : spans)
    events.push_back(eventOf(*span));
  std::string text;
  llvm::raw_string_ostream(text) << json::Value(
      json::Object{{"traceEvents", std::move(events)},
                   {"displayTimeUnit", "ns"},
                   {"otherData", json::Object{{"quern", std::string(versionString())},
                                              {"omitted_spans", trace.omitted}}}});
  return text;
}
