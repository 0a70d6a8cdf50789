//===- Explained.h - what compiling made of a model, for people -----------===//
#pragma once

#include "quern/Explanation.h"
#include "quern/ProfileRow.h"
#include "tools/quern/Console.h"

#include <span>
#include <string>
#include <vector>

namespace quern::cli {

/// How many of the steps run as native code, and why the others do not; with --verbose what else
/// was not done. `wantedOptions` would tell the sizes of inputs that some steps depend on.
std::string describeExplanation(const Explanation &explanation, const OutputStyle &style,
                                std::span<const std::string> wantedOptions = {});

/// "products and convolutions: 5 in bf16, 1 in f32", a line; empty where all are in float32, and
/// nothing else was asked for.
std::string describeProducts(const Explanation &explanation);

/// A line for each step of a profile that a reference kernel runs, and why.
std::string describeReferenceRows(std::span<const ProfileRow> rows, const OutputStyle &style);

} // namespace quern::cli
