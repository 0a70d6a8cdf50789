//===- FileIo.cpp - whole files, bounded and atomic -----------------------===//
#include "tools/quern/FileIo.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace quern;
using namespace quern::cli;

static Status systemError(const std::string &what, const std::string &path) {
  return ioError(fmt::format("cannot {} '{}': {}", what, path, std::strerror(errno)));
}

Expected<FileBytes> cli::readFile(const std::string &path, int64_t limit) {
  // A FIFO would block without O_NONBLOCK; it is refused below.
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return systemError("open", path);
  std::unique_ptr<std::FILE, int (*)(std::FILE *)> file(fdopen(fd, "rb"), std::fclose);
  struct stat info;
  if (fstat(fd, &info) != 0)
    return systemError("read", path);
  if (!S_ISREG(info.st_mode))
    return ioError("cannot read '" + path + "': not a regular file");
  if (info.st_size > limit)
    return resourceLimit(
        fmt::format("'{}' has {} bytes, the limit is {}", path, info.st_size, limit));
  auto size = static_cast<size_t>(info.st_size);
  auto *memory = static_cast<std::byte *>(std::aligned_alloc(64, (size + 64) / 64 * 64));
  if (!memory)
    return resourceLimit("out of memory for '" + path + "'");
  std::shared_ptr<const std::byte> data(
      memory, [](const std::byte *p) { std::free(const_cast<std::byte *>(p)); });
  if (std::fread(memory, 1, size, file.get()) != size)
    return systemError("read", path);
  return FileBytes{std::move(data), size};
}

Expected<AtomicFile> AtomicFile::create(const std::string &path) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0) {
    if (!S_ISREG(info.st_mode))
      return ioError(
          fmt::format("cannot write '{}': {}", path,
                      S_ISDIR(info.st_mode) ? "it is a directory" : "not a regular file"));
  } else if (errno != ENOENT) {
    return systemError("write", path); // renaming would find out too late
  }
  int fd = -1;
  TemporaryPath temporary = TemporaryPath::create(path, [&](const char *name) {
    if (fd >= 0)
      close(fd);
    fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return fd >= 0;
  });
  if (fd < 0)
    return systemError("write", path);
  return AtomicFile(path, std::move(temporary), fdopen(fd, "wb"));
}

AtomicFile::AtomicFile(std::string path, TemporaryPath temporary, std::FILE *file)
    : path(std::move(path)), temporary(std::move(temporary)), file(file) {}

AtomicFile::AtomicFile(AtomicFile &&other) noexcept
    : path(std::move(other.path)), temporary(std::move(other.temporary)), file(other.file),
      failure(other.failure) {
  other.file = nullptr;
}

AtomicFile::~AtomicFile() {
  if (file)
    std::fclose(file);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size() && failure == 0)
    failure = errno;
}

Status AtomicFile::commit() {
  auto note = [&](bool worked) {
    if (!worked && failure == 0)
      failure = errno;
  };
  note(std::fflush(file) == 0);
  note(std::fclose(file) == 0);
  file = nullptr;
  if (failure == 0)
    note(rename(temporary.path().c_str(), path.c_str()) == 0);
  if (failure != 0) {
    errno = failure;
    return systemError("write", path);
  }
  temporary.release();
  return Status::ok();
}

Status cli::checkWritable(const std::string &path) {
  TemporaryPath::removeAbandoned(path);
  auto file = AtomicFile::create(path);
  return file ? Status::ok() : file.status();
}

/// A name in a folder: links to the same file are other places.
static std::filesystem::path placeOf(const std::string &path) {
  std::error_code ignored;
  std::filesystem::path name = path;
  std::filesystem::path folder = name.has_parent_path() ? name.parent_path() : ".";
  return std::filesystem::weakly_canonical(folder, ignored) / name.filename();
}

Status cli::checkKeeps(const std::string &model, const std::string &output) {
  if (placeOf(model) != placeOf(output))
    return Status::ok();
  return usageError(fmt::format("'{}' would replace the model", output));
}
