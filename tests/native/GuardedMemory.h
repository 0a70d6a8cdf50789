//===- GuardedMemory.h - memory beside pages that cannot be touched -------===//
#pragma once

#include "quern/Tensor.h"

#include <cstddef>
#include <cstdint>

namespace quern::native {

/// Memory between two inaccessible pages, so that an emitted kernel which reads
/// or writes outside of a tensor ends the test. Sizes are no multiples of a page:
/// one side of the memory touches its page, the other is watched for writes.
class GuardedMemory {
public:
  enum class Side { Begin, End };
  /// Which side of the memory touches an inaccessible page.
  GuardedMemory(int64_t bytes, Side side);
  ~GuardedMemory();
  GuardedMemory(GuardedMemory &&other) noexcept;
  GuardedMemory &operator=(GuardedMemory &&) = delete;

  std::byte *data() const { return memory; }
  /// Whether everything around the memory is as it was made.
  bool isIntact() const;

  /// A tensor like `tensor` with its elements at `side` of guarded memory, which
  /// it owns. Strings stay where they are.
  static Tensor copyOf(const Tensor &tensor, Side side);

private:
  std::byte *mapping = nullptr;
  size_t mappedBytes = 0;
  std::byte *memory = nullptr;
  size_t bytes = 0;
};

} // namespace quern::native
