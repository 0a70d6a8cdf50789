//===- CompletionScripts.cpp - what shells complete, as their scripts -----===//
#include "tools/quern/CompletionScripts.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::cli;

static std::string escape(std::string_view text, std::string_view special) {
  std::string escaped;
  for (char c : text) {
    if (special.find(c) != std::string_view::npos)
      escaped += '\\';
    escaped += c;
  }
  return escaped;
}

/// A word of bash and zsh, whatever is in it.
static std::string quoteWord(std::string_view text) {
  std::string quoted = "'";
  for (char c : text)
    quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

static std::string joinWords(const std::vector<std::string> &words) {
  return fmt::format("{}", fmt::join(words, " "));
}

//===----------------------------------------------------------------------===//
// bash
//===----------------------------------------------------------------------===//

/// The arguments of compgen for the values of an option.
static std::string bashValues(const OptionUsage &option) {
  switch (option.kind) {
  case ValueKind::Choice:
    return "-W " + quoteWord(joinWords(option.choices));
  case ValueKind::File:
    return "-f";
  case ValueKind::Folder:
    return "-d";
  case ValueKind::None:
  case ValueKind::Any:
    break;
  }
  return "-W ''";
}

/// Cases of "VERB:OPTION" and, behind a '=', "VERB:OPTION=" whose values come next.
static std::string bashOptionCases(const VerbUsage &verb) {
  std::string text;
  for (const OptionUsage &option : verb.options) {
    if (option.kind == ValueKind::None || option.positional)
      continue;
    std::vector<std::string> patterns;
    for (const std::string &name : option.names) {
      if (!option.optionalValue)
        patterns.push_back(verb.name + ":" + name);
      patterns.push_back(verb.name + ":" + name + "=");
    }
    text += fmt::format("    {}) values=({}) ;;\n", fmt::join(patterns, " | "), bashValues(option));
  }
  return text;
}

/// Cases of "VERB:WORD", where a word is begun that is no value of an option.
static std::string bashWordCases(const VerbUsage &verb) {
  std::vector<std::string> names;
  std::string positional;
  for (const OptionUsage &option : verb.options)
    if (option.positional)
      positional = fmt::format("      {}:*) values=({}) ;;\n", verb.name, bashValues(option));
    else
      names.insert(names.end(), option.names.begin(), option.names.end());
  return fmt::format("      {}:-*) values=(-W {}) ;;\n", verb.name, quoteWord(joinWords(names))) +
         positional;
}

std::string cli::bashCompletion(const ProgramUsage &program) {
  std::vector<std::string> verbs;
  std::string optionCases, wordCases;
  for (const VerbUsage &verb : program.verbs) {
    verbs.push_back(verb.name);
    optionCases += bashOptionCases(verb);
    wordCases += bashWordCases(verb);
  }
  return fmt::format(R"(_{0}() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}}
  local verb=${{COMP_WORDS[1]}} values=()
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W {1} -- "$current")
    return
  fi
  # A '=' is a word of its own.
  if [ "$current" = = ]; then
    previous="$previous=" current=
  elif [ "$previous" = = ]; then
    previous="${{COMP_WORDS[COMP_CWORD - 2]}}="
  fi
  case "$verb:$previous" in
{2}  esac
  if [ ${{#values[@]}} -eq 0 ]; then
    case "$verb:$current" in
{3}    esac
  fi
  [ ${{#values[@]}} -gt 0 ] || return 0
  [ "${{values[0]}}" = -W ] || compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen "${{values[@]}}" -- "$current")
}}
complete -F _{0} {0}
)",
                     program.name, quoteWord(joinWords(verbs) + " --help --version"), optionCases,
                     wordCases);
}

//===----------------------------------------------------------------------===//
// zsh
//===----------------------------------------------------------------------===//

/// ":NAME:ACTION", what _arguments is told of a value.
static std::string zshValue(const OptionUsage &option) {
  std::string action = option.kind == ValueKind::File     ? "_files"
                       : option.kind == ValueKind::Folder ? "_files -/"
                       : option.kind == ValueKind::Choice ? "(" + joinWords(option.choices) + ")"
                                                          : " ";
  return fmt::format(":{}:{}", escape(option.valueName, ":"), action);
}

static std::string zshOption(const OptionUsage &option) {
  if (option.positional)
    return quoteWord(zshValue(option));
  std::string text;
  for (const std::string &name : option.names) {
    // A value follows as the next word or, behind '=' or a letter, in the same one.
    std::string spec =
        option.repeated ? "*" + name : fmt::format("({}){}", joinWords(option.names), name);
    bool isLong = name.starts_with("--");
    if (option.kind != ValueKind::None)
      spec += option.optionalValue ? "=-" : isLong ? "=" : "+";
    spec += "[" + escape(option.summary, "[]:\\") + "]";
    if (option.kind != ValueKind::None)
      spec += (option.optionalValue ? ":" : "") + zshValue(option);
    text += (text.empty() ? "" : " ") + quoteWord(spec);
  }
  return text;
}

std::string cli::zshCompletion(const ProgramUsage &program) {
  std::string verbs, cases;
  for (const VerbUsage &verb : program.verbs) {
    verbs += "    " + quoteWord(escape(verb.name + ":", "") + escape(verb.summary, ":")) + "\n";
    cases += fmt::format("    {})\n      _arguments -s", verb.name);
    for (const OptionUsage &option : verb.options)
      cases += " \\\n        " + zshOption(option);
    cases += " ;;\n";
  }
  return fmt::format(R"(_{0}() {{
  local context state state_descr line
  typeset -A opt_args
  local -a verbs
  verbs=(
{1}  )
  _arguments -C '(-h --help)'{{-h,--help}}'[Print this help message and exit]' '--version[Prints the version]' \
    '1:verb:->verb' '*::argument:->argument'
  case $state in
  verb) _describe verb verbs ;;
  argument)
    case $words[1] in
{2}    esac ;;
  esac
}}
if [ "$funcstack[1]" = _{0} ]; then
  _{0} "$@"
else
  compdef _{0} {0}
fi
)",
                     program.name, verbs, cases);
}

//===----------------------------------------------------------------------===//
// fish
//===----------------------------------------------------------------------===//

static std::string quoteFish(std::string_view text) { return "'" + escape(text, "'\\") + "'"; }

/// What `complete` is told of an option of the verb that `condition` asks for.
static std::string fishOption(const std::string &start, const OptionUsage &option) {
  std::string text = start;
  for (const std::string &name : option.names)
    if (!option.positional)
      text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  bool isPath = option.kind == ValueKind::File || option.kind == ValueKind::Folder;
  if (isPath)
    text += " -F";
  if (option.kind == ValueKind::Choice)
    text += " -a " + quoteFish(joinWords(option.choices));
  // What wants a value that is no file: nothing else is offered.
  if (option.kind != ValueKind::None && !option.positional && !option.optionalValue)
    text += isPath ? " -r" : " -x";
  return text + " -d " + quoteFish(option.summary) + "\n";
}

std::string cli::fishCompletion(const ProgramUsage &program) {
  std::string text = fmt::format("complete -c {} -f\n", program.name);
  for (const VerbUsage &verb : program.verbs) {
    text += fmt::format("complete -c {} -n __fish_use_subcommand -a {} -d {}\n", program.name,
                        verb.name, quoteFish(verb.summary));
    std::string start =
        fmt::format("complete -c {} -n '__fish_seen_subcommand_from {}'", program.name, verb.name);
    for (const OptionUsage &option : verb.options)
      text += fishOption(start, option);
  }
  return text;
}
