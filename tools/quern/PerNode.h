//===- PerNode.h - where native code first differs, for people ------------===//
#pragma once

#include "quern/NodeComparison.h"
#include "tools/quern/Console.h"

#include <string>

namespace quern::cli {

/// A row for each value that is compared, or with many of them for those that differ most; what
/// bounds them, and the first that differs by more.
std::string describeNodes(const NodeComparison &comparison, const OutputStyle &style);

} // namespace quern::cli
