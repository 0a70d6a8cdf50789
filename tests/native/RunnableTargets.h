//===- RunnableTargets.h - targets that tests can run ---------------------===//
#pragma once

#include <string>
#include <vector>

namespace quern::native {

/// The targets, for resolveTarget, whose code this machine can run; "host" is last.
std::vector<std::string> runnableTargets();

} // namespace quern::native
