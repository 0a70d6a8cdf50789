//===- Reduce.cpp - quern compare --reduce --------------------------------===//
//
// A candidate is compared by a process of its own, for it may crash, with the options of this one.
// It shows the fault of the whole model when it ends in the same way: with outputs that differ, or
// a node that does, by the same signal, or with the same error.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Reduce.h"

#include "quern/EscapedText.h"
#include "quern/Reduction.h"
#include "tools/quern/ChildProcess.h"
#include "tools/quern/FileIo.h"
#include "tools/quern/Interrupt.h"
#include "tools/quern/Npz.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>

using namespace quern;
using namespace quern::cli;

//===----------------------------------------------------------------------===//
// Options as arguments
//===----------------------------------------------------------------------===//

static std::string textOf(Precision value) { return std::string(precisionName(value)); }
static std::string textOf(WeightType value) { return std::string(weightTypeName(value)); }
static std::string textOf(WinogradUse value) { return std::string(winogradUseName(value)); }
static std::string textOf(const std::optional<double> &value) { return fmt::format("{}", *value); }
static std::string textOf(const std::string &value) { return value; }
static std::string textOf(int value) { return std::to_string(value); }

/// Those that are not as they are by default; dumps are of the whole model only.
static std::vector<std::string> argumentsOf(const CompileOptions &options) {
  std::vector<std::string> arguments;
  CompileOptions usual;
  visitCompileOptions([&]<typename Value>(const OptionText &text, Value CompileOptions::*member) {
    if constexpr (std::is_same_v<Value, bool>) {
      if (options.*member != usual.*member)
        arguments.emplace_back(text.flag);
    } else if constexpr (!std::is_same_v<Value, Backend>) {
      if (options.*member == usual.*member || text.use != OptionUse::Everywhere ||
          std::string_view(text.name) == "dump_phases_to")
        return;
      bool isShort = std::strlen(text.flag) == 2;
      arguments.push_back(std::string(text.flag) + (isShort ? "" : "=") + textOf(options.*member));
    }
  });
  return arguments;
}

/// For a shell.
static std::string forShell(const std::string &text) {
  auto isPlain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || std::strchr("-_./=,:+%@", c);
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), isPlain))
    return text;
  std::string result = "'";
  for (char c : text)
    result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

//===----------------------------------------------------------------------===//
// Faults
//===----------------------------------------------------------------------===//

namespace {
/// Compares models in other processes, with the files for them.
class Trials {
public:
  static Expected<Trials> create(const ReduceTask &task);

  /// Finds out what the fault of a whole model is. Usage error when it has none.
  Status findFault(const ReducedModel &model);
  Expected<bool> showsFault(const ReducedModel &model);
  /// Whether a model shows it on random inputs, too.
  Expected<bool> showsAlone(const ReducedModel &model);
  /// What only nodes have shown may be an output of a small model.
  Status preferOutputs(const ReducedModel &model);

  std::string fault() const;
  /// The command's arguments but for the model and its inputs.
  std::vector<std::string> arguments() const;

private:
  enum class Kind { Output, Node, Signal, Error };

  Trials(const ReduceTask &task, TemporaryPath folder) : task(task), folder(std::move(folder)) {}
  Expected<ProcessEnd> run(const ReducedModel &model, bool withInputs);
  bool isSame(const ProcessEnd &end) const;
  std::string pathOf(const char *name) const { return folder.path() + "/" + name; }

  const ReduceTask &task;
  TemporaryPath folder;
  Kind kind = Kind::Output;
  ProcessEnd whole;
  /// A candidate is smaller: it takes no longer than this.
  double seconds = 600;
};
} // namespace

Expected<Trials> Trials::create(const ReduceTask &task) {
  QUERN_ASSIGN(TemporaryPath folder, makeFolder(task.outputPath));
  return Trials(task, std::move(folder));
}

std::vector<std::string> Trials::arguments() const {
  std::vector<std::string> all = argumentsOf(task.compile);
  if (kind == Kind::Node)
    all.emplace_back("--per-node");
  if (task.relative)
    all.push_back(fmt::format("--rtol={}", *task.relative));
  if (task.absolute)
    all.push_back(fmt::format("--atol={}", *task.absolute));
  if (task.inputs.seed != 0)
    all.push_back(fmt::format("--seed={}", task.inputs.seed));
  return all;
}

Expected<ProcessEnd> Trials::run(const ReducedModel &model, bool withInputs) {
  QUERN_TRY(writeFile(pathOf("model.onnx"), model.bytes));
  std::vector<std::string> all = {"compare", pathOf("model.onnx"), "--duration=0s", "-q"};
  if (withInputs && !model.inputs.empty()) {
    QUERN_TRY(writeNpz(pathOf("inputs.npz"), model.inputs));
    all.push_back("--input=" + pathOf("inputs.npz"));
  }
  for (std::string &argument : arguments())
    all.push_back(std::move(argument));
  return runQuern(all, folder.path(), seconds);
}

/// Without names and numbers, which differ.
static std::string shapeOf(const std::string &message) {
  std::string text;
  bool isInside = false;
  for (char c : message)
    if (c == '\'')
      isInside = !isInside;
    else if (!isInside && !std::isdigit(static_cast<unsigned char>(c)))
      text += c;
  return text.substr(text.rfind(": ") == std::string::npos ? 0 : text.rfind(": "));
}

