//===- NodeNames.cpp - the model's nodes that a location names ------------===//
#include "ir/NodeNames.h"

using namespace mlir;
using namespace quern;

void nn::forEachNode(Location loc, llvm::function_ref<void(StringAttr)> note) {
  if (auto name = dyn_cast<NameLoc>(loc))
    note(name.getName());
  if (auto fused = dyn_cast<FusedLoc>(loc))
    for (Location part : fused.getLocations())
      forEachNode(part, note);
}

std::vector<std::string> nn::nodeNames(Location loc) {
  std::vector<std::string> names;
  forEachNode(loc, [&](StringAttr name) { names.push_back(name.str()); });
  return names;
}
