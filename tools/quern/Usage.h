//===- Usage.h - verbs and options, as the parser has them ----------------===//
//
// What completion scripts and the manual are made of, so that nothing is written twice.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <CLI/App.hpp>
#include <span>
#include <string>
#include <vector>

namespace quern::cli {

/// What the value of an option is, for who completes it.
enum class ValueKind { None, Any, Choice, File, Folder };

struct OptionUsage {
  /// "-o", "--output"; of a positional its own name.
  std::vector<std::string> names;
  std::string summary;
  /// What stands for the value: FILE; empty without one.
  std::string valueName;
  ValueKind kind = ValueKind::None;
  /// The values there are, of a Choice.
  std::vector<std::string> choices;
  bool positional = false;
  bool required = false;
  /// More than one may be given.
  bool repeated = false;
  /// The value may be left out, and follows a '=': --json, --json=FILE.
  bool optionalValue = false;
};

struct VerbUsage {
  std::string name;
  std::string summary;
  std::vector<OptionUsage> options;
};

struct ProgramUsage {
  std::string name;
  std::string summary;
  std::vector<VerbUsage> verbs;
};

bool isHidden(const CLI::App &verb);
/// Of a program whose verbs are subcommands; hidden ones are left out.
ProgramUsage describeUsage(const CLI::App &program);

/// What the program ends with.
struct ExitCode {
  int number;
  const char *meaning;
};
std::span<const ExitCode> exitCodes();

} // namespace quern::cli
