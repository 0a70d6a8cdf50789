//===- NodeNames.h - the nodes of a step, for people ----------------------===//
#pragma once

#include "tools/quern/Console.h"

#include <string>
#include <string_view>

namespace quern::cli {

/// The nodes that a step was fused from, "a+b+c": all of them with --verbose, else those of a
/// long list as "first ... last (12)", and long names without their middle.
std::string shownNodes(const std::string &nodes, const OutputStyle &style);
/// A long name without its middle: paths differ at their ends.
std::string shortened(std::string_view name, size_t most);
/// A name that may be as long, of a kernel for one.
std::string shownName(const std::string &name, const OutputStyle &style);

} // namespace quern::cli
