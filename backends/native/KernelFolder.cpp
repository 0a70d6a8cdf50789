//===- KernelFolder.cpp - compiled kernels on disk ------------------------===//
#include "backends/native/KernelFolder.h"

#include "backends/native/CheckedParts.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace quern;
using namespace quern::native;

static constexpr std::string_view kSuffix = ".kernel", kBegunSuffix = ".begun";
/// No kernel is nearly as large.
static constexpr int64_t kMostFileBytes = int64_t{64} << 20;

//===----------------------------------------------------------------------===//
// What is in a file: spec, surroundings and object
//===----------------------------------------------------------------------===//

static constexpr llvm::StringLiteral kMagic = "quern kernel 1\n";

static std::string pack(const StoredKernel &kernel, const KernelFolder::Object &object) {
  return packParts(kMagic, {kernel.spec, kernel.surroundings.bytes(),
                            llvm::StringRef(object.data(), object.size())});
}

/// The object code in the bytes of a file; nothing when they are not those of this kernel.
static std::optional<llvm::StringRef> unpack(llvm::StringRef bytes, const StoredKernel &kernel) {
  auto parts = unpackParts(kMagic, bytes);
  if (!parts || parts->size() != 3 || (*parts)[0] != llvm::StringRef(kernel.spec) ||
      (*parts)[1] != llvm::StringRef(kernel.surroundings.bytes()))
    return std::nullopt;
  return (*parts)[2];
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

KernelFolder::KernelFolder(const std::string &path, int64_t mostBytes)
    : folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), mostBytes(mostBytes) {}

static std::string fileName(const KernelKey &key) { return key.text().append(kSuffix); }

/// Makes the file one that was used now; now and then is enough.
static void markUsed(int file, const struct stat &info) {
  constexpr time_t kDay = 24 * 60 * 60;
  if (time(nullptr) - info.st_mtime > kDay)
    futimens(file, nullptr);
}

std::optional<KernelFolder::Object> KernelFolder::load(const StoredKernel &kernel) const {
  FileDescriptor file(openat(folder.get(), fileName(kernel.key).c_str(),
                             O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info;
  if (!file.isOpen() || fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) ||
      info.st_size > kMostFileBytes)
    return std::nullopt;
  Object bytes;
  bytes.resize_for_overwrite(static_cast<size_t>(info.st_size));
  if (!readAll(file.get(), bytes))
    return std::nullopt;
  auto code = unpack(llvm::StringRef(bytes.data(), bytes.size()), kernel);
  if (!code)
    return std::nullopt;
  markUsed(file.get(), info);
  return Object(code->begin(), code->end());
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

/// Whether the name in the folder still is this file's.
static bool isAt(int folder, const std::string &name, int file) {
  struct stat there, here;
  return fstatat(folder, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
         fstat(file, &here) == 0 && there.st_dev == here.st_dev && there.st_ino == here.st_ino;
}

KernelFolder::Claim::~Claim() {
  // Before the lock goes, so that the name is nobody else's.
  if (file.isOpen() && !begun.empty())
    unlinkat(folder->folder.get(), begun.c_str(), 0);
}

KernelFolder::Claiming KernelFolder::claim(const StoredKernel &kernel,
                                           std::optional<Claim> &claim) const {
  std::string begun = "." + kernel.key.text().append(kBegunSuffix);
  while (true) {
    FileDescriptor file(openat(folder.get(), begun.c_str(),
                               O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (!file.isOpen())
      return Claiming::Impossible;
    if (flock(file.get(), LOCK_EX | LOCK_NB) != 0)
      return errno == EWOULDBLOCK ? Claiming::Busy : Claiming::Impossible;
    // Who had the lock may have moved or removed the file.
    if (!isAt(folder.get(), begun, file.get()))
      continue;
    claim.emplace(Claim(*this, std::move(begun), std::move(file)));
    return Claiming::Claimed;
  }
}

void KernelFolder::store(const StoredKernel &kernel, const Object &object, Claim claim) {
  std::string bytes = pack(kernel, object);
  int file = claim.file.get();
  // A process that was killed may have begun it.
  if (ftruncate(file, 0) != 0 || !writeAll(file, bytes) ||
      renameat(folder.get(), claim.begun.c_str(), folder.get(), fileName(kernel.key).c_str()) != 0)
    return;
  claim.begun.clear();
  writtenBytes += static_cast<int64_t>(bytes.size());
  if (!hasMadeRoom.exchange(true) || writtenBytes > mostBytes / 16) {
    writtenBytes = 0;
    makeRoom();
  }
}

namespace {
struct FolderEntry {
  timespec used;
  int64_t bytes;
  std::string name;
};
} // namespace

/// Removes a file that nobody has begun to write any more.
static void removeAbandoned(int folder, const char *name) {
  FileDescriptor file(openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.isOpen() && flock(file.get(), LOCK_EX | LOCK_NB) == 0 && isAt(folder, name, file.get()))
    unlinkat(folder, name, 0);
}

/// The files of kernels in a folder; what was begun and abandoned goes.
static std::vector<FolderEntry> listKernels(int folder) {
  std::vector<FolderEntry> entries;
  // A descriptor of its own, which reads from the start.
  int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::unique_ptr<DIR, int (*)(DIR *)> listing(copy < 0 ? nullptr : fdopendir(copy), closedir);
  while (dirent *entry = listing ? readdir(listing.get()) : nullptr) {
    std::string_view name = entry->d_name;
    struct stat info;
    if (name.ends_with(kBegunSuffix))
      removeAbandoned(folder, entry->d_name);
    else if (name.ends_with(kSuffix) &&
             fstatat(folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0)
      entries.push_back({info.st_mtim, info.st_size, std::string(name)});
  }
  return entries;
}

/// Down to less than there may be, so that it is seldom needed.
void KernelFolder::makeRoom() const {
  std::vector<FolderEntry> entries = listKernels(folder.get());
  int64_t bytes = 0;
  for (const FolderEntry &entry : entries)
    bytes += entry.bytes;
  if (bytes <= mostBytes)
    return;
  std::sort(entries.begin(), entries.end(), [](const FolderEntry &a, const FolderEntry &b) {
    return std::pair(a.used.tv_sec, a.used.tv_nsec) < std::pair(b.used.tv_sec, b.used.tv_nsec);
  });
  for (const FolderEntry &entry : entries) {
    if (bytes <= mostBytes / 4 * 3)
      return;
    unlinkat(folder.get(), entry.name.c_str(), 0);
    bytes -= entry.bytes;
  }
}
