//===- CommandLine.h - from arguments to an exit code ---------------------===//
#pragma once

namespace quern::cli {

/// Runs the verb that the arguments name. The result is the exit code: the value
/// of a StatusCode. Every failure has said why on standard error.
int runCommandLine(int argc, const char *const *argv);

} // namespace quern::cli
