//===- PrecisionChoice.cpp - what Precision::Auto has come to -------------===//
#include "quern/PrecisionChoice.h"

#include <algorithm>
#include <fmt/format.h>

using namespace quern;

size_t PrecisionChoice::numLowered() const {
  return static_cast<size_t>(std::ranges::count_if(layers, &PrecisionLayer::isLowered));
}

bool PrecisionChoice::lowers(std::string_view node) const {
  return std::ranges::any_of(
      layers, [&](const PrecisionLayer &layer) { return layer.isLowered && layer.node == node; });
}

Status quern::checkMaxError(double maxError) {
  if (maxError > 0 && maxError <= 1)
    return Status::ok();
  return usageError(fmt::format("a bound of {:g} on the error makes no sense: wanted a share of an "
                                "output's largest magnitude, above 0 and at most 1, as in 0.01",
                                maxError));
}
