//===- ChildProcess.h - this program, once more ---------------------------===//
#pragma once

#include "quern/Status.h"

#include <string>
#include <vector>

namespace quern::cli {

/// How a process has ended.
struct ProcessEnd {
  /// Its exit code; of one that a signal has ended, that signal's number.
  int exitCode = 0;
  int signal = 0;
  bool isTooLate = false;
  /// The last that it has written to standard error, 4 KiB at most.
  std::string message = {};
};

/// Runs this program in another process, where it may crash. What it prints goes nowhere, but
/// for `message`, by way of a file in `folder`. Ends it after so many seconds, and when watchers of
/// this thread end the work: Cancelled.
Expected<ProcessEnd> runQuern(const std::vector<std::string> &arguments, const std::string &folder,
                              double seconds);

} // namespace quern::cli
