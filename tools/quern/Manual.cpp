//===- Manual.cpp - quern manual: the manual page -------------------------===//
//
// A verb that the help does not show: the build makes quern.1 with it.
//
//===----------------------------------------------------------------------===//
#include "quern/Version.h"
#include "tools/quern/Options.h"
#include "tools/quern/Usage.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace quern;
using namespace quern::cli;

namespace {
struct ManualOptions {
  const CLI::App *program = nullptr;
  OutputStyle style;
};
} // namespace

static void addOptions(CLI::App &verb, ManualOptions &options) {
  options.program = verb.get_parent();
}

/// Text that troff shows as it is.
static std::string quote(std::string_view text) {
  std::string quoted;
  for (char c : text)
    quoted += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
  // A dot or an apostrophe at the start would be a request.
  return quoted.starts_with('.') || quoted.starts_with('\'') ? "\\&" + quoted : quoted;
}

static std::string describeValue(const OptionUsage &option) {
  std::string name = "\\fI" + quote(option.valueName) + "\\fR";
  return option.kind == ValueKind::None ? ""
         : option.optionalValue         ? "[=" + name + "]"
         : option.names.back() == "-O"  ? name
                                        : " " + name;
}

static std::string describeOption(const OptionUsage &option) {
  std::string names;
  for (const std::string &name : option.names)
    names += (names.empty() ? "\\fB" : ", \\fB") + quote(name) + "\\fR";
  std::string text = ".TP\n" + names + (option.positional ? "" : describeValue(option)) + "\n";
  text += quote(option.summary);
  if (option.kind == ValueKind::Choice)
    text += quote(fmt::format(" ({})", fmt::join(option.choices, ", ")));
  return text + (option.repeated ? ". May be given more than once.\n" : ".\n");
}

/// Whether every verb has this option, so that it is said once.
static bool isCommon(const ProgramUsage &program, const OptionUsage &option) {
  return std::all_of(program.verbs.begin(), program.verbs.end(), [&](const VerbUsage &verb) {
    return std::any_of(verb.options.begin(), verb.options.end(), [&](const OptionUsage &other) {
      return other.names == option.names && other.summary == option.summary;
    });
  });
}

static std::string describeVerb(const ProgramUsage &program, const VerbUsage &verb) {
  std::string positionals, options;
  for (const OptionUsage &option : verb.options) {
    if (option.positional)
      positionals += " \\fI" + quote(option.names[0]) + "\\fR";
    if (!isCommon(program, option))
      options += describeOption(option);
  }
  return fmt::format(".SS {}\n{}.\n.PP\n\\fB{} {}\\fR [\\fIOPTION\\fR]...{}\n{}", verb.name,
                     quote(verb.summary), program.name, verb.name, positionals, options);
}

static std::string manualPage(const ProgramUsage &program) {
  std::string text =
      fmt::format(".TH QUERN 1 \"\" \"{} {}\" \"User Commands\"\n.SH NAME\n{} \\- {}\n",
                  program.name, versionString(), program.name, quote(program.summary));
  text +=
      fmt::format(".SH SYNOPSIS\n\\fB{}\\fR \\fIVERB\\fR [\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]\n",
                  program.name);
  text += ".SH VERBS\n";
  for (const VerbUsage &verb : program.verbs)
    text += describeVerb(program, verb);
  text += ".SH OPTIONS OF ALL VERBS\n";
  for (const OptionUsage &option : program.verbs.front().options)
    if (isCommon(program, option))
      text += describeOption(option);
  text += ".SH EXIT STATUS\n";
  for (const ExitCode &code : exitCodes())
    text += fmt::format(".TP\n\\fB{}\\fR\n{}.\n", code.number, quote(code.meaning));
  text += ".SH SEE ALSO\n\\fBquern\\-opt\\fR runs single passes on what \\fBquern compile "
          "\\-\\-compile\\-to\\fR prints: \\fBquern\\-opt \\-\\-help\\fR lists them.\n";
  return text;
}

static Status execute(const ManualOptions &options) {
  FileGuard guard;
  QUERN_TRY(checkJsonWritable(options.style, guard));
  std::string page = manualPage(describeUsage(*options.program));
  if (options.style.printsTable())
    QUERN_TRY(printText(page));
  return writeJson({{"schema", "quern.manual/1"}, {"page", page}}, options.style);
}

void cli::addManualVerb(CLI::App &app, Command &command) {
  addVerb<ManualOptions>(app, command, "manual", "Prints the manual page", addOptions, execute)
      ->group("");
}
