//===- FileDescriptor.cpp - owned file descriptors ------------------------===//
#include "runtime/system/FileDescriptor.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace quern;

FileDescriptor::~FileDescriptor() {
  if (fd >= 0)
    ::close(fd);
}

bool quern::readAll(int file, std::span<char> memory) {
  while (!memory.empty()) {
    ssize_t count = ::read(file, memory.data(), memory.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return false;
    memory = memory.subspan(static_cast<size_t>(count));
  }
  return true;
}

bool quern::writeAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

Expected<RegularFile> quern::openRegularFile(const std::string &path) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  RegularFile file{FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK))};
  struct stat info;
  if (!file.descriptor.isOpen() || ::fstat(file.descriptor.get(), &info) != 0)
    return ioError(std::strerror(errno));
  if (!S_ISREG(info.st_mode))
    return ioError("not a regular file");
  file.size = info.st_size;
  return file;
}
