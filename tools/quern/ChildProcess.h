//===- ChildProcess.h - other processes -----------------------------------===//
#pragma once

#include "quern/Status.h"
#include "quern/TemporaryPath.h"

#include <string>
#include <sys/types.h>
#include <vector>

namespace quern::cli {

/// A folder that only this user reads, beside `near`, for the files of a process. Goes away with
/// the object.
Expected<TemporaryPath> makeFolder(const std::string &near);

/// Where a process reads and writes: descriptors, or nothing for -1, and the file that gets what it
/// writes to standard error.
struct ProcessFiles {
  int input = -1, output = -1;
  std::string errors;
};

/// Starts a program of that path, or of that name in $PATH. Io where there is none.
Expected<pid_t> startProcess(const std::string &program, const std::vector<std::string> &arguments,
                             const ProcessFiles &files);

/// The end of ProcessFiles::errors, 4 KiB at most.
std::string endOfErrors(const std::string &path);

/// How a process has ended.
struct ProcessEnd {
  /// Its exit code; of one that a signal has ended, that signal's number.
  int exitCode = 0;
  int signal = 0;
  bool isTooLate = false;
  /// `endOfErrors`.
  std::string message = {};
};

/// Runs this program in another process, where it may crash. What it prints goes nowhere, but
/// for `message`, by way of a file in `folder`. Ends it after so many seconds, and when watchers of
/// this thread end the work: Cancelled.
Expected<ProcessEnd> runQuern(const std::vector<std::string> &arguments, const std::string &folder,
                              double seconds);

} // namespace quern::cli
