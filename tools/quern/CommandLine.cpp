//===- CommandLine.cpp - from arguments to an exit code -------------------===//
#include "tools/quern/CommandLine.h"

#include "quern/NearestName.h"
#include "quern/Version.h"
#include "tools/quern/Interrupt.h"
#include "tools/quern/Options.h"
#include "tools/quern/Usage.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>
#include <iostream>
#include <sstream>

using namespace quern;
using namespace quern::cli;

/// The arguments without the program's name, last first, as CLI11 takes them.
static std::vector<std::string> collectArguments(int argc, const char *const *argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  // So that "--json MODEL" does not take the model for the file.
  std::replace(arguments.begin(), arguments.end(), std::string("--json"), std::string("--json=-"));
  std::reverse(arguments.begin(), arguments.end());
  return arguments;
}

static void addVerbs(CLI::App &app, Command &command) {
  addRunVerb(app, command);
  addCheckVerb(app, command);
  addInspectVerb(app, command);
  addCompileVerb(app, command);
  addCompareVerb(app, command);
  addBenchVerb(app, command);
  addExplainVerb(app, command);
  addTraceVerb(app, command);
  addTuneVerb(app, command);
  addQuantizeVerb(app, command);
  addCacheVerb(app, command);
  addDoctorVerb(app, command);
  addCompletionVerb(app, command);
  addVersionVerb(app, command);
  addManualVerb(app, command);
  app.require_subcommand(1);
}

static std::string describeExitCodes() {
  std::string text = "Exit codes:";
  for (const ExitCode &code : exitCodes())
    text += fmt::format("\n  {:<4} {}", code.number, code.meaning);
  return text;
}

/// Usage error when the first argument is meant as a verb and is none.
static Status checkVerb(const CLI::App &app, const std::string &word) {
  if (word.starts_with('-'))
    return Status::ok();
  std::vector<std::string> names;
  for (const CLI::App *verb : app.get_subcommands([](const CLI::App *) { return true; })) {
    if (verb->check_name(word))
      return Status::ok();
    if (!isHidden(*verb))
      names.push_back(verb->get_name());
  }
  return usageError(fmt::format("there is no verb '{}'; the verbs are {}{}", word,
                                fmt::join(names, ", "), suggestName(word, names)));
}

/// All options of a verb, as users write them.
static std::vector<std::string> optionNames(const CLI::App &verb) {
  std::vector<std::string> names;
  for (const CLI::Option *option : verb.get_options()) {
    for (const std::string &name : option->get_snames())
      names.push_back("-" + name);
    for (const std::string &name : option->get_lnames())
      names.push_back("--" + name);
  }
  return names;
}

/// What is wrong with arguments that the parser had no use for, in their order. Options come
/// first: what follows an unknown one may be its value.
static Status unexpectedArguments(const std::string &program, const CLI::App &verb,
                                  const std::vector<std::string> &arguments) {
  for (const std::string &argument : arguments)
    if (argument.size() > 1 && argument[0] == '-') {
      std::string name = argument.substr(0, argument.find('='));
      return usageError(fmt::format("{} has no option '{}'{}", program, name,
                                    suggestName(name, optionNames(verb))));
    }
  return usageError(fmt::format("not expected: {}", fmt::join(arguments, " ")));
}

static int reportUsageError(const std::string &program, const Status &status) {
  reportError({}, status);
  std::cerr << "Try '" << program << " --help'.\n";
  return static_cast<int>(status.code());
}

/// What to say about arguments that make no sense; 0 after printing help.
static int reportParseError(const CLI::App &app, const CLI::ParseError &error) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    std::ostringstream help;
    int code = app.exit(error, help, std::cerr);
    Status status = printText(help.str());
    if (status.isOk())
      return code;
    reportError({}, status);
    return static_cast<int>(status.code());
  }
  std::string program = "quern";
  const CLI::App *chosen = &app;
  for (const CLI::App *verb : app.get_subcommands()) {
    program += " " + verb->get_name();
    chosen = verb;
  }
  // Before what is missing: a misspelt option may have taken the model for its own.
  for (const CLI::App *each : {&app, chosen})
    if (std::vector<std::string> extras = each->remaining(); !extras.empty())
      return reportUsageError(program, unexpectedArguments(program, *each, extras));
  // "--dim: 1 required NAME=SIZE missing".
  std::string text = error.what();
  if (dynamic_cast<const CLI::ArgumentMismatch *>(&error))
    text = text.substr(0, text.find(':')) + " needs a value";
  return reportUsageError(program, usageError(text));
}

/// Without arguments: the help, as an error, for scripts that forgot them.
static int reportNoArguments(const CLI::App &app) {
  std::cerr << app.help();
  return static_cast<int>(StatusCode::Usage);
}

int cli::runCommandLine(int argc, const char *const *argv) {
  reserveStandardStreams();
  installSignalHandlers();
  CLI::App app("Compiles neural networks to native code, runs and compares them", "quern");
  Command command;
  addVerbs(app, command);
  // After the verbs, which would all have these, too.
  app.footer(describeExitCodes());
  app.set_version_flag("--version", fmt::format("quern {}", versionString()),
                       "Prints the version ('quern version' also shows LLVM and the CPU)");
  std::vector<std::string> arguments = collectArguments(argc, argv);
  if (arguments.empty())
    return reportNoArguments(app);
  if (Status status = checkVerb(app, arguments.back()); !status.isOk())
    return reportUsageError("quern", status);
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError &error) {
    return reportParseError(app, error);
  }
  Status status = command.action();
  if (!status.isOk())
    reportError(command.style, status);
  return static_cast<int>(status.code());
}
