//===- CompletionScripts.h - what shells complete, as their scripts -------===//
#pragma once

#include "tools/quern/Usage.h"

namespace quern::cli {

std::string bashCompletion(const ProgramUsage &program);
std::string zshCompletion(const ProgramUsage &program);
std::string fishCompletion(const ProgramUsage &program);

} // namespace quern::cli
