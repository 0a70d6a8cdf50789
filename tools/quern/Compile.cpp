//===- Compile.cpp - quern compile ----------------------------------------===//
#include "quern/OutputGuard.h"
#include "quern/Reports.h"
#include "quern/Statistics.h"
#include "tools/quern/ChosenPrecision.h"
#include "tools/quern/FileIo.h"
#include "tools/quern/OpenModel.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <dlfcn.h>
#include <filesystem>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

namespace {
struct CompileCommand {
  ModelOptions model;
  CompileOptions compile;
  ArtifactOptions artifact;
  std::string phase;
  /// "embedded", "file", "int8", "int4".
  std::vector<std::string> weights;
  InputOptions inputs;
  OutputStyle style;
};
} // namespace

static void addOptions(CLI::App &verb, CompileCommand &options) {
  addModelOptions(verb, options.model);
  verb.get_option("--dim")
      ->type_name("NAME=SIZES")
      ->description(
          "Size of a symbolic dimension: N=1; or the sizes that it may have, each of which gets a "
          "plan of its own in the artefact: N=1,8,32 or seq=16..512:16");
  addCompileOptions(verb, options.compile, OptionUse::Artifacts);
  addArtifactOptions(verb, options.artifact);
  addSampleOptions(verb, options.inputs);
  verb.remove_option(verb.get_option("--weights"));
  verb.add_option("--weights", options.weights,
                  "Where they are: embedded (default), or file: in one beside the artefact, "
                  "FILE.weights, which programs pass to PREFIX_use_weights; and what those of "
                  "matrix products are kept as: int8 or int4. Both as in file,int8")
      ->delimiter(',')
      ->check(CLI::IsMember({"embedded", "file", "given", "int8", "int4"}));
  verb.add_option("--compile-to", options.phase,
                  "Stops after a phase and prints, or writes to -o, what there is then, as "
                  "quern-opt reads it: imported, simplified, laid-out, fused, kernels, llvm; or "
                  "object, which is assembly")
      ->type_name("PHASE");
}

static Status writePhase(const CompileCommand &options, const OpenedModel &opened) {
  Progress progress(options.style);
  progress.show("compiling");
  QUERN_ASSIGN(std::string text,
               opened.model.textOfPhase(options.compile.within(opened.limits), options.phase));
  progress.clear();
  nlohmann::ordered_json report = {{"schema", "quern.compile/1"},
                                   {"model", options.model.path},
                                   {"phase", options.phase},
                                   {"output", options.artifact.outputPath}};
  if (options.artifact.outputPath.empty()) {
    if (options.style.printsTable())
      QUERN_TRY(printText(text));
    report["text"] = std::move(text);
  } else {
    QUERN_TRY(writeFile(options.artifact.outputPath, text));
  }
  return writeJson(report, options.style);
}

static constexpr const char *kForms = "FILE.so, FILE.o, FILE.a, FILE.s, FILE.ll or FOLDER.c-test";

/// Checks what is to be written, and tells `guard`.
static Status checkOutputs(const CompileCommand &options, const ArtifactOptions &artifact,
                           FileGuard &guard) {
  if (options.phase.empty()) {
    if (artifact.outputPath.empty())
      return usageError(std::string("-o FILE is required: ") + kForms);
    bool known = false;
    for (const char *suffix : {".so", ".o", ".a", ".s", ".ll", ".c-test"})
      known |= artifact.outputPath.ends_with(suffix);
    if (!known)
      return usageError("-o " + artifact.outputPath + ": wanted " + kForms);
  }
  QUERN_TRY(guardArtifact(options.compile, artifact, guard));
  // A folder may be there already; compiling it says what may not.
  for (const std::string &path : {artifact.outputPath, artifact.headerPath, artifact.mainPath})
    if (!path.empty() && !path.ends_with(".c-test"))
      QUERN_TRY(checkWritable(path));
  return Status::ok();
}

/// libquern_runtime.a of the folder lib beside that of this program, or beside the file that this
/// code is in, as in the Python package; empty when it is in neither.
static std::string runtimeArchive() {
  std::error_code error;
  std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  std::vector<std::filesystem::path> folders = {program.parent_path().parent_path() / "lib"};
  Dl_info code;
  if (dladdr(reinterpret_cast<void *>(&runtimeArchive), &code) && code.dli_fname)
    folders.push_back(std::filesystem::path(code.dli_fname).parent_path());
  for (const std::filesystem::path &folder : folders)
    if (std::filesystem::path archive = folder / "libquern_runtime.a";
        std::filesystem::exists(archive, error))
      return archive.string();
  return "";
}

/// "12.3 MB".
static std::string describeBytes(int64_t bytes) {
  if (bytes < 1'000'000)
    return fmt::format("{:.1f} kB", static_cast<double>(bytes) * 1e-3);
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) * 1e-6);
}

