//===- Arena.cpp - one large aligned buffer -------------------------------===//
#include "runtime/running/Arena.h"

#include "runtime/values/PageLayout.h"

#include <fmt/format.h>

#include <string>

using namespace quern;

Expected<Arena> Arena::allocate(CheckedSize bytes, int64_t limit) {
  PageLayout pages = PageLayout::of(bytes);
  // aligned_alloc wants a multiple.
  CheckedSize rounded = pages.size.alignedTo(pages.alignment);
  if (!rounded.valid())
    return resourceLimit("the size of an arena is negative or overflows");
  if (bytes.value() > limit)
    return resourceLimit(
        fmt::format("an arena needs {} bytes, the limit is {}", bytes.value(), limit));
  auto size = static_cast<size_t>(rounded.value());
  void *memory = std::aligned_alloc(static_cast<size_t>(pages.alignment), size);
  if (!memory)
    return resourceLimit(fmt::format("out of memory for an arena of {} bytes", size));
  pages.advise(memory);
  Arena arena;
  arena.memory.reset(static_cast<std::byte *>(memory));
  arena.bytes = bytes.value();
  return arena;
}
