//===- MappedFile.cpp - files mapped into memory --------------------------===//
#include "runtime/system/MappedFile.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <sys/mman.h>

using namespace quern;
using namespace quern;

Expected<std::shared_ptr<const MappedFile>> MappedFile::map(const FileDescriptor &file,
                                                            int64_t size) {
  if (size == 0)
    return std::make_shared<const MappedFile>(nullptr, 0);
  void *data =
      ::mmap(nullptr, static_cast<size_t>(size), PROT_READ, MAP_PRIVATE, file.get(), /*offset=*/0);
  if (data == MAP_FAILED)
    return ioError(fmt::format("cannot map: {}", std::strerror(errno)));
  return std::make_shared<const MappedFile>(data, size);
}

MappedFile::~MappedFile() {
  if (byteCount > 0)
    ::munmap(const_cast<void *>(data), static_cast<size_t>(byteCount));
}
