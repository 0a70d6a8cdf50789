//===- ChosenPrecision.h - what --precision auto has come to, for people ----===//
#pragma once

#include "quern/PrecisionChoice.h"
#include "tools/quern/Console.h"

#include <string>

namespace quern::cli {

/// "12 of 13 products and convolutions in bf16; outputs are off by 0.31 % of their largest
/// magnitude, the bound is 1 %".
std::string summarizeChoice(const PrecisionChoice &choice);

/// That, and a row for each layer where they had to be ranked.
std::string describeChoice(const PrecisionChoice &choice, const OutputStyle &style);

} // namespace quern::cli
