//===- InputSizes.h - sizes for the inputs of a model ---------------------===//
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace quern {

/// Sizes for the inputs of a model: by input name, by symbolic dimension, or both.
struct InputSizes {
  std::map<std::string, std::vector<int64_t>> shapes = {};
  std::map<std::string, int64_t> dims = {};
};

} // namespace quern
