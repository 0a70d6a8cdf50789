//===- GuardedMemory.cpp - memory beside pages that cannot be touched -----===//
#include "tests/native/GuardedMemory.h"

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

using namespace quern;
using namespace quern::native;

static constexpr std::byte kUntouched{0xCD};

static size_t pageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

GuardedMemory::GuardedMemory(int64_t size, Side side) : bytes(static_cast<size_t>(size)) {
  size_t page = pageBytes();
  size_t usable = std::max<size_t>((bytes + page - 1) / page, 1) * page;
  mappedBytes = usable + 2 * page;
  void *pages = mmap(nullptr, mappedBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED ||
      mprotect(static_cast<std::byte *>(pages) + page, usable, PROT_READ | PROT_WRITE) != 0) {
    ADD_FAILURE() << "no memory for " << size << " guarded bytes";
    std::abort();
  }
  mapping = static_cast<std::byte *>(pages);
  std::fill_n(mapping + page, usable, kUntouched);
  memory = mapping + page + (side == Side::End ? usable - bytes : 0);
}

GuardedMemory::~GuardedMemory() {
  if (mapping)
    munmap(mapping, mappedBytes);
}

GuardedMemory::GuardedMemory(GuardedMemory &&other) noexcept
    : mapping(std::exchange(other.mapping, nullptr)), mappedBytes(other.mappedBytes),
      memory(other.memory), bytes(other.bytes) {}

bool GuardedMemory::isIntact() const {
  auto untouched = [](std::byte b) { return b == kUntouched; };
  return std::all_of(mapping + pageBytes(), memory, untouched) &&
         std::all_of(memory + bytes, mapping + mappedBytes - pageBytes(), untouched);
}

Tensor GuardedMemory::copyOf(const Tensor &tensor, Side side) {
  if (!tensor.isPresent() || tensor.dtype() == DType::String)
    return tensor;
  auto copy = std::make_shared<GuardedMemory>(tensor.numBytes(), side);
  if (tensor.numBytes() > 0)
    std::memcpy(copy->data(), tensor.rawData(), static_cast<size_t>(tensor.numBytes()));
  return Tensor::borrow(tensor.dtype(), tensor.dims(), copy->data(), copy);
}
