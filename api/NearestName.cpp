//===- NearestName.cpp - what a misspelt name was meant to be -------------===//
#include "quern/NearestName.h"

#include "llvm/ADT/StringRef.h"

using namespace quern;

std::string quern::suggestName(std::string_view word, std::span<const std::string> names) {
  // Every name of a large model is looked at, none further than it may be.
  auto most = static_cast<unsigned>((word.size() + 2) / 3);
  const std::string *nearest = nullptr;
  for (const std::string &name : names) {
    unsigned distance = llvm::StringRef(name).edit_distance_insensitive(word, true, most);
    if (distance > most || (nearest && distance == most))
      continue;
    nearest = &name;
    most = distance;
  }
  return nearest ? "; did you mean '" + *nearest + "'?" : "";
}