/// Every C program has libm at hand; the C++ library is worth a word.
static void reportNeeded(const ArtifactOptions &artifact, const std::vector<std::string> &needed,
                         const OutputStyle &style) {
  std::string text = fmt::format("{}", fmt::join(needed, " "));
  if (text.find("-lstdc++") == std::string::npos)
    return;
  note(style, artifact.outputPath.ends_with(".so")
                  ? artifact.outputPath + " has reference kernels in it and needs " + text
                  : "link " + artifact.outputPath + " with " + text);
}

/// The levels of x86-64 may be written without it: "v3" is "x86-64-v3".
static std::string cpuName(const std::string &name) {
  bool isLevel = name.size() == 2 && name[0] == 'v' && name[1] >= '2' && name[1] <= '4';
  return isLevel ? "x86-64-" + name : name;
}

/// Takes those of the --dim options that list several sizes.
static Expected<std::vector<ListedSize>> takeListedSizes(std::vector<std::string> &options) {
  std::vector<ListedSize> listed;
  std::vector<std::string> others;
  for (const std::string &text : options) {
    // What is wrong with other texts is said where they are read.
    auto list = parseListedSize(text);
    bool isList = text.find_first_of(",.", text.rfind('=') + 1) != std::string::npos;
    if (isList && !list)
      return list.status().withContext("--dim");
    if (isList && list->sizes.size() > 1)
      listed.push_back(list.take());
    else
      others.push_back(isList ? fmt::format("{}={}", list->name, list->sizes.front()) : text);
  }
  options = std::move(others);
  return listed;
}

/// An input that would not get all sizes is an error of the command line.
static Status checkInputSizes(const Model &model, std::span<const ListedSize> listed) {
  for (const PortSignature &port : model.inputs())
    if (!port.ranked || (!port.shape.isStatic() && listed.empty()))
      return usageError(
          fmt::format("input '{}' is {}; an artefact needs all sizes: give --dim or --shape",
                      port.name, port.describe()));
  return Status::ok();
}

static Status compile(const OpenedModel &opened, const CompileCommand &options,
                      const ArtifactOptions &artifact, ArtifactSummary &summary) {
  Progress progress(options.style);
  progress.show("compiling");
  explainKernelCache(options.compile, options.style);
  return opened.model.compileToArtifact(options.compile.within(opened.limits), artifact, &summary);
}

/// Where weights go, and what they are kept as; the last of each counts.
static void readWeights(CompileCommand &options) {
  for (const std::string &word : options.weights)
    if (word == "embedded" || word == "file")
      options.artifact.weightsInFile = word == "file";
    else
      options.compile.weights = parseWeightType(word).take();
}

static Status execute(const CompileCommand &given) {
  CompileCommand options = given;
  readWeights(options);
  ArtifactOptions artifact = options.artifact;
  artifact.runtimeArchive = runtimeArchive();
  FileGuard guard;
  QUERN_TRY(checkOutputs(options, artifact, guard));
  ModelOptions model = options.model;
  QUERN_ASSIGN(std::vector<ListedSize> listed, takeListedSizes(model.dims));
  QUERN_ASSIGN(OpenedModel opened, openModel(model, options.style, std::move(guard)));
  QUERN_ASSIGN(options.compile, settleChoices(opened.model, options.compile.within(opened.limits),
                                              options.inputs, options.style, opened.guard));
  if (!options.phase.empty())
    return writePhase(options, opened);
  QUERN_TRY(checkInputSizes(opened.model, listed));
  if (artifact.prefix.empty())
    artifact.prefix = symbolPrefix(artifact.outputPath);
  artifact.listedSizes = std::move(listed);
  for (std::string &cpu : artifact.targetCpus)
    cpu = cpuName(cpu);
  Stopwatch watch;
  ArtifactSummary summary;
  QUERN_TRY(compile(opened, options, artifact, summary));
  double milliseconds = watch.milliseconds();
  note(options.style,
       fmt::format("wrote {} ({}) for {}, precision {}, in {:.2f} s", artifact.outputPath,
                   describeBytes(summary.bytes), fmt::join(summary.targetCpus, ", "),
                   precisionName(options.compile.precision), milliseconds / 1e3));
  if (summary.choice)
    note(options.style, "precision auto: " + summarizeChoice(*summary.choice));
  reportNeeded(artifact, summary.needed, options.style);
  return writeJson(
      {{"schema", "quern.compile/1"},
       {"model", options.model.path},
       {"output", artifact.outputPath},
       {"header", artifact.headerPath},
       {"prefix", artifact.prefix},
       {"bytes", summary.bytes},
       {"target_cpus", summary.targetCpus},
       {"precision", precisionName(options.compile.precision)},
       {"choice", summary.choice ? Json::parse(choiceReport(*summary.choice)) : Json()},
       {"needed", summary.needed},
       {"compile_ms", milliseconds}},
      options.style);
}

void cli::addCompileVerb(CLI::App &app, Command &command) {
  addVerb<CompileCommand>(app, command, "compile", "Compiles a model ahead of time", addOptions,
                          execute);
}
