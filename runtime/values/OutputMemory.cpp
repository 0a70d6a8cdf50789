//===- OutputMemory.cpp - memory for results, used again ------------------===//
#include "runtime/values/OutputMemory.h"

#include <algorithm>
#include <bit>
#include <mutex>
#include <utility>
#include <vector>

using namespace quern;

/// Blocks that no result is in, and how many bytes of them to keep.
struct OutputMemory::Kept {
  std::mutex mutex;
  std::vector<Tensor> blocks;
  int64_t bytes = 0;
  /// Of the results of the last run, and of the present one so far.
  int64_t lastRun = 0, thisRun = 0;

  /// A block of at least so many bytes, and less than twice as many; absent when there is none.
  Tensor take(int64_t size);
  void giveBack(Tensor block);
  void trim();
};

Tensor OutputMemory::Kept::take(int64_t size) {
  std::lock_guard lock(mutex);
  thisRun += size;
  auto best = blocks.end();
  for (auto it = blocks.begin(); it != blocks.end(); ++it)
    if (it->numBytes() >= size && it->numBytes() < 2 * size &&
        (best == blocks.end() || it->numBytes() < best->numBytes()))
      best = it;
  if (best == blocks.end())
    return Tensor();
  Tensor block = std::move(*best);
  blocks.erase(best);
  bytes -= block.numBytes();
  return block;
}

void OutputMemory::Kept::giveBack(Tensor block) {
  std::lock_guard lock(mutex);
  bytes += block.numBytes();
  blocks.push_back(std::move(block));
  trim();
}

/// The oldest go first.
void OutputMemory::Kept::trim() {
  while (!blocks.empty() && bytes > std::max(lastRun, thisRun)) {
    bytes -= blocks.front().numBytes();
    blocks.erase(blocks.begin());
  }
}

OutputMemory::OutputMemory() : kept(std::make_shared<Kept>()) {}

void OutputMemory::beginRun() {
  if (runsToTell == 0)
    return;
  --runsToTell;
  std::lock_guard lock(kept->mutex);
  kept->lastRun = std::exchange(kept->thisRun, 0);
  kept->trim();
}

/// Rounded up by an eighth at most, so that a result that grows from run to run fits.
static int64_t blockBytes(int64_t bytes) {
  auto step = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes)) / 8);
  return (bytes + step - 1) / step * step;
}

Expected<Tensor> OutputMemory::allocate(DType dtype, const Tensor::Dims &dims,
                                        const Limits &limits) {
  // Less than this comes from what the C library keeps itself.
  constexpr int64_t kSmallest = 128 << 10;
  CheckedSize size = CheckedSize::product(dims) * CheckedSize(dtypeBytes(dtype));
  bool isLarge = size.valid() && size.value() >= kSmallest;
  if (!isLarge || size.value() > limits.maxTensorBytes || dtype == DType::String)
    return Tensor::allocateUninitialized(dtype, dims, limits);
  runsToTell = 2;
  int64_t bytes = blockBytes(size.value());
  Tensor block = kept->take(bytes);
  if (!block.isPresent()) {
    auto made =
        Tensor::allocateUninitialized(DType::UInt8, {bytes}, Limits{.maxTensorBytes = INT64_MAX});
    if (!made) // named by what was asked for
      return Tensor::allocateUninitialized(dtype, dims, limits);
    block = made.take();
  }
  void *memory = block.mutableRawData();
  auto letGo = [home = std::weak_ptr<Kept>(kept), block](const void *) mutable {
    if (std::shared_ptr<Kept> open = home.lock())
      open->giveBack(std::move(block));
  };
  return Tensor::borrow(dtype, dims, memory, std::shared_ptr<const void>(memory, std::move(letGo)));
}
