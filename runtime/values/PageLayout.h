//===- PageLayout.h - huge pages for large memory -------------------------===//
#pragma once

#include "quern/CheckedSize.h"

namespace quern {

/// How memory of so many bytes is to lie, that it can be streamed through without another page
/// every 4 KB.
struct PageLayout {
  /// What its address is to be a multiple of.
  int64_t alignment = 64;
  /// What to allocate: at least a byte more than was asked for; invalid where that is too much.
  CheckedSize size;

  static PageLayout of(CheckedSize bytes);
  /// Asks for huge pages at such an address; others do as well.
  void advise(void *memory) const;

private:
  /// From its beginning on, whole huge pages, of which the last one is used for the most part.
  CheckedSize hugeBytes;
};

} // namespace quern
