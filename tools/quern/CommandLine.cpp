//===- CommandLine.cpp - from arguments to an exit code -------------------===//
#include "tools/quern/CommandLine.h"

#include "tools/quern/Interrupt.h"
#include "tools/quern/Options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

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
  addVersionVerb(app, command);
  app.require_subcommand(1);
}

/// What to say about arguments that make no sense; 0 after printing help.
static int reportParseError(const CLI::App &app, const CLI::ParseError &error) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success))
    return app.exit(error, std::cout, std::cerr);
  std::string name = "quern";
  for (const CLI::App *verb : app.get_subcommands())
    name += " " + verb->get_name();
  reportError({}, Status(StatusCode::Usage, error.what()));
  std::cerr << "Try '" << name << " --help'.\n";
  return static_cast<int>(StatusCode::Usage);
}

int cli::runCommandLine(int argc, const char *const *argv) {
  installInterruptHandler();
  CLI::App app("Compiles neural networks to native code, runs and compares them", "quern");
  Command command;
  addVerbs(app, command);
  try {
    app.parse(collectArguments(argc, argv));
  } catch (const CLI::ParseError &error) {
    return reportParseError(app, error);
  }
  Status status = command.action();
  if (!status.isOk())
    reportError(command.style, status);
  return static_cast<int>(status.code());
}
