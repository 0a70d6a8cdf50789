//===- Handles.cpp - what C programs hold ---------------------------------===//
#include "api/c/Handles.h"

#include <array>
#include <atomic>
#include <mutex>
#include <vector>

using namespace quern::c;

static_assert(sizeof(void *) == 8, "a handle is a slot and a count in 64 bits");

namespace {
struct Slot {
  /// How often it has been used, and the kind of its object in the lowest byte. From 1 on:
  /// a small number, which a pointer may be by mistake, is no handle.
  std::atomic<uint64_t> tag = 1 << 8;
  std::atomic<void *> object = nullptr;
};

constexpr uint64_t kSlotBits = 24, kChunkSlots = 4096, kChunks = (1 << kSlotBits) / kChunkSlots;
/// Of a use count: what fits a handle beside the slot.
constexpr uint64_t kUses = uint64_t{1} << (64 - kSlotBits);

/// Chunks of slots are made when they are needed, and never freed.
std::array<std::atomic<Slot *>, kChunks> chunks;

std::mutex mutex; // of what follows
std::vector<uint64_t> freeSlots;
uint64_t slotsMade = 0;
} // namespace

static uint64_t tagOf(uint64_t uses, HandleKind kind) {
  return uses << 8 | static_cast<uint64_t>(kind);
}

/// Null when there is no such slot.
static Slot *slotAt(uint64_t index) {
  Slot *chunk = chunks[index / kChunkSlots].load(std::memory_order_acquire);
  return chunk ? &chunk[index % kChunkSlots] : nullptr;
}

static uint64_t numberOf(const void *handle) { return reinterpret_cast<uint64_t>(handle); }
// Slot 0 is left out, so that no handle is null.
static uint64_t indexOf(const void *handle) { return numberOf(handle) % (1 << kSlotBits); }
static uint64_t usesOf(const void *handle) { return numberOf(handle) >> kSlotBits; }

/// A slot that nothing uses; 0 when there is none.
static uint64_t takeFreeSlot() {
  std::lock_guard lock(mutex);
  if (!freeSlots.empty()) {
    uint64_t index = freeSlots.back();
    freeSlots.pop_back();
    return index;
  }
  uint64_t index = slotsMade + 1;
  if (index >= uint64_t{1} << kSlotBits)
    return 0;
  std::atomic<Slot *> &chunk = chunks[index / kChunkSlots];
  if (!chunk.load(std::memory_order_relaxed))
    chunk.store(new Slot[kChunkSlots], std::memory_order_release);
  // So that giving a slot back never allocates.
  freeSlots.reserve(index);
  slotsMade = index;
  return index;
}

void *quern::c::makeHandle(HandleKind kind, void *object) {
  uint64_t index = takeFreeSlot();
  if (index == 0)
    return nullptr;
  Slot &slot = *slotAt(index);
  uint64_t uses = slot.tag.load(std::memory_order_relaxed) >> 8;
  slot.object.store(object, std::memory_order_relaxed);
  slot.tag.store(tagOf(uses, kind), std::memory_order_release);
  return reinterpret_cast<void *>(uses << kSlotBits | index);
}

void *quern::c::findObject(HandleKind kind, const void *handle) {
  Slot *slot = slotAt(indexOf(handle));
  if (!slot || slot->tag.load(std::memory_order_acquire) != tagOf(usesOf(handle), kind))
    return nullptr;
  return slot->object.load(std::memory_order_relaxed);
}

void *quern::c::takeObject(HandleKind kind, const void *handle) {
  void *object = findObject(kind, handle);
  if (!object)
    return nullptr;
  Slot &slot = *slotAt(indexOf(handle));
  uint64_t tag = tagOf(usesOf(handle), kind);
  // One of many who release it.
  uint64_t next = tagOf((usesOf(handle) + 1) % kUses, HandleKind::None);
  if (!slot.tag.compare_exchange_strong(tag, next, std::memory_order_acq_rel))
    return nullptr;
  std::lock_guard lock(mutex);
  freeSlots.push_back(indexOf(handle));
  return object;
}
