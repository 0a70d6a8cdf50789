//===- ImportState.cpp - what all of an import shares ---------------------===//
#include "frontend/ImportState.h"

#include "ir/NNDialect.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::frontend;

// As many as folding may create afterwards.
Status ImportState::countConstant(CheckedSize bytes) {
  int64_t most = std::min(limits.maxFoldedBytes, limits.maxActivationBytes);
  CheckedSize all = CheckedSize(constantBytes) + bytes;
  if (!all.valid() || all.value() > most)
    return resourceLimit(
        fmt::format("the constants that nodes are made of take more than {} bytes", most));
  constantBytes = all.value();
  return Status::ok();
}

std::string ImportState::addBlob(const std::string &wanted, const SourceBytes &blob) {
  auto &store = builder.getContext()->getOrLoadDialect<nn::NNDialect>()->getWeights();
  std::string name = wanted;
  while (store.contains(name))
    name = fmt::format("{}#{}", wanted, nextBlobNumber++);
  auto size = static_cast<int64_t>(blob.bytes.size());
  if (blob.isMappedFile)
    store.addMappedFile(name, blob.bytes.data(), size, blob.owner);
  else
    store.addBlob(name, blob.bytes.data(), size, blob.owner);
  return name;
}
