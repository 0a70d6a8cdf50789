//===- FileDescriptor.h - owned file descriptors --------------------------===//
#pragma once

#include "quern/Status.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace quern {

/// An open file descriptor that is closed with its owner.
class FileDescriptor {
public:
  explicit FileDescriptor(int fd = -1) : fd(fd) {}
  FileDescriptor(FileDescriptor &&o) noexcept : fd(std::exchange(o.fd, -1)) {}
  FileDescriptor &operator=(FileDescriptor &&o) noexcept {
    std::swap(fd, o.fd);
    return *this;
  }
  ~FileDescriptor();

  bool isOpen() const { return fd >= 0; }
  int get() const { return fd; }

private:
  int fd;
};

/// Reads until the memory is full, or writes all; false when that fails or the file ends.
bool readAll(int file, std::span<char> memory);
bool writeAll(int file, std::string_view bytes);

/// A regular file opened for reading.
struct RegularFile {
  FileDescriptor descriptor;
  int64_t size = 0;
};

/// Opens a regular file; directories, FIFOs and devices are refused without
/// blocking on them. Io otherwise, and the message is the reason alone: "No such file or
/// directory".
Expected<RegularFile> openRegularFile(const std::string &path);

} // namespace quern
