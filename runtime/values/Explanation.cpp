//===- Explanation.cpp - what compiling made of a model, and why ----------===//
#include "quern/Explanation.h"

#include <array>

using namespace quern;

std::string_view quern::fateName(ExplainedNode::Fate fate) {
  static constexpr std::array<std::string_view, 6> kNames = {"step", "constant", "view",
                                                             "body", "removed",  "unused"};
  return kNames[static_cast<size_t>(fate)];
}

std::string_view quern::refusalKindName(Refusal::Kind kind) {
  static constexpr std::array<std::string_view, 7> kNames = {
      "fold", "raise", "block", "precision", "fuse", "in-place", "update"};
  return kNames[static_cast<size_t>(kind)];
}
