//===- Completion.cpp - quern completion ----------------------------------===//
#include "quern/Version.h"
#include "tools/quern/CompletionScripts.h"
#include "tools/quern/Options.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace quern;
using namespace quern::cli;

namespace {
struct CompletionOptions {
  const CLI::App *program = nullptr;
  std::string shell;
  OutputStyle style;
};

struct Shell {
  const char *name;
  std::string (*write)(const ProgramUsage &);
  /// What the script begins with.
  const char *firstLine;
};
} // namespace

static constexpr Shell kShells[] = {{"bash", bashCompletion, ""},
                                    {"fish", fishCompletion, ""},
                                    {"zsh", zshCompletion, "#compdef quern\n"}};

static void addOptions(CLI::App &verb, CompletionOptions &options) {
  options.program = verb.get_parent();
  std::vector<std::string> names;
  for (const Shell &shell : kShells)
    names.push_back(shell.name);
  verb.add_option("SHELL", options.shell, "The shell that is to complete")
      ->required()
      ->check(CLI::IsMember(names));
}

static Status execute(const CompletionOptions &options) {
  FileGuard guard;
  QUERN_TRY(checkJsonWritable(options.style, guard));
  ProgramUsage program = describeUsage(*options.program);
  std::string script;
  for (const Shell &shell : kShells)
    if (shell.name == options.shell)
      script = fmt::format("{}# Completion for {} {}; written by `quern completion {}`.\n{}",
                           shell.firstLine, program.name, versionString(), shell.name,
                           shell.write(program));
  if (options.style.printsTable())
    QUERN_TRY(printText(script));
  return writeJson({{"schema", "quern.completion/1"}, {"shell", options.shell}, {"script", script}},
                   options.style);
}

void cli::addCompletionVerb(CLI::App &app, Command &command) {
  addVerb<CompletionOptions>(app, command, "completion",
                             "Prints a script that lets a shell complete verbs and options",
                             addOptions, execute);
}
