//===- Console.h - what the user reads ------------------------------------===//
//
// Data goes to standard output, everything else to standard error.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/FileGuard.h"
#include "quern/Progress.h"
#include "quern/Status.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace quern::cli {

/// Where standard streams are closed, files that are opened later would take their numbers and
/// get what is meant for users: this takes them first. Writing there remains an error.
void reserveStandardStreams();

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

/// A line on a terminal that says what takes so long: what the verb shows, then what the
/// library is at. Gone when destroyed.
class Progress : private ProgressWatcher {
public:
  explicit Progress(const OutputStyle &style);
  ~Progress() override;
  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;
  void show(const std::string &text);
  /// Before something else is printed.
  void clear();

private:
  using Clock = std::chrono::steady_clock;

  bool goOn(std::string_view doing) override;
  void draw(Clock::time_point now);

  bool enabled;
  std::mutex mutex;
  std::string text;
  Clock::time_point since;
  std::atomic<Clock::rep> nextDraw = 0;
  bool shown = false;
  /// Only where the line is drawn: elsewhere nothing listens.
  std::optional<ProgressScope> scope;
};

/// Columns of text, in which any name may stand, the first ones aligned left and the others right.
class Table {
public:
  explicit Table(std::vector<std::string> header, size_t leftColumns = 1)
      : leftColumns(leftColumns) {
    addRow(std::move(header));
  }
  void addRow(std::vector<std::string> row);
  std::string str() const;

private:
  size_t leftColumns;
  std::vector<std::vector<std::string>> rows;
};

/// "48 KiB", "1.5 GiB".
std::string formatBytes(int64_t bytes);

/// Prints to standard output what a terminal may get, whatever is in names (escapeText); Io
/// error when it cannot be written.
Status printText(const std::string &text);
/// Writes the object where `style` says; nothing when no JSON is wanted.
Status writeJson(const nlohmann::ordered_json &object, const OutputStyle &style);
/// Io error, before long work, when writeJson would fail for its path; usage error when that is
/// one that `guard` knows.
Status checkJsonWritable(const OutputStyle &style, FileGuard &guard);

} // namespace quern::cli
