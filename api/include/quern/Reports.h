//===- Reports.h - what is known, as JSON ---------------------------------===//
#pragma once

#include "quern/Artifact.h"
#include "quern/Model.h"
#include "quern/NodeComparison.h"
#include "quern/OnnxFile.h"
#include "quern/TimeAnalysis.h"
#include "quern/Trace.h"

#include <span>
#include <string>

namespace quern {

/// What a file holds, as `quern inspect --json` says it: a model, or a library made by
/// Model::compileToArtifact.
Expected<std::string> inspectReport(const std::string &path, const Limits &limits = {});
std::string modelReport(const std::string &path, const ModelFacts &facts);
std::string artifactReport(const std::string &path, const ArtifactFacts &facts);

/// {"steps": 7, "native_steps": 6, "reference_steps": [...], "undecided_steps": [...],
/// "plan": [...], "products": {"bf16": 3}, "nodes": [...], "refusals": [...], "choice": {...}}, as
/// `quern check --json` has them; the choice is null unless it is of Precision::Auto.
std::string explanationReport(const Explanation &explanation);
/// {"max_error": 0.01, "error": 0.004, "error_of_all": 0.02, "refusal": "...", "random_inputs":
/// true, "layers": [{"nodes": "conv1", "precision": "bf16", "error": 0.001, "saved_ns": 12.5},
/// ...]}.
std::string choiceReport(const PrecisionChoice &choice);
/// {"unsupported_ops": [...], "problems": [...]}: all that keeps a model file from being
/// loaded, as `quern check --json` lists it after a failure.
Expected<std::string> problemsReport(const std::string &path, const Limits &limits = {});
/// [{"nodes": ..., "kernel": ..., "runs": 3, "ms": 0.5, "min_ms": ..., "flops": ..., "bytes": ...,
/// "bytes_read": ..., "bytes_written": ...}, ...], each time that of one run. `bytes` are those
/// read and written; see ProfileRow::cost.
std::string profileReport(std::span<const ProfileRow> rows);
/// {"threads": 2, "p50_ms": ..., "steps_ms": ..., "causes": [{"cause": "memory", "title": ...,
/// "evidence": [...], "advice": "--weights int8", "saved_ms": ..., "measured": true, "once":
/// false},
/// ...], "steps": [...], "thread_curve": [{"at": 1, "ms": ...}, ...], ...}, as `quern explain
/// --json` has them.
std::string timeReport(const TimeAnalysis &analysis);
/// The same as one HTML page that needs no other file: roofline, causes, curves, a table of steps.
std::string timePage(const TimeAnalysis &analysis, const std::string &title);
/// The graph as it was fused, as an SVG file: a row for each step with its nodes, coloured by what
/// holds it up and as strongly as it takes time; a block of rows stands for all alike that follow
/// it. Empty for more steps than anybody can look at.
std::string graphPicture(const TimeAnalysis &analysis);
/// How many numbers of the outputs are off by how many units in the last place, as an SVG file;
/// empty where none are floats.
std::string errorPicture(std::span<const OutputComparison> outputs);
/// All nodes as they were imported, in boxes as they were fused, in Graphviz's language.
std::string graphDot(const TimeAnalysis &analysis);
/// The bytes of the ONNX model at `path`, of which `analysis` is, with metadata at each node of its
/// main graph, as Netron shows it: quern.step, quern.kernel, quern.nodes (those computed together),
/// quern.ms and quern.percent (of their step), quern.bound; or quern.fate. Weights in other files
/// stay there. ResourceLimit from 2 GiB on.
Expected<std::string> annotatedModel(const std::string &path, const TimeAnalysis &analysis,
                                     const Limits &limits = {});
/// A recording as Chrome's trace format (the JSON that Perfetto and chrome://tracing open): spans
/// with nodes, operations, bytes and tasks as their arguments, threads with names.
std::string traceReport(const Trace &trace);
/// {"fault": "code", "first": "conv1", "nodes": [{"node": "conv1", "op": "conv", "nodes": [...],
/// "difference": {"max_abs": 0.1, "max_ulp": ..., "cosine": ..., ...}, "bound": {...}, "pass":
/// false, "whole": {...}}, ...], "without_value": [...], "outputs": [...], "complete": true}, as
/// `quern compare --per-node --json` has them.
std::string nodeReport(const NodeComparison &comparison);
/// The processor, what this process may use of the machine, and versions of libraries.
std::string hostReport();

} // namespace quern
