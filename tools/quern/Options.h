//===- Options.h - options that verbs share -------------------------------===//
#pragma once

#include "quern/Model.h"
#include "quern/Quantize.h"
#include "tools/quern/Console.h"
#include "tools/quern/InputTensors.h"

#include <CLI/App.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern::cli {

/// What the chosen verb does, once all options are known.
struct Command {
  std::function<Status()> action;
  /// Of the chosen verb; for errors.
  OutputStyle style;
};

/// The model and the sizes of its inputs.
struct ModelOptions {
  std::string path;
  std::vector<std::string> shapes;
  std::vector<std::string> dims;
  bool growingCaches = false;
  /// "3s"; no limit when empty.
  std::string timeout;
};

/// How a model is compiled, and run: with the same threads.
struct BackendOptions {
  /// The limits are those of the model at hand.
  CompileOptions compile;
  bool profile = false;
};

/// How long a run may take before the exit code says that it is too slow.
struct TimeBudget {
  /// "5ms"; no budget when empty.
  std::string text;

  /// Usage error when `text` is no duration.
  Expected<std::optional<double>> milliseconds() const;
  /// TooSlow when `what`, as in "the median run", took longer.
  Status check(std::string_view what, double milliseconds) const;
};

/// The name of a value that may be left out, and else follows a '='.
inline constexpr const char *kOptionalFile = "[=FILE]";

void addTimeoutOption(CLI::App &verb, std::string &timeout);
/// The default limits with a deadline from now on. Usage error when `timeout` is
/// no duration.
Expected<Limits> limitsWithTimeout(const std::string &timeout);
void addMaxTimeOption(CLI::App &verb, TimeBudget &budget, const std::string &description);
void addModelOptions(CLI::App &verb, ModelOptions &options);
void addInputOptions(CLI::App &verb, InputOptions &options);
/// Of verbs that run nothing: what --precision auto measures on.
void addSampleOptions(CLI::App &verb, InputOptions &options);
/// The options that mean something everywhere, and those of `use`.
void addCompileOptions(CLI::App &verb, CompileOptions &options,
                       OptionUse use = OptionUse::Everywhere);
void addArtifactOptions(CLI::App &verb, ArtifactOptions &options);
void addQuantizeOptions(CLI::App &verb, QuantizeOptions &options);
void addStyleOptions(CLI::App &verb, OutputStyle &style);

/// "NAME=1x3x224x224" and "N=1". Usage error otherwise.
Expected<InputSizes> parseInputSizes(const ModelOptions &options);

// One per verb, in the file of its name: adds the verb and its options to `app`
// and, when the verb is chosen, sets `command`.
void addBenchVerb(CLI::App &app, Command &command);
void addCacheVerb(CLI::App &app, Command &command);
void addCheckVerb(CLI::App &app, Command &command);
void addCompareVerb(CLI::App &app, Command &command);
void addCompileVerb(CLI::App &app, Command &command);
void addCompletionVerb(CLI::App &app, Command &command);
void addDoctorVerb(CLI::App &app, Command &command);
void addExplainVerb(CLI::App &app, Command &command);
void addInspectVerb(CLI::App &app, Command &command);
void addManualVerb(CLI::App &app, Command &command);
void addQuantizeVerb(CLI::App &app, Command &command);
void addRunVerb(CLI::App &app, Command &command);
void addTraceVerb(CLI::App &app, Command &command);
void addTuneVerb(CLI::App &app, Command &command);
void addVersionVerb(CLI::App &app, Command &command);

/// Adds `verb` with options of type T, which `addOptions` declares and `execute`
/// carries out. T has a member `style`.
template <typename T>
CLI::App *addVerb(CLI::App &app, Command &command, const std::string &name,
                  const std::string &summary, void (*addOptions)(CLI::App &, T &),
                  Status (*execute)(const T &)) {
  CLI::App *verb = app.add_subcommand(name, summary);
  auto options = std::make_shared<T>();
  addOptions(*verb, *options);
  addStyleOptions(*verb, options->style);
  verb->callback([&command, options, execute] {
    command.style = options->style;
    command.action = [options, execute] { return execute(*options); };
  });
  return verb;
}

} // namespace quern::cli
