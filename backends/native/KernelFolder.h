//===- KernelFolder.h - compiled kernels on disk --------------------------===//
//
// Processes share a folder with a file for each kernel. A file is written beside its place and
// moved there, so that it is whole; a process that is killed leaves at most its begun files,
// which others go on with. Whatever is wrong with the folder costs time, never an answer: nothing
// is found then, and nothing is kept.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/emit/KernelKey.h"
#include "runtime/system/FileDescriptor.h"

#include "llvm/ADT/SmallVector.h"

#include <atomic>
#include <optional>
#include <string>
#include <string_view>

namespace quern::native {

/// A kernel as files have it: what it is known by, and what it was made from.
struct StoredKernel {
  const KernelSurroundings &surroundings;
  /// KernelSpec::key.
  std::string_view spec;
  KernelKey key{surroundings, spec};
};

/// Thread-safe.
class KernelFolder {
public:
  static constexpr int64_t kMostBytes = int64_t{128} << 20;
  using Object = llvm::SmallVector<char, 0>;

  /// `path` is a folder that nobody but this user can write to, see kernelFolder.
  explicit KernelFolder(const std::string &path, int64_t mostBytes = kMostBytes);

  /// The object code, when there is a file of this kernel that is as it was written.
  std::optional<Object> load(const StoredKernel &kernel) const;

  /// The right to write a kernel's file, which one thread of all processes has at a time.
  class Claim {
  public:
    Claim(Claim &&) = default;
    /// Lets others have it.
    ~Claim();

  private:
    friend KernelFolder;
    Claim(const KernelFolder &folder, std::string begun, FileDescriptor file)
        : folder(&folder), begun(std::move(begun)), file(std::move(file)) {}
    const KernelFolder *folder;
    /// The name of the file, until it is moved; it is locked.
    std::string begun;
    FileDescriptor file;
  };
  enum class Claiming { Claimed, Busy, Impossible };
  /// Sets `claim` when nobody else writes this kernel.
  Claiming claim(const StoredKernel &kernel, std::optional<Claim> &claim) const;
  /// Writes the file. Files that were used least recently go when they are too many.
  void store(const StoredKernel &kernel, const Object &object, Claim claim);

private:
  void makeRoom() const;

  FileDescriptor folder;
  int64_t mostBytes;
  /// Written by this process since it made room.
  std::atomic<int64_t> writtenBytes = 0;
  std::atomic<bool> hasMadeRoom = false;
};

} // namespace quern::native
