//===- Arena.cpp - one large aligned buffer -------------------------------===//
#include "runtime/running/Arena.h"

#include <fmt/format.h>

#include <string>
#include <sys/mman.h>

using namespace quern;

Expected<Arena> Arena::allocate(CheckedSize bytes, int64_t limit) {
  constexpr int64_t kHugePage = int64_t{2} << 20;
  bool large = bytes.value() >= 2 * kHugePage;
  int64_t alignment = large ? kHugePage : kAlignment;
  // At least one byte, so that an empty arena has an address, too.
  CheckedSize rounded = (bytes + CheckedSize(1)).alignedTo(alignment);
  if (!rounded.valid())
    return resourceLimit("the size of an arena is negative or overflows");
  if (bytes.value() > limit)
    return resourceLimit(
        fmt::format("an arena needs {} bytes, the limit is {}", bytes.value(), limit));
  auto size = static_cast<size_t>(rounded.value());
  void *memory = std::aligned_alloc(static_cast<size_t>(alignment), size);
  if (!memory)
    return resourceLimit(fmt::format("out of memory for an arena of {} bytes", size));
  if (large) // only advice: ordinary pages do as well
    (void)madvise(memory, size, MADV_HUGEPAGE);
  Arena arena;
  arena.memory.reset(static_cast<std::byte *>(memory));
  arena.bytes = bytes.value();
  return arena;
}
