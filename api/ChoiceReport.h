//===- ChoiceReport.h - what Precision::Auto has come to, as JSON ---------===//
#pragma once

#include "quern/PrecisionChoice.h"

#include <optional>
#include <string_view>

namespace quern {

/// What choiceReport (quern/Reports.h) has written; nothing of other text.
std::optional<PrecisionChoice> readChoice(std::string_view text);

} // namespace quern
