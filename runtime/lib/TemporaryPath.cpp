//===- TemporaryPath.cpp - files that must not outlive the process --------===//
//
// A signal handler may use neither the heap nor a lock. So it finds the paths in a
// table of atomic pointers to C strings, and lists folders with system calls alone.
//
//===----------------------------------------------------------------------===//
#include "quern/TemporaryPath.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

using namespace quern;

/// Who takes a string out of the table owns it.
static std::array<std::atomic<char *>, 64> paths;
static_assert(std::atomic<char *>::is_always_lock_free);

/// As the system call getdents64 writes it.
struct DirectoryEntry {
  uint64_t inode;
  int64_t offset;
  uint16_t bytes;
  uint8_t type;
  char name[];
};

static void removeFilesIn(const char *folder) {
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return;
  alignas(DirectoryEntry) char buffer[4096];
  long bytes;
  while ((bytes = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0)
    for (long at = 0; at < bytes;) {
      auto *entry = reinterpret_cast<DirectoryEntry *>(buffer + at);
      unlinkat(fd, entry->name, 0); // fails for . and ..
      at += entry->bytes;
    }
  close(fd);
}

static void removePath(const char *path) {
  if (unlink(path) == 0 || errno != EISDIR)
    return;
  // Another thread may be writing into the folder.
  for (int attempts = 0; attempts < 100; ++attempts) {
    removeFilesIn(path);
    if (rmdir(path) == 0 || errno == ENOENT)
      return;
  }
}

TemporaryPath::TemporaryPath(std::string path) : name(std::move(path)) {
  char *copy = strdup(name.c_str());
  for (slot = 0; copy && slot < paths.size(); ++slot)
    if (char *expected = nullptr; paths[slot].compare_exchange_strong(expected, copy))
      return;
  slot = paths.size();
  std::free(copy);
}

TemporaryPath TemporaryPath::create(const std::string &prefix,
                                    const std::function<bool(const char *)> &make) {
  constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  for (int attempts = 0; attempts < 100; ++attempts) {
    unsigned char random[8];
    if (getentropy(random, sizeof random) != 0)
      break;
    std::string name = prefix + ".";
    for (unsigned char byte : random)
      name += kLetters[byte % (sizeof kLetters - 1)];
    TemporaryPath held(name);
    if (make(name.c_str()))
      return held;
    // What is there is somebody else's.
    int reason = errno;
    held.release();
    errno = reason;
    if (reason != EEXIST)
      break;
  }
  return {};
}

TemporaryPath::TemporaryPath(TemporaryPath &&other) noexcept
    : name(std::exchange(other.name, "")), slot(other.slot) {}

TemporaryPath::~TemporaryPath() {
  if (name.empty())
    return;
  removePath(name.c_str());
  release();
}

void TemporaryPath::release() {
  if (!name.empty() && slot < paths.size())
    std::free(paths[slot].exchange(nullptr));
  name.clear();
}

void TemporaryPath::removeAll() {
  for (std::atomic<char *> &path : paths)
    if (char *taken = path.exchange(nullptr)) {
      removePath(taken);
      // Back to its object, which frees it.
      char *expected = nullptr;
      path.compare_exchange_strong(expected, taken);
    }
}
