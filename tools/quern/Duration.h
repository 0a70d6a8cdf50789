//===- Duration.h - times that users write --------------------------------===//
#pragma once

#include "quern/Status.h"

#include <string_view>

namespace quern::cli {

/// "500ms", "3s", "1.5s", "2min"; seconds without a unit. Usage error otherwise.
Expected<double> parseSeconds(std::string_view text);

} // namespace quern::cli
