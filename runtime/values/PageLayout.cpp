//===- PageLayout.cpp - huge pages for large memory -----------------------===//
#include "runtime/values/PageLayout.h"

#include <algorithm>
#include <sys/mman.h>

using namespace quern;

PageLayout PageLayout::of(CheckedSize bytes) {
  constexpr int64_t kHugePage = int64_t{2} << 20, kFewestUsed = kHugePage / 4 * 3;
  PageLayout layout;
  layout.size = (bytes + CheckedSize(1)).alignedTo(layout.alignment);
  layout.hugeBytes = bytes.value() / kHugePage * kHugePage;
  if (bytes.value() % kHugePage >= kFewestUsed)
    layout.hugeBytes += kHugePage;
  if (!layout.hugeBytes.valid() || layout.hugeBytes.value() == 0)
    return layout;
  layout.alignment = kHugePage;
  if (layout.size.valid())
    layout.size = std::max(layout.size.value(), layout.hugeBytes.value());
  return layout;
}

void PageLayout::advise(void *memory) const {
  if (hugeBytes.value() > 0)
    (void)madvise(memory, static_cast<size_t>(hugeBytes.value()), MADV_HUGEPAGE);
}
