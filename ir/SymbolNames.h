//===- SymbolNames.h - the names of size symbols --------------------------===//
#pragma once

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringMap.h"

#include <fmt/format.h>
#include <string>
#include <vector>

namespace quern::nn {

/// Names and positions of the symbols that sizes in a context are written with.
class SymbolNames {
public:
  /// The position of a name; new ones get the next.
  unsigned positionOf(llvm::StringRef name) {
    auto [at, isNew] = positions.try_emplace(name, names.size());
    if (isNew)
      names.push_back(name.str());
    return at->second;
  }
  /// A symbol that no name in a model stands for.
  unsigned fresh() {
    std::string name;
    do
      name = fmt::format("s{}", number++);
    while (positions.count(name));
    unsigned position = positionOf(name);
    made.insert(position);
    return position;
  }
  bool isFresh(unsigned position) const { return made.contains(position); }
  const std::string &nameOf(unsigned position) const { return names[position]; }
  size_t size() const { return names.size(); }

private:
  llvm::StringMap<unsigned> positions;
  std::vector<std::string> names;
  unsigned number = 0;
  llvm::SmallDenseSet<unsigned> made;
};

} // namespace quern::nn
