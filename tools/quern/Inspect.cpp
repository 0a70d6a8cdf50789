//===- Inspect.cpp - quern inspect ----------------------------------------===//
//
// Reads the ONNX file only, unless it draws: works for models with ops that are not supported. Of a
// compiled library it shows what that says of itself.
//
//===----------------------------------------------------------------------===//
#include "quern/EscapedText.h"
#include "quern/OutputGuard.h"
#include "quern/Reports.h"
#include "tools/quern/FileIo.h"
#include "tools/quern/OpenModel.h"
#include "tools/quern/Ports.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

namespace {
struct InspectOptions {
  ModelOptions model;
  std::string svgPath, dotPath;
  OutputStyle style;

  bool draws() const { return !svgPath.empty() || !dotPath.empty(); }
};
} // namespace

static void addOptions(CLI::App &verb, InspectOptions &options) {
  addModelOptions(verb, options.model);
  verb.get_option("MODEL")->description(
      "A model file (ONNX or TensorFlow Lite), or a library that quern compile has made");
  verb.add_option("--svg", options.svgPath,
                  "Compiles and runs the model, and draws its graph as it was fused")
      ->type_name("FILE");
  verb.add_option("--dot", options.dotPath,
                  "The same with all nodes, in Graphviz's language: dot -Tsvg FILE")
      ->type_name("FILE");
  for (const char *size : {"--shape", "--dim"})
    verb.get_option(size)->description(verb.get_option(size)->get_description() +
                                       " (for --svg and --dot)");
}

static std::string describe(const ModelFacts &facts) {
  std::string text =
      fmt::format("{}, {} {}", facts.format, facts.opsets.empty() ? "format version" : "IR version",
                  facts.irVersion);
  for (const auto &[domain, version] : facts.opsets)
    text += fmt::format(", opset {} {}", domain, version);
  text += facts.producer.empty() ? "" : ", made by " + facts.producer;
  text = escapeText(text, TextPlace::Line) + "\n";
  text += describePorts("input", facts.inputs) + describePorts("output", facts.outputs);
  text += fmt::format("{} parameters in {} initializers, {} nodes\n\n", facts.parameters,
                      facts.initializers, facts.nodes);
  Table table({"op", "count"});
  for (const auto &[name, count] : facts.ops)
    table.addRow({name, std::to_string(count)});
  return text + table.str();
}

static std::string describeSizes(std::span<const ListedSize> lists) {
  std::string text;
  for (const ListedSize &list : lists)
    text += fmt::format("{} is one of {}\n", escapeText(list.name, TextPlace::Line),
                        fmt::join(list.sizes, ", "));
  return text;
}

static std::string describe(const ArtifactFacts &facts) {
  return fmt::format("library of model {}, for {}, precision {}, interface version {}\n",
                     escapeText(facts.name, TextPlace::Line),
                     escapeText(facts.targetCpu, TextPlace::Line), precisionName(facts.precision),
                     facts.abiVersion) +
         describePorts("input", facts.inputs) + describePorts("output", facts.outputs) +
         describeSizes(facts.sizes) +
         fmt::format("a run needs {} bytes, and {} for each further thread\n", facts.workspaceBytes,
                     facts.workerBytes) +
         (facts.weightsBytes == 0
              ? ""
              : fmt::format("weights: {} bytes in a file of their own\n", facts.weightsBytes));
}

static Status inspectLibrary(const InspectOptions &options) {
  QUERN_ASSIGN(ArtifactFacts facts, inspectArtifact(options.model.path));
  if (options.style.printsTable())
    QUERN_TRY(printText(describe(facts)));
  return writeJson(Json::parse(artifactReport(options.model.path, facts)), options.style);
}

/// The graph with the times of its steps.
static Status draw(const InspectOptions &options) {
  constexpr double kSeconds = 0.3;
  QUERN_ASSIGN(OpenedModel opened, openModel(options.model, options.style));
  for (const std::string &path : {options.svgPath, options.dotPath})
    if (!path.empty()) {
      QUERN_TRY(opened.guard.writes("picture", path));
      QUERN_TRY(checkWritable(path));
    }
  QUERN_ASSIGN(std::vector<AnyValue> inputs,
               makeInputs(opened.model.inputs(), {}, MissingInputs::Random, options.style,
                          opened.limits, {}, &opened.guard));
  Progress progress(options.style);
  progress.show("measuring");
  QUERN_ASSIGN(TimeAnalysis analysis,
               analyzeTime(opened.model, inputs, CompileOptions().within(opened.limits),
                           {.limits = opened.limits}, {.seconds = kSeconds, .tries = false}));
  std::string svg = options.svgPath.empty() ? "" : graphPicture(analysis);
  if (!options.svgPath.empty() && svg.empty())
    return unsupported("the graph has too many steps for a picture; --dot writes all of it");
  if (!svg.empty())
    QUERN_TRY(writeFile(options.svgPath, svg));
  return options.dotPath.empty() ? Status::ok() : writeFile(options.dotPath, graphDot(analysis));
}

static Status execute(const InspectOptions &options) {
  if (!options.draws() && !(options.model.dims.empty() && options.model.shapes.empty()))
    return usageError("--dim and --shape are sizes for --svg and --dot");
  FileGuard guard;
  if (isLibraryFile(options.model.path)) {
    if (options.draws())
      return usageError("--svg and --dot are for models: " + options.model.path +
                        " is compiled already");
    QUERN_TRY(guardLibraryFiles(options.model.path, guard));
    QUERN_TRY(checkJsonWritable(options.style, guard));
    return inspectLibrary(options);
  }
  QUERN_TRY(guard.reads("model", options.model.path));
  QUERN_TRY(checkJsonWritable(options.style, guard));
  QUERN_ASSIGN(Limits limits, limitsWithTimeout(options.model.timeout));
  QUERN_ASSIGN(ModelFacts facts, inspectModelFile(options.model.path, limits));
  QUERN_TRY(guardModelFiles(facts.files, guard));
  if (options.draws())
    QUERN_TRY(draw(options));
  if (options.style.printsTable())
    QUERN_TRY(printText(describe(facts)));
  return writeJson(Json::parse(modelReport(options.model.path, facts)), options.style);
}

void cli::addInspectVerb(CLI::App &app, Command &command) {
  addVerb<InspectOptions>(app, command, "inspect", "Shows what is in a model file", addOptions,
                          execute);
}
