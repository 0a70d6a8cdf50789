//===- TemporaryPath.cpp - files that must not outlive the process --------===//
//
// A signal handler may use neither the heap nor a lock. So it finds the paths in a
// table of atomic pointers to C strings, and lists folders with system calls alone.
//
// No handler runs when a process is killed. The kernel then lets go of the process's
// locks, which is how the next process knows what nobody uses any more.
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
#include <filesystem>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

using namespace quern;

static constexpr std::string_view kPrefix = ".quern-";
static constexpr size_t kRandomLetters = 8;

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

/// And in folders in it, which are those of other objects.
static void removeFilesIn(int parent, const char *folder, int depth) {
  int fd = openat(parent, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return;
  alignas(DirectoryEntry) char buffer[4096];
  long bytes;
  while ((bytes = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0)
    for (long at = 0; at < bytes;) {
      auto *entry = reinterpret_cast<DirectoryEntry *>(buffer + at);
      at += entry->bytes;
      bool isDot = std::strcmp(entry->name, ".") == 0 || std::strcmp(entry->name, "..") == 0;
      if (isDot || unlinkat(fd, entry->name, 0) == 0 || errno != EISDIR || depth == 0)
        continue;
      removeFilesIn(fd, entry->name, depth - 1);
      unlinkat(fd, entry->name, AT_REMOVEDIR);
    }
  close(fd);
}

static void removePath(const char *path) {
  if (unlink(path) == 0 || errno != EISDIR)
    return;
  // Another thread may be writing into the folder.
  for (int attempts = 0; attempts < 100; ++attempts) {
    removeFilesIn(AT_FDCWD, path, /*depth=*/1);
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

/// With a slash at its end; empty where `target` is a name alone.
static std::string folderOf(const std::string &target) {
  return target.substr(0, target.find_last_of('/') + 1);
}

/// A lock that only one process has; -1: not to be had, errno says why.
static int openLocked(const char *path) {
  int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
    return fd;
  int reason = errno;
  close(fd);
  errno = reason;
  return -1;
}

/// False when somebody took what was just made for abandoned. Not all file systems have
/// locks: there nobody removes anything either.
bool TemporaryPath::lock() {
  lockFd = openLocked(name.c_str());
  struct stat info;
  if (lockFd < 0)
    return errno != EWOULDBLOCK && errno != ENOENT;
  return fstat(lockFd, &info) == 0 && info.st_nlink > 0;
}

TemporaryPath TemporaryPath::create(const std::string &target,
                                    const std::function<bool(const char *)> &make) {
  constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  for (int attempts = 0; attempts < 100; ++attempts) {
    unsigned char random[kRandomLetters];
    if (getentropy(random, sizeof random) != 0)
      break;
    std::string name = folderOf(target).append(kPrefix);
    for (unsigned char byte : random)
      name += kLetters[byte % (sizeof kLetters - 1)];
    TemporaryPath held(name);
    if (make(name.c_str())) {
      if (held.lock())
        return held;
      continue;
    }
    // What is there is somebody else's.
    int reason = errno;
    held.release();
    errno = reason;
    if (reason != EEXIST)
      break;
  }
  return {};
}

void TemporaryPath::removeAbandoned(const std::string &target) {
  namespace fs = std::filesystem;
  std::string folder = folderOf(target);
  std::error_code error;
  fs::directory_iterator entry(folder.empty() ? "." : folder, error), end;
  for (; !error && entry != end; entry.increment(error)) {
    std::string name = entry->path().filename();
    if (!name.starts_with(kPrefix) || name.size() != kPrefix.size() + kRandomLetters)
      continue;
    std::string path = folder + name;
    int fd = openLocked(path.c_str());
    if (fd < 0)
      continue;
    struct stat info;
    if (fstat(fd, &info) == 0 && info.st_uid == geteuid())
      removePath(path.c_str());
    close(fd);
  }
}

TemporaryPath::TemporaryPath(TemporaryPath &&other) noexcept
    : name(std::exchange(other.name, "")), lockFd(std::exchange(other.lockFd, -1)),
      slot(other.slot) {}

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
  if (lockFd >= 0)
    close(std::exchange(lockFd, -1));
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
