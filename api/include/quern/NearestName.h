//===- NearestName.h - what a misspelt name was meant to be ---------------===//
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace quern {

/// "; did you mean 'threads'?" for the name that `word` is nearest to; empty when none is
/// near: about a third of the letters may differ.
std::string suggestName(std::string_view word, std::span<const std::string> names);

} // namespace quern
