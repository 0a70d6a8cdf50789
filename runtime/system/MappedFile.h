//===- MappedFile.h - files mapped into memory ----------------------------===//
#pragma once

#include "runtime/system/FileDescriptor.h"

#include <cstddef>
#include <memory>
#include <span>

namespace quern {

/// A file mapped into memory for reading. Unmapped when the last user lets go.
/// The file must not shrink meanwhile: the system ends a process that reads what is
/// no longer there (SIGBUS). Its size is read when it is mapped, never again.
class MappedFile {
public:
  /// Maps the first `size` bytes, which the file must have; the descriptor may be
  /// closed then.
  static Expected<std::shared_ptr<const MappedFile>> map(const FileDescriptor &file, int64_t size);

  MappedFile(const void *data, int64_t size) : data(data), byteCount(size) {}
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte *>(data), static_cast<size_t>(byteCount)};
  }

private:
  const void *data;
  int64_t byteCount;
};

} // namespace quern
