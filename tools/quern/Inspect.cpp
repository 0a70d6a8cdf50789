//===- Inspect.cpp - quern inspect ----------------------------------------===//
//
// Reads the ONNX file only: works for models with ops that are not supported. Of a
// compiled library it shows what that says of itself.
//
//===----------------------------------------------------------------------===//
#include "quern/EscapedText.h"
#include "quern/OutputGuard.h"
#include "quern/Reports.h"
#include "tools/quern/Options.h"
#include "tools/quern/Ports.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

namespace {
struct InspectOptions {
  std::string path;
  std::string timeout;
  OutputStyle style;
};
} // namespace

static void addOptions(CLI::App &verb, InspectOptions &options) {
  verb.add_option("MODEL", options.path,
                  "An ONNX model file, or a library that quern compile has made")
      ->required()
      ->type_name("FILE");
  addTimeoutOption(verb, options.timeout);
}

static std::string describe(const ModelFacts &facts) {
  std::string text = fmt::format("IR version {}", facts.irVersion);
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
  QUERN_ASSIGN(ArtifactFacts facts, inspectArtifact(options.path));
  if (options.style.printsTable())
    QUERN_TRY(printText(describe(facts)));
  return writeJson(Json::parse(artifactReport(options.path, facts)), options.style);
}

static Status execute(const InspectOptions &options) {
  FileGuard guard;
  if (isLibraryFile(options.path)) {
    QUERN_TRY(guardLibraryFiles(options.path, guard));
    QUERN_TRY(checkJsonWritable(options.style, guard));
    return inspectLibrary(options);
  }
  QUERN_TRY(guard.reads("model", options.path));
  QUERN_TRY(checkJsonWritable(options.style, guard));
  QUERN_ASSIGN(Limits limits, limitsWithTimeout(options.timeout));
  QUERN_ASSIGN(ModelFacts facts, inspectModelFile(options.path, limits));
  QUERN_TRY(guardModelFiles(facts.files, guard));
  if (options.style.printsTable())
    QUERN_TRY(printText(describe(facts)));
  return writeJson(Json::parse(modelReport(options.path, facts)), options.style);
}

void cli::addInspectVerb(CLI::App &app, Command &command) {
  addVerb<InspectOptions>(app, command, "inspect", "Shows what is in a model file", addOptions,
                          execute);
}
