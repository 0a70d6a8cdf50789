//===- Usage.cpp - verbs and options, as the parser has them --------------===//
#include "tools/quern/Usage.h"

#include "tools/quern/Options.h"

#include <CLI/CLI.hpp>
#include <string_view>

using namespace quern;
using namespace quern::cli;

/// The values of CLI::IsMember, which shows as "TEXT:{a,b}".
static std::vector<std::string> choicesOf(const std::string &typeName) {
  std::vector<std::string> choices;
  size_t open = typeName.find('{'), close = typeName.find('}', open);
  if (open == std::string::npos || close == std::string::npos)
    return choices;
  std::string_view rest = std::string_view(typeName).substr(open + 1, close - open - 1);
  while (!rest.empty()) {
    size_t comma = std::min(rest.find(','), rest.size());
    choices.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return choices;
}

static ValueKind kindOf(const OptionUsage &option) {
  if (option.valueName.empty())
    return ValueKind::None;
  if (!option.choices.empty())
    return ValueKind::Choice;
  if (option.valueName == "DIR")
    return ValueKind::Folder;
  // Inputs and outputs may also be written in other ways.
  bool isFile = option.valueName == "FILE" || option.valueName == "INPUT";
  return isFile ? ValueKind::File : ValueKind::Any;
}

static OptionUsage describeOption(const CLI::Option &option) {
  OptionUsage usage;
  for (const std::string &name : option.get_snames())
    usage.names.push_back("-" + name);
  for (const std::string &name : option.get_lnames())
    usage.names.push_back("--" + name);
  usage.positional = usage.names.empty();
  if (usage.positional)
    usage.names.push_back(option.get_name());
  usage.summary = option.get_description();
  usage.required = option.get_required();
  if (option.get_items_expected_max() == 0)
    return usage;
  std::string typeName = option.get_type_name();
  usage.choices = choicesOf(typeName);
  // What follows ':' is the check's.
  usage.valueName = typeName.substr(0, typeName.find(':'));
  usage.optionalValue = usage.valueName == kOptionalFile;
  if (usage.optionalValue)
    usage.valueName = "FILE";
  usage.kind = kindOf(usage);
  usage.repeated = option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
  return usage;
}

bool cli::isHidden(const CLI::App &verb) { return verb.get_group().empty(); }

ProgramUsage cli::describeUsage(const CLI::App &program) {
  ProgramUsage usage = {program.get_name(), program.get_description(), {}};
  for (const CLI::App *verb : program.get_subcommands([](const CLI::App *) { return true; })) {
    if (isHidden(*verb))
      continue;
    VerbUsage &entry = usage.verbs.emplace_back();
    entry.name = verb->get_name();
    entry.summary = verb->get_description();
    for (const CLI::Option *option : verb->get_options())
      entry.options.push_back(describeOption(*option));
  }
  return usage;
}

std::span<const ExitCode> cli::exitCodes() {
  static constexpr ExitCode kCodes[] = {{0, "success"},
                                        {1, "internal error"},
                                        {2, "wrong usage"},
                                        {3, "invalid model"},
                                        {4, "unsupported op or type"},
                                        {5, "results differ too much"},
                                        {6, "slower than the given budget"},
                                        {7, "artefact or CPU does not fit"},
                                        {8, "invalid input"},
                                        {9, "a resource limit was reached"},
                                        {10, "reading or writing failed"},
                                        {130, "interrupted"}};
  return kCodes;
}
