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
  /// Inputs that outputs continue along some dimension (past keys and values, and the present
  /// ones), and these outputs, have that dimension first, before shapes are given: [length, batch,
  /// heads, size] for [batch, heads, length, size]. Then such an output may begin where its input
  /// does (Runner::run), and a run writes only what is new.
  bool growingCaches = false;
};

} // namespace quern
