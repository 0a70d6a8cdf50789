//===- SourceBytes.h - the bytes of a model -------------------------------===//
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace quern::frontend {

/// What a model was read from; `owner` keeps the bytes alive.
struct SourceBytes {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
  bool isMappedFile = false;
};

} // namespace quern::frontend
