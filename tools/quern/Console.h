//===- Console.h - what the user reads ------------------------------------===//
//
// Data goes to standard output, everything else to standard error.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Status.h"

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace quern::cli {

/// How much and in which form a verb reports.
struct OutputStyle {
  /// --quiet is -1, each --verbose adds 1.
  int verbosity = 0;
  /// auto, always or never.
  std::string color = "auto";
  /// Set when a JSON object is wanted: the file, or "-" for standard output.
  std::optional<std::string> jsonPath;

  bool isJsonOnStdout() const { return jsonPath == "-"; }
  /// Whether to print the table for people: unless --json took its place.
  bool printsTable() const { return !isJsonOnStdout(); }
};

/// "quern: note: ...", unless quiet.
void note(const OutputStyle &style, const std::string &text);
/// "quern: ...", only with --verbose.
void detail(const OutputStyle &style, const std::string &text);
/// "quern: warning: ...", always.
void warn(const OutputStyle &style, const std::string &text);
/// "quern: error: ...".
void reportError(const OutputStyle &style, const Status &status);

/// A line on a terminal that says what takes so long; gone when destroyed.
class Progress {
public:
  explicit Progress(const OutputStyle &style);
  ~Progress();
  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;
  void show(const std::string &text);

private:
  bool enabled;
  bool shown = false;
};

/// Columns of text, the first ones aligned left and the others right.
class Table {
public:
  explicit Table(std::vector<std::string> header, size_t leftColumns = 1)
      : leftColumns(leftColumns) {
    addRow(std::move(header));
  }
  void addRow(std::vector<std::string> row) { rows.push_back(std::move(row)); }
  std::string str() const;

private:
  size_t leftColumns;
  std::vector<std::vector<std::string>> rows;
};

/// Prints to standard output; Io error when it cannot be written.
Status printText(const std::string &text);
/// Writes the object where `style` says; nothing when no JSON is wanted.
Status writeJson(const nlohmann::ordered_json &object, const OutputStyle &style);
/// Io error, before long work, when writeJson would fail for its path; usage error when it
/// would replace the file `model`.
Status checkJsonWritable(const OutputStyle &style, const std::string &model = "");

} // namespace quern::cli
