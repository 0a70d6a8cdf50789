//===- Console.cpp - what the user reads ----------------------------------===//
#include "tools/quern/Console.h"

#include "tools/quern/FileIo.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <unistd.h>

using namespace quern;
using namespace quern::cli;

static bool usesColor(const OutputStyle &style) {
  if (style.color != "auto")
    return style.color == "always";
  return isatty(STDERR_FILENO) && !std::getenv("NO_COLOR");
}

/// `kind` in the terminal colour `code`, then the text.
static void say(const OutputStyle &style, const char *kind, const char *code,
                const std::string &text) {
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
    : enabled(style.verbosity >= 0 && isatty(STDERR_FILENO)) {}

Progress::~Progress() {
  if (shown)
    std::fputs("\r\033[K", stderr);
}

void Progress::show(const std::string &text) {
  if (!enabled)
    return;
  std::fprintf(stderr, "\r\033[K%s", text.c_str());
  std::fflush(stderr);
  shown = true;
}

std::string Table::str() const {
  std::vector<size_t> widths;
  for (const auto &row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto &row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      std::string padding(widths[i] - row[i].size(), ' ');
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

Status cli::printText(const std::string &text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return ioError("cannot write to standard output");
  return Status::ok();
}

Status cli::writeJson(const nlohmann::ordered_json &object, const OutputStyle &style) {
  if (!style.jsonPath)
    return Status::ok();
  // Names in a model need not be valid UTF-8.
  std::string text =
      object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  if (style.isJsonOnStdout())
    return printText(text);
  QUERN_ASSIGN(AtomicFile file, AtomicFile::create(*style.jsonPath));
  file.write(text);
  return file.commit();
}

Status cli::checkJsonWritable(const OutputStyle &style, const std::string &model) {
  if (!style.jsonPath || style.isJsonOnStdout())
    return Status::ok();
  QUERN_TRY(checkKeeps(model, *style.jsonPath));
  return checkWritable(*style.jsonPath);
}