bool Trials::isSame(const ProcessEnd &end) const {
  if (end.isTooLate)
    return false;
  switch (kind) {
  case Kind::Output:
  case Kind::Node:
    return end.exitCode == static_cast<int>(StatusCode::AccuracyMismatch);
  case Kind::Signal:
    return end.signal == whole.signal;
  case Kind::Error:
    break;
  }
  return end.exitCode == whole.exitCode && shapeOf(end.message) == shapeOf(whole.message);
}

Status Trials::findFault(const ReducedModel &model) {
  Stopwatch watch;
  QUERN_ASSIGN(whole, run(model, /*withInputs=*/true));
  if (whole.isTooLate)
    return usageError(fmt::format("comparing '{}' takes more than {} s", task.modelPath, seconds));
  if (whole.exitCode == 0 && whole.signal == 0) {
    // Errors of nodes may leave no trace in the outputs.
    kind = Kind::Node;
    QUERN_ASSIGN(whole, run(model, /*withInputs=*/true));
  }
  seconds = std::min(seconds, 10 + 4 * watch.milliseconds() / 1e3);
  if (whole.signal != 0)
    kind = Kind::Signal;
  else if (whole.exitCode != static_cast<int>(StatusCode::AccuracyMismatch))
    kind = Kind::Error;
  if (whole.exitCode == 0 && whole.signal == 0)
    return usageError(fmt::format(
        "'{}': outputs and nodes agree with the interpreter: there is nothing to reduce",
        task.modelPath));
  return Status::ok();
}

Expected<bool> Trials::showsFault(const ReducedModel &model) {
  Expected<ProcessEnd> end = run(model, /*withInputs=*/true);
  if (!end && end.status().code() == StatusCode::Unsupported)
    return false;
  return end ? Expected<bool>(isSame(*end)) : end.status();
}

Expected<bool> Trials::showsAlone(const ReducedModel &model) {
  QUERN_ASSIGN(ProcessEnd end, run(model, /*withInputs=*/false));
  return isSame(end);
}

Status Trials::preferOutputs(const ReducedModel &model) {
  if (kind != Kind::Node)
    return Status::ok();
  kind = Kind::Output;
  QUERN_ASSIGN(bool isShown, showsFault(model));
  if (!isShown)
    kind = Kind::Node;
  return Status::ok();
}

std::string Trials::fault() const {
  switch (kind) {
  case Kind::Output:
    return "an output that differs";
  case Kind::Node:
    return "a node that differs";
  case Kind::Signal:
    return fmt::format("signal {} ({})", whole.signal, strsignal(whole.signal));
  case Kind::Error:
    break;
  }
  return fmt::format("exit code {}", whole.exitCode);
}

//===----------------------------------------------------------------------===//
// The verb
//===----------------------------------------------------------------------===//

/// Beside the model: "small.npz".
static std::string inputsPath(const std::string &modelPath) {
  return std::filesystem::path(modelPath).replace_extension(".npz").string();
}

static Status writeResult(const ReduceTask &task, Trials &trials, const ReducedModel &model) {
  std::string command = "quern compare " + forShell(task.outputPath);
  bool isAlone = false;
  if (model.isComplete) { // else nothing more is tried
    QUERN_TRY(trials.preferOutputs(model));
    QUERN_ASSIGN(isAlone, trials.showsAlone(model));
  }
  if (!model.inputs.empty() && !isAlone) {
    std::string path = inputsPath(task.outputPath);
    QUERN_TRY(writeNpz(path, model.inputs));
    command += " --input=" + forShell(path);
  }
  QUERN_TRY(writeFile(task.outputPath, model.bytes));
  for (const std::string &argument : trials.arguments())
    command += " " + forShell(argument);
  nlohmann::ordered_json report = {
      {"schema", "quern.reduce/1"}, {"model", task.modelPath},
      {"reduced", task.outputPath}, {"fault", trials.fault()},
      {"nodes", model.nodes},       {"nodes_before", model.nodesBefore},
      {"trials", model.trials},     {"complete", model.isComplete},
      {"command", command}};
  if (task.style.printsTable())
    QUERN_TRY(printText(fmt::format(
        "{}: {} of {} nodes show {} ({} trials)\n  {}\n{}\n", task.outputPath, model.nodes.size(),
        model.nodesBefore, trials.fault(), model.trials,
        escapeText(fmt::format("{}", fmt::join(model.nodes, ", ")), TextPlace::Line), command)));
  QUERN_TRY(writeJson(report, task.style));
  return model.isComplete ? Status::ok() : Status(StatusCode::Cancelled, "interrupted");
}

Status cli::reduce(const ReduceTask &task, std::span<const AnyValue> inputs) {
  QUERN_TRY(checkWritable(task.outputPath));
  QUERN_ASSIGN(Trials trials, Trials::create(task));
  Progress progress(task.style);
  progress.show("reducing");
  EndsEarly interruptible;
  bool isKnown = false;
  auto shows = [&](const ReducedModel &candidate) -> Expected<bool> {
    if (isKnown)
      return trials.showsFault(candidate);
    QUERN_TRY(trials.findFault(candidate));
    isKnown = true;
    return true;
  };
  QUERN_ASSIGN(ReducedModel model, reduceModel(task.modelPath, inputs, shows,
                                               {.sizes = task.sizes, .limits = task.limits}));
  progress.clear();
  return writeResult(task, trials, model);
}
