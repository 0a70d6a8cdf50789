//===- WeightMemory.cpp - packed weights beside each other ----------------===//
#include "runtime/values/WeightMemory.h"

#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <sys/mman.h>

using namespace quern;

namespace {
constexpr int64_t kMiB = int64_t{1} << 20, kHugePage = 2 * kMiB;
/// Address space only, until it is written to.
constexpr int64_t kRegionBytes = 64 * kMiB;
constexpr int64_t kFewestBytes = kMiB / 2, kMostBytes = kRegionBytes / 4, kAlignment = 64;

/// The region that is filled now.
class Regions {
public:
  /// `bytes` that no one else has; null without memory.
  std::shared_ptr<void> take(int64_t bytes) {
    std::lock_guard lock(mutex);
    std::shared_ptr<std::byte> region = current.lock();
    if (!region || used + bytes > kRegionBytes) {
      region = makeRegion();
      if (!region)
        return nullptr;
      current = region;
      used = 0;
    }
    void *place = region.get() + used;
    used += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return {std::move(region), place};
  }

private:
  static std::shared_ptr<std::byte> makeRegion() {
    void *memory = std::aligned_alloc(kHugePage, kRegionBytes);
    if (!memory)
      return nullptr;
    (void)madvise(memory, kRegionBytes, MADV_HUGEPAGE); // only advice
    return {static_cast<std::byte *>(memory), [](std::byte *region) { std::free(region); }};
  }

  std::mutex mutex;
  /// Of the tensors in it, which keep it.
  std::weak_ptr<std::byte> current;
  int64_t used = 0;
};
} // namespace

Expected<Tensor> quern::allocateWeights(DType dtype, Tensor::Dims dims) {
  static Regions regions;
  CheckedSize bytes = CheckedSize::product(dims) * CheckedSize(dtypeBytes(dtype));
  if (bytes.valid() && bytes.value() >= kFewestBytes && bytes.value() <= kMostBytes &&
      bytes.value() <= Limits().maxTensorBytes)
    if (std::shared_ptr<void> memory = regions.take(bytes.value()))
      return Tensor::borrow(dtype, std::move(dims), memory.get(), memory);
  return Tensor::allocateUninitialized(dtype, std::move(dims));
}
