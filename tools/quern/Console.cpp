//===- Console.cpp - what the user reads ----------------------------------===//
#include "tools/quern/Console.h"

#include "quern/EscapedText.h"
#include "tools/quern/FileIo.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

using namespace quern;
using namespace quern::cli;

void cli::reserveStandardStreams() {
  // Opened in order, each gets the lowest number that is free: its own.
  for (int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(stream, F_GETFD) == -1)
      (void)!open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

static bool usesColor(const OutputStyle &style) {
  if (style.color != "auto")
    return style.color == "always";
  return isatty(STDERR_FILENO) && !std::getenv("NO_COLOR");
}

/// `kind` in the terminal colour `code`, then the text.
static void say(const OutputStyle &style, const char *kind, const char *code,
                const std::string &message) {
  std::string text = escapeText(message, TextPlace::Terminal);
  if (usesColor(style))
    std::fprintf(stderr, "quern: \033[%sm%s\033[0m%s\n", code, kind, text.c_str());
  else
    std::fprintf(stderr, "quern: %s%s\n", kind, text.c_str());
}

void cli::note(const OutputStyle &style, const std::string &text) {
  if (style.verbosity >= 0)
    say(style, "note: ", "36", text);
}

void cli::detail(const OutputStyle &style, const std::string &text) {
  if (style.verbosity > 0)
    say(style, "", "0", text);
}

void cli::warn(const OutputStyle &style, const std::string &text) {
  say(style, "warning: ", "33", text);
}

void cli::reportError(const OutputStyle &style, const Status &status) {
  if (status.code() == StatusCode::Cancelled)
    say(style, "interrupted", "33", "");
  else
    say(style, "error: ", "31", status.message());
}

Progress::Progress(const OutputStyle &style)
    : enabled(style.verbosity >= 0 && isatty(STDERR_FILENO)) {
  if (enabled)
    scope.emplace(static_cast<ProgressWatcher &>(*this));
}

Progress::~Progress() { clear(); }

void Progress::clear() {
  std::lock_guard lock(mutex);
  if (shown)
    std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  shown = false;
}

void Progress::show(const std::string &what) {
  if (!enabled)
    return;
  std::lock_guard lock(mutex);
  text = what;
  since = Clock::now();
  draw(since);
}

// Called by all threads that work, and often. "running" is no news: the line says that, or what
// a run is a part of.
bool Progress::goOn(std::string_view doing) {
  Clock::time_point now = Clock::now();
  bool isTime = now.time_since_epoch().count() >= nextDraw.load(std::memory_order_relaxed);
  bool mayBeNews = doing != "running";
  if (!isTime && !mayBeNews)
    return true;
  std::unique_lock lock(mutex, std::try_to_lock);
  if (!lock)
    return true;
  // "compiling" is less than "compiling kernel 3 of 9".
  if (mayBeNews && !std::string_view(text).starts_with(doing)) {
    text = doing;
    since = now;
  }
  if (isTime)
    draw(now);
  return true;
}

/// As many characters as fit; seconds once it takes some.
void Progress::draw(Clock::time_point now) {
  constexpr size_t kMostLetters = 70;
  constexpr auto kInterval = std::chrono::milliseconds(100);
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - since).count();
  std::string line = text.size() > kMostLetters ? text.substr(0, kMostLetters) + "..." : text;
  if (seconds >= 2)
    line += " (" + std::to_string(seconds) + " s)";
  std::fprintf(stderr, "\r\033[K%s", escapeText(line, TextPlace::Line).c_str());
  std::fflush(stderr);
  shown = true;
  nextDraw.store((now + kInterval).time_since_epoch().count(), std::memory_order_relaxed);
}

/// How many columns UTF-8 takes, nearly: a character each.
static size_t widthOf(const std::string &text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string Table::str() const {
  std::vector<size_t> widths;
  for (const auto &row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], widthOf(row[i]));
  }
  std::string text;
  for (const auto &row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      std::string padding(widths[i] - widthOf(row[i]), ' ');
      text += i ? "  " : "";
      if (i >= leftColumns)
        text += padding + row[i];
      else
        text += row[i] + (i + 1 < row.size() ? padding : "");
    }
    text += '\n';
  }
  return text;
}

void Table::addRow(std::vector<std::string> row) {
  for (std::string &cell : row)
    cell = escapeText(cell, TextPlace::Line);
  rows.push_back(std::move(row));
}

/// As they are.
static Status printBytes(const std::string &text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return ioError("cannot write to standard output");
  return Status::ok();
}

std::string cli::formatBytes(int64_t bytes) {
  const char *units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(units); ++unit)
    value /= 1024;
  return fmt::format("{:.4g} {}", value, units[unit]);
}

Status cli::printText(const std::string &text) {
  return printBytes(escapeText(text, TextPlace::Terminal));
}

Status cli::writeJson(const nlohmann::ordered_json &object, const OutputStyle &style) {
  if (!style.jsonPath)
    return Status::ok();
  // Names in a model need not be valid UTF-8.
  std::string text =
      object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  if (style.isJsonOnStdout())
    return printBytes(text);
  return writeFile(*style.jsonPath, text);
}

Status cli::checkJsonWritable(const OutputStyle &style, FileGuard &guard) {
  if (!style.jsonPath || style.isJsonOnStdout())
    return Status::ok();
  QUERN_TRY(guard.writes("JSON report", *style.jsonPath));
  return checkWritable(*style.jsonPath);
}
